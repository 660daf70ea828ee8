"""Worlds in which something is measured, and looks into them."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from world import build, lifetime
from world.client import wait_until
from world.control import ask
from world.figures import figures
from world.journal import read
from world.options import Options

LOG_SECONDS, DEMO_SECONDS = 120.0, 600.0


@contextmanager
def world(**options) -> Iterator[Path]:
    """The folder of a world with these options, which ends with this."""
    with tempfile.TemporaryDirectory(prefix="kubeboot-bench-") as name:
        folder = Path(name)
        try:
            lifetime.start(folder, Options(binary=str(build.binary()), **options))
            yield folder
        finally:
            lifetime.stop(folder)


def until_up(folder: Path, *nodes: str, seconds: float = LOG_SECONDS) -> None:
    """Waits until `kubeboot up` has ended on these machines, or on all. Raises RuntimeError if one failed."""
    status = ask(folder, "wait", timeout=seconds + 30, seconds=seconds, nodes=list(nodes))
    failed = [node["index"] for node in status["nodes"] if node["up_exit"] and (not nodes or str(node["index"]) in nodes)]
    if failed:
        raise RuntimeError(f"`kubeboot up` failed on {failed}: see {folder}")


def until_logged(folder: Path, node: str, text: str, file: str = "kubeboot.log") -> None:
    log = machine(folder, node) / "disk/var/log" / file
    wait_until(lambda: log.exists() and text in log.read_text(encoding="utf-8"), LOG_SECONDS)


def machine(folder: Path, node: str) -> Path:
    """The folder of a machine of the world in `folder`."""
    return next(Path(n["folder"]) for n in ask(folder, "status")["nodes"] if str(n["index"]) == node)


def requests(folder: Path, since: float = 0.0) -> list[dict]:
    """The calls of AWS by machines, from a moment on: seconds since the epoch. Their own metadata services are no AWS."""
    return [line for line in read(folder / "requests.jsonl") if line["node"] and line["arrived"] >= since]


def calls(folder: Path, node: str) -> int:
    """How many calls of AWS a machine has made so far."""
    instance = machine(folder, node).name
    return sum(line["node"] == instance for line in requests(folder))


def lasted(folder: Path) -> float:
    """Seconds from the first start of `kubeboot up` in a world to its last end. Raises RuntimeError if it has none."""
    total = figures(folder).total
    if total is None:
        raise RuntimeError(f"`kubeboot up` has not ended anywhere: see {folder}")
    return total


def process_of(folder: Path, node: str, command: str) -> Path:
    """The entry in /proc of this command of `kubeboot` on a machine: in its PID namespace, under its name."""
    init = (machine(folder, node) / "pid").read_text().strip()
    space = os.readlink(f"/proc/{init}/ns/pid")
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "ns/pid") == space:
                if (entry / "cmdline").read_bytes().startswith(f"kubeboot\0{command}\0".encode()):
                    return entry
        except OSError:
            continue  # it has just ended
    raise RuntimeError(f"'kubeboot {command}' of node {node} does not run any more: see {folder}")


def resident(process: Path, seconds: float) -> tuple[float, float]:
    """Per cent of a core over the next `seconds`, and MiB of memory at the peak since the process began."""
    before, begin = ticks(process), time.monotonic()
    time.sleep(seconds)
    used = (ticks(process) - before) / os.sysconf("SC_CLK_TCK")
    peak = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:"))
    return 100 * used / (time.monotonic() - begin), int(peak.split()[1]) / 1024


def ticks(process: Path) -> int:
    """Processor time so far, in clock ticks."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def demos(runs: int, *options: str) -> list[dict]:
    """The outcomes of so many demos, of three nodes unless told otherwise. Raises RuntimeError for one that has none."""
    found = []
    for _ in range(runs):
        command = [sys.executable, "-m", "world.demo", "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEMO_SECONDS)
        if not done.stdout:
            raise RuntimeError(f"a demo gave no outcome: {done.stderr}")
        found.append(json.loads(done.stdout))
    return found
