"""The truth about Nodes, asked from each API server itself with a client certificate on its machine's disk."""

import http.client
import json
import ssl
from pathlib import Path

PORT = 6443
SECONDS = 5.0


def ask(address: str, disk: Path) -> list[str]:
    """The names of all Nodes that the API server at `address` knows, sorted; empty if there is none that answers."""
    return sorted(read(address, disk))


def is_ready(node: dict) -> bool:
    """Whether a Node's kubelet serves."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def read(address: str, disk: Path) -> dict[str, dict]:
    """The Nodes that the API server at `address` knows, by their names; empty if there is none that answers."""
    pki = disk / "etc/kubernetes/pki"
    try:
        tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        tls.load_cert_chain(str(pki / "apiserver-kubelet-client.crt"), str(pki / "apiserver-kubelet-client.key"))
        connection = http.client.HTTPSConnection(address, PORT, timeout=SECONDS, context=tls)
        try:
            connection.request("GET", "/api/v1/nodes")
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    return {item["metadata"]["name"]: item for item in answer.get("items", [])} if response.status == 200 else {}
