"""What a told story is made of: acts, each with a line that says what happens, and what must be true after it."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import TextIO

from .client import run_as, wait_until
from .control import ask
from .figures import Joining, Leaving, is_change, joining, kubeadm, leaving
from .outcome import look, wrong
from .progress import Progress
from .sampling import Sample, Sampler

# Far more than an act takes: stories are told on busy computers, too.
ACT_SECONDS = 240.0
STATUS_SECONDS = 60.0
RECORD = "demo/control-plane/cluster.json"
ETCDCTL = """pki=/etc/kubernetes/pki/etcd; exec etcdctl --endpoints "https://$STANDIN_ADDRESS:2379" --cacert $pki/ca.crt \
--cert $pki/healthcheck-client.crt --key $pki/healthcheck-client.key "$@\""""
# Between two looks whether something has happened.
PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Story:
    """A story of `dev/demo`: `about` in one sentence, the world in which it takes place, and its acts."""

    name: str
    about: str
    tell: Callable[["Teller"], None]
    nodes: int = 3
    up: bool = True
    settings: dict[str, str] = field(default_factory=dict)
    # More of the world's options, such as its hooks.
    options: dict[str, str | bool] = field(default_factory=dict)


class Teller:
    """Tells the acts of a story in the world in `folder`, and remembers what went wrong."""

    def __init__(self, folder: Path, out: TextIO):
        self.folder, self.out = folder, out
        self._begin = time.monotonic()
        self.acts: list[str] = []
        self.wrong: list[str] = []
        self.joinings: dict[int, Joining] = {}
        self.leavings: dict[int, Leaving] = {}
        self.samples: list[Sample] = []
        # What a story has found out beside that.
        self.facts: dict[str, dict] = {}

    def act(self, text: str) -> None:
        """One line of narration."""
        self.acts.append(text)
        print(f"\n== {time.monotonic() - self._begin:.1f} s: {text}", file=self.out, flush=True)

    def ask(self, verb: str, **arguments) -> dict:
        """A verb of the world."""
        return ask(self.folder, verb, **arguments)

    def follow(self, nodes: list[int] | None = None) -> None:
        """Shows the nodes side by side until `kubeboot up` has ended on these, or on all that are on."""
        self.expect(Progress(self.folder, self.out, nodes).follow(ACT_SECONDS), "some `kubeboot up` did not end")

    def expect(self, true: bool, otherwise: str) -> None:
        """Goes on all the same, so that the end of the story is seen, too."""
        if not true:
            self.wrong.append(otherwise)
            print(f"WRONG: {otherwise}", file=self.out, flush=True)

    def until(self, true: Callable[[], bool], otherwise: str) -> None:
        """Waits until it is."""
        try:
            wait_until(true, ACT_SECONDS, PAUSE_SECONDS)
        except TimeoutError:
            self.expect(False, otherwise)

    def until_says(self, node: int, text: str) -> None:
        """Waits until the log of a node has a line with this text, and shows it."""
        self.until(lambda: text in self.log(node), f"node {node} never says '{text}'")
        said = [line for line in self.log(node).splitlines() if text in line]
        print("\n".join(f"  node {node}  {line}" for line in said[-1:]), file=self.out, flush=True)

    def is_whole(self, size: int) -> None:
        """The machines that are on are the voters of one etcd and the Nodes of one cluster, so many of them."""
        nodes = look(self.folder)
        # A claim that died with its machine has left an init without a cluster: who is in which cluster tells.
        for fault in wrong(nodes, size, inits=1):
            self.expect(False, fault)
        if not self.wrong:
            members = ", ".join(f"node {node.index} ({node.member})" for node in nodes)
            print(f"One control plane: {members} are its voters, and its Nodes.", file=self.out, flush=True)

    def until_whole(self, size: int) -> None:
        """The same, as soon as the leader has ended what is past."""
        self.until(lambda: not wrong(look(self.folder), size, inits=1), "machines that are gone are still Nodes")
        self.is_whole(size)

    def run(self, node: int, *words: str) -> str:
        """What a command says on a node, which must end well."""
        done = run_as(self.folder, str(node), list(words), STATUS_SECONDS)
        self.expect(done.returncode == 0, f"{' '.join(words)} failed on node {node}: {done.stderr}")
        return done.stdout

    def healthy_status(self, node: str) -> CompletedProcess:
        """What `kubeboot status` says on a node in the end: on a busy computer etcd may be without a leader for a moment."""
        asked = []

        def is_healthy() -> bool:
            asked.append(run_as(self.folder, node, ["kubeboot", "status"], STATUS_SECONDS))
            return asked[-1].stdout.startswith("healthy")

        self.until(is_healthy, "`kubeboot status` does not say 'healthy'")
        return asked[-1]

    def measure(self, node: int) -> None:
        """Notes how long a machine took from its boot until it was a voter."""
        found = self.node(node)
        self.joinings[node] = joining(self.folder, found["id"], found["name"])

    def measure_leaving(self, node: int) -> None:
        """Notes how long a machine took from the begin of its terminate hook until that was completed."""
        found = self.node(node)
        self.leavings[node] = leaving(self.folder, found["id"], found["name"])

    @contextmanager
    def sampled(self, fewest: int, away: int) -> Iterator[None]:
        """Looks all the while: so many voters must be healthy at least, and so many may be away at most."""
        with Sampler(self.folder) as worst:
            yield
        self.samples.append(worst)
        self.expect(
            worst.fewest is not None and worst.fewest >= fewest, f"only {worst.fewest} voters were healthy at some moment"
        )
        self.expect(worst.away <= away, f"{worst.away} voters were away at the same moment")
        print(
            f"{worst.looks} looks at etcd meanwhile: at least {worst.fewest} healthy voters, never more than {worst.away} away.",
            file=self.out, flush=True,
        )  # fmt: skip

    def until_gone(self, node: int) -> None:
        """Waits until EC2 says that the machine is terminated, and shows what its agent said last."""
        self.until(lambda: self.node(node)["ec2"] == "terminated", f"node {node} was never terminated")
        said = [line for line in self.agent_log(node).splitlines() if "left the cluster" in line or "completed the" in line]
        print("\n".join(f"  node {node}  {line}" for line in said), file=self.out, flush=True)

    def agent_said_at(self, node: int, text: str) -> str:
        """The time, as its log has it, at which the agent of this node has said this; empty if it has not."""
        return next((line.split()[0] for line in self.agent_log(node).splitlines() if text in line), "")

    def agent_log(self, node: int) -> str:
        """What the agent of this node has said so far."""
        return self._read(node, "kubeboot-agent.log")

    def hold(self, node: int, command: str, after: str) -> None:
        """Runs `kubeboot up` on a node, and returns once its kubeadm stands still after this phase."""
        self.ask("standin_fault", node=str(node), fault=f'{{"{command}": {{"after": "{after}", "hang": true, "times": 1}}}}')
        self.ask("run", nodes=[str(node)])
        self.until(lambda: self._has(node, "/run/standin/faults.used"), f"kubeadm of node {node} never came to {after}")

    def kill_kubeadm(self, node: int) -> None:
        """SIGKILL to the kubeadm of a node, which must run."""
        # In brackets, so that the shell does not find itself by its own command line.
        script = """killed=1
        for p in /proc/[0-9]*; do
            if grep -q 'standin[.]kubeadm' "$p/cmdline"; then kill -9 "${p#/proc/}" && killed=0; fi
        done 2>/dev/null
        exit $killed"""
        self.run(node, "sh", "-c", script)

    def log(self, node: int) -> str:
        """What the `up` of this node has said so far."""
        return self._read(node, "kubeboot.log")

    def _read(self, node: int, log: str) -> str:
        path = Path(self.node(node)["folder"]) / "disk/var/log" / log
        return path.read_text(errors="replace") if path.exists() else ""

    def record(self) -> dict:
        """The cluster record."""
        return json.loads(base64.b64decode(self.ask("s3_get", key=RECORD)["body"]))

    def etcdctl(self, node: int, *words: str) -> str:
        """What etcdctl says on a node, asking the etcd there."""
        done = run_as(self.folder, str(node), ["sh", "-c", ETCDCTL, "sh", *words], STATUS_SECONDS)
        self.expect(done.returncode == 0, f"etcdctl {' '.join(words)} failed on node {node}: {done.stderr}")
        return done.stdout.strip()

    def kubeadm_runs(self) -> int:
        """How many commands of kubeadm have changed a machine or the cluster."""
        return sum(is_change(command) for command in kubeadm(self.folder))

    def node(self, node: int) -> dict:
        """The world's word on a node."""
        return next(each for each in self.ask("status")["nodes"] if each["index"] == node)

    def _has(self, node: int, path: str) -> bool:
        return run_as(self.folder, str(node), ["test", "-e", path]).returncode == 0
