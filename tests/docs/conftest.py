"""What the tests of the pages share: the binary, and one emulated group whose machines have all joined."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from world import build, lifetime
from world.client import run_as
from world.control import ask
from world.options import Options

JOINED_SECONDS = 180.0


@pytest.fixture(scope="session")
def binary() -> Path:
    """The binary, built if need be."""
    assert build.build() == 0, "the build has failed"
    return build.binary()


@pytest.fixture(scope="session")
def helps(binary: Path) -> dict[str, str]:
    """What `kubeboot --help` says, under "", and the same of each command, such as "snapshot save"."""

    def ask_help(*command: str) -> str:
        asked = [binary, *command, "--help"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout

    def listed(text: str) -> list[str]:
        # What goes on in the next line is further in.
        return re.findall(r"^  ([a-z-]+)", text.partition("\nCommands:\n")[2].partition("\n\n")[0], re.M)

    top = ask_help()
    # `man`, for those who make packages, is not in the list.
    found = {"": top} | {name: ask_help(name) for name in [*listed(top), "man"]}
    below = [(name, more) for name, text in found.items() if name for more in listed(text) if more != "help"]
    return found | {f"{name} {more}": ask_help(name, more) for name, more in below}


class Group:
    """The emulated group."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *argv: str, seconds: float = 60.0) -> subprocess.CompletedProcess:
        """Runs a command as the first machine."""
        return run_as(self.folder, "1", list(argv), seconds)


@pytest.fixture(scope="session")
def group(binary: Path, tmp_path_factory) -> Iterator[Group]:
    """Three machines that have run `kubeboot up` to its end."""
    folder = tmp_path_factory.mktemp("docs")
    lifetime.start(folder, Options(binary=str(binary), nodes=3))
    try:
        ended = ask(folder, "wait", timeout=JOINED_SECONDS + 10, seconds=JOINED_SECONDS)
        assert [node["up"] for node in ended["nodes"]] == ["exit 0"] * 3
        yield Group(folder)
    finally:
        lifetime.stop(folder)
