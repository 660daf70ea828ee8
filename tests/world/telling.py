"""What a told story is made of: acts, each with a line that says what happens, and what must be true after it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from .client import run_as, wait_until
from .control import ask
from .figures import Joining, is_change, joining, kubeadm
from .outcome import look, wrong
from .progress import Progress

# Far more than an act takes: stories are told on busy computers, too.
ACT_SECONDS = 240.0


@dataclass(frozen=True)
class Story:
    """A story of `dev/demo`: `about` in one sentence, the world in which it takes place, and its acts."""

    name: str
    about: str
    tell: Callable[["Teller"], None]
    nodes: int = 3
    up: bool = True
    settings: dict[str, str] = field(default_factory=dict)


class Teller:
    """Tells the acts of a story in the world in `folder`, and remembers what went wrong."""

    def __init__(self, folder: Path, out: TextIO):
        self.folder, self._out = folder, out
        self._begin = time.monotonic()
        self.acts: list[str] = []
        self.wrong: list[str] = []
        self.joinings: dict[int, Joining] = {}

    def act(self, text: str) -> None:
        """One line of narration."""
        self.acts.append(text)
        print(f"\n== {time.monotonic() - self._begin:.1f} s: {text}", file=self._out, flush=True)

    def ask(self, verb: str, **arguments) -> dict:
        """A verb of the world."""
        return ask(self.folder, verb, **arguments)

    def follow(self, nodes: list[int] | None = None) -> None:
        """Shows the nodes side by side until `kubeboot up` has ended on these, or on all that are on."""
        self.expect(Progress(self.folder, self._out, nodes).follow(ACT_SECONDS), "some `kubeboot up` did not end")

    def expect(self, true: bool, otherwise: str) -> None:
        """Goes on all the same, so that the end of the story is seen, too."""
        if not true:
            self.wrong.append(otherwise)
            print(f"WRONG: {otherwise}", file=self._out, flush=True)

    def until(self, true: Callable[[], bool], otherwise: str) -> None:
        """Waits until it is."""
        try:
            wait_until(true, ACT_SECONDS)
        except TimeoutError:
            self.expect(False, otherwise)

    def until_says(self, node: int, text: str) -> None:
        """Waits until the log of a node has a line with this text, and shows it."""
        self.until(lambda: text in self.log(node), f"node {node} never says '{text}'")
        said = [line for line in self.log(node).splitlines() if text in line]
        print("\n".join(f"  node {node}  {line}" for line in said[-1:]), file=self._out, flush=True)

    def is_whole(self, size: int) -> None:
        """The machines that are on are the voters of one etcd and the Nodes of one cluster, so many of them."""
        nodes = look(self.folder)
        # A claim that died with its machine has left an init without a cluster: who is in which cluster tells.
        for fault in wrong(nodes, size, inits=1):
            self.expect(False, fault)
        if not self.wrong:
            members = ", ".join(f"node {node.index} ({node.member})" for node in nodes)
            print(f"One control plane: {members} are its voters, and its Nodes.", file=self._out, flush=True)

    def measure(self, node: int) -> None:
        """Notes how long a machine took from its boot until it was a voter."""
        found = self.node(node)
        self.joinings[node] = joining(self.folder, found["id"], found["name"])

    def hold(self, node: int, command: str, after: str) -> None:
        """Runs `kubeboot up` on a node, and returns once its kubeadm stands still after this phase."""
        self.ask("standin_fault", node=str(node), fault=f'{{"{command}": {{"after": "{after}", "hang": true, "times": 1}}}}')
        self.ask("run", nodes=[str(node)])
        self.until(lambda: self._has(node, "/run/standin/faults.used"), f"kubeadm of node {node} never came to {after}")

    def kill_kubeadm(self, node: int) -> None:
        """SIGKILL to the kubeadm of a node."""
        script = 'for p in /proc/[0-9]*; do ! grep -q standin.kubeadm "$p/cmdline" || kill -9 "${p#/proc/}"; done'
        run_as(self.folder, str(node), ["sh", "-c", script])

    def log(self, node: int) -> str:
        """What the `up` of this node has said so far."""
        path = Path(self.node(node)["folder"]) / "disk/var/log/kubeboot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kubeadm_runs(self) -> int:
        """How many commands of kubeadm have changed a machine or the cluster."""
        return sum(is_change(command) for command in kubeadm(self.folder))

    def node(self, node: int) -> dict:
        """The world's word on a node."""
        return next(each for each in self.ask("status")["nodes"] if each["index"] == node)

    def _has(self, node: int, path: str) -> bool:
        return run_as(self.folder, str(node), ["test", "-e", path]).returncode == 0
