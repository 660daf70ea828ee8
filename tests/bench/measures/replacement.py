"""A machine that takes a dead one's place."""

import math
from collections.abc import Iterator

from .. import worlds
from ..figure import Figure
from ..plan import Plan

ABOUT = """`dev/demo --replace`: one of three loses its power for good, and the group launches another one, which has the dead member removed and
joins. From its boot until it is a voter, without the seconds in which its own stand-in for kubeadm ran. Plain kubeadm does not get there: with the dead
member in the list its join failed after 241 s on real machines (`tests/fixtures/kubeadm-1.36`)."""


def measure(plan: Plan) -> Iterator[Figure]:
    owns = [joined["own"] for demo in worlds.demos(plan.runs, "--replace") for joined in demo["joined"].values()]
    # One that never became a voter took for ever.
    owns = tuple(math.inf if own is None else own for own in owns)
    yield Figure("replacement.own", "a replacement's own time from boot to voter", "s", owns)
