"""What the tests of the packages share: the packages, made once, and clean roots to install them in."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from world import build

from .root import Root

# Made by dev/test from Debian's packages.
IMAGE = build.cache() / "debian-bookworm.tar"


@pytest.fixture(scope="session")
def packages(tmp_path_factory) -> list[Path]:
    """What `dev/package` makes of the binary that is tested everywhere else, and says to have made."""
    assert build.build() == 0, "the build has failed"
    output = tmp_path_factory.mktemp("packages")
    made = subprocess.run(
        [build.PROJECT / "dev/package", "--profile", "dev", "--output", output],
        env={**os.environ, "KUBEBOOT_BINARY": str(build.binary())}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return [Path(line) for line in made.stdout.splitlines()]


@pytest.fixture(scope="session")
def deb(packages: list[Path]) -> Path:
    return next(path for path in packages if path.suffix == ".deb")


@pytest.fixture(scope="session")
def rpm(packages: list[Path]) -> Path:
    if not (shutil.which("rpm") and shutil.which("cpio")):
        pytest.skip("needs rpm and cpio, by Debian's packages of these names")
    return next(path for path in packages if path.suffix == ".rpm")


@pytest.fixture(scope="session")
def new_root(tmp_path_factory) -> Iterator[Callable[[], Root]]:
    """Makes clean Debians."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to install packages in a folder")
    if not IMAGE.exists():
        pytest.skip(f"needs {IMAGE}, which `dev/test packages` makes")
    folders = tmp_path_factory.mktemp("roots")
    yield lambda: Root(folders / str(len(list(folders.iterdir()))), IMAGE)
    # They are large, and pytest would keep them for its next three runs.
    subprocess.run(["rm", "-rf", "--one-file-system", folders], check=True)


@pytest.fixture(scope="session")
def installed(new_root, deb: Path) -> Root:
    """A root in which the .deb was installed, and nothing else has happened."""
    root = new_root()
    install_deb(root, deb)
    return root


def install_deb(root: Root, deb: Path) -> None:
    """Installs or upgrades by dpkg, as apt would."""
    inside = root.path("/kubeboot.deb")
    inside.write_bytes(deb.read_bytes())
    root.run("dpkg", "--install", "--force-confold", "/kubeboot.deb")
