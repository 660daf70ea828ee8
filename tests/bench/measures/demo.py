"""Three machines that boot at once, by `dev/demo`."""

from collections.abc import Iterator

from .. import worlds
from ..figure import Figure
from ..plan import Plan

ABOUT = """`dev/demo`: three machines boot at once, and kubeadm is a stand-in that is quicker than the real one. From the first answer that
showed the whole group until the claim stood; and the whole run, without the seconds in which a stand-in for kubeadm ran."""


def measure(plan: Plan) -> Iterator[Figure]:
    figures = [outcome["figures"] for outcome in worlds.demos(plan.runs)]
    settled, own = ([float(run[key]) for run in figures] for key in ("settled_to_claim", "own"))
    yield Figure("demo.settled_to_claim", "from the settled group to the claim", "s", tuple(settled))
    yield Figure("demo.own", "all that is not the stand-in's own time", "s", tuple(own))
