"""A machine's disk: what survives a power cut. /etc as an image would bring it, /var/lib and /var/log."""

import os
import shutil
from pathlib import Path

from .addresses import ENDPOINT_NAME
from .build import PROJECT
from .standin import whole

# What programs need of a host's /etc to run at all; everything else would only be noise.
FROM_HOST = (
    "passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ssl/openssl.cnf",
    "ssl/certs/ca-certificates.crt", "alternatives", "localtime", "protocols", "services", "os-release",
    "debian_version", "terminfo",
)  # fmt: skip

# The project's units are part of every machine image.
UNITS = PROJECT / "systemd"

FOLDERS = ("etc", "var/lib", "var/log")


def format(
    disk: Path, host_name: str, address: str, loopback: str, endpoint: str, config: str, machine_id: str
) -> None:
    """Makes the disk as a fresh instance has it, deleting whatever was there (as replacing the root volume does)."""
    shutil.rmtree(disk, ignore_errors=True)
    for folder in FOLDERS:
        (disk / folder).mkdir(parents=True)
    etc = disk / "etc"
    for name in FROM_HOST:
        _copy(Path("/etc") / name, etc / name)
    whole.write(etc / "hostname", f"{host_name}\n")
    whole.write(etc / "machine-id", f"{machine_id}\n")
    whole.write(etc / "resolv.conf", "# Names come from /etc/hosts.\n")
    whole.write(
        etc / "hosts",
        f"{loopback} localhost\n::1 ip6-localhost\n{address} {host_name} {host_name.partition('.')[0]}\n"
        f"{endpoint} {ENDPOINT_NAME}\n",
    )
    if UNITS.is_dir():
        shutil.copytree(UNITS, etc / "systemd/system")
    write_config(disk, config)


def write_config(disk: Path, config: str) -> None:
    """The machine's settings, readable by root alone as the documentation asks."""
    path = disk / "etc/kubeboot/config.toml"
    path.parent.mkdir(exist_ok=True)
    whole.write(path, config, 0o600)


def _copy(source: Path, target: Path) -> None:
    """Copies what exists and may be read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() or source.is_file():
        shutil.copy2(source, target, follow_symlinks=not source.is_symlink())
    elif source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=_unreadable)


def _unreadable(folder: str, names: list[str]) -> list[str]:
    paths = {name: Path(folder) / name for name in names}
    return [name for name, path in paths.items() if not path.is_symlink() and not os.access(path, os.R_OK)]
