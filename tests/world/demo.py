"""`dev/demo`: the main job, whole, on this computer, and what it came to."""

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from . import build, lifetime, show, told, workers
from .account import GROUPS, WORKER
from .again import second_run
from .client import run_as
from .control import WorldError
from .figures import Figures, figures
from .machine import why_not
from .options import Options
from .outcome import NodeOutcome, look, wrong
from .progress import Progress
from .stories import STORIES

ABOUT = """Starts an emulated AWS with an Auto Scaling group, boots its machines at once, and runs the real
`kubeboot up` as each of them, with a stand-in for kubeadm; then a second time, when there is nothing to do; then
`kubeboot status`. Exit code 0 only if exactly one node initialised, all are voters of one etcd, and the second run
changed nothing.

With --story, what happens to such a control plane instead, told act by act: a node dies, all lose power, the
group replaces its machines, and so on.
Exit code 0 only if it has healed."""

# Each joining node adds its part to what a run may take.
SECONDS, SECONDS_PER_NODE = 120.0, 60.0
SECONDS_PER_WORKER = 3.0
# How long the Nodes of workers that have joined may take to be Ready.
WORKERS_SECONDS = 30.0
WORKER_COLUMNS = ("index", "instance", "name", "node", "machine")
STATUS_SECONDS = 60.0
LOG_LINES = 20


