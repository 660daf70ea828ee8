"""Every way in which a machine goes down, or its leaving unit is stopped without that."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from .machine import Machine

# The first systemd that knows soft-reboot.
SOFT_REBOOT = 254

VERSIONS = {"bookworm": 252, "trixie": 257}

# logind's call behind the power button; without hardware this is as near to the button as it gets, see vm.py.
LOGIND = ("busctl", "call", "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")


@dataclass(frozen=True)
class Way:
    """`begin` asks for it. `ends` is how PID 1 ends: "off", "reboot", or None if the machine stays up.

    `job` is what the queue holds then: "poweroff", "halt", "reboot", or "" for what is no way down for good.
    `undo` makes a machine that is still on what it was, where that can be: the next case begins with it.
    """

    begin: Callable[[Machine], None]
    ends: str | None
    job: str = ""
    runs: bool = True
    since: int = 0
    undo: Callable[[Machine], None] | None = None


def command(*argv: str) -> Callable[[Machine], None]:
    """A command that may be refused, or lose its connection when the machine goes down."""
    return lambda machine: machine.run(*argv)


def systemctl(*verb: str) -> Callable[[Machine], None]:
    """What an operator or a package does with the unit."""
    return lambda machine: machine.run("systemctl", *verb, machine.unit)


START = systemctl("start")


def signalled(number: int) -> Callable[[Machine], None]:
    return lambda machine: machine.signal(number)


def poweroff_after(*argv: str) -> Callable[[Machine], None]:
    """A power-off after another command, which must succeed."""

    def begin(machine: Machine) -> None:
        must(machine, *argv)
        machine.run("systemctl", "poweroff")

    return begin


def stop_while_poweroff_is_scheduled(machine: Machine) -> None:
    must(machine, "shutdown", "-h", "+10")
    machine.run("systemctl", "stop", machine.unit)


def cancel_and_start(machine: Machine) -> None:
    must(machine, "shutdown", "-c")
    START(machine)


def reboot_with_a_kernel_loaded(machine: Machine) -> None:
    """A reboot when kexec has a kernel ready, which newer systemds jump into. A namespace can only be told so."""
    must(machine, "sh", "-c", "mount -t tmpfs loaded /sys/kernel && echo 1 >/sys/kernel/kexec_loaded")
    machine.run("systemctl", "reboot")


def must(machine: Machine, *argv: str) -> str:
    """Standard output of a command inside. Raises RuntimeError if it fails."""
    done = machine.run(*argv)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


WAYS = {
    "poweroff": Way(command("systemctl", "poweroff"), "off", "poweroff"),
    "shutdown-h": Way(command("shutdown", "-h", "now"), "off", "poweroff"),
    "logind-poweroff": Way(command(*LOGIND, "PowerOff", "b", "false"), "off", "poweroff"),
    "SIGRTMIN+4": Way(signalled(signal.SIGRTMIN + 4), "off", "poweroff"),
    "poweroff-after-reexec": Way(poweroff_after("systemctl", "daemon-reexec"), "off", "poweroff"),
    "poweroff-after-reload": Way(poweroff_after("systemctl", "daemon-reload"), "off", "poweroff"),
    "halt": Way(command("systemctl", "halt"), "off", "halt"),
    "SIGRTMIN+3": Way(signalled(signal.SIGRTMIN + 3), "off", "halt"),
    "reboot": Way(command("systemctl", "reboot"), "reboot", "reboot"),
    "shutdown-r": Way(command("shutdown", "-r", "now"), "reboot", "reboot"),
    "ctrl-alt-del": Way(signalled(signal.SIGINT), "reboot", "reboot"),
    "reboot-with-a-kernel-loaded": Way(reboot_with_a_kernel_loaded, "reboot", "reboot"),
    # In a namespace there is nothing to jump into, so PID 1 ends as for a reboot.
    "kexec": Way(command("systemctl", "start", "kexec.target", "--job-mode=replace-irreversibly"), "reboot", "kexec"),
    "SIGRTMIN+6": Way(signalled(signal.SIGRTMIN + 6), "reboot", "kexec"),
    "soft-reboot": Way(command("systemctl", "soft-reboot"), None, "soft-reboot", since=SOFT_REBOOT),
    "rescue": Way(command("systemctl", "isolate", "rescue.target"), None),
    "emergency": Way(command("systemctl", "isolate", "emergency.target"), None),
    "stop": Way(systemctl("stop"), None, undo=START),
    "restart": Way(systemctl("restart"), None, undo=START),
    "try-restart": Way(systemctl("try-restart"), None, undo=START),
    "disable-now": Way(systemctl("disable", "--now"), None, undo=systemctl("enable", "--now")),
    "stop-while-poweroff-is-scheduled": Way(stop_while_poweroff_is_scheduled, None, undo=cancel_and_start),
    "daemon-reload": Way(command("systemctl", "daemon-reload"), None, runs=False, undo=START),
    "daemon-reexec": Way(command("systemctl", "daemon-reexec"), None, runs=False, undo=START),
    "poweroff-f": Way(command("systemctl", "poweroff", "-ff"), "off", runs=False),
}
