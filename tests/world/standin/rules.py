"""Who may do what: the users that client certificates name, and the little of RBAC that a control plane needs."""

from .storage import Refusal

OPEN_PATHS = ("/livez", "/readyz", "/healthz", "/version")
ADMIN_BINDING = "kubeadm:cluster-admins"


class User:
    """The subject of a client certificate: common name and organisations. None of both is nobody in particular."""

    def __init__(self, certificate):
        fields = [pair for part in (certificate or {}).get("subject", ()) for pair in part]
        self.name = next((value for key, value in fields if key == "commonName"), "system:anonymous")
        self.groups = {value for key, value in fields if key == "organizationName"}
        self.anonymous = not certificate

    def node(self):
        """The Node this user is the kubelet of, or None."""
        if "system:nodes" in self.groups and self.name.startswith("system:node:"):
            return self.name.removeprefix("system:node:")
        return None


def check(user, store, verb, resource, namespace, name, body):
    """Lets a request through or raises Refusal 403, in the words of the API server."""
    if "system:masters" in user.groups:
        return
    if ADMIN_BINDING in user.groups and store.exists("clusterrolebindings", None, ADMIN_BINDING):
        return
    if (resource, namespace, name, verb) == ("configmaps", "kube-public", "cluster-info", "get"):
        return
    if user.node() and _kubelet_may(user.node(), verb, resource, name, body):
        return
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    which = f'{resource} "{name}"' if name else resource
    raise Refusal(
        403,
        "Forbidden",
        f'{which} is forbidden: User "{user.name}" cannot {verb} resource "{resource}" in API group "" {scope}',
    )


def _kubelet_may(node, verb, resource, name, body):
    if resource == "nodes":
        own = name or ((body or {}).get("metadata") or {}).get("name")
        return verb in ("get", "list") or (own == node and verb in ("create", "patch", "update"))
    if resource == "pods":
        mine = ((body or {}).get("spec") or {}).get("nodeName") == node
        return (
            verb in ("get", "list") or (verb == "create" and mine) or (verb == "delete" and name.endswith("-" + node))
        )
    if resource == "leases":
        own = name or ((body or {}).get("metadata") or {}).get("name")
        return own == node and verb in ("get", "create", "update", "patch", "delete")
    if resource == "certificatesigningrequests":
        return verb in ("create", "get")
    return resource in ("configmaps", "secrets") and verb == "get"
