"""One init, however busy the computer is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .. import worlds
from ..figure import Figure
from ..plan import Plan

ABOUT = """`dev/demo` again and again while a loop keeps every core busy: how many of them had not exactly one init, or were wrong otherwise."""


def measure(plan: Plan) -> Iterator[Figure]:
    with busy_cores():
        wrong = sum(demo["inits"] != 1 or not demo["right"] for demo in worlds.demos(plan.runs))
    yield Figure.one("busy.wrong", f"demos of {plan.runs} without exactly one init, every core busy", "", wrong)


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keeps every core busy with something else."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
