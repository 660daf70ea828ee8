"""One figure that was measured, and what a bound says of it."""

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """What the median of a figure may be at `most`, and is to be at `least`; `why` is where the number comes from."""

    why: str
    most: float = math.inf
    least: float = -math.inf

    def keeps(self, value: float) -> bool:
        return self.least <= value <= self.most

    def __str__(self) -> str:
        parts = [] if math.isinf(self.least) else [f"at least {self.least:g}"]
        parts += [] if math.isinf(self.most) else [f"at most {self.most:g}"]
        return " and ".join(parts)


@dataclass(frozen=True)
class Figure:
    """`id` names its bound, `of` the case of it that this is. One that never came to its end is infinite. Figures of one `plot` are bars of one picture."""

    id: str
    name: str
    unit: str
    values: tuple[float, ...]
    of: str = ""
    plot: str = ""

    @classmethod
    def one(cls, id: str, name: str, unit: str, value: float, **more: str) -> "Figure":
        """A figure that is measured once, such as a size."""
        return cls(id, name, unit, (float(value),), **more)

    @property
    def value(self) -> float:
        """The median of the runs."""
        return statistics.median(self.values)

    @property
    def label(self) -> str:
        return f"{self.name}, {self.of}" if self.of else self.name

    def spread(self) -> str:
        """The lowest and the highest of several runs; empty for one."""
        return f"{number(min(self.values))} to {number(max(self.values))}" if len(self.values) > 1 else ""


def ratio(id: str, name: str, above: Figure, below: Figure, **more: str) -> Figure:
    """How many times the median of `below` the median of `above` is. Of medians, since the runs of the two are no pairs."""
    value = above.value / below.value if below.value else math.inf
    return Figure.one(id, name, "times", value, **more)


def number(value: float) -> str:
    """Three digits that count; a number of things as it is."""
    if math.isinf(value):
        return "never"
    if value == int(value):
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4)}f}"


def busiest(times: list[float], window: float = 1.0) -> int:
    """How many of these moments, in seconds, lie within the fullest `window`, whenever it begins."""
    times, most, first = sorted(times), 0, 0
    for last, time in enumerate(times):
        while time - times[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


def line(figure: Figure, bound: Bound | None) -> str:
    """The figure as a line of the table that is printed."""
    unit = figure.unit if math.isfinite(figure.value) else ""
    text = f"{figure.label:<74}{number(figure.value):>10} {unit:<9}"
    if bound is None:
        return text.rstrip()
    return f"{text} {bound}: {'met' if bound.keeps(figure.value) else 'MISSED'}"
