"""Programs of a machine that answer at once, with what they said when they were first asked.

The stand-ins are written in Python, whose start is longer than all that kubeboot does: what kubeboot itself takes is measured with these."""

from pathlib import Path

from world.client import run_as

FOLDER = "/run/recorded"
PROGRAMS = ("kubeadm", "kubelet", "systemctl", "crictl")
# What a program said, by its arguments. Its exit code is no part of that: nothing is written where it is not 0.
ANSWERS = f"""#!/bin/bash
name=${{0##*/}}
said="$name $*"
file="{FOLDER}/said/${{said//\\//_}}"
if [ ! -e "$file" ]; then
    PATH=${{PATH#{FOLDER}:}} "$name" "$@" >"$file.new" || exit
    mv "$file.new" "$file"
fi
exec cat "$file"
"""


def install(folder: Path, node: str) -> None:
    """Puts them on a machine of a world, for its boot. Raises RuntimeError if that fails."""
    links = f"cd {FOLDER} && for each in {' '.join(PROGRAMS)}; do ln -sf answers $each; done"
    script = f"mkdir -p {FOLDER}/said && cat >{FOLDER}/answers && chmod 0755 {FOLDER}/answers && {links}"
    done = run_as(folder, node, ["sh", "-c", script], stdin=ANSWERS)
    if done.returncode:
        raise RuntimeError(f"programs that answer at once could not be put on machine {node}: {done.stderr}")


def before(command: str) -> list[str]:
    """The command line that runs a command with these first on its PATH."""
    return ["sh", "-c", f"PATH={FOLDER}:$PATH exec {command}"]
