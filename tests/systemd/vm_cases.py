"""What only a machine of its own kernel can show: the power button, kexec, and a clock that jumps."""

import itertools
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from world.client import wait_until

from . import layers
from .bench import LOOK, READY_SECONDS, Bench
from .departure import SETTLE_SECONDS, Outcome
from .hostile import slow, steady
from .network import run
from .vm import BOOT_SECONDS, Vm, is_accelerated

ROOT = "vm"

# Seconds after which the clock jumps: with slow AWS the two questions are not answered by then.
JUMP_AFTER = 3
_numbers = itertools.count(1)


def button_at_termination(bench: Bench) -> Outcome:
    """Auto Scaling ends the instance: EC2 presses the button."""
    vm, outcome = _vm(bench), Outcome()
    steady(bench)
    bench.world.group.set_lifecycle(bench.node(1).id, "Terminating")
    bench.world.groups.set_ec2_state(bench.node(1).id, "shutting-down")
    pressed = time.monotonic()
    vm.press()
    stay = {bench.name(2), bench.name(3)}
    wait_until(lambda: bench.voters(2) == stay and bench.voters(3) == stay, BOOT_SECONDS, LOOK)
    whole = time.monotonic() - pressed
    _must_have_left(bench, vm, outcome)
    how = "" if is_accelerated() else ", emulated"
    outcome.told += f", two healthy voters {whole:.1f} s after the power button{how}"
    return _with_console(outcome, vm)


def button_at_a_stop(bench: Bench) -> Outcome:
    """An operator stops the instance overnight: EC2 presses the same button."""
    vm, outcome = _vm(bench), Outcome()
    bench.world.groups.set_ec2_state(bench.node(1).id, "stopping")
    vm.press()
    outcome.must(vm.is_off_within(BOOT_SECONDS), "the machine is still on")
    _must_be_member(bench, outcome)
    return _with_console(outcome, vm)


def clock_jumps(bench: Bench, before: str, jump: str) -> Outcome:
    """The clock is set by hours in the middle of leaving, and before the machine goes down: no budget counts on it."""
    vm, outcome = _vm(bench), Outcome()
    outcome.must(vm.run("date", "-s", before).returncode == 0, "the clock cannot be set")
    slow(bench)
    later = f"sleep {JUMP_AFTER}; date -s '{jump}'"
    started = vm.run("systemd-run", "--unit=jump", "-p", "DefaultDependencies=no", "sh", "-c", later)
    outcome.must(started.returncode == 0, started.stderr)
    vm.press()
    _must_have_left(bench, vm, outcome)
    return _with_console(outcome, vm)


def reboot(bench: Bench) -> Outcome:
    """A reboot, by the firmware."""
    return _comes_back(bench, ["systemctl", "reboot"])


def kexec(bench: Bench) -> Outcome:
    """Another kernel is loaded, and jumped into."""
    load = "kexec --load /boot/vmlinuz-* --initrd=$(ls /boot/initrd.img-*) --reuse-cmdline && systemctl kexec"
    return _comes_back(bench, ["sh", "-c", load])


def reboot_with_a_kernel_loaded(bench: Bench) -> Outcome:
    """Another kernel is loaded, and an ordinary reboot asked for."""
    load = "kexec --load /boot/vmlinuz-* --initrd=$(ls /boot/initrd.img-*) --reuse-cmdline && systemctl reboot"
    return _comes_back(bench, ["sh", "-c", load])


IN_A_VM: dict[str, Callable[[Bench], Outcome]] = {
    "vm-power-button-at-termination": button_at_termination,
    "vm-power-button-at-a-stop": button_at_a_stop,
    "vm-clock-jumps-forward": lambda bench: clock_jumps(bench, "now", "+5 hours"),
    "vm-clock-jumps-back": lambda bench: clock_jumps(bench, "+5 hours", "-5 hours"),
    "vm-reboot": reboot,
    "vm-kexec": kexec,
    "vm-reboot-with-a-kernel-loaded": reboot_with_a_kernel_loaded,
}


def _vm(bench: Bench) -> Vm:
    """The machine of slot 1 as a virtual one, booted, a healthy voter, armed."""
    slot, number = 1, next(_numbers)
    folder = bench.folder / f"vm-{number}"
    for name in ("upper", "work", "tree"):
        (folder / name).mkdir(parents=True)
    lower, inside = bench.prepare(slot, ROOT, layers.REAL, folder / "upper/etc")
    tree = folder / "tree"
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    run(["mount", "-n", "-t", "overlay", "-o", options, "vm", str(tree)])
    for source, target in inside.items():
        _copy(source, tree / target.lstrip("/"))
    _copy(layers.IMAGE / "bench-agent", tree / "usr/local/bin/bench-agent")
    layers.enable(tree, ["bench-agent.service"])
    vm = Vm(folder / "machine", tree, bench.node(slot).address, bench.tap(), layers.UNIT)
    run(["umount", "-n", str(tree)])
    bench.own(vm)
    vm.boot()
    _wait_ready(bench, vm)
    return vm


def _wait_ready(bench: Bench, vm: Vm) -> None:
    vm.wait_until(lambda: bench.is_voter(1), "its etcd is a voter")
    for unit in (layers.UP, vm.unit):
        active = ("systemctl", "is-active", "--quiet", unit)
        vm.wait_until(lambda active=active: vm.run(*active).returncode == 0, f"{unit} is up")


def _comes_back(bench: Bench, argv: list[str]) -> Outcome:
    vm, outcome = _vm(bench), Outcome()
    first = vm.boot_id()
    vm.run(*argv)
    vm.wait_until(lambda: vm.boot_id() not in ("", first), "it has booted again", BOOT_SECONDS)
    _wait_ready(bench, vm)
    _must_be_member(bench, outcome)
    return _with_console(outcome, vm)


def _must_be_member(bench: Bench, outcome: Outcome, member: bool = True) -> None:
    wait_until(lambda: bench.voters(2) is not None, SETTLE_SECONDS + READY_SECONDS)
    found = bench.name(1) in bench.voters(2)
    outcome.must(found == member, f"the member is {'still there' if found else 'gone'}")
    outcome.told = "stayed" if found else "left"


def _must_have_left(bench: Bench, vm: Vm, outcome: Outcome) -> None:
    """All of it: member, Node and registration. How long that took is told by the machine's own clock."""
    outcome.must(vm.is_off_within(BOOT_SECONDS), "the machine is still on")
    _must_be_member(bench, outcome, member=False)
    outcome.must(not bench.has_node(1, 2), "its Node object is still there")
    outcome.must(bench.phase(1) == "left", f"it is registered as {bench.phase(1)}")
    said = re.search(r"left the cluster in ([0-9.]+ m?s)", vm.console(300))
    outcome.must(said is not None, "it does not say that it left")
    outcome.told += f" in {said[1]} by its own clock" if said else ""


def _with_console(outcome: Outcome, vm: Vm) -> Outcome:
    outcome.console = vm.console(120)
    return outcome


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
