"""A file of JSON lines with wall-clock times, which the demo and the tests read."""

import json
import threading
import time
from pathlib import Path


class Journal:
    """Appends one line per event; whole lines only, from any thread."""

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("a", buffering=1, encoding="utf-8")

    def write(self, event: str, **fields) -> None:
        """Records `event`, with `time` in seconds since the epoch unless the fields carry their own."""
        line = json.dumps({"time": time.time(), "event": event, **fields})
        with self._lock:
            self._file.write(line + "\n")


def read(path: Path) -> list[dict]:
    """The lines of a journal so far; none if nothing was written yet."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    # A line without its end is still being written.
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
