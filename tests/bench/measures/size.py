"""How large the binary is, and how long it takes to say its version."""

import resource
import subprocess
import time
from collections.abc import Iterator

from world import build

from ..figure import Figure
from ..plan import Plan

ABOUT = """The file of the binary, and `kubeboot --version` from its start to its end: what every command pays before it does anything. The
first start is not counted, since it may read the file from the disk."""


def measure(plan: Plan) -> Iterator[Figure]:
    binary = build.binary()
    yield Figure.one("size", "size of the binary", "MiB", binary.stat().st_size / 2**20)
    starts = [start(str(binary)) for _ in range(1 + plan.runs)][1:]
    yield Figure("size.start", "time of `kubeboot --version`", "s", tuple(wall for wall, _ in starts))
    yield Figure("size.start_cpu", "processor time of `kubeboot --version`", "s", tuple(cpu for _, cpu in starts))


def start(binary: str) -> tuple[float, float]:
    """Wall and processor seconds of one start."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([binary, "--version"], check=True, capture_output=True, timeout=60)
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
