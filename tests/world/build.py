"""Where cargo puts the binary, and how to build it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent


def cache() -> Path:
    """The project's cache: $XDG_CACHE_HOME/kubeboot."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubeboot"


def target() -> Path:
    """cargo's target folder, kept out of the tree so that a second checkout finds it."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or cache() / "target")


def profile() -> str:
    """The cargo profile, from $KUBEBOOT_PROFILE."""
    return os.environ.get("KUBEBOOT_PROFILE") or "dev"


def given() -> str | None:
    """A binary that is there already and is to be used as it is, from $KUBEBOOT_BINARY."""
    return os.environ.get("KUBEBOOT_BINARY")


def binary() -> Path:
    """The binary that was given, or else that of the profile; cargo calls the folder of `dev` debug."""
    if path := given():
        return Path(path).absolute()
    return target() / ("debug" if profile() == "dev" else profile()) / "kubeboot"


def build() -> int:
    """Runs cargo, which is quick when all is there; returns its exit code. Its output goes to standard error."""
    if given():
        return 0
    if not shutil.which("cargo"):
        print("cargo is missing; install Rust: https://rustup.rs", file=sys.stderr)
        return 1
    command = ["cargo", "build", "--quiet", "--locked", "--bin", "kubeboot", "--profile", profile()]
    # A build takes as long as it takes: the first one is most of an hour on a slow computer, and people watch it.
    return subprocess.run(command, cwd=PROJECT, env={**os.environ, "CARGO_TARGET_DIR": str(target())}).returncode
