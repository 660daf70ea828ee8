"""Hostile moments in which a machine goes down: what systemd, or a whole machine, is needed to see."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from world import objects
from world.account import PREFIX
from world.client import wait_until

from . import cgroups, clock
from .bench import LOOK, Bench
from .departure import DOWN_SECONDS, Departure, Outcome
from .full import FILL
from .machine import Machine
from .ways import WAYS, must

LEASE = f"{PREFIX}/control-plane/membership-lease.json"
BEAT_SECONDS = 0.5
SLOW_SECONDS = 2.0
JUMP_SECONDS = 5 * 3600
OFF = WAYS["poweroff"]

# Seconds after which etcd counts its members as connected: before, it refuses to remove one.
STEADY_SECONDS = 6.0


def graceful_termination(bench: Bench, system: str) -> Outcome:
    """Auto Scaling ends one of three: its target state is set, EC2 presses the button. Two healthy voters remain."""
    departure = Departure(bench, 1, system)
    steady(bench)
    bench.world.group.set_lifecycle(bench.node(1).id, "Terminating")
    bench.world.groups.set_ec2_state(bench.node(1).id, "shutting-down")
    stay = {bench.name(2), bench.name(3)}
    pressed, whole = time.monotonic(), []

    def count() -> None:
        wait_until(lambda: bench.voters(2) == stay and bench.voters(3) == stay, DOWN_SECONDS, LOOK)
        whole.append(time.monotonic() - pressed)

    counting = threading.Thread(target=count)
    counting.start()
    departure.go(WAYS["logind-poweroff"])
    departure.judge(leaves=True)
    counting.join()
    departure.outcome.must(bool(whole), "there were never two healthy voters")
    departure.outcome.told += f", two healthy voters after {whole[0]:.1f} s" if whole else ""
    return departure.outcome


def steady(_bench: Bench) -> None:
    """Waits until etcd's members have been connected for so long that it would remove one at once."""
    time.sleep(STEADY_SECONDS)


def lease_held(bench: Bench, system: str) -> Outcome:
    """Another machine holds the membership lease for minutes, and lives: a join under way."""
    departure = Departure(bench, 1, system)
    with _lease_held_by(bench, 3):
        departure.go(OFF)
    departure.judge(leaves=True)
    return departure.outcome


def dead_member(bench: Bench, system: str) -> Outcome:
    """One of the two others died and is terminated, its member still listed: etcd refuses a plain removal."""
    departure = Departure(bench, 1, system)
    _power_cut(bench, 3)
    bench.world.group.leave(bench.node(3).id)
    bench.world.groups.set_ec2_state(bench.node(3).id, "terminated")
    departure.go(OFF)
    departure.judge(leaves=True)
    departure.outcome.must(bench.voters(2) == {bench.name(2)}, f"the members are {bench.voters(2)}")
    return departure.outcome


def silent_member(bench: Bench, system: str) -> Outcome:
    """One of the two others does not answer, but EC2 shows it as running: without this member there is no quorum."""
    departure = Departure(bench, 1, system)
    _power_cut(bench, 3)
    departure.go(OFF)
    # Who stays is one of three and can say nothing, until the silent one is back.
    bench.node(3).boot(with_up=False)
    departure.judge(leaves=False)
    return departure.outcome


def endpoint_down(bench: Bench, system: str) -> Outcome:
    """The load balancer refuses everybody."""
    departure = Departure(bench, 1, system)
    bench.world.balancer.set_mode("none")
    departure.go(OFF)
    departure.judge(leaves=True)
    return departure.outcome


