"""Three machines under an AWS that refuses calls, since there are too many."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from world.control import ask

from .. import worlds
from ..figure import Figure
from ..plan import Plan

ABOUT = """Three machines boot at once, and of the calls of each second AWS refuses the first so many as S3 and EC2 do: with 503, SlowDown. How many of the machines came in,
and after how long; and how many calls that took, those that were refused among them."""

# A machine that waits makes one or two calls a second: with more that are refused, AWS is not throttling but gone.
REFUSED = (0, 1, 2)
SECOND = 1.0
SECONDS = 300.0


def measure(plan: Plan) -> Iterator[Figure]:
    for refused in REFUSED:
        runs = [one(refused) for _ in range(plan.runs)]
        of = f"{refused} refused each second"
        ended, took, asked = (tuple(float(value) for value in values) for values in zip(*runs, strict=True))
        yield Figure("throttled.in", "machines of three that came in", "", ended, of=of)
        yield Figure("throttled.time", "time until all had ended", "s", took, of=of, plot="Throttled: time until three machines had ended")
        yield Figure("throttled.calls", "calls of AWS", "", asked, of=of)


def one(refused: int) -> tuple[int, float, int]:
    """How many came in, the seconds until all had ended, and the calls of all."""
    with worlds.world(nodes=3, up=False) as folder, throttled(folder, refused):
        ask(folder, "run")
        status = ask(folder, "wait", timeout=SECONDS + 30, seconds=SECONDS)
        came = sum(node["up_exit"] == 0 for node in status["nodes"])
        return came, worlds.lasted(folder), len(worlds.requests(folder))


@contextmanager
def throttled(folder: Path, refused: int) -> Iterator[None]:
    """While this lasts, AWS refuses that many calls each second."""
    done = threading.Event()

    def refuse() -> None:
        while not done.is_set():
            ask(folder, "fault_add", effect="error=503/SlowDown", times=refused)
            done.wait(SECOND)
            ask(folder, "fault_clear")

    thread = threading.Thread(target=refuse, name="throttle", daemon=True)
    if refused:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if refused:
            thread.join()