def main() -> int:
    options = argparse.ArgumentParser(prog="dev/demo", description=ABOUT)
    options.add_argument("--nodes", type=int, choices=[1, 3, 5, 7], default=3, help="size of the group (default: 3)")
    options.add_argument(
        "--workers", type=int, default=0, metavar="N", help="a second group of this many workers, which join, come and go"
    )
    options.add_argument("--replace", action="store_const", const="replace", dest="story", help="same as --story replace")
    options.add_argument("--refresh", action="store_const", const="refresh", dest="story", help="same as --story refresh")
    options.add_argument("--upgrade", action="store_const", const="upgrade", dest="story", help="same as --story upgrade")
    options.add_argument("--hibernate", action="store_const", const="hibernate", dest="story", help="same as --story hibernate")
    options.add_argument("--story", metavar="NAME", help="tell this story; `--story list` lists them")
    options.add_argument("--json", action="store_true", help="print the outcome for programs, and nothing else")
    options.add_argument("--keep", action="store_true", help="leave the world running, and say where it is")
    arguments = options.parse_args()
    if arguments.story == "list":
        print("\n".join(f"{story.name:<14}{story.about}" for story in STORIES.values()))
        return 0
    if arguments.workers < 0 or (arguments.workers and arguments.story):
        options.error("--workers takes a number, and no story")
    if arguments.story and arguments.story not in STORIES:
        options.error(f"there is no story '{arguments.story}': one of {', '.join(STORIES)}")
    # Before a build that takes minutes.
    if reason := why_not():
        print(f"dev/demo: cannot start machines: {reason}", file=sys.stderr)
        return 1
    if code := build.build():
        return code
    # Told to end, it still ends its world.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder = Path(tempfile.mkdtemp(prefix="kubeboot-demo-"))
    try:
        if arguments.story:
            return told.run(folder, STORIES[arguments.story], arguments.json)
        return run(folder, arguments.nodes, arguments.json, arguments.workers)
    except WorldError as error:
        print(f"dev/demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        if arguments.keep:
            print(f"The world is still there. End it: dev/world --dir {folder} down", file=sys.stderr)
        else:
            lifetime.stop(folder)


def run(folder: Path, size: int, as_json: bool, count: int = 0) -> int:
    """One demo in a world in `folder`, with `count` workers; returns the exit code."""
    # With --json, standard output belongs to the program that reads it, and nobody looks on.
    with open("/dev/null", "w", encoding="utf-8") if as_json else open(1, "w", closefd=False) as out:
        more = f" and {count} workers" if count else ""
        print(f"An emulated AWS, and {size} machines{more} that boot at once:", file=out, flush=True)
        lifetime.start(folder, Options(binary=str(build.binary()), nodes=size, **(with_workers(count) if count else {})))
        limit = SECONDS + SECONDS_PER_NODE * size + SECONDS_PER_WORKER * count
        Progress(folder, out).follow(limit)
        cost, nodes = figures(folder), look(folder)
        faults = wrong(nodes, size, cost.inits)
        if count:
            faults += look_after_workers(folder, count, limit, out)
        print("".join(logs_of_failures(folder, nodes)), file=out)
        status = run_as(folder, "1", ["kubeboot", "status"], STATUS_SECONDS)
        again = second_run(folder, nodes)
        faults += again["wrong"]
        print(f"$ kubeboot status   (as node 1)\n{status.stdout}{status.stderr}", file=out)
        print(story(nodes, cost, again, faults, size, count), file=out)
    if as_json:
        joined = {"workers": [asdict(worker) for worker in workers.look(folder)]} if count else {}
        print(json.dumps({**outcome(nodes, cost, again, faults, size), **joined}, indent=2))
    return 1 if faults else 0


def with_workers(count: int) -> dict:
    """The options of a world with a second group: agents approve who joins, and drain who leaves."""
    hook = {"terminate_hook": "leave", "group": GROUPS[WORKER]}
    return {"workers": count, "agents": True, "worker_terminate_hook": "leave", "worker_settings": hook}


def look_after_workers(folder: Path, count: int, limit: float, out: TextIO) -> list[str]:
    """Shows the workers, has some come and go, and returns what was wrong."""
    workers.wait_for(lambda: not workers.wrong(workers.look(folder), count), WORKERS_SECONDS)
    joined = workers.look(folder)
    print(show.table([asdict(worker) for worker in joined], WORKER_COLUMNS), "", sep="\n", file=out, flush=True)
    found = workers.wrong(joined, count)
    return found or workers.come_and_go(folder, count, limit, out)


def logs_of_failures(folder: Path, nodes: list[NodeOutcome]) -> list[str]:
    """The end of the log of every node whose `up` did not succeed."""
    found = []
    for node in nodes:
        log = folder / "nodes" / node.instance / "disk/var/log/kubeboot.log"
        if node.up_exit != 0 and log.exists():
            lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            found.append("\n".join([f"\nkubeboot.log of node {node.index}:", *lines, ""]))
    return found


def story(nodes: list[NodeOutcome], cost: Figures, again: dict, faults: list[str], size: int, count: int) -> str:
    """The outcome for people. The promises about time are for machines that have this computer for themselves."""
    columns = ("index", "instance", "address", "role", "member", "voter", "seconds")
    rows = [{**asdict(node), "voter": "voter" if node.voter else "no voter"} for node in nodes]
    lines = [show.table(rows, columns), ""]
    second = "something to do: see below" if again["wrong"] else "nothing to do"
    lines.append(f"second up on every node: {again['seconds']:.2f} s, {second}")
    lines.append(f"from the settled group to the claim: {_seconds(cost.settled_to_claim)}")
    lines.append(
        f"total: {_seconds(cost.total)}; the stand-in's own: {_seconds(cost.standin)}; all else: {_seconds(cost.own)}"
    )
    bounds = {} if count else cost.bounds(size)
    lines += [f"{'met' if kept else 'MISSED'}: {bound}" for bound, kept in bounds.items()]
    theirs = f" {count} workers, all Ready." if count else ""
    lines += [f"WRONG: {fault}" for fault in faults] or [
        f"One control plane of {size}: one initialised, {size - 1} joined, all voters.{theirs}"
    ]
    return "\n".join(lines)


def outcome(nodes: list[NodeOutcome], cost: Figures, again: dict, faults: list[str], size: int) -> dict:
    """The outcome for programs."""
    return {
        "nodes": [asdict(node) for node in nodes], "inits": cost.inits, "figures": asdict(cost),
        "bounds": cost.bounds(size), "second_up": again, "wrong": faults, "right": not faults,
    }  # fmt: skip


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} s"


if __name__ == "__main__":
    sys.exit(main())
