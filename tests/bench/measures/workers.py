"""What waiting workers ask for, up to a thousand of them."""

import math
from collections.abc import Iterator

from .. import loads
from ..figure import Figure
from ..plan import Plan

ABOUT = """1 to 1,000 workers wait in one process, by the code of `up`, for what the leader publishes below `join/`; only the far ends of their connections are
stand-ins. Counted is what S3, Auto Scaling and the API server are asked. What that costs is by S3's list price for GET requests, for ten minutes. Processor time is that of the
workers' own threads, memory that of the whole process, stand-ins too, in which they are a thousand. Then the leader's code decides the requests for certificates of a thousand machines. Both are tests of the library, so nothing is built for release."""

# Where there are fewer in a second, a few that meet are a multiple of the mean.
MANY = 10
# The most that wait.
CROWD = 1000
# Seconds between two looks of a worker, on average: a mean that is further from what follows is that of a computer that is too busy.
LOOK_INTERVAL, BUSY = 4.0, 0.2
# Dollars for 1,000 GET requests of S3 in most Regions.
PRICE, WAITED = 0.0004, 600


def measure(plan: Plan) -> Iterator[Figure]:
    for seen in loads.waiting(math.ceil(plan.seconds)):
        yield from waiting_workers(seen)
    for seen in loads.deciding():
        yield Figure.one("workers.deciding", f"time to decide {seen['decided']} requests for certificates", "s", seen["seconds"])


def waiting_workers(seen: dict) -> Iterator[Figure]:
    """Raises RuntimeError where this computer was too slow to be so many workers."""
    loops, mean = seen["loops"], seen["requests"] / seen["seconds"]
    expected = loops / LOOK_INTERVAL * (2 if seen["unchanged"] else 1)
    if mean >= MANY and abs(mean / expected - 1) > BUSY:
        raise RuntimeError(f"this computer is too busy: {loops} workers made {mean:.1f} requests a second, not {expected:.1f}")
    of = f"{loops} workers, {seen['scene']}"
    plot = f"Requests to S3 a second: {seen['scene']}"
    yield Figure.one("workers.requests", "requests to S3 a second", "", mean, of=of, plot=plot)
    yield from busiest("requests", seen["peak"], mean, of)
    yield Figure.one("workers.unchanged", "answered without a body, a second", "", seen["unchanged"] / seen["seconds"], of=of)
    yield Figure.one("workers.dollars", "dollars for ten minutes of it", "USD", mean * WAITED * PRICE / 1000, of=of)
    beats = seen["heartbeats"] / seen["seconds"]
    yield Figure.one("workers.heartbeats", "heartbeats of the launch hook a second", "", beats, of=of)
    yield from busiest("heartbeats", seen["heartbeat_peak"], beats, of)
    yield Figure.one("workers.cpu", "processor, each of them", "% of a core", 100 * seen["cpu"] / seen["seconds"] / loops, of=of)
    # Of fewer it would be what the others before them have left.
    if loops >= CROWD:
        yield Figure.one("workers.memory", "memory, each of them", "MiB", seen["memory"] / 2**20 / loops, of=of)
    yield Figure.one("workers.api_server", "calls of the API server", "", seen["api_server"], of=of)


def busiest(what: str, peak: int, mean: float, of: str) -> Iterator[Figure]:
    if mean >= MANY:
        yield Figure.one("workers.peak", f"{what} in the busiest second, in means", "times", peak / mean, of=of)
