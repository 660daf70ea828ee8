"""Looks at a machine from outside while it goes down: whether the unit ran, and what lived while it did.

Nothing of this runs inside, so nothing of it depends on the order in which systemd stops things there.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import cgroups
from .dial import Dial
from .machine import Machine

PAUSE = 0.01
DIAL_SECONDS = 0.5
# An election among those who stay is over by then.
ANSWER_SECONDS = 5.0
ETCD_PORT = 2379


@dataclass
class Seen:
    """What was seen. Times are seconds since the watch began; `broken` says what ended too early, and when."""

    began: float | None = None
    ended: float | None = None
    samples: int = 0
    broken: dict[str, float] = field(default_factory=dict)

    @property
    def ran(self) -> bool:
        """Whether a process of the unit was seen."""
        return self.began is not None


class Watch:
    """Watches `machine` from the beginning of a with block to its end; `seen` is whole then.

    `is_member()` asks the rest of the cluster, None if nobody knows: once the machine is no member any more, its etcd
    may end, and does.
    """

    def __init__(self, machine: Machine, address: str, is_member: Callable[[], bool | None]):
        self.seen = Seen()
        self._unit = machine.cgroup / "system.slice" / machine.unit
        self._services = {
            "the container runtime": machine.cgroup / "system.slice/containerd.service",
            "kubelet": machine.cgroup / "system.slice/kubelet.service",
        }
        self._etcd = etcd_scope(machine)
        self._address, self._is_member, self._is_gone = address, is_member, False
        self._start, self._stop = time.monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            if cgroups.is_populated(self._unit):
                self._sample()
            elif self.seen.ran and self.seen.ended is None:
                self.seen.ended = self._now()
            time.sleep(PAUSE)

    def _sample(self) -> None:
        """One look at everything, each thing for itself: some take longer, and the unit may end meanwhile."""
        at = self._now()
        self._count(at, [name for name, path in self._services.items() if not cgroups.is_populated(path)])
        self._dial(at)
        etcd_is_gone = not cgroups.is_populated(self._etcd)
        # The unit is looked at before others are asked: that takes a while, in which it may end and begin anew.
        if self._count(at, []):
            self.seen.samples += 1
            if etcd_is_gone and self._is_still_member():
                self.seen.broken.setdefault("the local etcd", round(at, 2))

    def _count(self, at: float, missing: list[str]) -> bool:
        """What is missing counts only if the unit still runs, which is the answer."""
        if not cgroups.is_populated(self._unit):
            return False
        self.seen.began = at if self.seen.began is None else self.seen.began
        self.seen.ended = None
        for name in missing:
            self.seen.broken.setdefault(name, round(at, 2))
        return True

    def _is_still_member(self) -> bool:
        """Asks those who stay until they know; with no answer, it is. Who is none is never one again."""
        if self._is_gone:
            return False
        end = time.monotonic() + ANSWER_SECONDS
        while (member := self._is_member()) is None and time.monotonic() < end:
            time.sleep(PAUSE)
        self._is_gone = member is False
        return not self._is_gone

    def _dial(self, at: float) -> None:
        """Counts the network as ended where nobody answers, although the unit still runs after a while.

        A network that systemd ends does not come back. So if an answer comes after all while the unit runs on, it was this
        computer that was slow, or a packet was lost; without one, what has been seen stands, whenever the unit ends.
        """
        with Dial(self._address, ETCD_PORT) as dial:
            answered = dial.answered(DIAL_SECONDS)
            if answered or not self._count(at, []):
                return
            end = time.monotonic() + ANSWER_SECONDS
            while answered is None and cgroups.is_populated(self._unit) and time.monotonic() < end:
                answered = dial.answered(PAUSE)
        if not answered:
            self.seen.broken.setdefault("the network", round(at, 2))

    def _now(self) -> float:
        return time.monotonic() - self._start


def etcd_scope(machine: Machine) -> Path:
    """The cgroup of the machine's etcd container. Raises RuntimeError if there is none."""
    for procs in machine.cgroup.glob("kubepods.slice/*/*/*.scope/cgroup.procs"):
        for pid in procs.read_text().split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == "etcd":
                    return procs.parent
    raise RuntimeError("no scope holds an etcd")
