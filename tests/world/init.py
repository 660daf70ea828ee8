"""PID 1 of a machine: starts what systemd and cloud-init would start, reaps, and ends when the world does.

Run as `python -I init.py BOOT_FILE`. Standard input is a pipe from the world: a line names a service to start, or to stop if
there is a minus before it, the end of it is the world's end, and the machine's. Standard output tells the world, in JSON lines, what happened. Little is
imported, so that a boot is quick.
"""

import json
import os
import select
import signal
import socket
import sys
import time

# Nothing of this folder is found by itself, and the package around it would import far too much.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "standin"))
import whole

# Seconds from the request to power off until the power goes.
SHUTDOWN_SECONDS = 10.0
RESTART_SECONDS = 1.0
# The longest that a service may take to listen; what needs it is started all the same then.
LISTEN_SECONDS = 60.0


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        boot = json.load(file)
    socket.sethostname(boot["name"])
    os.environ.clear()
    os.environ.update(boot["env"])
    whole.write("/run/standin.env", "".join(f"{name}={value}\n" for name, value in boot["env"].items()))
    runtime = _listen_as_container_runtime()
    machine = Machine(boot)
    machine.run()
    runtime.close()


def _listen_as_container_runtime() -> socket.socket:
    """kubeadm and kubeboot look for the socket of a container runtime; nobody speaks through it."""
    os.makedirs("/run/containerd", exist_ok=True)
    runtime = socket.socket(socket.AF_UNIX)
    runtime.bind("/run/containerd/containerd.sock")
    runtime.listen(64)
    return runtime


def tell(event: str, **fields) -> None:
    print(json.dumps({"time": time.time(), "event": event, **fields}), flush=True)


class Machine:
    """The processes that init has started, and what to do when one ends."""

    def __init__(self, boot: dict):
        self.boot = boot
        self.services: dict[int, str] = {}
        self.restart_at: dict[str, float] = {}
        self.stopped: set[str] = set()
        self.off_at: float | None = None

    def run(self) -> None:
        """Serves until the world is gone or the machine is told to go down and everything has ended."""
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, self._take)
        for name, service in self.boot["services"].items():
            if service["at_boot"]:
                self._start(name)
                _wait_for(service.get("socket"))
        tell("up")
        while not self._is_off():
            ready, _, _ = select.select([0, read], [], [], self._pause())
            if 0 in ready and not self._obey():
                return
            if read in ready:
                os.read(read, 4096)
            self._reap()
            self._restart()

    def _obey(self) -> bool:
        """Starts and stops the services that the world names; False at the end of its pipe."""
        words = os.read(0, 4096).decode().split()
        for name in words:
            if name.startswith("-"):
                self._stop(name[1:])
            elif name not in self.services.values():
                self._start(name)
        return bool(words)

    def _take(self, number: int, _frame) -> None:
        """SIGTERM is the power button: everybody is asked to end."""
        if number == signal.SIGTERM and self.off_at is None:
            self.off_at = time.monotonic() + SHUTDOWN_SECONDS
            try:
                os.kill(-1, signal.SIGTERM)
            except ProcessLookupError:
                self.off_at = time.monotonic()

    def _is_off(self) -> bool:
        return self.off_at is not None and (time.monotonic() >= self.off_at or _alone())

    def _pause(self) -> float | None:
        if self.off_at is not None:
            return 0.05
        waiting = self.restart_at.values()
        return max(0.0, min(waiting) - time.monotonic()) if waiting else None

    def _start(self, name: str) -> None:
        self.stopped.discard(name)
        service = self.boot["services"][name]
        log = os.open(service["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        null = os.open("/dev/null", os.O_RDONLY)
        streams = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        pid = os.posix_spawnp(service["argv"][0], service["argv"], os.environ, file_actions=streams, setsid=True)
        self.services[pid] = name
        os.close(log)
        os.close(null)
        tell("started", service=name)

    def _stop(self, name: str) -> None:
        """SIGTERM to a service, which is not started again by itself."""
        self.stopped.add(name)
        self.restart_at.pop(name, None)
        for pid in [pid for pid, service in self.services.items() if service == name]:
            os.kill(pid, signal.SIGTERM)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self.services.pop(pid, None)
            if name:
                tell("ended", service=name, exit=os.waitstatus_to_exitcode(status))
                if self.boot["services"][name]["restart"] and name not in self.stopped and self.off_at is None:
                    self.restart_at[name] = time.monotonic() + RESTART_SECONDS

    def _restart(self) -> None:
        for name in [name for name, due in self.restart_at.items() if due <= time.monotonic()]:
            del self.restart_at[name]
            self._start(name)


def _wait_for(path: str | None) -> None:
    """Until somebody listens at this socket, if it is one: what is started next is ordered after it, as by systemd."""
    end = time.monotonic() + LISTEN_SECONDS
    while path and time.monotonic() < end:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(path) == 0:
                return
        time.sleep(0.01)


def _alone() -> bool:
    """Whether no other process is left in this PID namespace."""
    return [name for name in os.listdir("/proc") if name.isdigit()] == ["1"]


if __name__ == "__main__":
    main()
