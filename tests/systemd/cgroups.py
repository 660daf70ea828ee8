"""The cgroups of a bench: below one of its own in the unified hierarchy, with no controllers, and gone when it ends."""

import os
import subprocess
import time
from pathlib import Path

# What a bench's cgroup is called, before its own name.
PREFIX = "kubeboot-bench-"

REMOVE_SECONDS = 10.0


class Cgroups:
    """Mounts the hierarchy at `at`, in this process's own mount namespace: how the computer has it does not matter.

    Raises RuntimeError where the kernel refuses.
    """

    def __init__(self, at: Path, name: str):
        done = subprocess.run(["mount", "-n", "-t", "cgroup2", "cgroup2", at], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"the kernel gives us no cgroup2: {done.stderr.strip()}")
        self._own = at / f"{PREFIX}{name}"
        self._own.mkdir()

    def make(self, name: str) -> Path:
        """A cgroup of this name."""
        path = self._own / name
        path.mkdir()
        return path


def is_populated(path: Path) -> bool:
    """Whether a process lives in it or below."""
    try:
        return "populated 1" in (path / "cgroup.events").read_text()
    except OSError:
        return False


def empty(path: Path) -> None:
    """Removes what is below it, once the last process there is gone. Raises RuntimeError if one stays."""
    end = time.monotonic() + REMOVE_SECONDS
    while is_populated(path):
        if time.monotonic() > end:
            raise RuntimeError(f"processes are left in {path}")
        time.sleep(0.005)
    for folder, _, _ in os.walk(path, topdown=False):
        if folder != str(path):
            os.rmdir(folder)


def remove(path: Path) -> None:
    """Removes it and what is below it."""
    empty(path)
    path.rmdir()


def sweep(at: Path, name: str) -> None:
    """From outside, after a bench's end however it came: removes its cgroup. `at` is any folder."""
    script = 'mount -n -t cgroup2 cgroup2 "$1" && [ ! -d "$1/$2" ] || find "$1/$2" -depth -type d -exec rmdir {} +'
    subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", at, PREFIX + name], capture_output=True)
