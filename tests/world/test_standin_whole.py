"""The books of the world: whoever is killed while it writes one leaves the old one or the new one."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from world.standin_lab import HERE

PROJECT = Path(HERE).parent.parent

# Stops at the system call that ends a write, and says so: the moment in which a file that is written in place is empty.
FAULT = """
import os, sys, time
from standin import faults, pki, whole

def stop(*_):
    print("stopped", flush=True)
    time.sleep(3600)

class Stopped:
    def __init__(self, file):
        self._file = file
    def __enter__(self):
        return self
    def __exit__(self, *_):
        stop()
    def fileno(self):
        return self._file.fileno()
    write = stop

os.fdopen = lambda handle, *_: Stopped(open(handle, "wb"))
faults.open = lambda file, mode="r", **_: Stopped(open(file, mode)) if "w" in mode else open(file, mode)
WORK
"""


def killed_in(work, root):
    """Runs a piece of work until its first write, and kills it there."""
    env = {**os.environ, "STANDIN_ROOT": str(root), "PYTHONPATH": HERE}
    process = subprocess.Popen(
        [sys.executable, "-c", FAULT.replace("WORK", work)], env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "stopped\n"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()


@pytest.mark.parametrize(
    ("work", "file"),
    [
        ("faults._spend('init', 3)", "run/standin/faults.used"),
        ("pki.write(os.environ['STANDIN_ROOT'] + '/etc/kubernetes/x.conf', 'new', 0o600)", "etc/kubernetes/x.conf"),
        ("whole.write(os.environ['STANDIN_ROOT'] + '/x', 'new')", "x"),
    ],
)
def test_who_is_killed_while_it_writes_leaves_the_old_file(tmp_path, work, file):
    kept = tmp_path / file
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text('{"init": 1}')
    killed_in(work, tmp_path)
    assert kept.read_text() == '{"init": 1}'


def test_what_is_written_has_its_mode_and_leaves_nothing_beside_it(tmp_path):
    sys.path.insert(0, HERE)
    from standin import whole

    for content, mode in (("old", 0o644), (b"new", 0o600)):
        whole.write(tmp_path / "x", content, mode)
    assert (tmp_path / "x").read_text() == "new" and (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    with pytest.raises(AttributeError):
        whole.write(tmp_path / "x", 5)
    assert [file.name for file in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_text() == "new"


def test_a_link_is_never_missing(tmp_path, monkeypatch):
    from world.standin import registrar

    monkeypatch.setenv("STANDIN_ROOT", str(tmp_path))
    link = tmp_path / registrar.CLIENT_PEM.lstrip("/")
    monkeypatch.setattr(registrar, "now", lambda: "2026-01-01T00:00:00Z")
    registrar.write_client_pem(b"old")
    unlink, missing = os.unlink, []
    monkeypatch.setattr(os, "unlink", lambda file: (unlink(file), missing.append(not os.path.lexists(link))))
    monkeypatch.setattr(registrar, "now", lambda: "2026-01-02T00:00:00Z")
    registrar.write_client_pem(b"new")
    assert link.is_symlink() and link.read_bytes() == b"new" and not any(missing)


# Logs, a lock, and where the demo prints to: nobody reads a part of those for the whole.
IN_PLACE = {"world/demo.py": 2, "world/told.py": 2, "world/lifetime.py": 2, "world/outside.py": 1}


def writes_in_place(file):
    """How many calls in a file of Python write over a file as it lies there."""
    found = 0
    for call in (each for each in ast.walk(ast.parse(file.read_text())) if isinstance(each, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        words = [each.value for each in call.args if isinstance(each, ast.Constant)]
        if name in ("write_text", "write_bytes") or (name == "open" and any(str(word)[:1] == "w" for word in words)):
            found += 1
    return found


def test_nothing_of_the_world_is_written_in_place():
    world = PROJECT / "tests/world"
    files = [file for file in [*world.glob("*.py"), *world.glob("standin/*.py")] if not file.name.startswith("test_")]
    for file in files:
        name = f"world/{file.relative_to(world)}"
        if file.name != "standin_lab.py":
            assert writes_in_place(file) <= IN_PLACE.get(name, 0), f"{name} writes a file in place: see standin/whole.py"
