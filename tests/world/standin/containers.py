"""The containers of a node: etcd and the API server as processes, the two others as health endpoints.

All of them die with the supervisor, by the kernel's own doing, so that a power cut is one kill.
"""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import manifests, mounts, node

BACK_OFF = (0.1, 5.0)  # seconds before the first and at most before a later restart
STEADY = 10.0  # seconds after which a container counts as healthy again
STOP_TIMEOUT = 5.0  # seconds between SIGTERM and SIGKILL
GRACE = 30.0  # seconds that kubelet leaves a pod whose manifest is gone; an API server takes them all
PR_SET_PDEATHSIG = 1
RELEASE_FLAG = "standin-release"  # tells an API server the release that its image is of
# Flags that etcd before 3.6 calls otherwise; README.md lists what else differs.
OLD_ETCD_FLAGS = {
    "--feature-gates=InitialCorruptCheck=true": "--experimental-initial-corrupt-check=true",
    "--watch-progress-notify-interval=": "--experimental-watch-progress-notify-interval=",
}
_libc = ctypes.CDLL(None)


def die_with_parent():
    """Called in a child before its program: it ends when the thread that started it does."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def new_ident():
    """What the runtime calls a container or a sandbox."""
    return os.urandom(32).hex()


def local(argument):
    """An argument of a manifest as this node can use it: its own loopback address, its own files."""
    argument = argument.replace("//127.0.0.1:", f"//{node.loopback()}:")
    return re.sub(r"=(?=/(etc|var|run)/)", "=" + node.path(""), argument)


def _old_etcd():
    text = subprocess.run(["etcd", "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    return tuple(int(part) for part in re.search(r"(\d+)\.(\d+)", text).groups()) < (3, 6)


def command_line(pod):
    """The real command line of a pod's container. Raises OSError when the program or a file is missing."""
    program, *given = pod["spec"]["containers"][0]["command"]
    if program == "kube-apiserver":
        release = f"--{RELEASE_FLAG}={pod['spec']['containers'][0]['image'].rpartition(':')[2]}"
        return [sys.executable, "-m", f"{__package__}.apiserver", *mounts.api_server_arguments(pod, given), release]
    arguments = [local(each) for each in given]
    found = shutil.which(program)
    if not found:
        raise FileNotFoundError(f"{program}: not on PATH; install the package etcd-server")
    if program == "etcd" and _old_etcd():
        for new, old in OLD_ETCD_FLAGS.items():
            arguments = [each.replace(new, old, 1) if each.startswith(new) else each for each in arguments]
    late = node.setting("STANDIN_ETCD_LATE")
    if program == "etcd" and late and "--initial-cluster-state=existing" in arguments:
        return [sys.executable, "-m", f"{__package__}.late", late, found, *arguments]
    return [found, *arguments]


def _runtime(name):
    """What starts a container's program, where the node has more of a container runtime than a process."""
    runtime = node.setting("STANDIN_RUNTIME")
    return [runtime, name] if runtime else []


def what_runs(pod):
    """The image and the command line of a pod: kubelet replaces a container that runs another one."""
    container = pod["spec"]["containers"][0]
    return container.get("image"), container["command"]


class Process:
    """A container that is a process, restarted with a back-off when it ends by itself."""

    def __init__(self, name, pod):
        self.name, self._pod, self.runs = name, pod, what_runs(pod)
        self.command = pod["spec"]["containers"][0]["command"]
        self.sandbox, self.ident, self.created = new_ident(), "", 0
        self.restarts, self._delay, self._due = 0, BACK_OFF[0], 0.0
        self._process, self._started, self._leaves_by = None, 0.0, 0.0

    def leave(self):
        """Called at every look while no manifest wants it; whether it is gone. An API server serves on for as long as it may."""
        if not self.running():
            return True
        if self.name != "kube-apiserver":
            self.stop()
            return True
        self._leaves_by = self._leaves_by or time.monotonic() + GRACE
        if time.monotonic() >= self._leaves_by:
            self.stop(0)
        return not self.running()

    def leaves(self):
        """Whether it was told to end. Until it has, nothing takes its place."""
        return bool(self._leaves_by)

    def tick(self):
        """Starts what should run and does not. Called by the main thread only: children die with their thread."""
        if self._process and self._process.poll() is None:
            return
        now = time.monotonic()
        if self._process:
            self._ended(now)
        elif now >= self._due:
            self._started, self.ident, self.created = now, new_ident(), time.time_ns()
            self._start()

    def _ended(self, now):
        self._process, self.restarts = None, self.restarts + 1
        if now - self._started > STEADY:
            self._delay = BACK_OFF[0]
        self._due, self._delay = now + self._delay, min(self._delay * 2, BACK_OFF[1])

    def _start(self):
        folder = node.path("/run/standin/logs")
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{self.name}.log", "a", encoding="utf-8") as log:
            try:
                self._process = subprocess.Popen(
                    [*_runtime(self.name), *command_line(self._pod)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    preexec_fn=die_with_parent,
                    start_new_session=True,
                )
            except OSError as error:
                log.write(f"{error}\n")
                self._ended(self._started)

    def stop(self, patience=STOP_TIMEOUT):
        """Ends the process: politely, and after `patience` seconds not; at once if that is 0."""
        if self._process and self._process.poll() is None:
            try:
                if patience > 0:
                    self._process.terminate()
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def running(self):
        """Whether the process is there now."""
        return bool(self._process) and self._process.poll() is None


class _Ok(BaseHTTPRequestHandler):
    def do_GET(self):
        """Always well."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        """Nothing."""


class Health:
    """Something that only has to answer "ok": the kubelet's own ports, the controller manager, the scheduler."""

    def __init__(self, name, *places):
        self.name, self.command, self.restarts = name, [name], 0
        self.sandbox, self.ident, self.created = new_ident(), "", 0
        self._places, self._servers = places, []

    def tick(self):
        """Listens, if it does not yet. A port that is taken is tried again at the next tick."""
        for place in self._places[len(self._servers) :]:
            try:
                server = ThreadingHTTPServer(place, _Ok)
            except OSError:
                return
            server.daemon_threads = True
            if not self._servers:
                self.ident, self.created = new_ident(), time.time_ns()
            self._servers.append(server)
            threading.Thread(target=_serve, args=(server,), daemon=True).start()

    def stop(self, _patience=0):
        """Closes the ports."""
        for server in self._servers:
            server.socket.shutdown(socket.SHUT_RDWR)
            server.server_close()
        self._servers = []

    def leave(self):
        """Called when no manifest wants it; it is gone at once."""
        self.stop()
        return True

    @staticmethod
    def leaves():
        """It never takes time to end."""
        return False

    def running(self):
        """Whether every port is open."""
        return len(self._servers) == len(self._places)


def _serve(server):
    """Answers until the port is closed, and costs nothing while nobody asks: there are many of these."""
    with contextlib.suppress(OSError, ValueError):
        while server.fileno() >= 0:
            server.handle_request()


def container(pod):
    """The container of a static pod."""
    name, command = pod["metadata"]["name"], pod["spec"]["containers"][0]["command"]
    ports = {"kube-controller-manager": "10257", "kube-scheduler": "10259"}
    if name in ports:
        port = int(manifests.flags(command).get("secure-port", ports[name]))
        made = Health(name, (node.loopback(), port))
        made.command, made.runs = command, what_runs(pod)
        return made
    return Process(name, pod)
