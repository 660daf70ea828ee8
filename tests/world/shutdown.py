"""What systemd does when a machine goes down, as far as kubeboot sees it: the job queue, and the stop of the leaving unit.

While that unit's ExecStop runs, everything else on the machine goes on, as its ordering and its drop-ins see to on a real
one. See `systemd/kubeboot-reset.service`.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from .machine import Machine
from .standin import whole

UNIT = "kubeboot-reset.service"

# The unit that systemd starts for each way down; with `stop` and `restart` somebody stops the leaving unit alone.
WAYS = {
    "poweroff": "poweroff.target", "halt": "halt.target", "reboot": "reboot.target", "kexec": "kexec.target",
    "soft-reboot": "soft-reboot.target", "rescue": "rescue.target", "emergency": "emergency.target",
    "factory-reset": "factory-reset.target", "stop": "", "restart": "",
}  # fmt: skip

# After these the power is off. A kexec or a reboot goes on with `boot`.
ENDS_THE_POWER = ("poweroff", "halt", "reboot", "kexec", "factory-reset")


def stop_leaving_unit(machine: Machine, way: str) -> dict | None:
    """Queues the jobs of a way down and runs the leaving unit's ExecStop to its end; None if that unit is not up.

    Returns its exit code (negative: the signal that ended it), the seconds it took and what it printed.
    """
    if way not in WAYS:
        raise ValueError(f"unknown way down '{way}': one of {', '.join(WAYS)}")
    root = Path(f"/proc/{machine.pid}/root")
    mark = root / f"run/standin/units/{UNIT}.active"
    if not mark.exists():
        return None
    unit = (root / "etc/systemd/system" / UNIT).read_text()
    jobs = root / "run/standin/jobs"
    whole.write(jobs, _jobs(way))
    try:
        return _run(machine, _value(unit, "ExecStop").split(), float(_value(unit, "TimeoutStopSec").removesuffix("s")))
    finally:
        # The machine, or this process' way to it, may be gone by now.
        for file in (jobs, *(() if way == "restart" else (mark,))):
            with contextlib.suppress(OSError):
                file.unlink()


def _jobs(way: str) -> str:
    """The lines of `systemctl list-jobs --no-legend --plain`."""
    lines = [f"{UNIT} {'restart' if way == 'restart' else 'stop'} running"]
    if WAYS[way]:
        lines += [f"{WAYS[way]} start waiting", "shutdown.target start waiting", "umount.target start waiting"]
    return "".join(f"{number} {line}\n" for number, line in enumerate(lines, start=301))


def _run(machine: Machine, argv: list[str], seconds: float) -> dict:
    """Runs ExecStop= as the machine; SIGTERM after `seconds`, SIGKILL after as many again."""
    begun = time.monotonic()
    command = machine.enter([os.path.basename(argv[0]), *argv[1:]])
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _terminate(process.pid)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate(timeout=seconds)
    return {"exit": process.returncode, "seconds": round(time.monotonic() - begun, 2), "output": output}


def _terminate(entering: int) -> None:
    """SIGTERM to what runs on the machine: the command that entered it waits for that and ends as it does."""
    for child in Path(f"/proc/{entering}/task/{entering}/children").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGTERM)


def _value(unit: str, key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", unit, re.MULTILINE)
    if found is None:
        raise ValueError(f"{UNIT} has no {key}=")
    return found[1]
