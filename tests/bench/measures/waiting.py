"""What `kubeboot up` costs while it waits."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

from world.control import ask

from .. import worlds
from ..figure import Figure, busiest
from ..plan import Plan

ABOUT = """`kubeboot up` of one machine whose group never settles, and of one that waits for the membership lease, which a join that hangs
holds. Processor time over the seconds watched, memory at the peak since it began, calls of AWS in these seconds."""

SETTLE, LEASE = "waiting for the group to settle", "waiting for the lease"


def measure(plan: Plan) -> Iterator[Figure]:
    with worlds.world(nodes=1, desired=2) as folder:
        worlds.until_logged(folder, "1", "waiting for the group to settle")
        yield from watched(folder, "1", SETTLE, plan.seconds)
    settings = {"expected_size": "1", "settle_timeout": "1s"}
    with worlds.world(nodes=3, up=False, settings=settings) as folder:
        holds_the_lease(folder)
        yield from watched(folder, "3", LEASE, plan.seconds)


def holds_the_lease(folder: Path) -> None:
    """Node 1 is the cluster, node 2 holds the lease and never gets anywhere, node 3 waits."""
    ask(folder, "run", nodes=["1"])
    worlds.until_up(folder, "1")
    ask(folder, "standin_fault", node="2", fault=json.dumps({"join": {"after": "kubelet-start", "hang": True}}))
    ask(folder, "run", nodes=["2"])
    worlds.until_logged(folder, "2", "holds the membership lease")
    ask(folder, "run", nodes=["3"])
    worlds.until_logged(folder, "3", "waiting for the membership lease")


def watched(folder: Path, node: str, what: str, seconds: float) -> Iterator[Figure]:
    begun = time.time()
    cpu, memory = worlds.resident(worlds.process_of(folder, node, "up"), seconds)
    yield Figure.one("waiting.cpu", "processor time of `up`", "%", cpu, of=what)
    yield Figure.one("waiting.memory", "memory of `up`", "MiB", memory, of=what)
    yield from asked(folder, [node], begun, seconds, what)


def asked(folder: Path, nodes: list[str], begun: float, seconds: float, what: str) -> Iterator[Figure]:
    """What these machines have asked AWS for in so many seconds from `begun` on."""
    instances = {worlds.machine(folder, node).name for node in nodes}
    lines = worlds.requests(folder, begun)
    times = [line["arrived"] for line in lines if line["node"] in instances and line["arrived"] < begun + seconds]
    each = len(times) / seconds / len(nodes)
    yield Figure.one("waiting.calls", "calls of AWS a second, of each machine", "", each, of=what)
    yield Figure.one("waiting.busiest", "calls of AWS in the busiest second", "", busiest(times), of=what)
