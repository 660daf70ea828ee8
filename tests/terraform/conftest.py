"""What the tests of terraform-example share."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import example  # noqa: E402


@pytest.fixture(scope="session")
def plan() -> example.Plan:
    """The example as example.tfvars has it."""
    return example.plan()


@pytest.fixture(scope="session")
def tools() -> Path:
    """Where dev/terraform-tools puts things."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "kubeboot/terraform"


class World:
    """A world of emulated machines, by its commands."""

    def __init__(self, folder: Path):
        self.folder = folder

    def call(self, *words: str, seconds: float = 300.0) -> subprocess.CompletedProcess:
        command = [example.PROJECT / "dev/world", "--dir", self.folder, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds)

    def do(self, *words: str, seconds: float = 300.0):
        """A command that must succeed; its answer."""
        done = self.call("--json", *words, seconds=seconds)
        assert done.returncode == 0, f"dev/world {' '.join(words)}: {done.stdout}{done.stderr}{self.logs()}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def up(self, *words: str, **policies) -> list[dict]:
        """Starts it with these policies; its machines."""
        file = self.folder.parent / "policies.json"
        file.write_text(json.dumps(policies))
        return self.do("up", "--iam", str(file), *words)["nodes"]

    def allow(self, **policies) -> None:
        """From now on these policies count."""
        file = self.folder.parent / "policies.json"
        file.write_text(json.dumps(policies))
        self.do("iam", str(file))

    def as_node(self, node: str, *argv: str, seconds: float = 120.0) -> subprocess.CompletedProcess:
        """Runs a command as that machine."""
        return self.call("node", node, *argv, seconds=seconds)

    def logs(self) -> str:
        """The end of what kubeboot said on every machine."""
        found = sorted(self.folder.glob("nodes/*/disk/var/log/kubeboot*.log"))
        return "".join(f"\n{log.parents[3].name}, {log.name}:\n{log.read_text()[-3000:]}" for log in found)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "world")
    yield made
    made.call("down")
