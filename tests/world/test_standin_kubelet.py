"""What a kubelet's own certificate may do at the stand-in's API server: measured on 1.36, and as its sources have it."""

import pytest

from world.standin_lab import Lab

PODS = "/api/v1/namespaces/default/pods"
NODE = "/api/v1/nodes/n1"
KUBELET = "/etc/kubernetes/kubelet.conf"
SYSTEM = "/api/v1/namespaces/kube-system"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"
MERGE = "application/merge-patch+json"
MIRROR = {"kubernetes.io/config.mirror": "x"}


@pytest.fixture(scope="module")
def node():
    lab = Lab()
    made = lab.node()
    made.init()
    made.api("POST", "/api/v1/nodes", {"metadata": {"name": "n2"}, "spec": {}})
    for name, where in (("mine", "n1"), ("gone", "n1"), ("others", "n2")):
        made.api("POST", PODS, {"metadata": {"name": name}, "spec": {"nodeName": where}})
    yield made
    lab.close()


def pod(annotations=None, where="n1", owners=()):
    """A pod that a kubelet would make."""
    return {"metadata": {"name": "made", "annotations": annotations or {}, "ownerReferences": list(owners)}, "spec": {"nodeName": where}}


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", NODE, None),
        ("PATCH", NODE, {"spec": {"unschedulable": True}}),
        ("PATCH", NODE, {"metadata": {"labels": {"app": "x", "node.kubernetes.io/x": "y"}, "annotations": {"a": "b"}}}),
        ("PATCH", f"{NODE}/status", {"status": {}}),
        ("GET", "/api/v1/pods?fieldSelector=spec.nodeName=n1", None),
        ("GET", f"{PODS}/mine", None),
        ("DELETE", f"{PODS}/gone", None),
        ("GET", f"{SYSTEM}/configmaps/kubeadm-config", None),
        ("GET", f"{SYSTEM}/configmaps/kubelet-config", None),
        ("GET", f"{LEASES}/kube-node-lease/leases/n1", None),
        ("POST", "/api/v1/namespaces/default/events", {"metadata": {"name": "e"}, "involvedObject": {"kind": "Node", "name": "n1"}}),
    ],
)
def test_it_may(node, method, target, body):
    status, answer = node.answer(method, target, body, config=KUBELET, kind=MERGE if method == "PATCH" else None)
    assert status == 200, answer


@pytest.mark.parametrize(
    ("method", "target", "body", "why"),
    [
        ("DELETE", NODE, None, 'cannot delete resource "nodes"'),
        ("GET", "/api/v1/nodes", None, 'cannot list resource "nodes"'),
        ("GET", "/api/v1/nodes/n2", None, 'cannot get resource "nodes"'),
        ("PATCH", "/api/v1/nodes/n2", {"spec": {"unschedulable": True}}, 'node "n1" is not allowed to modify node "n2"'),
        ("PATCH", "/api/v1/nodes/n2/status", {"status": {}}, 'node "n1" is not allowed to modify node "n2"'),
        ("POST", "/api/v1/nodes", {"metadata": {"name": "n3"}}, 'node "n1" is not allowed to modify node "n3"'),
        ("PATCH", NODE, {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}, "is not allowed to modify taints"),
        ("PATCH", NODE, {"metadata": {"labels": {"node-role.kubernetes.io/worker": ""}}}, "is not allowed to modify labels: node-role"),
        ("PATCH", NODE, {"metadata": {"labels": {"a.node-restriction.kubernetes.io/b": ""}}}, "not allowed to modify labels: a.node-r"),
        ("PATCH", NODE, {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": None}}}, "is not allowed to modify labels"),
        ("GET", "/api/v1/pods", None, 'cannot list resource "pods"'),
        ("GET", "/api/v1/pods?fieldSelector=spec.nodeName=n2", None, 'cannot list resource "pods"'),
        ("GET", f"{PODS}/others", None, 'cannot get resource "pods"'),
        ("GET", f"{PODS}/absent", None, 'cannot get resource "pods"'),
        ("DELETE", f"{PODS}/others", None, "can only delete pods with spec.nodeName set to itself"),
        ("PATCH", f"{PODS}/others/status", {"status": {}}, "can only update pod status for pods with spec.nodeName"),
        ("PATCH", f"{PODS}/mine", {"metadata": {"labels": {"a": "b"}}}, 'cannot patch resource "pods"'),
        ("POST", PODS, pod(), "can only create mirror pods"),
        ("POST", PODS, pod(MIRROR, "n2"), "can only create pods with spec.nodeName set to itself"),
        ("POST", PODS, pod(MIRROR), "with a controller owner reference set to itself"),
        ("GET", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", None, 'cannot list resource "poddisruptionbudgets"'),
        ("GET", f"{SYSTEM}/configmaps/kube-proxy", None, 'cannot get resource "configmaps"'),
        ("GET", f"{SYSTEM}/secrets/kubeadm-certs", None, 'cannot get resource "secrets"'),
        ("GET", f"{LEASES}/kube-node-lease/leases/n2", None, 'cannot get resource "leases"'),
        ("GET", f"{LEASES}/kube-system/leases/n1", None, 'cannot get resource "leases"'),
        ("POST", f"{LEASES}/kube-node-lease/leases", {"metadata": {"name": "n2"}}, "same name as the requesting node"),
    ],
)
def test_it_may_not(node, method, target, body, why):
    status, text = node.answer(method, target, body, config=KUBELET, kind=MERGE if method == "PATCH" else None)
    assert status == 403 and why in text


def test_the_pod_of_another_life_of_its_node_is_not_made(node):
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "another", "controller": True}
    status, text = node.answer("POST", PODS, pod(MIRROR, owners=[owner]), config=KUBELET)
    assert status == 403 and "UID mismatch" in text


def test_a_node_stays_the_machine_that_it_is(node):
    named = {"spec": {"providerID": "aws:///a/i-1"}}
    assert node.answer("PATCH", "/api/v1/nodes/n2", named, kind=MERGE)[0] == 200
    status, text = node.answer("PATCH", "/api/v1/nodes/n2", {"spec": {"providerID": "aws:///a/i-2"}}, kind=MERGE)
    assert status == 422 and "may not change providerID" in text


def test_the_mirror_pods_of_its_own_are_its_nodes(node):
    uid = node.get(NODE)["metadata"]["uid"]
    pods = [each for each in node.get(f"{SYSTEM}/pods")["items"] if each["spec"]["nodeName"] == "n1"]
    assert {each["metadata"]["ownerReferences"][0]["uid"] for each in pods} == {uid} and len(pods) == 4


