"""One machine: namespaces over a disk, with a power switch. See rootfs.sh for its root and init.py for its init."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from .standin import whole

HERE = Path(__file__).parent

# Seconds within which a machine is off, or something is wrong with this computer.
POWER_SECONDS = 20.0
# Seconds within which a machine is up: a hundred may boot at once on two cores.
BOOT_SECONDS = 120.0


def unshare() -> list[str]:
    """The command that starts another one in the namespaces of a machine."""
    # Without root, a user namespace makes us root of our own; with root, real root is more robust.
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--mount", "--pid", "--uts", "--fork", "--kill-child=SIGKILL"]


def why_not() -> str | None:
    """Why machines cannot be started here, with the remedy; None if they can. Found out by trying."""
    tried = subprocess.run([*unshare(), "true"], capture_output=True, text=True, timeout=POWER_SECONDS)
    if tried.returncode == 0:
        return None
    remedy = "a container needs CAP_SYS_ADMIN" if os.geteuid() == 0 else "run as root, or allow user namespaces"
    return f"{tried.stderr.strip()}: {remedy}"


class Machine:
    """`folder` holds disk/ (kept over power cuts), the files of the boot, and console.log.

    `tell(event)` gets what init says: a dictionary with time, event and more. `network` is the file of a network
    namespace of its own; None for the one of this process.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        env: dict[str, str],
        keep: list[Path],
        tell: Callable[[dict], None],
        network: Path | None = None,
    ):
        self.folder, self.name, self.env = folder, name, env
        self._keep, self._tell = keep, tell
        self._network = [f"--net={network}"] if network else []
        self._process: subprocess.Popen | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The host's number for the machine's init. Raises ValueError if it is off."""
        self._must_be_on()
        return int((self.folder / "pid").read_text())

    def boot(self, services: dict[str, dict]) -> None:
        """Starts the machine; returns once its init has started what starts at boot. Services are {name: {argv, restart, log, at_boot}},
        and `socket` of one that must listen there before the next is started.

        Raises RuntimeError with the console's last lines if it does not come up.
        """
        if self.is_on:
            raise ValueError(f"machine {self.name} is on already")
        boot = {"name": self.name, "env": self.env, "services": services}
        whole.write(self.folder / "boot.json", json.dumps(boot))
        (self.folder / "pid").unlink(missing_ok=True)
        whole.write(self.folder / "boot_id", f"{uuid.uuid4()}\n")
        with (self.folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=console, start_new_session=True
            )
        up = threading.Event()
        threading.Thread(
            target=self._listen, args=(self._process, up), name=f"console {self.name}", daemon=True
        ).start()
        if not up.wait(BOOT_SECONDS) or not self.is_on:
            self._process.kill()
            raise RuntimeError(f"machine {self.name} did not come up:\n{self.console_tail()}")

    def run(self, service: str) -> None:
        """Starts a service of the boot now. Raises ValueError if the machine is off."""
        self._must_be_on()
        self._process.stdin.write(f"{service}\n".encode())
        self._process.stdin.flush()

    def cut_power(self) -> None:
        """SIGKILL to init, and so to everything in its PID namespace; returns when nothing is left."""
        if self._process is None:
            return
        self.pull_the_plug()
        self._process.wait(POWER_SECONDS)

    def shut_down(self) -> None:
        """Presses the power button and waits; after a while the power goes anyway."""
        if self._signal_init(signal.SIGTERM):
            try:
                self._process.wait(POWER_SECONDS)
            except subprocess.TimeoutExpired:
                self.cut_power()

    def freeze(self) -> None:
        """Stops every process on the machine where it is, until `thaw`. Nothing to do if it is off."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        """Once more whenever a process was found that had not been there before."""
        told: set[int] = set()
        while fresh := self._processes() - told:
            for pid in fresh:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            told |= fresh

    def _processes(self) -> set[int]:
        """All of its PID namespace, by the host's numbers."""
        found = set()
        with contextlib.suppress(OSError, ValueError):
            space = os.readlink(f"/proc/{self.pid}/ns/pid")
            for name in filter(str.isdigit, os.listdir("/proc")):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{name}/ns/pid") == space:
                        found.add(int(name))
        return found

    def pull_the_plug(self) -> None:
        """The beginning of `cut_power`, which does not wait: for machines that shall lose it in the same moment."""
        self._signal_init(signal.SIGKILL)

    def _signal_init(self, number: signal.Signals) -> bool:
        """Of init, not of unshare: that one waits for init, and so its end is the end of all. False if the machine is off, or goes off meanwhile."""
        try:
            os.kill(self.pid, number)
        except (ProcessLookupError, ValueError):
            return False
        return True

    def enter(self, argv: list[str]) -> list[str]:
        """The command by which a process of this computer runs `argv` as this machine."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        namespaces = ["--mount", "--pid", "--uts", *self._network, *user, "--root", "--wd"]
        enter = ["nsenter", f"--target={self.pid}", *namespaces]
        return [*enter, "env", "-i", *(f"{name}={value}" for name, value in self.env.items()), *argv]

    def _must_be_on(self) -> None:
        if not self.is_on:
            raise ValueError(f"machine {self.name} is off. Start it: dev/world boot ID")

    def console_tail(self) -> str:
        text = (self.folder / "console.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-15:])

    def _command(self) -> list[str]:
        init = [sys.executable, "-I", str(HERE / "init.py"), str(self.folder / "boot.json")]
        network = ["nsenter", *self._network] if self._network else []
        return [*network, *unshare(), str(HERE / "rootfs.sh"), str(self.folder), *map(str, self._keep), "--", *init]

    def _listen(self, process: subprocess.Popen, up: threading.Event) -> None:
        """Passes on what init says until it is gone."""
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "up":
                up.set()
            self._tell(event)
        process.wait()
        up.set()
