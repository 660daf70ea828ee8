"""What a command costs on a machine of a world: time, processor, memory, programs, and calls of AWS."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from world.client import run_as

from .worlds import calls

METER = Path(__file__).parent / "meter.py"
SECONDS = 120.0


@dataclass(frozen=True)
class Cost:
    """`wall` and `cpu` in seconds; `memory`, in MiB, is the peak of the largest of its processes; `out` is what it printed."""

    wall: float
    cpu: float
    memory: float
    programs: int
    calls: int
    code: int
    out: str


def cost(folder: Path, node: str, command: list[str], programs: bool = False) -> Cost:
    """Runs `command` as that machine. With `programs` it runs under strace, which counts these and makes it slow: then nothing else is
    to be taken from it. Raises RuntimeError if it could not be run."""
    before = calls(folder, node)
    meter = [sys.executable, "-I", "-S", str(METER), *(["--programs"] if programs else []), *command]
    done = run_as(folder, node, meter, SECONDS)
    if done.returncode:
        raise RuntimeError(f"'{' '.join(command)}' could not be measured: {done.stdout}{done.stderr}")
    said = json.loads(done.stdout)
    if said["exit"] in (126, 127) or (programs and not said["programs"]):
        raise RuntimeError(f"'{' '.join(command)}' could not be measured: {said['stderr']}")
    return Cost(said["wall"], said["cpu"], said["peak"], said["programs"], calls(folder, node) - before, said["exit"], said["stdout"])
