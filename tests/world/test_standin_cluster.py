"""The stand-in's cluster: an API server over a real etcd, kept up by a kubelet that outlives all but the power."""

import os
import re
import signal
import time

import pytest

from world.standin import dial, kubeapi
from world.standin_lab import Lab, wait

ADMIN = "/etc/kubernetes/admin.conf"
NODES = "/api/v1/nodes"


@pytest.fixture(scope="module")
def node():
    """A cluster of one."""
    lab = Lab()
    made = lab.node()
    made.hosts(made.address)
    made.init()
    yield made
    lab.close()


def raw(node, target, context=None):
    """(status, answer) of a request without credentials."""
    link = dial.connection(f"https://{node.address}:6443", context or dial.client_context(), 10)
    try:
        return dial.exchange(link, "GET", target)
    finally:
        link.close()


def make_node(node, name, **status):
    """A Node object of nobody's."""
    return node.api("POST", NODES, {"metadata": {"name": name}, "spec": {}, "status": status})


def test_nobody_sees_health_version_and_cluster_info(node):
    assert raw(node, "/readyz") == (200, "ok") and raw(node, "/livez")[0] == 200 and raw(node, "/healthz")[0] == 200
    assert raw(node, "/version")[1]["gitVersion"] == "v1.36.1"
    info = raw(node, "/api/v1/namespaces/kube-public/configmaps/cluster-info")[1]
    assert "certificate-authority-data" in info["data"]["kubeconfig"]


@pytest.mark.parametrize(
    "target",
    [
        NODES,
        "/api/v1/namespaces/kube-system/secrets",
        "/api/v1/namespaces/kube-system",
        "/api/v1/namespaces/kube-system/configmaps/kubeadm-config",
    ],
)
def test_nobody_sees_anything_else(node, target):
    status, answer = raw(node, target)
    assert status == 403 and answer["kind"] == "Status" and answer["reason"] == "Forbidden"
    assert 'User "system:anonymous" cannot' in answer["message"]


def test_a_bearer_token_is_not_accepted(node):
    link = dial.connection(f"https://{node.address}:6443", dial.client_context(), 10)
    assert dial.exchange(link, "GET", NODES, headers={"Authorization": "Bearer abc"})[0] == 401


def test_a_kubelet_may_change_its_own_node_only(node):
    make_node(node, "other")
    own = {"config": "/etc/kubernetes/kubelet.conf"}
    assert node.get(f"{NODES}/n1", **own)["metadata"]["name"] == "n1"
    for method, target, body in (
        ("DELETE", f"{NODES}/n1", {}),
        ("PATCH", f"{NODES}/other", {"spec": {}}),
        ("GET", "/api/v1/namespaces/kube-public/pods/x", None),
    ):
        if method != "GET":
            with pytest.raises(kubeapi.ApiError) as refused:
                node.api(method, target, body, **own)
            assert refused.value.status == 403
    node.api("DELETE", f"{NODES}/other")


def test_kube_system_keeps_its_uid(node):
    before = node.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    for pid in alive(node.address, "standin.apiserver"):
        os.kill(pid, signal.SIGKILL)
    wait(lambda: not ready(node), 5, "the API server to be gone")
    wait(lambda: ready(node), 20, "the kubelet to start it again")
    assert node.get("/api/v1/namespaces/kube-system")["metadata"]["uid"] == before


def ready(node):
    """Whether the node's API server says so."""
    try:
        return raw(node, "/readyz")[0] == 200
    except dial.Unreachable:
        return False


