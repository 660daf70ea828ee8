"""Leaving for a terminate hook."""

import math
from collections.abc import Iterator

from .. import worlds
from ..figure import Figure
from ..plan import Plan

ABOUT = """`dev/demo --refresh`, which replaces every machine of three: from the moment at which the metadata service says `Terminated` to
CompleteLifecycleAction, without the time of the stand-in for kubeadm."""


def measure(plan: Plan) -> Iterator[Figure]:
    owns = [left["own"] for demo in worlds.demos(plan.runs, "--refresh") for left in demo["left"].values()]
    # One that never left took for ever.
    owns = tuple(math.inf if own is None else own for own in owns)
    yield Figure("leave.own", "leaving for a terminate hook", "s", owns)
