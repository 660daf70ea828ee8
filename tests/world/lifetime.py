"""Starting and ending the process of a world, also when it has crashed."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .control import WorldError, ask
from .machine import why_not
from .options import Options
from .standin import whole

# How long a world may take to stand, and for each of its machines.
START_SECONDS, SECONDS_PER_MACHINE = 60.0, 2.0
END_SECONDS = 30.0

# What makes a folder one of ours: only such a folder is ever deleted.
MARK = "options.json"


def default_folder() -> Path:
    """Where a world lives unless told otherwise: $KUBEBOOT_WORLD, or below $XDG_STATE_HOME."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return Path(os.environ.get("KUBEBOOT_WORLD") or state / "kubeboot/world")


def spawn(folder: Path, log: BinaryIO) -> subprocess.Popen:
    """Starts the process of the world in `folder`, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "world.daemon", str(folder)],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip


def start(folder: Path, options: Options) -> dict:
    """Starts a world in `folder` and returns its status once it stands. Raises WorldError if it does not."""
    if reason := why_not():
        raise WorldError(f"cannot start machines: {reason}")
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        if _pid(folder):
            raise WorldError(f"a world runs in {folder} already. End it: dev/world --dir {folder} down")
        _empty(folder)
        options.write(folder / MARK)
        with (folder / "daemon.log").open("wb") as log:
            process = spawn(folder, log)
        whole.write(folder / "daemon.pid", f"{process.pid} {_start_time(process.pid)}\n")
        machines = options.nodes + (options.workers or 0)
        _wait_until_ready(folder, process, START_SECONDS + SECONDS_PER_MACHINE * machines)
    return ask(folder, "status")


def stop(folder: Path) -> None:
    """Ends the world in `folder` and deletes what it left; fine if there is none."""
    folder = folder.absolute()
    if not (folder / MARK).exists():
        return
    with _only_one(folder):
        pid = _pid(folder)
        if pid:
            os.kill(pid, signal.SIGTERM)
            _wait_for_end(folder, pid)
        _empty(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(folder: Path, process: subprocess.Popen, seconds: float) -> None:
    end = time.monotonic() + seconds
    while "ready\n" not in (folder / "daemon.log").read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            log = (folder / "daemon.log").read_text(errors="replace").strip()
            raise WorldError(f"the world in {folder} did not start:\n{log[-2000:]}")
        time.sleep(0.02)


def _wait_for_end(folder: Path, pid: int) -> None:
    """Its machines end with it: their init reads a pipe from it."""
    end = time.monotonic() + END_SECONDS
    while _pid(folder):
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + END_SECONDS
        time.sleep(0.02)


def _pid(folder: Path) -> int | None:
    """The process of the world in `folder`, if it lives: the number alone could be somebody else's by now."""
    try:
        pid, started = (folder / "daemon.pid").read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if _start_time(int(pid)) == started else None


def _start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since the boot; None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def _empty(folder: Path) -> None:
    """Deletes the files of an earlier world. A folder with anything else in it is left alone."""
    names = {entry.name for entry in folder.iterdir()} - {"lock"}
    if names and MARK not in names:
        raise WorldError(f"{folder} holds files, but no world. Give an empty folder: dev/world --dir DIR up")
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two commands that start or end the same world at once take turns; the kernel drops the lock with the process."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
