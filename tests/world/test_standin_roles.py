"""Roles and bindings at the stand-in's API server: what is not granted is forbidden, and what is granted are objects."""

import json

import pytest

from world.standin.rbac import binding, rule
from world.standin_lab import Lab, wait

SYSTEM = "/api/v1/namespaces/kube-system"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
OWN = "system:bootstrappers:kubeboot"
TOKEN = "aaaaaa.0123456789abcdef"
GROUP = [{"kind": "Group", "name": OWN}]


@pytest.fixture(scope="module")
def node():
    lab = Lab()
    made = lab.node()
    made.init()
    made.make_token(TOKEN, OWN)
    yield made
    lab.close()


def may(node, method, target, body=None):
    """Whether the bearer of the token gets past the authorizer."""
    return node.answer(method, target, body, config=node.by_token(TOKEN))[0] != 403


@pytest.mark.parametrize(
    ("target", "role"),
    [
        (f"{SYSTEM}/configmaps/kubeadm-config", rule(("get",), "", ("configmaps",), ("kubeadm-config",))),
        ("/api/v1/nodes/n1", rule(("get",), "", ("nodes",))),
        (REQUESTS, rule(("list",), "certificates.k8s.io", ("certificatesigningrequests",))),
    ],
)
def test_what_was_granted_is_allowed_for_as_long_as_the_binding_is_there(node, target, role):
    assert not may(node, "GET", target)
    name = f"own-{target.rpartition('/')[2]}"
    node.api("POST", f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": [role]})
    assert not may(node, "GET", target)
    node.api("POST", f"{RBAC}/clusterrolebindings", binding(name, name, GROUP))
    assert may(node, "GET", target)
    node.api("DELETE", f"{RBAC}/clusterrolebindings/{name}")
    assert not may(node, "GET", target)


def test_a_role_of_a_namespace_ends_with_it_and_a_name_with_that_name(node):
    where = f"{RBAC}/namespaces/kube-system"
    rules = [rule(("get",), "", ("configmaps",), ("kubelet-config",))]
    node.api("POST", f"{where}/roles", {"metadata": {"name": "one"}, "rules": rules})
    node.api("POST", f"{where}/rolebindings", binding("one", "one", GROUP, "Role"))
    assert may(node, "GET", f"{SYSTEM}/configmaps/kubelet-config")
    assert not may(node, "GET", f"{SYSTEM}/configmaps/kube-proxy")
    assert not may(node, "GET", f"{SYSTEM}/configmaps")
    assert not may(node, "GET", "/api/v1/namespaces/default/configmaps/kubelet-config")


def test_another_api_servers_grant_counts_here_too(node):
    rules = [rule(("list",), "", ("events",))]
    node.api("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "far"}, "rules": rules})
    made = binding("far", "far", GROUP)
    made |= {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"}
    # Past this API server, as what another one has written comes.
    node.etcdctl("put", "/registry/clusterrolebindings/far", json.dumps(made))
    wait(lambda: may(node, "GET", "/api/v1/namespaces/default/events"), "the binding to count")


@pytest.mark.parametrize(
    ("kind", "change", "why"),
    [
        ("clusterroles", {"rules": [{"apiGroups": [""], "resources": ["pods"]}]}, "rules[0].verbs: Required value"),
        ("clusterroles", {"rules": [{"verbs": ["get"], "resources": ["pods"]}]}, "rules[0].apiGroups: Required value"),
        ("clusterroles", {"rules": [{"verbs": ["get"], "apiGroups": [""]}]}, "rules[0].resources: Required value"),
        ("clusterrolebindings", {"roleRef": {"kind": "ClusterRole", "name": "view"}}, "roleRef.apiGroup: Unsupported value"),
        ("clusterrolebindings", binding("wrong", "view", GROUP, "Role"), "roleRef.kind: Unsupported value"),
        ("clusterrolebindings", binding("wrong", "", GROUP), "roleRef.name: Required value"),
        ("clusterrolebindings", binding("wrong", "view", [{"kind": "Groups", "name": "a"}]), "subjects[0].kind: Unsupported value"),
        ("clusterrolebindings", binding("wrong", "view", [{"kind": "User"}]), "subjects[0].name: Required value"),
    ],
)
def test_what_kubernetes_does_not_take_is_refused(node, kind, change, why):
    status, text = node.answer("POST", f"{RBAC}/{kind}", {**change, "metadata": {"name": "wrong"}})
    assert status == 422 and why in text


def test_a_binding_stays_one_of_its_role(node):
    node.api("POST", f"{RBAC}/clusterrolebindings", binding("fixed", "view", GROUP))
    other = {"roleRef": {"name": "cluster-admin"}}
    status, text = node.answer("PATCH", f"{RBAC}/clusterrolebindings/fixed", other, kind="application/merge-patch+json")
    assert status == 422 and "cannot change roleRef" in text


def test_the_roles_that_kubernetes_has_by_itself_are_there(node):
    names = {each["metadata"]["name"] for each in node.get(f"{RBAC}/clusterroles")["items"]}
    assert {"cluster-admin", "system:node-bootstrapper", "kubeadm:get-nodes"} <= names


def test_lists_are_selected_and_come_in_pages(node):
    for name in ("p1", "p2", "p3"):
        meta = {"name": name, "labels": {"page": "1"}}
        node.api("POST", "/api/v1/namespaces/default/configmaps", {"metadata": meta, "data": {}})
    first = node.get("/api/v1/namespaces/default/configmaps?labelSelector=page=1&limit=2")
    assert [each["metadata"]["name"] for each in first["items"]] == ["p1", "p2"]
    rest = node.get(f"/api/v1/namespaces/default/configmaps?labelSelector=page=1&limit=2&continue={first['metadata']['continue']}")
    assert [each["metadata"]["name"] for each in rest["items"]] == ["p3"] and "continue" not in rest["metadata"]
    one = node.get("/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name=p2")
    assert [each["metadata"]["name"] for each in one["items"]] == ["p2"]
    status, text = node.answer("GET", "/api/v1/namespaces/default/configmaps?fieldSelector=data.a=b")
    assert status == 400 and "field label not supported: data.a" in text
    assert int(first["metadata"]["resourceVersion"]) > 0


def test_the_pages_of_a_list_are_of_one_moment(node):
    """So that a watch from its version on misses nothing that came meanwhile."""
    where = "/api/v1/namespaces/default/configmaps"
    for name in ("q2", "q3"):
        node.api("POST", where, {"metadata": {"name": name, "labels": {"page": "2"}}})
    first = node.get(f"{where}?labelSelector=page=2&limit=1")
    node.api("POST", where, {"metadata": {"name": "q4", "labels": {"page": "2"}}})
    rest = node.get(f"{where}?labelSelector=page=2&limit=9&continue={first['metadata']['continue']}")
    assert [each["metadata"]["name"] for each in rest["items"]] == ["q3"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert node.answer("GET", f"{where}?limit=1&continue=xx")[0] == 400
    node.etcdctl("compact", node.get(where)["metadata"]["resourceVersion"])
    assert node.answer("GET", f"{where}?labelSelector=page=2&limit=9&continue={first['metadata']['continue']}")[0] == 410
