"""Whether a living machine pays for those that are gone."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from world.account import PREFIX
from world.control import ask

from .. import metering, worlds
from ..figure import Figure, ratio
from ..plan import Plan

ABOUT = """A cluster of three that has had 0, 500 and 5,000 other machines before, whose registrations are in the `former` folder: `kubeboot status`, and a
second `kubeboot up` of a member, on one machine. Before these one
more machine joins, and is terminated: all of its calls count, and since it looks again while it waits, these differ a little."""

AGES = (0, 500, 5000)
RECORD, FORMER = f"{PREFIX}/control-plane/cluster.json", f"{PREFIX}/control-plane/former/"
COMMANDS = {"status": ["kubeboot", "status"], "second up": ["kubeboot", "up"]}
AT_ONCE = 500
LEAVE_SECONDS = 240.0
# What else is measured at an age, in a world.
More = Callable[[Path, int], Iterable[Figure]]


def measure(plan: Plan) -> Iterator[Figure]:
    with worlds.world(nodes=3) as folder:
        worlds.until_up(folder)
        yield from aged(folder, AGES, plan.runs, come_and_go)


def aged(folder: Path, ages: tuple[int, ...], runs: int, more: More = lambda *_: ()) -> Iterator[Figure]:
    """The commands by member 1 of a world's cluster, at each of these ages, and what `more` tells of that age."""
    found: dict[tuple[str, str], list[Figure]] = {}
    before = 0
    for age in ages:
        bury(folder, range(before, age))
        before = age
        yield from more(folder, age)
        for name, command in COMMANDS.items():
            costs = [succeeds(folder, command) for _ in range(runs)]
            for field, what, unit in (("wall", "time", "s"), ("calls", "calls of AWS", "")):
                values = tuple(float(getattr(cost, field)) for cost in costs)
                of = f"{age:,} former machines"
                figure = Figure(f"age.{field}", f"{what} of {name}", unit, values, of=of, plot=f"With former machines: {what} of {name}")
                found.setdefault((field, name), []).append(figure)
                yield figure
    for (field, name), figures in found.items():
        what = {"wall": "time", "calls": "calls of AWS"}[field]
        yield ratio(f"age.{field}_ratio", f"{what} of {name}, at the highest age in those at the lowest", figures[-1], figures[0])


def come_and_go(folder: Path, age: int) -> Iterator[Figure]:
    """One more machine joins, and leaves when it is terminated."""
    of = f"{age:,} former machines"
    node = str(ask(folder, "launch", up=True)["index"])
    worlds.until_up(folder, node)
    joined = worlds.calls(folder, node)
    ask(folder, "terminate", node=node, timeout=LEAVE_SECONDS)
    left = worlds.calls(folder, node) - joined
    for id, what, calls in (("join", "a join", joined), ("leave", "leaving", left)):
        name = f"calls of AWS of {what}"
        yield Figure.one(f"age.{id}_calls", name, "", calls, of=of, plot=f"With former machines: {name}")


def succeeds(folder: Path, command: list[str]) -> metering.Cost:
    cost = metering.cost(folder, "1", command)
    if cost.code:
        raise RuntimeError(f"'{' '.join(command)}' ended with {cost.code}: {cost.out}")
    return cost


def bury(folder: Path, numbers: range) -> None:
    """Puts finished registrations of machines that EC2 does not know into the folder of those that are gone."""
    record = json.loads(base64.b64decode(ask(folder, "s3_get", key=RECORD)["body"]))
    for first in range(numbers.start, numbers.stop, AT_ONCE):
        bodies = {}
        for number in range(first, min(first + AT_ONCE, numbers.stop)):
            instance = f"i-0dead{number:012}"
            body = registration(instance, number, record["claim_id"])
            bodies[f"{FORMER}{instance}.json"] = base64.b64encode(json.dumps(body).encode()).decode()
        ask(folder, "s3_put_all", bodies=bodies)


def registration(instance: str, number: int, claim: str) -> dict:
    """What a machine has left that was a member of this cluster."""
    return {
        "schema": 1, "instance": instance, "phase": "left", "claim_id": claim, "ready_claim": claim,
        "node_name": f"gone-{number}", "provider_id": f"aws:///eu-central-1a/{instance}",
        "addresses": [f"10.99.{number // 250}.{number % 250}"], "versions": {"kubeboot": "0.1.0"},
        "since": "2026-01-02T03:04:05Z", "updated": "2026-01-02T03:04:05Z",
    }  # fmt: skip
