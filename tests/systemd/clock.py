"""Setting the clock that a machine's `kubeboot reset` sees: the kernel's is everybody's (image/jumping-clock.c)."""

import subprocess
from pathlib import Path

from world.standin import whole

from .layers import IMAGE
from .machine import Machine

SOURCE = IMAGE / "jumping-clock.c"
CLOCK = "run/jumping-clock.so"
SEEN = "clock-ahead-"
BUILD_SECONDS = 60.0


def prepare(machine: Machine, ahead: int) -> None:
    """From now on the machine's units are run by a clock that is so many seconds ahead, once they start anew."""
    made = machine.folder / "jumping-clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", made, SOURCE], check=True, timeout=BUILD_SECONDS)
    root = Path(f"/proc/{machine.pid}/root")
    (root / CLOCK).write_bytes(made.read_bytes())
    set_ahead(machine, ahead)
    # Both units read it at each start and stop.
    variables = root / "etc/kubeboot/environment"
    whole.write(variables, f"{variables.read_text()}LD_PRELOAD=/{CLOCK}\n")


def set_ahead(machine: Machine, seconds: int) -> None:
    """Sets it. Raises OSError if the machine is off by now."""
    run = Path(f"/proc/{machine.pid}/root/run")
    whole.write(run / "jump", f"{seconds}\n")


def seen(machine: Machine) -> set[int]:
    """How far ahead it was whenever anybody looked."""
    return {int(file.name.removeprefix(SEEN)) for file in (machine.folder / "upper/var/log").glob(f"{SEEN}*")}
