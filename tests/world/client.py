"""A running world from Python: what the demo and the tests use."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .control import ask


def run_as(
    folder: Path, node: str, argv: list[str], seconds: float = 60.0, stdin: str = ""
) -> subprocess.CompletedProcess:
    """Runs a command as that machine of the world in `folder`, output captured as text.

    One that has not ended after `seconds` is killed and has exit code 124, as with timeout(1).
    """
    command = ask(folder, "enter", node=node)["argv"] + argv
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, input=stdin)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"did not end within {seconds:g} s\n")


def wait_until(true: Callable[[], bool], seconds: float = 60.0, pause: float = 0.02) -> None:
    """Waits until `true()` is, looking after every `pause`; raises TimeoutError after `seconds`, which a busy computer needs."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited in vain for {seconds:g} s")
        time.sleep(pause)
