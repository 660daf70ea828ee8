"""Benches side by side: each a process in namespaces of its own, so that its end is the end of all it has made."""

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from concurrent.futures import Future
from pathlib import Path

from world.build import PROJECT

from . import cgroups
from .seed import Seed

NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--propagation=private")


class Lane:
    """One bench. Its process is there from here on; the first `tell` waits until the cluster stands."""

    def __init__(self, binary: Path, roots: dict[str, Path], seed: Path):
        self._name = uuid.uuid4().hex[:8]
        self._folder = Path(tempfile.mkdtemp(prefix="kubeboot-bench-"))
        self._log = (self._folder.with_suffix(".log")).open("w+")
        config = {
            "name": self._name, "folder": str(self._folder), "binary": str(binary), "seed": str(seed),
            "roots": {name: str(root) for name, root in roots.items()},
        }  # fmt: skip
        self._process = subprocess.Popen(
            ["unshare", *NAMESPACES, sys.executable, "-m", "systemd.lane", json.dumps(config)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, bufsize=1,
            env={**os.environ, "PYTHONPATH": str(PROJECT / "tests")}, start_new_session=True,
        )  # fmt: skip
        self._stands = False

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def stand(self) -> None:
        """Waits until its cluster stands, or it has ended."""
        if not self._stands:
            self._stands = bool(self._process.stdout.readline())

    def tell(self, case: str) -> dict:
        """The outcome of a case. Raises RuntimeError with the end of the bench's log if it ended instead."""
        try:
            self.stand()
            self._process.stdin.write(f"{case}\n")
            return json.loads(self._process.stdout.readline())
        except (ValueError, OSError) as error:
            raise RuntimeError(f"the bench ended:\n{self.log()}") from error

    def log(self) -> str:
        """The end of what it has said."""
        self._log.seek(0)
        return self._log.read()[-3000:]

    def kill(self) -> None:
        """Ends it at once; whoever waits for an outcome gets none. `end` must follow."""
        self._process.kill()

    def end(self) -> None:
        """Ends it, and removes what does not end with its namespaces."""
        self.kill()
        self._process.wait()
        cgroups.sweep(self._folder, self._name)
        self._log.close()
        Path(self._log.name).unlink()
        shutil.rmtree(self._folder)


class Lanes:
    """Tells cases on `count` benches, in the order in which they are given; a list of them by one bench, in a row."""

    def __init__(self, count: int, binary: Path, roots: dict[str, Path]):
        self._binary, self._roots = binary, roots
        self._seed = Path(tempfile.mkdtemp(prefix="kubeboot-seed-"))
        self._filling = threading.Lock()
        self._waiting: queue.SimpleQueue = queue.SimpleQueue()
        self._told: dict[str, Future] = {}
        self._running: set[Lane] = set()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"lane {n}") for n in range(count)]

    def start(self, rows: list[list[str]]) -> None:
        for row in rows:
            self._told |= {case: Future() for case in row}
            self._waiting.put(row)
        for thread in self._threads:
            thread.start()

    def outcome(self, case: str) -> dict:
        """Waits for the outcome of a case. Raises RuntimeError if its bench broke."""
        return self._told[case].result()

    def end(self) -> None:
        """Ends every bench, also in the middle of a case."""
        self._ending.set()
        for lane in list(self._running):
            lane.kill()
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self._seed)

    def _run(self) -> None:
        lane = None
        while not self._ending.is_set() and (row := self._next()):
            for case in row:
                if lane and not lane.is_alive:
                    self._end(lane)
                    lane = None
                lane = lane or self._begin()
                self._tell(lane, case)
        if lane:
            self._end(lane)

    def _begin(self) -> Lane:
        """Another bench: until the first one has filled the seed, nobody else begins."""
        with self._filling:
            lane = Lane(self._binary, self._roots, self._seed)
            self._running.add(lane)
            if not Seed(self._seed).is_whole:
                lane.stand()
        return lane

    def _next(self) -> list[str] | None:
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return None

    def _end(self, lane: Lane) -> None:
        self._running.discard(lane)
        lane.end()

    def _tell(self, lane: Lane, case: str) -> None:
        try:
            self._told[case].set_result(lane.tell(case))
        except RuntimeError as error:
            self._told[case].set_exception(error)
