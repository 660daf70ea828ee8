"""The truth about Nodes, asked from each API server itself with a client certificate on its machine's disk."""

from contextlib import closing
from pathlib import Path

from .kubeclient import Kube, trust


def ask(address: str, disk: Path) -> list[str]:
    """The names of all Nodes that the API server at `address` knows, sorted; empty if there is none that answers."""
    return sorted(read(address, disk))


def is_ready(node: dict) -> bool:
    """Whether a Node's kubelet serves."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def read(address: str, disk: Path) -> dict[str, dict]:
    """The Nodes that the API server at `address` knows, by their names; empty if there is none that answers."""
    try:
        with closing(Kube(address, trust(disk))) as kube:
            answer = kube.call("GET", "/api/v1/nodes")
    except OSError:
        return {}
    return {item["metadata"]["name"]: item for item in answer.get("items", [])}
