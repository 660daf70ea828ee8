"""A world starts, ends, and leaves nothing behind: also when its process is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from world import lifetime
from world.client import wait_until
from world.control import WorldError
from world.options import Options, config_toml

QUIET = Options(binary="/bin/true", nodes=1, up=False)


def alive_in(folder: Path) -> list[int]:
    """Processes that name this folder on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if str(folder) in (entry / "cmdline").read_text():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_down_leaves_nothing(tmp_path):
    folder = tmp_path / "w"
    lifetime.start(folder, QUIET)
    assert alive_in(folder)
    lifetime.stop(folder)
    assert not folder.exists() and not alive_in(folder)
    lifetime.stop(folder)


def test_a_crash_takes_the_machines_along_and_down_clears_up(tmp_path):
    folder = tmp_path / "w"
    status = lifetime.start(folder, QUIET)
    os.kill(status["pid"], signal.SIGKILL)
    wait_until(lambda: not alive_in(folder))
    lifetime.stop(folder)
    assert not folder.exists()
    assert str(folder) not in Path("/proc/self/mounts").read_text()


def test_two_worlds_do_not_meet(tmp_path):
    try:
        first, second = (lifetime.start(tmp_path / name, QUIET) for name in ("a", "b"))
        assert first["aws"] != second["aws"]
        assert first["nodes"][0]["address"] != second["nodes"][0]["address"]
    finally:
        for name in ("a", "b"):
            lifetime.stop(tmp_path / name)


def test_a_second_start_and_a_foreign_folder_are_refused(tmp_path):
    lifetime.start(tmp_path / "w", QUIET)
    try:
        with pytest.raises(WorldError, match="runs in .* already"):
            lifetime.start(tmp_path / "w", QUIET)
    finally:
        lifetime.stop(tmp_path / "w")
    foreign = tmp_path / "home"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(WorldError, match="holds files, but no world"):
        lifetime.start(foreign, QUIET)
    lifetime.stop(foreign)
    assert (foreign / "thesis.txt").exists()


def test_the_command_says_what_is_missing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "world", "--dir", str(tmp_path / "none"), "status"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("dev/world: no world is running in") and "Traceback" not in done.stderr


def test_settings_become_toml():
    text = config_toml(
        {"endpoint": "api:6443", "settle_timeout": "30s", "expected_size": "3", "extra": '["/a"]', "flag": "true"}
    )
    assert text.splitlines() == [
        'endpoint = "api:6443"',
        'settle_timeout = "30s"',
        "expected_size = 3",
        'extra = ["/a"]',
        "flag = true",
    ]
