"""What a request means for the objects: paths, verbs, and the duties that the real controllers would have."""

import calendar
import time

from . import evictions, rules
from .storage import Refusal, merge, now

EPOCH = "1970-01-01T00:00:00Z"  # the heartbeat of a Node that never had one
NODE_GRACE = 40  # seconds without a heartbeat after which a node counts as not ready: kube-controller-manager's default

# plural: (API group and version, kind, in a namespace)
KINDS = {
    "namespaces": ("v1", "Namespace", False),
    "nodes": ("v1", "Node", False),
    "pods": ("v1", "Pod", True),
    "poddisruptionbudgets": ("policy/v1", "PodDisruptionBudget", True),
    "configmaps": ("v1", "ConfigMap", True),
    "events": ("v1", "Event", True),
    "secrets": ("v1", "Secret", True),
    "certificatesigningrequests": ("certificates.k8s.io/v1", "CertificateSigningRequest", False),
    "leases": ("coordination.k8s.io/v1", "Lease", True),
    "clusterrolebindings": ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", False),
}
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def locate(target):
    """The (resource, namespace, name, subresource) of a path. Raises Refusal 404 for a path that is none of these."""
    parts = [part for part in target.split("/") if part]
    group = parts[1:2] if parts[:1] == ["api"] else parts[1:3]
    rest = parts[1 + len(group) :]
    namespace = None
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] in KINDS:
        namespace, rest = rest[1], rest[2:]
    known = KINDS.get(rest[0]) if rest else None
    if parts[:1] not in (["api"], ["apis"]) or not known or known[0] != "/".join(group) or len(rest) > 3:
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    return rest[0], namespace, (rest[1] if len(rest) > 1 else None), (rest[2] if len(rest) > 2 else None)


class Handler:
    """Carries requests out on a store. `sign` makes a client certificate of a CSR."""

    def __init__(self, store, sign):
        self.store, self.sign = store, sign

    def handle(self, user, method, target, query, body):
        """(HTTP status, object) of a request. Raises Refusal."""
        resource, namespace, name, sub = locate(target)
        verb = "list" if method == "GET" and not name else VERBS.get(method, method.lower())
        if (resource, sub, verb) == ("pods", "eviction", "create"):
            # What a kubelet may evict depends on where the pod is.
            rules.check(user, self.store, verb, resource, namespace, name, self.store.get(resource, namespace, name))
            return 201, evictions.evict(self.store, namespace, name, body)
        rules.check(user, self.store, verb, resource, namespace, name, body)
        if verb == "list":
            return 200, self._list(resource, namespace, query.get("labelSelector", ""))
        if verb == "get":
            return 200, _seen(resource, self.store.get(resource, namespace, name))
        if verb == "create" and not name:
            return 201, self._create(user, resource, namespace, body)
        if verb in ("patch", "update") and name:
            return 200, self._change(verb, resource, namespace, name, sub, body)
        if verb == "delete" and name:
            return 200, self._delete(resource, namespace, name, body)
        raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    def _list(self, resource, namespace, selector):
        wanted = dict(pair.split("=", 1) for pair in selector.replace("==", "=").split(",") if "=" in pair)
        found = [_seen(resource, each) for each in self.store.list(resource, namespace)]
        kept = [each for each in found if wanted.items() <= (each["metadata"].get("labels") or {}).items()]
        return {"kind": KINDS[resource][1] + "List", "apiVersion": KINDS[resource][0], "metadata": {}, "items": kept}

    def _create(self, user, resource, namespace, body):
        version, kind, spaced = KINDS[resource]
        if not isinstance(body, dict) or not (body.get("metadata") or {}).get("name"):
            raise Refusal(422, "Invalid", f"{kind} is invalid: metadata.name: Required value")
        if spaced and not namespace:
            raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        if spaced and not self.store.exists("namespaces", None, namespace):
            raise Refusal(404, "NotFound", f'namespaces "{namespace}" not found')
        body |= {"apiVersion": version, "kind": kind}
        if resource == "events":
            _must_be_in_its_namespace(namespace, body)
        if resource == "certificatesigningrequests":
            body["status"] = {
                "conditions": [{"type": "Approved", "status": "True", "reason": "AutoApproved"}],
                "certificate": self.sign(user, body["spec"]["request"]),
            }
        return self.store.create(resource, namespace, body)

    def _change(self, verb, resource, namespace, name, sub, body):
        given = body.get("metadata") or {}
        if given.get("name", name) != name:
            text = f"the name of the object ({given['name']}) does not match the name on the URL ({name})"
            raise Refusal(400, "BadRequest", text)
        version, kind, _ = KINDS[resource]

        def rewritten(before):
            part = {key: value for key, value in body.items() if key == "status"} if sub == "status" else body
            _must_be_of_now(resource, name, given, before["metadata"], verb)
            if verb == "patch":
                return merge(before, part)
            if sub == "status":
                return {**before, **part}
            # What is not said any more is gone, all but the state, which has a path of its own.
            kept = {"status": before["status"]} if "status" in before else {}
            return {**body, **kept, "apiVersion": version, "kind": kind, "metadata": dict(given)}

        return self.store.change(resource, namespace, name, rewritten)

    def _delete(self, resource, namespace, name, body):
        wanted = (body or {}).get("preconditions") or {}
        self.store.delete(resource, namespace, name, wanted.get("uid"), wanted.get("resourceVersion"))
        if resource == "nodes":
            self._collect(name)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"name": name, "kind": resource}}

    def _collect(self, node):
        """The pods and the lease of a Node that is gone go, too: the garbage collectors' duty."""
        if self.store.exists("leases", "kube-node-lease", node):
            self.store.delete("leases", "kube-node-lease", node)
        for pod in self.store.list("pods", None):
            if pod.get("spec", {}).get("nodeName") == node:
                self.store.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])


