"""Commands of dev/world for somebody who gives hundreds of them: `dev/world --dir DIR nursery`.

Starting Python and loading moto costs more processor time than most worlds need. This process has loaded everything, and
forks for each command, and again for each world. It serves on the socket in DIR until its standard input ends,
and deletes DIR then if nothing else is in it.
"""

import contextlib
import gc
import io
import os
import selectors
import signal
import socketserver
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from . import daemon, lifetime
from .control import SOCKET, Handler, bound

# Those who wait for an answer at the same time.
COMMANDS = 64


class _Nursery(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """It has one thread, so that a fork finds nothing half done."""

    max_children = COMMANDS
    request_queue_size = COMMANDS

    def __init__(self, folder: Path, run: Callable[[list[str]], int]):
        self.verbs = {"run": lambda argv: _captured(run, argv)}
        with bound(folder) as path:
            super().__init__(path, Handler)


def serve(folder: Path, run: Callable[[list[str]], int]) -> None:
    """Carries out commands by `run` until the end of standard input."""
    lifetime.spawn = _forked
    # What is loaded stays: nobody looks through it for garbage, and no fork copies its pages for that.
    gc.collect()
    gc.freeze()
    folder.mkdir(parents=True, exist_ok=True)
    with _Nursery(folder, run) as server, selectors.DefaultSelector() as ready:
        ready.register(server, selectors.EVENT_READ)
        ready.register(sys.stdin, selectors.EVENT_READ)
        print("ready", flush=True)
        while sys.stdin not in {key.fileobj for key, _ in ready.select()}:
            server.handle_request()
            server.service_actions()
    (folder / SOCKET).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _captured(run: Callable[[list[str]], int], argv: list[str]) -> dict:
    """The exit code of a command and what it says, as if a process of its own had said it."""
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        try:
            code = run(argv)
        except SystemExit as error:
            code = error.code
    return {"code": code, "stdout": said.getvalue(), "stderr": complained.getvalue()}


class _Child:
    """A forked process, asked as subprocess.Popen is."""

    def __init__(self, pid: int):
        self.pid, self._code = pid, None

    def poll(self) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _forked(folder: Path, log: BinaryIO) -> _Child:
    """The process of a world, as lifetime.spawn starts it."""
    pid = os.fork()
    if pid:
        return _Child(pid)
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        code = daemon.main(folder)
    except BaseException:
        # The end of this log is what whoever has started the world is shown.
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
