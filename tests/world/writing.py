"""A client that writes all the while through the load balancer: how long it was kept from it at worst, and whether anything was lost."""

import ssl
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

from .kubeclient import Kube

PATH = "/api/v1/namespaces/default/configmaps"
NAME = "demo-client"
# Between two writes, and before another attempt at one that failed.
PAUSE_SECONDS = 0.05
# How long the client waits for an answer: then it tries another connection.
ANSWER_SECONDS = 2.0


@dataclass
class Written:
    """Writes that were acknowledged, attempts that were not, and the longest time between two that were, in seconds."""

    writes: int = 0
    failed: int = 0
    longest_gap: float = 0.0

    def describe(self) -> dict:
        return asdict(self)


class Writer:
    """Writes from `with` to its end: numbers that count upwards, each one once more until it is acknowledged."""

    def __init__(self, endpoint: str, tls: ssl.SSLContext):
        self._kube = Kube(endpoint, tls, ANSWER_SECONDS)
        self._done = threading.Event()
        self.written = Written()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> Written:
        self._kube.call("POST", PATH, {"metadata": {"name": NAME}, "data": {"last": "0"}})
        self._thread.start()
        return self.written

    def __exit__(self, *_) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._done.is_set():
            try:
                self._kube.call("PATCH", f"{PATH}/{NAME}", {"data": {"last": str(self.written.writes + 1)}})
                self.written.writes += 1
                now = time.monotonic()
                self.written.longest_gap, last = max(self.written.longest_gap, now - last), now
            except OSError:
                self.written.failed += 1
            self._done.wait(PAUSE_SECONDS)
        # Whoever was kept from it to the end was so until now.
        self.written.longest_gap = max(self.written.longest_gap, time.monotonic() - last)

    def is_lost(self) -> str:
        """What was acknowledged and is not there any more; empty if nothing is. For after the end."""
        found = "no answer"
        for _ in range(10):
            with suppress(OSError):
                found = self._kube.call("GET", f"{PATH}/{NAME}")["data"]["last"]
                break
            time.sleep(1)
        # The last attempt may have been carried out without having been acknowledged.
        expected = (str(self.written.writes), str(self.written.writes + 1))
        return "" if found in expected else f"write {self.written.writes} was acknowledged, and {found} is what is there"