def test_a_node_is_deleted_by_its_uid(node):
    uid = make_node(node, "gone")["metadata"]["uid"]
    with pytest.raises(kubeapi.ApiError) as refused:
        node.api("DELETE", f"{NODES}/gone", {"preconditions": {"uid": "another"}})
    assert refused.value.status == 409 and "Precondition failed: UID in precondition: another" in str(refused.value)
    with pytest.raises(kubeapi.ApiError) as refused:
        node.api("DELETE", f"{NODES}/gone", {"preconditions": {"uid": uid, "resourceVersion": "1"}})
    assert refused.value.status == 409 and "ResourceVersion in precondition: 1" in str(refused.value)
    pod = {"metadata": {"name": "etcd-gone"}, "spec": {"nodeName": "gone"}}
    node.api("POST", "/api/v1/namespaces/kube-system/pods", pod)
    node.api("DELETE", f"{NODES}/gone", {"preconditions": {"uid": uid}})
    for target in (f"{NODES}/gone", "/api/v1/namespaces/kube-system/pods/etcd-gone"):
        with pytest.raises(kubeapi.ApiError) as refused:
            node.get(target)
        assert refused.value.status == 404


def condition(node, name):
    """The Ready condition of a Node."""
    return node.get(f"{NODES}/{name}")["status"]["conditions"][0]


def test_a_silent_node_becomes_not_ready(node):
    assert condition(node, "n1")["status"] == "True"
    for name, age, status in (("fresh", 30, "True"), ("silent", 50, "Unknown")):
        beat = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age))
        make_node(node, name, conditions=[{"type": "Ready", "status": "True", "lastHeartbeatTime": beat}])
        assert condition(node, name)["status"] == status
        node.api("DELETE", f"{NODES}/{name}")


def test_names_are_taken_once(node):
    with pytest.raises(kubeapi.ApiError) as refused:
        make_node(node, "n1")
    assert refused.value.status == 409 and refused.value.reason == "AlreadyExists"


@pytest.mark.parametrize(
    "namespace, about, status",
    [
        ("default", {}, 0),
        ("kube-system", {"namespace": "kube-system"}, 0),
        ("kube-system", {}, 422),
        ("default", {"namespace": "kube-system"}, 422),
        ("nowhere", {"namespace": "nowhere"}, 404),
    ],
)
def test_an_event_is_in_the_namespace_of_what_it_is_about(node, namespace, about, status):
    target = f"/api/v1/namespaces/{namespace}/events"
    event = {"metadata": {"name": "story"}, "involvedObject": {"kind": "Node", "name": "n1", **about}, "reason": "Story"}
    if not status:
        assert node.api("POST", target, event)["kind"] == "Event"
        assert node.get(f"{target}/story")["reason"] == "Story"
        return
    with pytest.raises(kubeapi.ApiError) as refused:
        node.api("POST", target, event)
    assert refused.value.status == status


def test_changes_of_an_old_version_conflict(node):
    target = "/api/v1/namespaces/kube-system/configmaps"
    made = node.api("POST", target, {"metadata": {"name": "race"}, "data": {"a": "1"}})
    node.api("PUT", f"{target}/race", {**made, "data": {"a": "2"}})
    with pytest.raises(kubeapi.ApiError) as refused:
        node.api("PUT", f"{target}/race", {**made, "data": {"a": "3"}})
    assert refused.value.status == 409 and node.get(f"{target}/race")["data"] == {"a": "2"}


def test_a_patch_of_an_old_version_or_of_another_object_changes_nothing(node):
    target = "/api/v1/namespaces/kube-system/configmaps"
    made = node.api("POST", target, {"metadata": {"name": "patched"}, "data": {"a": "1"}})["metadata"]
    kind = "application/merge-patch+json"
    for stale, status in (({"uid": "another"}, 422), ({"resourceVersion": "1"}, 409)):
        with pytest.raises(kubeapi.ApiError) as refused:
            node.api("PATCH", f"{target}/patched", {"metadata": stale, "data": {"a": "2"}}, kind=kind)
        assert refused.value.status == status and node.get(f"{target}/patched")["data"] == {"a": "1"}
    current = {key: made[key] for key in ("uid", "resourceVersion")}
    node.api("PATCH", f"{target}/patched", {"metadata": {**current, "labels": {"b": ""}}, "data": {"a": "2"}}, kind=kind)
    found = node.get(f"{target}/patched")
    assert found["data"] == {"a": "2"} and found["metadata"]["labels"] == {"b": ""}


