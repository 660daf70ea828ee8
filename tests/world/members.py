"""The truth about etcd's members, asked from each etcd itself with the certificates on its machine's disk."""

import base64
import http.client
import json
import ssl
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

CLIENT_PORT = 2379
SECONDS = 5.0
KUBE_SYSTEM = "/registry/namespaces/kube-system"
CLAIM = "/kubeboot/claim"


@dataclass(frozen=True)
class Member:
    """One member as some etcd lists it. An unstarted one has no name."""

    id: str
    name: str
    voter: bool


@dataclass(frozen=True)
class View:
    """What one etcd answers: the cluster it belongs to, its own member ID, and everybody it knows.

    Two clusters may have the same IDs, one of which has lost its data: they are told apart by the UID of kube-system and
    by the claim that are in them, empty where there is none.
    """

    cluster: str
    own: str
    members: tuple[Member, ...]
    kube_system: str = ""
    claim: str = ""

    def me(self) -> Member | None:
        return next((member for member in self.members if member.id == self.own), None)


def ask(address: str, disk: Path) -> View | None:
    """The member list of the etcd at `address`, after a linearizable read showed that it has a quorum behind it.

    None if there is none that answers so: no certificates yet, refused, or too late.
    """
    pki = disk / "etc/kubernetes/pki"
    try:
        tls = ssl.create_default_context(cafile=str(pki / "etcd/ca.crt"))
        tls.load_cert_chain(str(pki / "apiserver-etcd-client.crt"), str(pki / "apiserver-etcd-client.key"))
        with closing(http.client.HTTPSConnection(address, CLIENT_PORT, timeout=SECONDS, context=tls)) as connection:
            # These reads are linearizable ones.
            namespace, claim = _value(connection, KUBE_SYSTEM), _value(connection, CLAIM)
            answer = _post(connection, "/v3/cluster/member/list", {})
    except (OSError, http.client.HTTPException, ValueError):
        return None
    members = (Member(m["ID"], m.get("name", ""), not m.get("isLearner", False)) for m in answer["members"])
    uid = json.loads(namespace)["metadata"]["uid"] if namespace else ""
    return View(answer["header"]["cluster_id"], answer["header"]["member_id"], tuple(members), uid, claim)


def _value(connection: http.client.HTTPSConnection, key: str) -> str:
    """What is kept under a key; empty for nothing."""
    found = _post(connection, "/v3/kv/range", {"key": base64.b64encode(key.encode()).decode()}).get("kvs", [])
    return base64.b64decode(found[0].get("value", "")).decode(errors="replace") if found else ""


def _post(connection: http.client.HTTPSConnection, path: str, body: dict) -> dict:
    connection.request("POST", path, json.dumps(body))
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        raise ValueError(f"etcd at {connection.host} answered {response.status}: {text[:200]!r}")
    return json.loads(text)
