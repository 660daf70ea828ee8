"""Filling file systems in memory to the last byte, and making room again."""

from pathlib import Path

from .network import run

# Makes it a little larger than what is in it, and fills that. The last write must fail.
FILL = """set -e
used=$(df --output=used "$1" | tail -n 1)
mount -n -o "remount,size=$((used + 64))k" "$1"
! head -c 1M /dev/zero >"$1/full"
"""
SIZE = "2g"


def mount(folder: Path) -> None:
    """A file system of its own for what is in this folder."""
    moved = folder.with_name(f"{folder.name}.moved")
    folder.rename(moved)
    folder.mkdir()
    run(["mount", "-n", "-t", "tmpfs", "-o", f"mode=0755,size={SIZE}", "full", str(folder)])
    run(["cp", "-a", f"{moved}/.", str(folder)])
    run(["rm", "-rf", str(moved)])


def fill(folder: Path) -> None:
    """Leaves no room in it."""
    run(["sh", "-c", FILL, "sh", str(folder)])


def make_room(folder: Path) -> None:
    """Undoes that; where nothing was filled, nothing happens."""
    if (folder / "full").exists():
        (folder / "full").unlink()
        run(["mount", "-n", "-o", f"remount,size={SIZE}", str(folder)])