def two_at_once(bench: Bench, system: str) -> Outcome:
    """Two of three go down at the same moment: both leave, one after the other."""
    both = [Departure(bench, slot, system, asked=3) for slot in (1, 2)]
    threads = [threading.Thread(target=each.go, args=(OFF,)) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in both:
        each.judge(leaves=True)
    return _together(both)


def scale_in_to_one(bench: Bench, system: str) -> Outcome:
    """One after the other goes; the last voter stays, and has everything when it is back."""
    three = [Departure(bench, slot, system, asked=3) for slot in (1, 2, 3)]
    for each in three[:2]:
        each.go(OFF)
        each.judge(leaves=True)
    last = three[2]
    last.go(OFF)
    last.machine.boot()
    bench.wait_ready(3, last.machine)
    last.judge(leaves=False)
    last.outcome.must(bench.voters(3) == {bench.name(3)}, f"the members are {bench.voters(3)}")
    last.outcome.must(bench.has_node(3, 3), "its Node object is gone")
    return _together(three)


def killed(bench: Bench, system: str, signal: str) -> Outcome:
    """The command is killed in the middle, and the machine is switched on again: it is a healthy voter in the end."""
    departure = Departure(bench, 1, system)
    slow(bench)
    unit = departure.machine.unit
    _go_but(departure, lambda machine: machine.run("systemctl", "kill", "--kill-who=all", f"--signal={signal}", unit))
    bench.world.faults.clear(None)
    departure.machine.boot()
    bench.wait_ready(1, departure.machine)
    departure.judge(leaves=False)
    departure.outcome.must(bench.phase(1) == "joined", f"it is registered as {bench.phase(1)}")
    return departure.outcome


def slow(bench: Bench, seconds: float = SLOW_SECONDS) -> None:
    """Lets AWS take that long for every answer."""
    bench.world.faults.add(f"delay={seconds}")


def slow_aws(bench: Bench, system: str) -> Outcome:
    """AWS takes seconds for every answer: the unit runs long enough for systemd to stop what it wants to stop."""
    departure = Departure(bench, 1, system)
    slow(bench)
    departure.go(OFF)
    departure.judge(leaves=True)
    return departure.outcome


def up_at_work(bench: Bench, system: str) -> Outcome:
    """`kubeboot up` runs, and hangs, when the button is pressed."""
    departure = Departure(bench, 1, system)
    bench.world.faults.add("hang", action="DescribeAutoScalingGroups")
    must(departure.machine, "systemctl", "restart", "--no-block", "kubeboot.service")
    up = departure.machine.cgroup / "system.slice/kubeboot.service"
    wait_until(lambda: cgroups.is_populated(up))
    departure.go(OFF)
    departure.judge(leaves=True)
    return departure.outcome


def clock_jumps(bench: Bench, system: str, before: int, after: int) -> Outcome:
    """The clock is set in the middle of leaving; it was so many seconds ahead before, and is so many ahead then."""
    departure = Departure(bench, 1, system)
    clock.prepare(departure.machine, before)
    slow(bench)
    _go_but(departure, lambda machine: clock.set_ahead(machine, after))
    departure.judge(leaves=True)
    seen = clock.seen(departure.machine)
    departure.outcome.must(seen == {before, after}, f"`kubeboot reset` has seen clocks that are {seen} s ahead")
    return departure.outcome


def memory_full(bench: Bench, system: str) -> Outcome:
    """Not a byte fits into /run and /tmp any more."""
    departure = Departure(bench, 1, system)
    for folder in ("/run", "/tmp"):
        must(departure.machine, "sh", "-c", FILL, "sh", folder)
    departure.go(OFF)
    departure.judge(leaves=True)
    return departure.outcome


def disk_full(bench: Bench, system: str) -> Outcome:
    """Not a byte fits below /var/lib and into /etc/kubernetes any more: etcd may end of that, and nothing else."""
    departure = Departure(bench, 1, system)
    bench.fill_disk(1)
    departure.go(OFF, may_end=("the local etcd",))
    departure.judge(leaves=True)
    return departure.outcome


def unarmed(bench: Bench, system: str) -> Outcome:
    """The unit was stopped by hand and not started again, so systemd has nothing to stop: others must reap."""
    departure = Departure(bench, 1, system)
    departure.go(WAYS["stop"])
    departure.go(replace(OFF, runs=False))
    departure.judge(leaves=False)
    return departure.outcome


def without_up(bench: Bench, system: str) -> Outcome:
    """Nobody runs `kubeboot up` at this boot: the unit is armed by systemd alone."""
    departure = Departure(bench, 1, system)
    must(departure.machine, "systemctl", "disable", "kubeboot.service")
    departure.machine.cut_power()
    departure.machine.boot()
    bench.wait_ready(1, departure.machine, up=False)
    departure.go(OFF)
    departure.judge(leaves=True)
    return departure.outcome


MOMENTS: dict[str, Callable[[Bench, str], Outcome]] = {
    "graceful-termination": graceful_termination,
    "lease-held-by-another": lease_held,
    "dead-member-about": dead_member,
    "silent-member-about": silent_member,
    "endpoint-down": endpoint_down,
    "two-at-once": two_at_once,
    "scale-in-to-one": scale_in_to_one,
    "killed-by-SIGTERM": lambda bench, system: killed(bench, system, "TERM"),
    "killed-by-SIGKILL": lambda bench, system: killed(bench, system, "KILL"),
    "slow-aws": slow_aws,
    "up-at-work": up_at_work,
    "clock-jumps-forward": lambda bench, system: clock_jumps(bench, system, 0, JUMP_SECONDS),
    "clock-jumps-back": lambda bench, system: clock_jumps(bench, system, JUMP_SECONDS, 0),
    "memory-full": memory_full,
    "disk-full": disk_full,
    "unarmed": unarmed,
    "without-up": without_up,
}

# Those in which the systemd might matter; of the others each is told on one.
ON_EVERY_SYSTEMD = ("graceful-termination", "slow-aws")


def _go_but(departure: Departure, happens: Callable[[Machine], object]) -> None:
    """Lets the machine go down, and something happen to it a second after its unit has begun to leave."""
    unit = departure.machine.cgroup / "system.slice" / departure.machine.unit

    def wait() -> None:
        wait_until(lambda: cgroups.is_populated(unit), DOWN_SECONDS)
        time.sleep(1)
        happens(departure.machine)

    waiting = threading.Thread(target=wait)
    waiting.start()
    departure.go(OFF)
    waiting.join()


def _power_cut(bench: Bench, slot: int) -> None:
    bench.node(slot).machine.cut_power()


@contextmanager
def _lease_held_by(bench: Bench, slot: int) -> Iterator[None]:
    """The machine in that slot holds the membership lease, and beats."""
    over = threading.Event()

    def beat() -> None:
        holder, beats = {"instance": bench.node(slot).id, "nonce": str(uuid.uuid4()), "purpose": "join"}, 0
        while not over.is_set():
            objects.put(LEASE, json.dumps({"schema": 1, "holder": holder, "beat": beats}).encode())
            beats += 1
            over.wait(BEAT_SECONDS)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()


def _together(departures: list[Departure]) -> Outcome:
    """Several outcomes as one."""
    return Outcome(
        wrong=[f"machine {each.slot}: {wrong}" for each in departures for wrong in each.outcome.wrong],
        told=", ".join(f"machine {each.slot} {each.outcome.told}" for each in departures),
        console="\n".join(f"machine {each.slot}:\n{each.outcome.console}" for each in departures),
    )
