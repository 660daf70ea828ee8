"""The first boot of a machine whose image has kubeboot's unit enabled, with commands of user data that come before it: the process of
test_before.py, in namespaces of its own. `python -m systemd.before ROOT FOLDER NAME` prints what ran, in its order; NAME is its cgroup's.

cloud-init is not here. A unit in its place does what its network stage does: it runs `bootcmd`, and writes the files after that.
"""

import re
import sys
from pathlib import Path

from world.build import PROJECT

from . import layers
from .cgroups import Cgroups
from .machine import Machine

USER_DATA = PROJECT / "terraform-example/modules/user-data/main.tf"
SECONDS = 40.0

# As cloud-init's own unit: before network-online.target, which kubeboot's waits for.
STAGE = """\
[Unit]
DefaultDependencies=no
After=networking.service
Before=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/stage
[Install]
WantedBy=multi-user.target
"""
# The commands fail once, and the unit tries them again.
COMMANDS = """[ -e /tried ] || { touch /tried; echo failed >>/order; exit 1; }
echo before >>/order
"""
KUBEBOOT = '[ "$1" != up ] || echo up >>/order\n'


def main() -> None:
    root, folder = map(Path, sys.argv[1:3])
    for name in ("layer", "machine", "cgroup"):
        (folder / name).mkdir()
    fill(folder / "layer", root)
    cgroup = Cgroups(folder / "cgroup", sys.argv[3]).make("machine")
    # This process has a network of its own, with nobody in it.
    machine = Machine(folder / "machine", cgroup, Path("/proc/self/ns/net"), [folder / "layer", root], {}, layers.UP)
    try:
        machine.boot()
        machine.wait_until(lambda: "up" in order(machine), "'kubeboot up' ran", SECONDS)
        print("\n".join(order(machine)))
    finally:
        machine.destroy()


def order(machine: Machine) -> list[str]:
    return machine.run("cat", "/order").stdout.split()


def fill(layer: Path, root: Path) -> None:
    layers.make(layer, root, layers.REAL)
    units = layer / "usr/lib/systemd/system"
    (units / "stage.service").write_text(STAGE)
    layers.enable(layer, ["stage.service"])
    stage = f"set -e\n{bootcmd()}\nmkdir -p $(dirname {before_file()})\nmv /commands {before_file()}\n"
    for name, text in {"stage": stage, "commands": COMMANDS, "usr/local/bin/kubeboot": KUBEBOOT}.items():
        file = layer / name
        file.write_text(f"#!/bin/sh\n{text}")
        file.chmod(0o755)


def before_file() -> str:
    return re.search(r'before_file += "(.*)"', USER_DATA.read_text())[1]


def bootcmd() -> str:
    """As the module writes it."""
    (lines,) = re.findall(r'bootcmd = \[join\(" && ", \[\n(.*?)\n    \]\)\]', USER_DATA.read_text(), re.S)
    words = [line.strip().removesuffix(",").strip('"') for line in lines.splitlines()]
    return " && ".join(words).replace("${local.before_file}", before_file()).replace("\\\\", "\\")


if __name__ == "__main__":
    main()
