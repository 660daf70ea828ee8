"""The stand-in kubelet: a supervisor that lives from boot to power cut and plays systemd, containerd and kubelet.

Before each start of the service, that of the boot included, the ExecStartPre= lines of its drop-ins run. As the real kubelet
it then restarts in vain until kubeadm has written its configuration, and follows the static-pod manifests. Stopping the
service leaves the containers running, and what is stopped by then stays so; while it runs, it starts again whatever ended.
"""

import os
import queue
import signal
import socket
import sys
import threading
import time

from . import containers, control, faults, manifests, node, registrar, runtime, starting

TICK = 0.1  # seconds between two looks at the manifest folder
SHORT_TICK = 0.01  # seconds between two looks at a command before kubelet, which somebody waits for
CONFIG = "/var/lib/kubelet/config.yaml"
CRI_SOCKET = "/run/containerd/containerd.sock"


class Supervisor:
    """State of one node: is the runtime up, is the service wanted, is it running, which containers are there."""

    def __init__(self):
        self.runtime, self.wanted, self.registrar = True, True, None
        # The start that is under way, and who waits for its end; where a real systemd has started us, it has run those
        # commands itself.
        self._prepared = "INVOCATION_ID" in os.environ
        self.starting, self._waiting = None if self._prepared else starting.Starting(), []
        self._again_at, self._problem = 0.0, None
        self.containers = {}
        self.ports = containers.Health("kubelet", (node.loopback(), 10248), (node.address(), 10250))
        self.requests = queue.Queue()
        self._cri = None

    def run(self):
        """For ever."""
        self._open_runtime()
        control.serve(self.requests)
        while True:
            self._tick()
            try:
                request, answer = self.requests.get(timeout=SHORT_TICK if self.starting else TICK)
            except queue.Empty:
                continue
            told = self._carry_out(**request)
            if self.starting and request["verb"] in ("start", "restart") and not request.get("no_block"):
                self._waiting.append(answer)
            else:
                answer(told)

    def _tick(self):
        if self.wanted and not self.registrar:
            self._start()
        if self.registrar:
            self.ports.tick()
            if self.runtime:
                self._follow_manifests()

    def _start(self):
        """One step of the service's way up: kubelet runs once all commands before it have ended well."""
        if not self.starting and self._configured() and time.monotonic() >= self._again_at:
            if self._ends():
                return
            if self._prepared:
                self._prepared, self.registrar = False, registrar.Registrar()
                return
            self.starting = starting.Starting()
        if not self.starting:
            return
        self.starting.tick()
        if self.starting.over:
            failed, self._again_at, self.starting = self.starting.failed, self.starting.again_at, None
            if not failed and self._configured() and not self._ends():
                self.registrar = registrar.Registrar()
            self._tell_who_waits("failed" if failed else None)

    def _ends(self):
        """Whether kubelet ends as soon as it is started, as it does over a configuration that it refuses."""
        said = faults.kubelet() or registrar.refused_labels()
        if said:
            self._again_at = time.monotonic() + starting.RESTART
            os.makedirs(node.path("/run/standin/journal"), exist_ok=True)
            with open(node.path("/run/standin/journal/kubelet"), "a", encoding="utf-8") as journal:
                journal.write(f'E0101 00:00:00.000000 1 run.go:72] "command failed" err="{said}"\n')
        return bool(said)

    def _tell_who_waits(self, problem):
        self._problem = problem
        for answer in self._waiting:
            answer(self._states())
        self._waiting = []

    @staticmethod
    def _configured():
        identity = (registrar.KUBELET_CONF, registrar.BOOTSTRAP_CONF)
        return os.path.exists(node.path(CONFIG)) and any(os.path.exists(node.path(each)) for each in identity)

    def _follow_manifests(self):
        pods = {pod["metadata"]["name"]: pod for pod in manifests.read_all().values()}
        for name, running in list(self.containers.items()):
            if name not in pods or running.leaves():
                if running.leave():
                    self.containers.pop(name)
            elif running.runs != containers.what_runs(pods[name]):
                self.containers.pop(name).stop()
        for name, pod in pods.items():
            if name in self.containers and self.containers[name].leaves():
                continue
            self.containers.setdefault(name, None)
            self.containers[name] = self.containers[name] or containers.container(pod)
            self.containers[name].tick()

    def _carry_out(self, verb, unit="kubelet", no_block=False, **more):
        if verb in runtime.VERBS:
            return runtime.VERBS[verb](self.containers, **more) if self.runtime else {"error": "down"}
        if unit == "containerd":
            self._switch_runtime(verb)
            return {**self._states(), "problem": None}
        self._switch_kubelet(verb)
        return self._states()

    def _states(self):
        runs = "active" if self.runtime else "inactive"
        return {"kubelet": self._kubelet_state(), "containerd": runs, "problem": self._problem}

    def _switch_kubelet(self, verb):
        if verb in ("stop", "restart"):
            if self.starting:
                self.starting.stop()
                self.starting = None
                self._tell_who_waits("canceled")
            if self.registrar:
                self.registrar.stop()
                self.ports.stop()
                self.registrar = None
        self._problem = None
        if verb in ("start", "restart") and not self.registrar and not self.starting:
            self._prepared, self.starting = False, starting.Starting()
        self.wanted = {"stop": False, "start": True, "restart": True}.get(verb, self.wanted)
        self._tick()

    def _kubelet_state(self):
        if self.registrar:
            return "active"
        return "activating" if self.wanted else "inactive"

    def _switch_runtime(self, verb):
        if verb == "stop" and self.runtime:
            self._close_runtime()
        elif verb in ("start", "restart") and not self.runtime:
            self._open_runtime()

    def _open_runtime(self):
        file = node.path(CRI_SOCKET)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        if os.path.lexists(file):
            os.unlink(file)
        self._cri = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._cri.bind(file)
        self._cri.listen(16)
        threading.Thread(target=_hang_up, args=(self._cri,), daemon=True).start()
        self.runtime = True

    def _close_runtime(self):
        self._cri.shutdown(socket.SHUT_RDWR)
        self._cri.close()
        os.unlink(node.path(CRI_SOCKET))
        self.runtime = False


def _hang_up(listener):
    """Takes and closes connections to the runtime's socket, until that is closed: it is there, and says nothing."""
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            return


def run():
    """Supervises this node until the process is told to end; then its containers end first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    supervisor = Supervisor()
    try:
        supervisor.run()
    finally:
        for each in supervisor.containers.values():
            each.stop()
