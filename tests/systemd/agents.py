"""The agent beside the other two units: whoever starts and stops first, one of them at most leaves, and the machine is left once."""

import itertools
from collections.abc import Callable

from world.client import wait_until

from .bench import LOOK, READY_SECONDS, Bench
from .departure import Departure, Outcome
from .hostile import slow, steady
from .layers import AGENT, UNIT, UP
from .machine import Machine
from .ways import WAYS, must

ENVIRONMENT = "/etc/kubeboot/environment"
HOOK = "leave"
# What the agent says before it does anything about its member.
LEAVES = "this machine leaves its cluster"
UNITS = (UP, AGENT, UNIT)


def idle(bench: Bench, system: str) -> Outcome:
    """The machine is powered off while its agent has nothing to do."""
    departure = Departure(bench, 1, system)
    _start_agent(departure.machine)
    departure.go(WAYS["poweroff"])
    departure.judge(leaves=True)
    _ended_first(departure)
    return departure.outcome


def leaving(bench: Bench, system: str) -> Outcome:
    """The machine is powered off while its agent takes it out for the terminate hook."""
    departure = Departure(bench, 1, system)
    steady(bench)
    _start_agent(departure.machine)
    # Its answer to the hook never comes through: the group would end the machine, and this is about the button.
    bench.world.faults.add("error=403/AccessDenied", action="CompleteLifecycleAction")
    slow(bench)
    bench.world.group.set_lifecycle(bench.node(1).id, "Terminating:Wait")
    departure.machine.wait_until(lambda: LEAVES in departure.machine.console(500), "the agent leaves", READY_SECONDS)
    departure.go(WAYS["poweroff"])
    departure.judge(leaves=True)
    _ended_first(departure)
    return departure.outcome


def reboot(bench: Bench, system: str) -> Outcome:
    """A reboot ends the agent, changes nothing about the member, and brings the agent back."""
    departure = Departure(bench, 1, system)
    must(departure.machine, "systemctl", "enable", AGENT)
    _start_agent(departure.machine)
    departure.go(WAYS["reboot"])
    departure.machine.boot()
    bench.wait_ready(1, departure.machine)
    departure.judge(leaves=False)
    departure.machine.wait_until(lambda: _is_active(departure.machine, AGENT), "its agent is back", READY_SECONDS, LOOK)
    return departure.outcome


def orders(bench: Bench, system: str) -> Outcome:
    """The three units are stopped and started by hand, in every order: nobody leaves, and all three are up in the end."""
    machine, outcome = bench.machine(1, system), Outcome()
    _start_agent(machine)
    for stops, starts in zip(itertools.permutations(UNITS), reversed(list(itertools.permutations(UNITS))), strict=True):
        # What has just begun is stopped, too: nobody waits for a start here.
        for unit in stops:
            must(machine, "systemctl", "stop", unit)
        for unit in starts:
            must(machine, "systemctl", "start", "--no-block", unit)
        for unit in starts:
            machine.wait_until(lambda unit=unit: _is_active(machine, unit), f"{unit} is up", READY_SECONDS, LOOK)
    outcome.must(bench.name(1) in (bench.voters(2) or ()), "it is no member any more")
    wait_until(lambda: bench.phase(1) == "joined", READY_SECONDS, LOOK)
    outcome.told, outcome.console = "stayed through six orders", machine.console(300)
    return outcome


AGENTS: dict[str, Callable[[Bench, str], Outcome]] = {
    "agent-idle": idle,
    "agent-leaving": leaving,
    "agent-reboot": reboot,
    "agent-orders": orders,
}


def _start_agent(machine: Machine) -> None:
    must(machine, "sh", "-c", f"echo KUBEBOOT_TERMINATE_HOOK={HOOK} >>{ENVIRONMENT}")
    must(machine, "systemctl", "start", AGENT)


def _ended_first(departure: Departure) -> None:
    """systemd ends the agent before the leaving unit begins."""
    lines = departure.machine.console(500).splitlines()
    ended = [at for at, line in enumerate(lines) if AGENT in line and "Deactivated successfully" in line]
    began = [at for at, line in enumerate(lines) if f"Stopping {UNIT}" in line]
    departure.outcome.must(bool(ended and began), "the console does not say when the agent ended and the other began")
    departure.outcome.must(ended[-1:] < began[-1:], "the leaving unit began before the agent had ended")


def _is_active(machine: Machine, unit: str) -> bool:
    return machine.run("systemctl", "is-active", "--quiet", unit).returncode == 0
