"""A unit that has failed with what somebody has to mend: it looks again by itself, and not where somebody wants it stopped."""

from .bench import LOOK, READY_SECONDS, Bench
from .departure import Outcome
from .layers import UP
from .machine import Machine
from .ways import must

TIMER = "kubeboot.timer"
ENVIRONMENT = "/etc/kubeboot/environment"
# The same, in seconds instead of minutes.
SOON = "[Timer]\nOnActiveSec=\nOnActiveSec=1\nOnUnitInactiveSec=\nOnUnitInactiveSec=1\nRandomizedDelaySec=0\n"
# What is only in the whole error.
WHOLE = "valid is a time with its unit"
# A join, and kubelet's start before it.
JOIN_SECONDS = 120.0


def looks_again(bench: Bench, system: str) -> Outcome:
    """A setting is wrong and is mended; then the machine leaves by hand, and comes back when it is told to."""
    machine, outcome = bench.machine(1, system), Outcome()
    must(machine, "mkdir", "-p", f"/run/systemd/system/{TIMER}.d")
    must(machine, "sh", "-c", f"printf '%s\n' '{SOON}' >/run/systemd/system/{TIMER}.d/soon.conf")
    must(machine, "systemctl", "daemon-reload")

    _fail(machine)
    status = must(machine, "systemctl", "show", "--property=StatusText", UP)
    outcome.must("exit code 2" in status and "KUBEBOOT_DEADLINE" in status, f"its status line says {status}")
    machine.wait_until(lambda: "the same error, 2 times since" in machine.console(500), "it has looked again")
    told = machine.console(500).count(WHOLE)
    machine.wait_until(lambda: "the same error, 4 times since" in machine.console(500), "it has looked twice more")
    outcome.must(0 < told == machine.console(500).count(WHOLE), "the log does not tell the whole error once")
    _mend(machine)
    bench.wait_ready(1, machine)

    _fail(machine)
    must(machine, "systemctl", "stop", UP)
    outcome.must(_state(machine, TIMER) == "inactive", "the timer of a unit that was stopped goes on")
    must(machine, "systemctl", "start", "--no-block", UP)
    machine.wait_until(lambda: _state(machine, UP) == "failed", "it fails again")
    _mend(machine)
    bench.wait_ready(1, machine)

    left = machine.run("sh", "-c", f"set -a && . {ENVIRONMENT} && kubeboot reset --now --yes", seconds=JOIN_SECONDS)
    outcome.must(left.returncode == 0, f"`kubeboot reset --now` ended with {left.returncode}: {left.stderr}")
    states = [_state(machine, unit) for unit in (UP, TIMER)]
    outcome.must(states == ["inactive", "inactive"], f"unit and timer are {states}")
    outcome.must(bench.name(1) not in (bench.voters(2) or ()), "it is still a member")
    must(machine, "systemctl", "start", "--no-block", UP)
    machine.wait_until(lambda: _state(machine, UP) == "active", "it has joined again", JOIN_SECONDS, LOOK)
    bench.wait_ready(1, machine)
    outcome.told, outcome.console = "looked again, left, and came back", machine.console(300)
    return outcome


def _fail(machine: Machine) -> None:
    must(machine, "sh", "-c", f"echo KUBEBOOT_DEADLINE=soon >>{ENVIRONMENT}")
    must(machine, "systemctl", "restart", "--no-block", UP)
    machine.wait_until(lambda: _state(machine, UP) == "failed", "the unit fails", READY_SECONDS)


def _mend(machine: Machine) -> None:
    must(machine, "sed", "-i", "/^KUBEBOOT_DEADLINE=/d", ENVIRONMENT)


def _state(machine: Machine, unit: str) -> str:
    return machine.run("systemctl", "is-active", unit).stdout.strip()
