"""A machine whose PID 1 is a real systemd, in namespaces of its own over a Debian root."""

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

from world.standin import whole

from . import cgroups

HERE = Path(__file__).parent
NAMESPACES = ("--cgroup", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child=SIGKILL")

# Seconds within which a machine is up, or gone once its power is cut; else something is wrong with this computer.
POWER_SECONDS = 30.0
COMMAND_SECONDS = 60.0

# How the kernel ends PID 1 of a namespace that calls reboot(2), and so how unshare(1) ends.
ENDS = {-signal.SIGHUP: "reboot", -signal.SIGINT: "off"}


class Machine:
    """`folder` gets the overlay; `lower` names the layers below it; `binds` is {outside: inside}.

    `unit` is the one that acts when the machine goes down.
    """

    def __init__(self, folder: Path, cgroup: Path, network: Path, lower: list[Path], binds: dict[Path, str], unit: str):
        self.folder, self.cgroup, self.unit, self._network, self._lower = folder, cgroup, unit, network, lower
        for name in ("upper", "work", "root"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        whole.write(folder / "binds", "".join(f"{source} {target}\n" for source, target in binds.items()))
        self._process: subprocess.Popen | None = None
        self._console: list[str] = []

    def boot(self) -> None:
        """Power on: returns once PID 1 runs; `run` may be used from then on. Raises RuntimeError if it does not."""
        (self.folder / "pid").unlink(missing_ok=True)
        cgroups.empty(self.cgroup)
        whole.write(self.folder / "boot_id", f"{uuid.uuid4()}\n")
        master, slave = pty.openpty()
        boot = [str(HERE / "image/boot.sh"), str(self.folder), os.ttyname(slave), ":".join(map(str, self._lower))]
        # The shell moves itself into the cgroup first, so that this is the root of the machine's cgroup namespace.
        enter = f'echo 0 >"{self.cgroup}/cgroup.procs" && exec "$@"'
        self._process = subprocess.Popen(
            ["sh", "-c", enter, "sh", "nsenter", f"--net={self._network}", "unshare", *NAMESPACES, *boot],
            stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        threading.Thread(target=self._listen, args=(master,), name="console", daemon=True).start()
        self.wait_until(self._manager_answers, "systemd answers")

    @property
    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The bench's number for the machine's PID 1."""
        return int((self.folder / "pid").read_text())

    def signal(self, number: int) -> None:
        """Sends PID 1 a signal, as the kernel or an operator would."""
        os.kill(self.pid, number)

    def run(self, *argv: str, seconds: float = COMMAND_SECONDS) -> subprocess.CompletedProcess:
        """Runs a command as root inside; its exit code is the caller's to judge. After `seconds` it is killed: 124."""
        try:
            return subprocess.run(self._inside(argv), capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 124, "", f"did not end within {seconds:g} s")

    def start(self, *argv: str) -> subprocess.Popen:
        """Starts a command as root inside and does not wait for it; it ends with the machine."""
        return subprocess.Popen(
            self._inside(argv), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def wait_until(self, true, what: str, seconds: float = POWER_SECONDS, pause: float = 0.01) -> None:
        """Waits for a condition, looking after every `pause`.

        Raises RuntimeError with the console's end if the machine ends or time runs out.
        """
        end = time.monotonic() + seconds
        while not true():
            if not self.is_on or time.monotonic() > end:
                how = "it went off" if not self.is_on else f"not within {seconds:g} s"
                raise RuntimeError(f"waited until {what}: {how}; console:\n{self.console(40)}")
            time.sleep(pause)

    def ended(self, seconds: float) -> str | None:
        """How the machine went down: "off" or "reboot"; None if it is still on after `seconds`."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return ENDS.get(code, f"PID 1 ended with {code}")

    def cut_power(self) -> None:
        """SIGKILL to PID 1, and so to everything inside. The disk stays as it is."""
        if self.is_on:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
                os.kill(self.pid, signal.SIGKILL)
            try:
                self._process.wait(POWER_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        cgroups.empty(self.cgroup)

    def destroy(self) -> None:
        """The end of the machine and of everything that it left on this computer."""
        self.cut_power()
        cgroups.remove(self.cgroup)
        shutil.rmtree(self.folder, ignore_errors=True)

    def console(self, lines: int) -> str:
        """The last lines of the console, over all boots."""
        return "\n".join("".join(self._console).replace("\r", "").splitlines()[-lines:])

    def _inside(self, argv: tuple[str, ...]) -> list[str]:
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return ["nsenter", f"--target={self.pid}", "--all", "--wd=/", "env", "-i", path, "HOME=/root", *argv]

    def _manager_answers(self) -> bool:
        return (self.folder / "pid").exists() and Path(f"/proc/{self.pid}/root/run/systemd/private").is_socket()

    def _listen(self, master: int) -> None:
        """Keeps what the console says until nobody has it open any more."""
        with contextlib.suppress(OSError):
            while data := os.read(master, 65536):
                self._console.append(data.decode(errors="replace"))
        os.close(master)
