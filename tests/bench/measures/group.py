"""From a full group to a control plane, with a stand-in that takes as long as the real kubeadm."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

from world.control import ask
from world.figures import figures

from .. import worlds
from ..figure import Figure
from ..plan import Plan

ABOUT = """So many machines boot at once, until `kubeboot up` has ended on all, with a stand-in for kubeadm whose init and join are made to last as long as
those of the real one did (8 s and 13 s more or less: the stand-in's own time comes on top). Beside the total: the time in which at least one kubeadm ran, the rest, which is kubeboot's own, and
what a series of whole joins would take, which is what the machines' kubeadm commands took one after the other."""

SIZES = (1, 3, 5, 7)
# What is added to the stand-in's init and join, in seconds, so that they last as long as on real machines.
REAL = {"init": {"after": "wait-control-plane", "seconds": 6}, "join": {"after": "kubelet-start", "seconds": 10}}
SECONDS, SECONDS_PER_NODE = 120.0, 60.0


def measure(plan: Plan) -> Iterator[Figure]:
    for size in SIZES:
        yield from grown(size, plan.runs)


def grown(size: int, runs: int) -> Iterator[Figure]:
    """So many groups of this size."""
    seen = [one(size) for _ in range(runs)]
    of = f"{size} machines" if size > 1 else "1 machine"
    for field, name in (("total", "from the first start to the last end"), ("standin", "while kubeadm ran"), ("own", "kubeboot's own")):
        # One that never came to its end took for ever.
        values = tuple(math.inf if (value := getattr(run, field)) is None else value for run in seen)
        yield Figure(f"group.{field}", name, "s", values, of=of, plot=f"From a full group to a control plane: {name}")


def one(size: int):
    """The figures of one group. Raises RuntimeError if it did not become one control plane."""
    with worlds.world(nodes=size, up=False) as folder:
        slow(folder, size)
        ask(folder, "run")
        worlds.until_up(folder, seconds=SECONDS + SECONDS_PER_NODE * size)
        found = figures(folder)
    if found.inits != 1:
        raise RuntimeError(f"a group of {size} had {found.inits} inits")
    return found


def slow(folder: Path, size: int) -> None:
    """Has kubeadm last as long as the real one on every machine."""
    for node in range(1, size + 1):
        ask(folder, "standin_fault", node=str(node), fault=json.dumps(REAL))
