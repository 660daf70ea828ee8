"""What is measured, one measure a file: `ABOUT` tells people how, `measure(plan)` yields the figures as soon as they are known."""

from collections.abc import Iterator
from types import ModuleType
from typing import Protocol

from ..figure import Figure
from ..plan import Plan
from . import age, agent, busy, decision, demo, group, leave, replacement, size, snapshot, throttled, waiting, workers


class Measure(Protocol):
    """What each of these modules has."""

    ABOUT: str

    def measure(self, plan: Plan) -> Iterator[Figure]: ...


# In this order they are measured, and stand on the page.
MEASURES: dict[str, Measure | ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (decision, group, replacement, demo, waiting, workers, throttled, age, size, agent, leave, snapshot, busy)
}
