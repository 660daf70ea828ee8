"""Every case by its name: which systemd it runs on, and what happens in it."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from . import agents, vm_cases
from .again import looks_again
from .bench import Bench
from .columns import COLUMNS
from .departure import Departure, Outcome
from .hostile import MOMENTS, ON_EVERY_SYSTEMD, slow, steady
from .layers import SHELL, WITHOUT_DROP_INS, WITHOUT_ORDER, Variant
from .ways import VERSIONS, WAYS


@dataclass(frozen=True)
class Case:
    """`name` is unique; `system` names the root; `tell(bench)` lets it happen on a whole cluster, and judges.

    Cases of the same `row` are told one after the other by the same bench, so that they can share a machine. `long` ones
    begin before the others: at the end nobody waits for them.
    """

    name: str
    system: str
    tell: Callable[[Bench], Outcome]
    row: str = ""
    long: bool = False


def way(system: str, name: str) -> Case:
    """A row of the table of ways down: AWS says that the instance runs."""

    def tell(bench: Bench) -> Outcome:
        departure = Departure(bench, 1, system, kept=WAYS[name].undo is not None)
        departure.go(WAYS[name])
        departure.judge(WAYS[name].runs and WAYS[name].job in COLUMNS["running"].leaves)
        departure.undo(WAYS[name])
        return departure.outcome

    return Case(f"{system}-{name}", system, tell, row=f"{system}, still on" if WAYS[name].undo else "")


def column(system: str, job: str, name: str) -> Case:
    """A field of the table of leaving: a job in the queue, and what AWS says."""

    def tell(bench: Bench) -> Outcome:
        departure = Departure(bench, 1, system)
        COLUMNS[name].says(bench, 1)
        departure.go(WAYS[job])
        departure.judge(job in COLUMNS[name].leaves, COLUMNS[name].tells)
        return departure.outcome

    return Case(f"{system}-{job}-{name}", system, tell, long=not COLUMNS[name].tells)


_turns = itertools.cycle(VERSIONS)


def _systems(every: bool) -> list[str]:
    """On which systemds a case is told: every one, or the next where any will do."""
    return list(VERSIONS) if every else [next(_turns)]


WAYS_DOWN = [way(system, name) for system, version in VERSIONS.items() for name in WAYS if version >= WAYS[name].since]
TABLE = [
    column(system, job, name)
    for job in ("poweroff", "halt", "reboot")
    for name in COLUMNS
    # Running is the row above.
    if name != "running"
    # What AWS says has nothing to do with the systemd.
    for system in _systems(every=False)
]

HOSTILE = [
    Case(f"{system}-{name}", system, lambda bench, system=system, tell=tell: tell(bench, system), long=True)
    for name, tell in MOMENTS.items()
    for system in _systems(name in ON_EVERY_SYSTEMD)
]


# What tells an operator how a machine is.
REPORTS = ("check", "status")


def misses(departure: Departure, report: str) -> bool:
    """Whether a report says that the drop-ins for containerd's scopes are missing."""
    said = departure.machine.run("sh", "-c", f"set -a && . /etc/kubeboot/environment && kubeboot {report} --json")
    return "cri-containerd-.scope.d" in said.stdout


def wrong(system: str, variant: Variant, name: str, prepare: Callable[[Bench], None]) -> Case:
    """A row of the table of ways down with something else installed than what kubeboot brings."""

    def tell(bench: Bench) -> Outcome:
        departure = Departure(bench, 1, system, variant)
        if not variant.drop_ins:
            missed = [report for report in REPORTS if misses(departure, report)]
            departure.outcome.wrong += [f"`kubeboot {report}` misses drop-ins" for report in missed]
        prepare(bench)
        departure.go(WAYS[name])
        departure.judge(leaves=WAYS[name].job == "poweroff")
        return departure.outcome

    return Case(f"{system}-{variant.name}-{name}", system, tell, long=True)


# With what each of them must be found wrong. The shell unit leaves on kexec, too, if its kubeadm still finds an API
# server while systemd ends those at the same moment: by chance, so that is no case.
WRONG = {
    wrong(system, variant, name, prepare): complaints
    for variant, name, prepare, complaints in (
        (SHELL, "stop", steady, ("the member is gone",)),
        (SHELL, "try-restart", steady, ("the member is gone",)),
        (SHELL, "rescue", steady, ("the member is gone",)),
        (WITHOUT_DROP_INS, "poweroff", slow, ("`kubeboot check`", "`kubeboot status`", "the local etcd ended")),
        (WITHOUT_ORDER, "poweroff", slow, ("the network ended", "the container runtime ended", "kubelet ended")),
    )
    # What the drop-ins are against is systemd's own doing.
    for system in _systems(variant == WITHOUT_DROP_INS)
}

AGAIN = [
    Case(f"{system}-looks-again", system, lambda bench, system=system: looks_again(bench, system), long=True)
    for system in VERSIONS
]

AGENTS = [
    Case(f"{system}-{name}", system, lambda bench, system=system, tell=tell: tell(bench, system), long=True)
    for name, tell in agents.AGENTS.items()
    # What order units end in is systemd's own doing.
    for system in _systems(name in ("agent-idle", "agent-leaving"))
]

VIRTUAL = [Case(name, vm_cases.ROOT, tell) for name, tell in vm_cases.IN_A_VM.items()]

ALL = {case.name: case for case in [*HOSTILE, *WAYS_DOWN, *TABLE, *WRONG, *AGAIN, *AGENTS, *VIRTUAL]}
