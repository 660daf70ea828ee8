"""Disks that were emptied, and what etcd and API server then say of themselves: on whose word nobody may wipe."""

import base64
import shutil
import socket
import ssl
from pathlib import Path

import pytest

from world import members
from world.standin import dial, kubeapi
from world.standin_lab import Lab, wait
from world.test_standin_cluster import ready

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
MAPS = f"{KUBE_SYSTEM}/configmaps"
MASTER = "/etc/kubernetes/super-admin.conf"
DATA = "/var/lib/etcd/member"


@pytest.fixture
def lab():
    made = Lab()
    yield made
    made.close()


def init(node, token=None, *arguments):
    """An init whose etcd has this token."""
    documents = node.init_config()
    if token:
        local = {"extraArgs": [{"name": "initial-cluster-token", "value": token}]}
        documents[1]["etcd"] = {"local": local}
    return node.kubeadm("init", "--config", node.write("/run/init.yaml", documents), *arguments)


def identity(node):
    """(cluster ID, member ID) of the etcd that answers on a node."""
    header = node.etcd("cluster/member/list")["header"]
    return header["cluster_id"], header["member_id"]


def empty(node):
    shutil.rmtree(node.root + DATA)


def says(node, text):
    """Whether etcd has printed this on a node since its boot."""
    folder = "/run/standin/logs"
    return "etcd.log" in node.files(folder) and text in node.read(f"{folder}/etcd.log")


def cluster(lab, size, token="claim-1"):
    """Nodes that are one cluster."""
    nodes = [lab.node() for _ in range(size)]
    init(nodes[0], token)
    for each in nodes[1:]:
        each.join(nodes[0])
    return nodes


def test_ids_follow_address_and_token_alone(lab):
    node, seen = lab.node(), []
    for token in (None, None, "claim-1", "claim-1", "claim-2"):
        init(node, token)
        seen.append(identity(node))
        assert node.run("kubeadm", "reset", "-f", "--skip-phases=remove-etcd-member").returncode == 0
        empty(node)
    assert seen[0] == seen[1] and seen[2] == seen[3]
    assert len({cluster for cluster, _ in seen}) == 3 and len({member for _, member in seen}) == 3


def test_states_and_tokens_of_init_and_join_are_the_real_ones(lab):
    first, second = cluster(lab, 2)
    text = [each.read("/etc/kubernetes/manifests/etcd.yaml") for each in (first, second)]
    assert all("--initial-cluster-token=claim-1" in each for each in text)
    assert "--initial-cluster-state" not in text[0] and "--initial-cluster-state=existing" in text[1]
    assert identity(first)[0] == identity(second)[0]


def test_the_emptied_initialiser_is_an_empty_cluster_of_the_same_ids(lab):
    nodes = cluster(lab, 3)
    before, uid = identity(nodes[0]), nodes[0].get(KUBE_SYSTEM)["metadata"]["uid"]
    nodes[0].api("POST", MAPS, {"metadata": {"name": "kubeboot"}, "data": {"claim": "claim-1"}})
    for each in nodes:
        each.cut()
    empty(nodes[0])
    nodes[0].boot()
    wait(lambda: ready(nodes[0]), "the API server over the empty etcd")
    # It answers by itself, as the one it was, and knows nobody.
    assert identity(nodes[0]) == before
    assert list(nodes[0].members()) == [f"https://{nodes[0].address}:2380"]
    assert nodes[0].etcd("kv/range", {"key": "L2t1YmVib290L2NsYWlt"}).get("kvs", []) == []
    assert nodes[0].get(KUBE_SYSTEM, config=MASTER)["metadata"]["uid"] != uid
    for name in ("kubeboot", "kubeadm-config"):
        with pytest.raises(kubeapi.ApiError) as refused:
            nodes[0].get(f"{MAPS}/{name}", config=MASTER)
        assert refused.value.status == 404
    # Nobody but the one that its own kubelet makes anew; and who ruled there before has no rights.
    assert {each["metadata"]["name"] for each in nodes[0].get("/api/v1/nodes", config=MASTER)["items"]} <= {"n1"}
    with pytest.raises(kubeapi.ApiError) as refused:
        nodes[0].get("/api/v1/nodes")
    assert refused.value.status == 403
    # The others still are the cluster, all three of it.
    for each in nodes[1:]:
        each.boot()
    wait(lambda: all(ready(each) for each in nodes[1:]), "the API servers of the others")
    assert nodes[1].get(KUBE_SYSTEM, through=nodes[1])["metadata"]["uid"] == uid
    assert len(nodes[1].members()) == 3 and identity(nodes[1])[0] == before[0]


