"""The commands that a machine finds first on its PATH: kubeboot itself and the stand-ins of what kubeadm installs."""

import shutil
import sys
from pathlib import Path

from .build import PROJECT
from .standin import whole

HERE = Path(__file__).parent
STANDINS = ("kubeadm", "kubelet", "systemctl", "crictl", "journalctl")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def write(folder: Path, binary: Path) -> str:
    """Fills `folder` and returns the PATH of a machine.

    The launchers set what Python needs by themselves, since kubeboot gives kubeadm a short list of variables only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in STANDINS:
        text = f'#!/bin/sh\nPYTHONPATH="{HERE}" exec "{sys.executable}" -m standin.{name} "$@"\n'
        whole.write(folder / name, text, 0o755)
    link = folder / "kubeboot"
    link.unlink(missing_ok=True)
    link.symlink_to(binary)
    tools = {str(Path(found).parent) for found in map(shutil.which, ("etcd", "etcdctl")) if found}
    more = sorted(tools - set(SYSTEM_PATH.split(":")))
    return ":".join([str(folder), *more, SYSTEM_PATH])


def must_be_visible(state: Path, binary: Path) -> list[Path]:
    """What a machine needs of this computer wherever it lies: this project, Python, the binary, the world's folder."""
    paths = [PROJECT, state, Path(sys.prefix), Path(sys.base_prefix), binary.parent]
    # The launchers name the interpreter; what its links lead through has to be there, too.
    paths.append(Path(sys.executable).resolve().parent.parent)
    return list(dict.fromkeys(path.absolute() for path in paths if path.exists()))