def _must_be_in_its_namespace(namespace, event):
    """Raises Refusal 422 for an Event beside what it is about; about something in no namespace it is in `default`."""
    about = (event.get("involvedObject") or {}).get("namespace") or ""
    if namespace != (about or "default"):
        name = event["metadata"]["name"]
        text = f'Event "{name}" is invalid: involvedObject.namespace: Invalid value: "{about}": does not match event.namespace'
        raise Refusal(422, "Invalid", text)


def _must_be_of_now(resource, name, given, present, verb):
    """Raises Refusal where a request means another version of an object (409), or another object of that name (422 in a patch)."""
    problem = f'Operation cannot be fulfilled on {resource} "{name}": '
    if verb == "patch" and (given.get("uid") or present["uid"]) != present["uid"]:
        text = f'{resource} "{name}" is invalid: metadata.uid: Invalid value: "{given["uid"]}": field is immutable'
        raise Refusal(422, "Invalid", text)
    if (given.get("uid") or present["uid"]) != present["uid"]:
        text = f"Precondition failed: UID in precondition: {given['uid']}, UID in object meta: {present['uid']}"
        raise Refusal(409, "Conflict", problem + text)
    if (given.get("resourceVersion") or present["resourceVersion"]) != present["resourceVersion"]:
        text = "the object has been modified; please apply your changes to the latest version and try again"
        raise Refusal(409, "Conflict", problem + text)


def _seen(resource, found):
    """An object as a reader sees it: a Node whose kubelet has been silent for too long is not ready."""
    for condition in found.get("status", {}).get("conditions", []) if resource == "nodes" else []:
        beat = calendar.timegm(time.strptime(condition.get("lastHeartbeatTime") or EPOCH, "%Y-%m-%dT%H:%M:%SZ"))
        if condition["type"] == "Ready" and time.time() - beat > NODE_GRACE:
            condition |= {
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "lastTransitionTime": now(),
                "message": "Kubelet stopped posting node status.",
            }
    return found
