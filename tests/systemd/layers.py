"""What lies over a Debian root to make it a machine of a cluster: the project's package files, and the stand-ins."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from world.build import PROJECT

IMAGE = Path(__file__).parent / "image"
WORLD = PROJECT / "tests/world"

# Units that only make noise here, or want hardware.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "console-getty.service", "getty@.service", "systemd-pstore.service", "systemd-networkd.service",
    "systemd-modules-load.service", "ldconfig.service", "systemd-journal-catalog-update.service",
    "systemd-update-done.service", "systemd-sysusers.service", "systemd-hostnamed.socket",
    "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
)  # fmt: skip
UNIT = "kubeboot-reset.service"
UP = "kubeboot.service"
AGENT = "kubeboot-agent.service"
ORDER = ("After=", "Wants=", "RequiresMountsFor=")


@dataclass(frozen=True)
class Variant:
    """What is installed for leaving: which unit is armed, whether the drop-ins on the runtime's scopes are there, and
    whether the unit says what it comes after."""

    name: str
    unit: str = UNIT
    drop_ins: bool = True
    ordered: bool = True


REAL = Variant("real")

# What is known to be wrong.
SHELL = Variant("shell", unit="shell-reset.service")
WITHOUT_DROP_INS = Variant("without-drop-ins", drop_ins=False)
WITHOUT_ORDER = Variant("without-order", ordered=False)


def make(folder: Path, root: Path, variant: Variant) -> None:
    """Fills `folder`, the layer over `root`, for machines of this variant."""
    units = folder / "usr/lib/systemd/system"
    shutil.copytree(PROJECT / "systemd", units)
    shutil.copytree(IMAGE / "units", units, dirs_exist_ok=True)
    if variant.unit != UNIT:
        # `kubeboot up` would arm it beside the other one.
        (units / UNIT).unlink()
    if not variant.drop_ins:
        for drop_in in units.glob("*-.scope.d"):
            shutil.rmtree(drop_in)
    if not variant.ordered:
        unit = units / variant.unit
        lines = [line for line in unit.read_text().splitlines() if not line.startswith(ORDER)]
        unit.write_text("\n".join(lines) + "\n")
    _mask(folder)
    _journal_to_console(folder)
    enable(folder, [variant.unit, UP, "containerd.service", "kubelet.service"])
    programs = folder / "usr/local/bin"
    programs.mkdir(parents=True)
    for name in ("kubeadm", "kubelet", "crictl"):
        launcher = programs / name
        launcher.write_text(f'#!/bin/sh\nPYTHONPATH=/opt/world exec python3 -m standin.{name} "$@"\n')
        launcher.chmod(0o755)
    shutil.copy(IMAGE / "standin-scope", programs / "standin-scope")
    _names_by_resolver_alone(folder, root)


def binds(binary: Path) -> dict[Path, str]:
    """What machines see of this computer: kubeboot, etcd, and the code of the stand-ins."""
    etcd = shutil.which("etcd") or "/usr/bin/etcd"
    return {binary: "/usr/local/bin/kubeboot", Path(etcd): "/usr/local/bin/etcd", WORLD: "/opt/world"}


def _mask(folder: Path) -> None:
    etc = folder / "etc/systemd/system"
    etc.mkdir(parents=True)
    for name in MASKED:
        (etc / name).symlink_to("/dev/null")


def _journal_to_console(folder: Path) -> None:
    """What units say is read from the console: a journal would have to be taken apart for every case."""
    settings = folder / "etc/systemd/journald.conf.d/console.conf"
    settings.parent.mkdir()
    settings.write_text(
        "[Journal]\nStorage=volatile\nForwardToConsole=yes\nMaxLevelConsole=info\nRateLimitIntervalSec=0\n"
    )


def enable(folder: Path, units: list[str]) -> None:
    """Makes the links that `systemctl enable` makes, from the WantedBy lines of the unit's own file."""
    for unit in units:
        file = folder / "usr/lib/systemd/system" / unit
        wanted = [
            line.partition("=")[2].split() for line in file.read_text().splitlines() if line.startswith("WantedBy=")
        ]
        for target in sum(wanted, []):
            wants = folder / f"etc/systemd/system/{target}.wants"
            wants.mkdir(parents=True, exist_ok=True)
            (wants / unit).symlink_to(f"/usr/lib/systemd/system/{unit}")


def _names_by_resolver_alone(folder: Path, root: Path) -> None:
    """Lets systemd-resolved answer what /etc/hosts says, and nobody else: once it stops, no name is known."""
    lines = (root / "etc/nsswitch.conf").read_text().splitlines()
    text = "".join("hosts: resolve\n" if line.startswith("hosts:") else f"{line}\n" for line in lines)
    (folder / "etc/nsswitch.conf").write_text(text)
