"""From a full group to a control plane, by kubeboot and by the recipe, with a kubeadm that takes as long as the real one."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from world.control import ask
from world.figures import figures, kubeadm
from world.outcome import look

from .. import recipe, worlds
from ..figure import Figure
from ..plan import Plan

ABOUT = """So many machines boot at once, until `kubeboot up` has ended on all, and the recipe (`tests/bench/recipe/grow.sh`, three runs at most) beside it. The stand-in for
kubeadm is made to last about as long as the real one did: 8 s for an init, 13 s for a join. Of a join, etcd adds the member after one second,
makes it a voter after three and serves its clients after ten; the next member is added when the one before has been connected for five seconds.
A series of whole joins is what one init and a join for each other machine take one after the other."""

SIZES = (1, 3, 5, 7)
# What is added to the stand-in's own init and join, in seconds, so that they last as long as on real machines: a new member's etcd starts
# one second after the join, is a voter two later, and serves its clients seven after that.
REAL = {
    "init": {"after": "wait-control-plane", "seconds": 6.6},
    "join": [{"after": "control-plane-prepare", "seconds": 0.4}, {"after": "etcd-join/start", "seconds": 2.0}, {"after": "control-plane-join", "seconds": 2.0}],
}
ETCD_LATE = "9"
SECONDS, SECONDS_PER_NODE = 120.0, 60.0
RECIPE_RUNS = 3
PLOT = "From a full group to a control plane: time"
KUBEBOOT, RECIPE, SERIES = "kubeboot", "recipe", "whole joins in series"


@dataclass(frozen=True)
class Run:
    """One group, in seconds: `init` and the shortest `join` of a machine, all of it, and the part in which no kubeadm ran."""

    total: float
    own: float
    init: float
    join: float


def measure(plan: Plan) -> Iterator[Figure]:
    medians = {}
    for size in SIZES:
        runs = [grown(size) for _ in range(plan.runs)]
        theirs = [by_recipe(size) for _ in range(min(plan.runs, RECIPE_RUNS))]
        for figure in compared(size, runs, theirs):
            yield figure
            if figure.id == "group.total":
                medians[size] = figure.value
    few, many = 3, max(SIZES)
    yield Figure.one("group.each_further", f"each machine from {few + 1} to {many} more", "s", (medians[many] - medians[few]) / (many - few))


def compared(size: int, runs: list[Run], theirs: list[float]) -> Iterator[Figure]:
    """The figures of groups of one size."""
    of = f"{size} machines" if size > 1 else "1 machine"

    def seconds(id: str, name: str, values, plot: str = "") -> Figure:
        return Figure(f"group.{id}", name, "s", tuple(values), of=of, plot=plot)

    yield seconds("total", KUBEBOOT, (run.total for run in runs), PLOT)
    yield seconds("recipe", RECIPE, theirs, PLOT)
    yield seconds("series", SERIES, (run.init + (size - 1) * run.join for run in runs), PLOT)
    yield seconds("kubeadm", "of kubeboot's, while a kubeadm ran", (run.total - run.own for run in runs))
    yield seconds("own", "of kubeboot's, while none ran", (run.own for run in runs))
    if size == 3:
        yield seconds("over_one_join", "beyond one init and one join", (run.total - run.init - run.join for run in runs))


def grown(size: int) -> Run:
    """One group by kubeboot. Raises RuntimeError if it did not become one control plane."""
    with worlds.world(nodes=size, up=False, env=late()) as folder:
        slow(folder, size)
        ask(folder, "run")
        worlds.until_up(folder, seconds=SECONDS + SECONDS_PER_NODE * size)
        found = figures(folder)
        init, joins = lasted(kubeadm(folder))
    if found.inits != 1 or found.total is None or found.own is None:
        raise RuntimeError(f"a group of {size} had {found.inits} inits, and took {found.total} s")
    return Run(found.total, found.own, init, min(joins, default=0.0))


def lasted(commands: list[dict]) -> tuple[float, list[float]]:
    """How long the init lasted, and on each machine that joined all commands of its join."""
    inits = [line["end"] - line["start"] for line in commands if line["argv"][0] == "init" and line["argv"][1:2] != ["phase"]]
    joins: dict[str, float] = {}
    for line in commands:
        if line["argv"][0] == "join":
            joins[line["node"]] = joins.get(line["node"], 0.0) + line["end"] - line["start"]
    return sum(inits), list(joins.values())


def by_recipe(size: int) -> float:
    """Seconds of one group by the recipe; infinite if it did not become one of voters alone, for nobody tries again there."""
    with worlds.world(nodes=size, up=False, visible=recipe.VISIBLE, env=late()) as folder:
        slow(folder, size)
        took, failed = recipe.grow(folder, SECONDS + SECONDS_PER_NODE * size)
        voters = [node for node in look(folder) if node.voter and node.voters_known == size]
    return took if not failed and len(voters) == size else math.inf


def late() -> dict[str, str]:
    """The environment in which a new voter's etcd serves its clients as late as the real one."""
    return {"STANDIN_ETCD_LATE": ETCD_LATE}


def slow(folder: Path, size: int) -> None:
    """Has kubeadm last as long as the real one on every machine."""
    for node in range(1, size + 1):
        ask(folder, "standin_fault", node=str(node), fault=json.dumps(REAL))
