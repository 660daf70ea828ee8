"""The Debian roots of a session, and whether this computer's programs run in them."""

import subprocess
from pathlib import Path

from . import layers, vm_cases

MAKER = Path(__file__).parent / "roots.sh"
ROOT_SECONDS = 1800
TRY_SECONDS = 60

# The Debian of the virtual machine.
VM_SYSTEM = "bookworm"

# A root is shared by all that use it, so the program is tried over it, in a mount namespace.
TRY = 'mount -n -t tmpfs try "$1/mnt" && cp "$2" "$1/mnt/program" && exec chroot "$1" /mnt/program --version'


def make(systems: set[str]) -> dict[str, Path]:
    """The roots of these systems by name, made where they are missing. Raises CalledProcessError if one cannot be."""
    debian, roots = sorted(systems - {vm_cases.ROOT}), {}
    if debian:
        roots = _run([MAKER, *debian])
    if vm_cases.ROOT in systems:
        roots[vm_cases.ROOT] = _run([MAKER, "--vm", VM_SYSTEM])[VM_SYSTEM]
    return roots


def why_not(root: Path, binary: Path) -> str | None:
    """Why machines with this root cannot run our programs; None if they can."""
    for program in layers.binds(binary):
        if program.is_file():
            tried = subprocess.run(
                ["unshare", "--mount", "sh", "-c", TRY, "sh", root, program],
                capture_output=True, text=True, timeout=TRY_SECONDS,
            )  # fmt: skip
            if tried.returncode != 0:
                return f"{program} does not run in {root}: {tried.stderr.strip()}"
    return None


def _run(argv: list) -> dict[str, Path]:
    made = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=ROOT_SECONDS, check=True)
    return {name: Path(root) for name, root in (line.split() for line in made.stdout.splitlines())}
