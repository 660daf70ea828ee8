"""What happens to disks: a folder is emptied, taken away and brought back, or a copy of another machine's.

Paths are the machine's own. It may be on or off; what it does with files that it has open is its own affair.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from .disk import FOLDERS
from .machine import Machine


def empty(machine: Machine, path: str) -> None:
    """Deletes what is in a folder, and leaves the folder."""
    place = _there(machine, path)
    if not place.is_dir() or place.is_symlink():
        raise ValueError(f"'{path}' of {machine.name} is no folder")
    for entry in place.iterdir():
        _delete(entry)


def remove(machine: Machine, path: str) -> None:
    """Deletes a file, or a folder with all that is in it."""
    _delete(_there(machine, path))


def set_aside(machine: Machine, path: str, mount_point: bool) -> None:
    """Takes a file or folder away until `put_back`, over new root volumes, too.

    With `mount_point` an empty folder of the same mode stays, as under a volume that is not mounted.
    """
    place, kept = _there(machine, path), _aside(machine, path)
    if kept.exists():
        raise ValueError(f"'{path}' of {machine.name} was set aside before: put it back first")
    mode = place.stat().st_mode & 0o7777
    kept.parent.mkdir(exist_ok=True)
    place.rename(kept)
    if mount_point:
        place.mkdir()
        place.chmod(mode)


def put_back(machine: Machine, path: str) -> None:
    """Brings back what was set aside. What has come into its place meanwhile is gone, as it would be under a mount."""
    place, kept = _place(machine, path), _aside(machine, path)
    if not kept.exists():
        raise ValueError(f"nothing of {machine.name} was set aside from '{path}'")
    if os.path.lexists(place):
        _delete(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    kept.rename(place)


def copy(source: Machine, path: str, target: Machine, target_path: str) -> None:
    """Lays a copy of a file or folder of one machine over that place of another one, which has only that afterwards.

    The source stands still meanwhile: the copy is of one moment, as a snapshot of a volume is.
    """
    place, over = _there(source, path), _place(target, target_path)
    if os.path.lexists(over):
        _delete(over)
    over.parent.mkdir(parents=True, exist_ok=True)
    with _standing_still(source):
        # etcd reserves 64 MB at a time: holes stay holes.
        subprocess.run(["cp", "-a", "--sparse=always", place, over], check=True)


def _place(machine: Machine, path: str) -> Path:
    """Where a path of a machine is. Raises ValueError for one that is not on its disk."""
    clean = os.path.normpath(path)
    if not any(clean.startswith(f"/{folder}/") for folder in FOLDERS):
        raise ValueError(f"'{path}' is not on the disk of a machine: it has {', '.join(f'/{each}' for each in FOLDERS)}")
    return machine.folder / "disk" / clean.lstrip("/")


def _there(machine: Machine, path: str) -> Path:
    place = _place(machine, path)
    if not os.path.lexists(place):
        raise ValueError(f"{machine.name} has no '{path}'")
    return place


def _aside(machine: Machine, path: str) -> Path:
    return machine.folder / "aside" / quote(os.path.normpath(path), safe="")


def _delete(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()


@contextmanager
def _standing_still(machine: Machine) -> Iterator[None]:
    """Nothing runs on the machine meanwhile."""
    machine.freeze()
    try:
        yield
    finally:
        machine.thaw()
