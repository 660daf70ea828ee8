"""What the figures were taken on and beside: the computer, and the versions of everything that has a part in them."""

import importlib.metadata
import os
import platform
import subprocess
import textwrap
from datetime import UTC, datetime
from pathlib import Path

from world import build

from . import tools

# Some programs name every library that they were built with.
WIDTH = 60


def computer() -> dict[str, str]:
    """Cores, processor, memory, kernel and system."""
    memory = int(_field(Path("/proc/meminfo"), "MemTotal").split()[0]) / 2**20
    return {
        "cores": str(os.cpu_count()),
        "processor": _field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
    }


def versions() -> dict[str, str]:
    """kubeboot has none here: its figures name their commit."""
    found = {"Python": platform.python_version(), "moto": importlib.metadata.version("moto")}
    commands = {"etcd": ["etcd", "--version"], "bash": ["bash", "--version"]}
    if tools.are_there():
        commands |= {"aws cli": [str(tools.AWS), "--version"], "jq": ["jq", "--version"], "curl": ["curl", "--version"]}
    return found | {name: _first_line(command) for name, command in commands.items()}


def commit() -> str:
    """The commit that is checked out, and whether it was changed."""
    short = _run(["git", "-C", str(build.PROJECT), "rev-parse", "--short=10", "HEAD"]).strip()
    changed = _run(["git", "-C", str(build.PROJECT), "status", "--porcelain", "--untracked-files=no"]).strip()
    return f"{short or 'unknown'}{' and changes' if changed else ''}"


def binary() -> str:
    """How the binary was built; of one that was given, that this is not known."""
    return "a binary that was given" if build.given() else build.profile()


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _field(path: Path, name: str) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _first_line(command: list[str]) -> str:
    return textwrap.shorten((_run(command).splitlines() or ["unknown"])[0], WIDTH, placeholder=" …")


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
    except OSError:
        return ""
