"""Leaving the cluster, for a terminate hook and when the machine goes down."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from world import members
from world.client import wait_until
from world.control import ask

from .. import worlds
from ..figure import Figure
from ..plan import Plan

ABOUT = """By the hook: `dev/demo --refresh`, which replaces every machine of three, from the moment at which the metadata service says `Terminated` to
CompleteLifecycleAction, without the time of the stand-in for kubeadm; and, of a cluster of four, from the group's order until the others' etcd has no such
member, the two seconds between two looks of the agent among them. By shutdown: how long the leaving unit holds a poweroff. Both with an AWS that answers, one whose every call takes a second longer, and
one that accepts connections and says nothing; the metadata service answers. By the hook a machine leaves under the membership lease alone, so with an AWS that is silent
it stays a member: never means not within 90 s."""

# Faults of every call of AWS.
AWS = {"AWS answers": "", "AWS takes 1 s more": "delay=1", "AWS is silent": "hang"}
# Who leaves, one after the other; the first stays and is asked.
LEAVING = ("4", "3", "2")
# One that has not left after this long never does.
SECONDS, LOOK = 90.0, 0.1
# Longer than a unit may take to stop.
SHUTDOWN_SECONDS = 240.0
HOOK = "leave"


def measure(plan: Plan) -> Iterator[Figure]:
    owns = [left["own"] for demo in worlds.demos(plan.runs, "--refresh") for left in demo["left"].values()]
    # One that never left took for ever.
    yield Figure("leave.own", "leaving for a terminate hook, own time", "s", tuple(math.inf if own is None else own for own in owns))
    yield from by("hook", "by the terminate hook", hook, plan.runs, terminate_hook=HOOK, agents=True, settings={"terminate_hook": HOOK})
    yield from by("shutdown", "by shutdown", shutdown, plan.runs)


def by(id: str, name: str, leaves: Callable[[Path, str], float], runs: int, **options) -> Iterator[Figure]:
    """One way to leave, under each kind of AWS."""
    took: dict[str, list[float]] = {of: [] for of in AWS}
    for _ in range(runs):
        with worlds.world(nodes=1 + len(LEAVING), **options) as folder:
            worlds.until_up(folder)
            for node, (of, fault) in zip(LEAVING, AWS.items(), strict=True):
                took[of].append(under(folder, fault, node, leaves))
    for of, values in took.items():
        yield Figure(f"leave.{id}", f"leaving {name}", "s", tuple(values), of=of, plot="Leaving: time")


def under(folder: Path, fault: str, node: str, leaves: Callable[[Path, str], float]) -> float:
    """Seconds in which a machine leaves while every call of AWS has this fault."""
    if fault:
        ask(folder, "fault_add", effect=fault)
    try:
        return leaves(folder, node)
    finally:
        ask(folder, "fault_clear")


def hook(folder: Path, node: str) -> float:
    """The group ends the machine, whose agent leaves."""
    name, begin = described(folder, node)["name"], time.monotonic()
    ask(folder, "terminate", node=node, timeout=SECONDS)
    try:
        wait_until(lambda: is_gone(folder, name), SECONDS, LOOK)
    except TimeoutError:
        return math.inf
    return time.monotonic() - begin


def shutdown(folder: Path, node: str) -> float:
    """The machine goes down, and its unit leaves."""
    name = described(folder, node)["name"]
    unit = ask(folder, "shutdown", node=node, way="poweroff", timeout=SHUTDOWN_SECONDS)["leaving_unit"]
    return unit["seconds"] if unit and is_gone(folder, name) else math.inf


def is_gone(folder: Path, name: str) -> bool:
    """Whether the first machine's etcd answers, and does not list this member."""
    first = described(folder, "1")
    view = members.ask(first["address"], Path(first["folder"]) / "disk")
    return view is not None and all(member.name != name for member in view.members)


def described(folder: Path, node: str) -> dict:
    return next(found for found in ask(folder, "status")["nodes"] if str(found["index"]) == node)