def test_an_emptied_joiner_serves_nobody(lab):
    nodes = cluster(lab, 3)
    for each in nodes:
        each.cut()
    empty(nodes[1])
    nodes[1].boot()
    wait(lambda: says(nodes[1], "cannot fetch cluster info from peer urls"), "etcd to say why it does not start")
    with pytest.raises(dial.Unreachable):
        identity(nodes[1])
    # An etcd that starts lists those whom its log has told it of so far: for a moment the two that this manifest names.
    nodes[1].cut()
    for each in (nodes[0], nodes[2]):
        each.boot()
    wait(lambda: ready(nodes[0]) and ready(nodes[2]), "the API servers of the others")
    nodes[1].boot()
    # Its manifest names two of three: not the cluster that it finds.
    wait(lambda: says(nodes[1], "member count is unequal"), "etcd to say that this is another cluster")
    with pytest.raises(dial.Unreachable):
        identity(nodes[1])
    assert not ready(nodes[1])


def test_an_api_server_makes_the_namespaces_that_its_etcd_lost(lab):
    node = lab.node()
    init(node, "claim-1")
    uid = node.get(KUBE_SYSTEM)["metadata"]["uid"]
    node.run("systemctl", "stop", "kubelet")
    node.etcd("kv/deleterange", {"key": "AA==", "range_end": "AA=="})
    wait(lambda: _uid(node) not in (None, uid), "another UID of kube-system")


def _uid(node):
    try:
        return node.get(KUBE_SYSTEM, config=MASTER)["metadata"]["uid"]
    except kubeapi.ApiError:
        return None


def test_config_maps_are_those_of_the_cluster_on_every_api_server(lab):
    first, second = cluster(lab, 2)
    made = first.api("POST", MAPS, {"metadata": {"name": "kubeboot"}, "data": {"claim": "claim-1", "more": "x"}})
    for method, target, body, status, reason in (
        ("POST", MAPS, {"metadata": {"name": "kubeboot"}, "data": {}}, 409, "AlreadyExists"),
        ("PUT", f"{MAPS}/nothing", {"metadata": {"name": "nothing"}, "data": {}}, 404, "NotFound"),
        ("GET", f"{MAPS}/nothing", None, 404, "NotFound"),
        ("PUT", f"{MAPS}/kubeboot", {"metadata": {"name": "other"}, "data": {}}, 400, "BadRequest"),
        ("PUT", f"{MAPS}/kubeboot", {"metadata": {"name": "kubeboot", "uid": "another"}}, 409, "Conflict"),
    ):
        with pytest.raises(kubeapi.ApiError) as refused:
            second.api(method, target, body, through=second)
        assert (refused.value.status, refused.value.reason) == (status, reason), (method, target)
    # Written whole: what the new one does not say is gone. Its place and its UID stay.
    body = {"metadata": {"name": "kubeboot", "resourceVersion": made["metadata"]["resourceVersion"]}}
    written = second.api("PUT", f"{MAPS}/kubeboot", {**body, "data": {"claim": "claim-2"}}, through=second)
    assert written["data"] == {"claim": "claim-2"} and written["metadata"]["namespace"] == "kube-system"
    assert written["metadata"]["uid"] == made["metadata"]["uid"] and written["kind"] == "ConfigMap"
    assert first.get(f"{MAPS}/kubeboot") == written
    with pytest.raises(kubeapi.ApiError) as refused:
        first.api("PUT", f"{MAPS}/kubeboot", {**body, "data": {"claim": "claim-3"}})
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")
    assert "ClusterConfiguration" in second.get(f"{MAPS}/kubeadm-config", through=second)["data"]


def test_an_api_server_is_known_by_its_certificate(lab):
    node = lab.node()
    init(node)
    context = ssl.create_default_context(cafile=f"{node.root}/etc/kubernetes/pki/ca.crt")
    with socket.create_connection((node.address, 6443), 10) as link:
        with context.wrap_socket(link, server_hostname="kubernetes.default.svc") as secured:
            assert ("DNS", "kubernetes.default.svc") in secured.getpeercert()["subjectAltName"]


def test_the_outcome_tells_two_clusters_of_the_same_ids_apart(lab):
    node = lab.node()
    init(node, "claim-1")
    put = {"key": base64.b64encode(members.CLAIM.encode()).decode(), "value": base64.b64encode(b"claim-1").decode()}
    node.etcd("kv/put", put)
    before = members.ask(node.address, Path(node.root))
    assert before.kube_system == node.get(KUBE_SYSTEM)["metadata"]["uid"] and before.claim == "claim-1"
    node.cut()
    empty(node)
    node.boot()
    wait(lambda: ready(node), "the API server over the empty etcd")
    after = members.ask(node.address, Path(node.root))
    assert (after.cluster, after.own) == (before.cluster, before.own)
    assert after.kube_system not in ("", before.kube_system) and after.claim == ""
