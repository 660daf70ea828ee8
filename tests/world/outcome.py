"""What a run came to, node by node, and what is wrong with it: by the word of etcd, API servers and kubeadm, not by
kubeboot's."""

from dataclasses import dataclass
from pathlib import Path

from . import kubenodes, members
from .account import CONTROL_PLANE
from .control import ask
from .figures import is_change, kubeadm
from .journal import read

ROLES = {"init": "initialised", "join": "joined"}


@dataclass(frozen=True)
class NodeOutcome:
    """One machine. `role` comes from the kubeadm command that succeeded there, the rest from its own etcd and API server."""

    index: int
    instance: str
    name: str
    address: str
    role: str | None
    up_exit: int | None
    seconds: float | None
    member: str | None
    voter: bool
    cluster: str | None
    voters_known: int
    nodes_known: list[str]
    # The UID of kube-system and the claim in its etcd; empty where there is none, None without an answer.
    kube_system: str | None = None
    claim: str | None = None


def look(folder: Path) -> list[NodeOutcome]:
    """The control plane's machines of the world in `folder` that are switched on."""
    events, commands = read(folder / "events.jsonl"), kubeadm(folder)
    there = [node for node in ask(folder, "status")["nodes"] if node["role"] == CONTROL_PLANE]
    nodes = [node for node in there if node["power"] == "on"]
    return [_node(node, events, commands) for node in nodes]


def wrong(nodes: list[NodeOutcome], wanted: int, inits: int) -> list[str]:
    """What keeps this from being one control plane of `wanted` voters made by one init; empty if nothing does."""
    found, names = [], sorted(node.name for node in nodes)
    if inits != 1:
        found.append(f"kubeadm init ran {inits} times, not once")
    if len(nodes) != wanted:
        found.append(f"{len(nodes)} machines are on, not {wanted}")
    if len({node.cluster for node in nodes}) > 1:
        found.append("the machines are not all in the same etcd cluster")
    for node in nodes:
        if node.up_exit != 0:
            how = "still runs" if node.up_exit is None else f"ended with exit code {node.up_exit}"
            found.append(f"node {node.index}: `kubeboot up` {how}")
        if not node.voter:
            found.append(f"node {node.index}: its etcd does not answer as a voter")
        elif node.voters_known != wanted:
            found.append(f"node {node.index}: its etcd knows {node.voters_known} voters, not {wanted}")
        if len(nodes) == wanted and node.nodes_known != names:
            found.append(f"node {node.index}: its API server knows the Nodes {node.nodes_known}, not {names}")
    return found


def _node(node: dict, events: list[dict], commands: list[dict]) -> NodeOutcome:
    view = members.ask(node["address"], Path(node["folder"]) / "disk")
    me = view.me() if view else None
    done = [
        c["argv"][0] for c in commands if is_change(c) and c["node"] in (node["name"], node["id"]) and c["exit"] == 0
    ]
    started, ended = _time(events, "up-started", node), _time(events, "up-ended", node)
    return NodeOutcome(
        index=node["index"], instance=node["id"], name=node["name"], address=node["address"],
        role=next((ROLES[name] for name in reversed(done) if name in ROLES), None),
        up_exit=node["up_exit"], seconds=round(ended - started, 3) if started and ended else None,
        # Hexadecimal is how etcdctl, kubeadm and kubeboot write member IDs; the gateway says them in decimal.
        member=f"{int(me.id):x}" if me else None, voter=bool(me and me.voter and me.name),
        cluster=f"{int(view.cluster):x}" if view else None,
        voters_known=sum(member.voter and bool(member.name) for member in view.members) if view else 0,
        nodes_known=kubenodes.ask(node["address"], Path(node["folder"]) / "disk"),
        kube_system=view and view.kube_system, claim=view and view.claim,
    )  # fmt: skip


def _time(events: list[dict], name: str, node: dict) -> float | None:
    """When this last happened on that machine."""
    return next(
        (line["time"] for line in reversed(events) if line["event"] == name and line["node"] == node["id"]), None
    )
