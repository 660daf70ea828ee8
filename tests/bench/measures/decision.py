"""One decision of `kubeboot up`, beside that of the shell recipe."""

from collections.abc import Iterator
from pathlib import Path

from .. import metering, recipe, recorded, worlds
from ..figure import Figure, ratio
from ..plan import Plan

ABOUT = """What a machine of a whole group of three does until it knows that it is the one who initialises: `kubeboot up --dry-run`, and
`tests/bench/recipe/decide.sh`, the recipe that is passed around (aws cli, jq, curl). Both run as the same machine, against the same emulated
AWS, metadata service and bucket, in turns, behind an endpoint that refuses. kubeboot asks more: whether there is a record, a registration or another
cluster, and kubeadm, systemd and the runtime what they are. Here these answer at once, from a file, since their stand-ins are Python and would be most of
the time. Memory is the peak of the largest process. Programs are counted by strace in a run of their own."""

KUBEBOOT, RECIPE = "kubeboot", "recipe"
# The lowest ID decides first in both.
IDS = [f"i-{number:017x}" for number in (1, 2, 3)]
COMMANDS = {KUBEBOOT: recorded.before("kubeboot up --dry-run"), RECIPE: recipe.command("decide.sh")}
# What each says when it is the one.
DECIDED = {KUBEBOOT: "claim: ", RECIPE: "init\n"}


def measure(plan: Plan) -> Iterator[Figure]:
    with worlds.world(nodes=3, up=False, ids=IDS, visible=recipe.VISIBLE) as folder:
        yield from compared(folder, plan.runs)


def compared(folder: Path, runs: int) -> Iterator[Figure]:
    """Both in turns, as the first machine of a world."""
    recorded.install(folder, "1")
    decide(folder, KUBEBOOT)
    # Now all has been asked once. The first of each fills caches, and has its programs counted; it gives no times.
    programs = {who: decide(folder, who, programs=True).programs for who in COMMANDS}
    costs: dict[str, list[metering.Cost]] = {who: [] for who in COMMANDS}
    for _ in range(runs):
        for who, taken in costs.items():
            taken.append(decide(folder, who))
    for field, name, unit in (("wall", "time", "s"), ("cpu", "processor time", "s"), ("memory", "memory", "MiB"), ("calls", "calls of AWS", "")):
        figures = {who: figure(field, name, unit, who, [getattr(cost, field) for cost in taken]) for who, taken in costs.items()}
        yield from figures.values()
        if field != "calls":
            yield ratio(f"decision.{field}_ratio", f"{name} of the recipe, in kubeboot's", figures[RECIPE], figures[KUBEBOOT])
    for who, started in programs.items():
        yield figure("programs", "programs started", "", who, [started])


def figure(field: str, name: str, unit: str, who: str, values: list[float]) -> Figure:
    return Figure(f"decision.{field}.{who}", f"a decision: {name}", unit, tuple(values), of=who, plot=f"A decision: {name}")


def decide(folder: Path, who: str, programs: bool = False) -> metering.Cost:
    """Raises RuntimeError for one that decides something else: that cannot be compared."""
    cost = metering.cost(folder, "1", COMMANDS[who], programs)
    if cost.code or DECIDED[who] not in cost.out:
        raise RuntimeError(f"the {who} decided otherwise, with exit code {cost.code}: {cost.out}")
    return cost
