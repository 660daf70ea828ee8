"""What a kubelet may do: the node authorizer, and the admission plugin NodeRestriction, as in Kubernetes 1.36.

A kubelet reads its own Node and the pods that are bound to it, and changes little of either. Which Secrets and ConfigMaps its pods use
is not followed here: of those it reads what a role allows it.
"""

from .storage import Refusal

MIRROR = "kubernetes.io/config.mirror"
LEASES = "kube-node-lease"
RESTRICTED = "node-restriction.kubernetes.io"
# Those labels of Kubernetes' own that a kubelet may give its Node.
OWN_LABELS = {
    "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type", "beta.kubernetes.io/os", "beta.kubernetes.io/arch", "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
}  # fmt: skip
OWN_LABEL_GROUPS = ("kubelet.kubernetes.io", "node.kubernetes.io")


def forbidden_labels(labels):
    """Those of these labels that no kubelet may set, change or take away."""

    def is_forbidden(label):
        space = label.rpartition("/")[0]
        if space == RESTRICTED or space.endswith(f".{RESTRICTED}"):
            return True
        own = label in OWN_LABELS or any(space == each or space.endswith(f".{each}") for each in OWN_LABEL_GROUPS)
        return not own and any(space == each or space.endswith(f".{each}") for each in ("kubernetes.io", "k8s.io"))

    return sorted(filter(is_forbidden, labels))


def allows(node, ask, store):
    """Whether the authorizer lets a kubelet's request through. What it is silent about, roles may still allow."""
    verb, what = ask.verb, ask.whole_resource
    if what == "nodes":
        return verb in ("create", "update", "patch") or (verb in ("get", "list", "watch") and ask.name == node)
    if what == "nodes/status":
        return verb in ("update", "patch")
    if what == "pods":
        if verb in ("list", "watch"):
            return ask.fields.get("spec.nodeName") == node
        if verb == "get":
            found = store.find("pods", ask.namespace, ask.name)
            return bool(found) and found.get("spec", {}).get("nodeName") == node
        return verb in ("create", "delete")
    if what == "pods/status":
        return verb in ("update", "patch")
    if what == "pods/eviction":
        return verb == "create"
    if what == "leases":
        mine = ask.namespace == LEASES and (verb == "create" or ask.name == node)
        return mine and verb in ("get", "create", "update", "patch", "delete")
    if what == "events":
        return verb in ("create", "update", "patch")
    return what == "certificatesigningrequests" and verb in ("create", "get", "list", "watch")


def admit(node, ask, store):
    """The admission of a kubelet's request before it is carried out. Raises Refusal 403, or 404 for a pod that is not there."""
    body, what = ask.body or {}, ask.whole_resource
    name = ask.name or (body.get("metadata") or {}).get("name")
    if ask.resource == "nodes" and ask.verb in ("create", "update", "patch") and name != node:
        _forbid(ask, name, f'node "{node}" is not allowed to modify node "{name}"')
    if what == "nodes" and ask.verb == "create":
        wrong = forbidden_labels((body.get("metadata") or {}).get("labels") or {})
        if wrong:
            _forbid(ask, name, f'node "{node}" is not allowed to set the following labels: {", ".join(wrong)}')
    if ask.resource == "leases" and ask.verb == "create" and name != node:
        _forbid(ask, name, "can only access node lease with the same name as the requesting node")
    if what == "pods" and ask.verb == "create":
        _admit_pod(node, ask, name, body, store)
    for place, verb, text in (
        ("pods", "delete", f'node "{node}" can only delete pods with spec.nodeName set to itself'),
        ("pods/eviction", "create", f"node {node} can only evict pods with spec.nodeName set to itself"),
        ("pods/status", ask.verb, f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'),
    ):
        if (what, ask.verb) == (place, verb):
            if store.get("pods", ask.namespace, ask.name).get("spec", {}).get("nodeName") != node:
                _forbid(ask, name, text)


def admit_change(node, ask, before, after):
    """The admission of what a kubelet makes of its Node. Raises Refusal 403."""
    if ask.resource != "nodes":
        return
    if (before["spec"].get("taints") or []) != (after.get("spec", {}).get("taints") or []):
        _forbid(ask, ask.name, f'node "{node}" is not allowed to modify taints')
    had, has = before["metadata"].get("labels") or {}, after["metadata"].get("labels") or {}
    wrong = forbidden_labels({key for key in {*had, *has} if had.get(key) != has.get(key)})
    if wrong:
        _forbid(ask, ask.name, f"is not allowed to modify labels: {', '.join(wrong)}")


def _admit_pod(node, ask, name, body, store):
    """A kubelet makes mirror pods only, which are its own Node's."""
    if MIRROR not in ((body.get("metadata") or {}).get("annotations") or {}):
        _forbid(ask, name, f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods')
    if (body.get("spec") or {}).get("nodeName") != node:
        _forbid(ask, name, f'node "{node}" can only create pods with spec.nodeName set to itself')
    owners = body["metadata"].get("ownerReferences") or []
    mine = [each for each in owners if (each.get("apiVersion"), each.get("kind"), each.get("name")) == ("v1", "Node", node)]
    if len(owners) != 1 or not mine or not mine[0].get("controller"):
        _forbid(ask, name, f'node "{node}" can only create pods with a controller owner reference set to itself')
    uid = store.get("nodes", None, node)["metadata"]["uid"]
    if mine[0].get("uid") != uid:
        _forbid(ask, name, f"node {node} UID mismatch: expected {mine[0].get('uid')} got {uid}")


def _forbid(ask, name, why):
    where = f"{ask.resource}.{ask.group}" if ask.group else ask.resource
    raise Refusal(403, "Forbidden", f'{where} "{name}" is forbidden: {why}')
