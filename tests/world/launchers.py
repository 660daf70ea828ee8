"""The commands that a machine finds first on its PATH: kubeboot itself and the stand-ins of what kubeadm installs."""

import shutil
import sys
from pathlib import Path

from .build import PROJECT, cache
from .standin import whole

HERE = Path(__file__).parent
STANDINS = ("kubeadm", "kubelet", "systemctl", "crictl", "ctr", "journalctl")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


# Where dev/etcd puts the etcd that can be saved and restored.
NEWER_ETCD = cache() / "etcd-3.5.30"


def write(folder: Path, binary: Path, etcd: str, etcdutl: bool) -> str:
    """Fills `folder` and returns the PATH of a machine. `etcd` and `etcdutl` are as in the world's options.

    The launchers set what Python needs by themselves, since kubeboot gives kubeadm a short list of variables only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in STANDINS:
        text = f'#!/bin/sh\nPYTHONPATH="{HERE}" exec "{sys.executable}" -m standin.{name} "$@"\n'
        whole.write(folder / name, text, 0o755)
    links = {"kubeboot": binary}
    if etcd != "installed":
        if not NEWER_ETCD.is_dir():
            raise FileNotFoundError(f"{NEWER_ETCD} is missing: run dev/etcd")
        names = ("etcd", "etcdctl", "etcdutl") if etcdutl else ("etcd", "etcdctl")
        links |= {name: NEWER_ETCD / name for name in names}
    for name, program in links.items():
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    tools = {str(Path(found).parent) for found in map(shutil.which, ("etcd", "etcdctl")) if found}
    more = sorted(tools - set(SYSTEM_PATH.split(":")))
    return ":".join([str(folder), *more, SYSTEM_PATH])


def etcd_image(etcd: str) -> dict[str, str]:
    """What tells the stand-in which etcd its image holds."""
    return {} if etcd == "installed" else {"STANDIN_ETCD_IMAGE": f"{etcd}-0"}


def must_be_visible(state: Path, binary: Path, more: list[str]) -> list[Path]:
    """What a machine needs of this computer wherever it lies: this project, Python, the binary, the world's folder, and more that it is to see."""
    paths = [PROJECT, state, Path(sys.prefix), Path(sys.base_prefix), binary.parent, NEWER_ETCD, *map(Path, more)]
    # The launchers name the interpreter; what its links lead through has to be there, too.
    paths.append(Path(sys.executable).resolve().parent.parent)
    return list(dict.fromkeys(path.absolute() for path in paths if path.exists()))
