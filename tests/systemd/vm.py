"""A machine of its own kernel: qemu, emulated, with a real ACPI power button. Slow, so only `dev/test --vm` uses it."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .network import run

# Emulated, a boot takes half a minute, going down as long; beside others on a busy computer minutes.
BOOT_SECONDS = 900.0
COMMAND_SECONDS = 60.0
# Between two looks: most of them are a command, which keeps an emulated processor busy.
LOOK_SECONDS = 0.5
AGENT_PORT = 9999
MEMORY = "1024"
ACCELERATED = ("-machine", "q35,accel=kvm", "-smp", "2")
# The machine's clock counts instructions, two nanoseconds for each, however long this computer takes to emulate one. By
# our own clock every handshake would take seconds, and every deadline of kubeboot's would be over first.
EMULATED = ("-machine", "q35,accel=tcg", "-icount", "shift=1,sleep=on")
DISK_SIZE = "3G"
KERNEL_LINE = "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet systemd.show_status=false"


def is_accelerated() -> bool:
    """Whether the processor itself runs virtual machines; a /dev/kvm alone may be for kernels of its own kind."""
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    has = flags is not None and not {"vmx", "svm"}.isdisjoint(flags[1].split())
    return has and os.access("/dev/kvm", os.R_OK | os.W_OK)


class Vm:
    """`folder` is new and gets the disk image of `tree`, which has a kernel; `port` is the machine's bridge port."""

    def __init__(self, folder: Path, tree: Path, address: str, port: str, unit: str):
        self.folder, self.unit, self._address, self._port = folder, unit, address, port
        folder.mkdir(parents=True)
        self._kernel = _only(tree / "boot", "vmlinuz-*", folder)
        self._initrd = _only(tree / "boot", "initrd.img-*", folder)
        run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(folder / "disk"), DISK_SIZE], seconds=BOOT_SECONDS)
        self._process: subprocess.Popen | None = None

    def boot(self) -> None:
        """Power on; returns when a command can be run inside. Raises RuntimeError if that takes too long."""
        self._process = subprocess.Popen(
            [
                "qemu-system-x86_64", "-nodefaults", "-display", "none", "-cpu", "max", "-m", MEMORY,
                *(ACCELERATED if is_accelerated() else EMULATED),
                "-kernel", self._kernel, "-initrd", self._initrd, "-append", KERNEL_LINE,
                "-drive", f"file={self.folder / 'disk'},format=raw,if=virtio",
                "-netdev", f"tap,id=net,ifname={self._port},script=no,downscript=no",
                "-device", "virtio-net,netdev=net",
                "-chardev", f"file,id=serial,path={self.folder / 'serial'},append=on", "-serial", "chardev:serial",
                "-qmp", f"unix:{self.folder / 'qmp'},server=on,wait=off",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=(self.folder / "qemu.log").open("ab"),
        )  # fmt: skip
        self.wait_until(lambda: self.run("true").returncode == 0, "it takes commands", BOOT_SECONDS)

    @property
    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def press(self) -> None:
        """The power button."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(COMMAND_SECONDS)
            monitor.connect(str(self.folder / "qmp"))
            lines = monitor.makefile("rw")
            for command in ("qmp_capabilities", "system_powerdown"):
                lines.write(json.dumps({"execute": command}) + "\n")
                lines.flush()
            # The greeting, and an answer for each.
            for _ in range(3):
                lines.readline()

    def run(self, *argv: str) -> subprocess.CompletedProcess:
        """Runs a command as root inside, by the agent there; exit code 255 if that does not answer."""
        try:
            with socket.create_connection((self._address, AGENT_PORT), COMMAND_SECONDS) as link:
                link.sendall(json.dumps(argv).encode() + b"\n")
                answer = json.loads(link.makefile().readline())
        except (OSError, ValueError) as error:
            return subprocess.CompletedProcess(argv, 255, "", str(error))
        return subprocess.CompletedProcess(argv, answer["exit"], answer["out"], answer["err"])

    def wait_until(self, true: Callable[[], bool], what: str, seconds: float = BOOT_SECONDS) -> None:
        """Waits for a condition. Raises RuntimeError with the console's end if the machine ends or time runs out."""
        end = time.monotonic() + seconds
        while not true():
            if not self.is_on or time.monotonic() > end:
                how = "it went off" if not self.is_on else f"not within {seconds:g} s"
                log = (self.folder / "qemu.log").read_text(errors="replace")
                raise RuntimeError(f"waited until {what}: {how}; {log}; console:\n{self.console(40)}")
            time.sleep(LOOK_SECONDS)

    def is_off_within(self, seconds: float) -> bool:
        """Waits for qemu to end: the power is off."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.is_on

    def boot_id(self) -> str:
        """What tells one boot from another; empty while nobody answers."""
        return self.run("cat", "/proc/sys/kernel/random/boot_id").stdout.strip()

    def console(self, lines: int) -> str:
        """The last lines of the serial console, over all boots."""
        text = (self.folder / "serial").read_text(errors="replace") if (self.folder / "serial").exists() else ""
        return "\n".join(text.replace("\r", "").splitlines()[-lines:])

    def destroy(self) -> None:
        """Cuts the power and deletes the disk."""
        if self._process:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder)


def _only(folder: Path, pattern: str, target: Path) -> str:
    """The one file that fits, copied to where qemu may read it as long as it runs."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise RuntimeError(f"{folder} has {len(found)} files {pattern}, not one")
    return shutil.copy(found[0], target)
