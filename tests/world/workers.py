"""What came of a world's workers, machine by machine: by the word of an API server, not by kubeboot's; and how they come and go."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from . import kubenodes
from .account import CONTROL_PLANE, WORKER, ZONE
from .control import ask

# How many more there are for a while when the group grows in the demo.
GUESTS = 2
TICK_SECONDS = 0.5


@dataclass(frozen=True)
class WorkerOutcome:
    """One worker; `machine` is what its Node says that it is, by the provider ID."""

    index: int
    instance: str
    name: str
    up_exit: int | None
    node: str
    machine: str
    cordoned: bool


def look(folder: Path) -> list[WorkerOutcome]:
    """The workers of the world in `folder` that are switched on."""
    nodes = [node for node in ask(folder, "status")["nodes"] if node["power"] == "on"]
    known: dict[str, dict] = {}
    for node in nodes:
        if node["role"] == CONTROL_PLANE and not known:
            known = kubenodes.read(node["address"], Path(node["folder"]) / "disk")
    return [_worker(node, known) for node in nodes if node["role"] == WORKER]


def _worker(node: dict, known: dict[str, dict]) -> WorkerOutcome:
    by_name = {node["name"], node["id"]}
    found = next((known[name] for name in known if name in by_name), None)
    state = "none" if found is None else "Ready" if kubenodes.is_ready(found) else "not Ready"
    spec = (found or {}).get("spec", {})
    return WorkerOutcome(
        index=node["index"], instance=node["id"], name=node["name"], up_exit=node["up_exit"], node=state,
        machine=spec.get("providerID", ""), cordoned=bool(spec.get("unschedulable")),
    )  # fmt: skip


def wrong(workers: list[WorkerOutcome], wanted: int) -> list[str]:
    """What keeps these from being `wanted` workers, each its own Node and Ready; empty if nothing does."""
    found = [] if len(workers) == wanted else [f"{len(workers)} workers are on, not {wanted}"]
    for worker in workers:
        if worker.up_exit != 0:
            how = "still runs" if worker.up_exit is None else f"ended with exit code {worker.up_exit}"
            found.append(f"worker {worker.index}: `kubeboot up` {how}")
        if worker.node != "Ready":
            found.append(f"worker {worker.index}: its Node is {worker.node}")
        elif worker.machine != f"aws:///{ZONE}/{worker.instance}":
            found.append(f"worker {worker.index}: its Node says that it is '{worker.machine}'")
    return found


def come_and_go(folder: Path, count: int, seconds: float, out: TextIO) -> list[str]:
    """Two more join, and two leave again; returns what was wrong with that."""
    found = []
    for wanted, what in ((count + GUESTS, f"{GUESTS} more come"), (count, "the newest leave, drained")):
        begin = time.monotonic()
        ask(folder, "desired", count=wanted, workers=True, timeout=seconds)
        wait_for(lambda wanted=wanted: not wrong(look(folder), wanted), seconds)
        found += wrong(look(folder), wanted)
        print(f"{what}: {wanted} workers Ready after {time.monotonic() - begin:.1f} s", file=out, flush=True)
    return found


def wait_for(true: Callable[[], bool], seconds: float) -> bool:
    """Whether something becomes so within that time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(TICK_SECONDS)
    return True
