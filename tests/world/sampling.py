"""Looks at etcd again and again while something happens: how many voters were healthy at worst."""

import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from . import members
from .control import WorldError, ask

# Between two looks. A look asks every machine that is on.
PAUSE_SECONDS = 0.25


@dataclass
class Sample:
    """The worst that was seen: `fewest` healthy voters, and `away`, voters that were listed and did not answer as such."""

    fewest: int | None = None
    away: int = 0
    looks: int = 0

    def add(self, healthy: int, listed: int) -> None:
        """One look: so many voters answer for themselves, and so many are listed by one that does."""
        self.looks += 1
        self.fewest = healthy if self.fewest is None else min(self.fewest, healthy)
        self.away = max(self.away, listed - healthy)

    def describe(self) -> dict:
        return asdict(self)


class Sampler:
    """Looks from `with` to its end."""

    def __init__(self, folder: Path):
        self._folder, self._done = folder, threading.Event()
        self.worst = Sample()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sample:
        self._thread.start()
        return self.worst

    def __exit__(self, *_) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.is_set():
            healthy, listed = look(self._folder)
            self.worst.add(healthy, listed)
            self._done.wait(PAUSE_SECONDS)


def look(folder: Path) -> tuple[int, int]:
    """How many voters answer for themselves after a linearizable read, and how many one of them lists at most."""
    try:
        nodes = [node for node in ask(folder, "status")["nodes"] if node["power"] == "on"]
    except WorldError:
        return 0, 0
    views = [members.ask(node["address"], Path(node["folder"]) / "disk") for node in nodes]
    healthy = [view for view in views if view and (me := view.me()) and me.voter]
    return len(healthy), max((sum(member.voter for member in view.members) for view in healthy), default=0)