@pytest.mark.parametrize("target", ["/api/v1/things", "/apis/apps/v1/statefulsets", "/api/v2/nodes", "/", "/nothing"])
def test_other_paths_are_not_found(node, target):
    with pytest.raises(kubeapi.ApiError) as refused:
        node.get(target)
    assert refused.value.status == 404


@pytest.mark.parametrize("body", [[], {"metadata": []}, {"metadata": {"name": []}}, "text", 5])
def test_garbage_is_refused_and_harms_nobody(node, body):
    with pytest.raises(kubeapi.ApiError) as refused:
        node.api("POST", NODES, body)
    assert refused.value.status in (400, 422)


def test_a_manifest_of_garbage_harms_no_other(node):
    for name, text in (("a.yaml", "kind: Pod"), ("b.yaml", "kind: ["), ("c.json", "[]"), ("d.txt", "kind: Pod")):
        node.write(f"/etc/kubernetes/manifests/{name}", text)
    wait(lambda: len(containers(node)) == 4, 10, "the four containers")
    for name in ("a.yaml", "b.yaml", "c.json", "d.txt"):
        os.unlink(f"{node.root}/etc/kubernetes/manifests/{name}")
    assert ready(node)


def test_the_stored_configuration_has_nothing_of_the_node(node):
    stored = node.get("/api/v1/namespaces/kube-system/configmaps/kubeadm-config")["data"]
    assert list(stored) == ["ClusterConfiguration"] and "advertiseAddress" not in stored["ClusterConfiguration"]
    assert "controlPlaneEndpoint: api.lab.internal:6443" in stored["ClusterConfiguration"]


def test_everything_secret_is_for_root_alone(node):
    kept = [os.path.join(folder, file) for folder, _, files in os.walk(f"{node.root}/etc/kubernetes") for file in files]
    kept += [f"{node.root}/var/lib/kubelet/pki/kubelet-client-current.pem"]
    readable = [file for file in kept if os.stat(file).st_mode & 0o077]
    assert readable and all(file.endswith(".crt") for file in readable)


def test_after_a_power_cut_everything_comes_back_and_nothing_survives():
    lab = Lab()
    try:
        nodes = [lab.node() for _ in range(3)]
        nodes[0].init()
        for each in nodes[1:]:
            each.join(nodes[0])
        uid = nodes[0].get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
        for each in nodes:
            each.cut()
        wait(lambda: not any(alive(each.address) for each in nodes), 5, "every process to end with the power")
        for each in nodes[:1]:
            each.boot()
        wait(lambda: containers(nodes[0]) >= {"etcd", "kube-scheduler"}, 10, "the first node's containers")
        assert not ready(nodes[0])
        for each in nodes[1:]:
            each.boot()
        wait(lambda: all(ready(each) for each in nodes), 60, "all API servers")
        assert nodes[2].get("/api/v1/namespaces/kube-system")["metadata"]["uid"] == uid
        nodes[1].cut()
        nodes[2].cut()
        wait(lambda: raw(nodes[0], "/readyz")[0] == 500, 30, "the survivor to miss its quorum")
        answer = raw(nodes[0], "/readyz")[1]
        assert "[-]etcd failed: reason withheld" in answer and answer.strip().endswith("readyz check failed")
        assert raw(nodes[0], "/livez")[0] == 500
    finally:
        lab.close()


def alive(address, word=""):
    """The processes whose command line speaks of a node's address and has a word."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as text:
                line = text.read()
        except OSError:
            continue
        if re.search(rf"{re.escape(address)}\b", line) and word in line:
            found.append(int(pid))
    return found


def containers(node):
    """The names of the containers that run on a node."""
    return set(node.run("crictl", "ps").stdout.split()[1::2])
