"""What a request means for the objects: paths, verbs, and the duties that the real controllers would have."""

import calendar
import secrets
import time

from . import evictions, nodeauth, rbac, reviews, rules, selecting, signing, tokens, watching
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
    "deployments": ("apps/v1", "Deployment", True),
    "daemonsets": ("apps/v1", "DaemonSet", True),
    "clusterroles": ("rbac.authorization.k8s.io/v1", "ClusterRole", False),
    "clusterrolebindings": ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", False),
    "roles": ("rbac.authorization.k8s.io/v1", "Role", True),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding", True),
}
# What can stand behind the name of an object.
SUBRESOURCES = {
    "nodes": ("status",),
    "pods": ("status", "eviction"),
    "poddisruptionbudgets": ("status",),
    "namespaces": ("status",),
    "deployments": ("status",),
    "daemonsets": ("status",),
    "certificatesigningrequests": ("status", "approval"),
}
# The letters of a name that the API server makes up.
GENERATED = "bcdfghjklmnpqrstvwxz2456789"
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
    sub = rest[2] if len(rest) > 2 else None
    if sub and sub not in SUBRESOURCES.get(rest[0], ()):
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    return rest[0], namespace, (rest[1] if len(rest) > 1 else None), sub


class Handler:
    """Carries requests out on a store, as far as the roles of `policy` allow; `signer` sees to certificate requests."""

    def __init__(self, store, policy, signer):
        self.store, self.policy, self.signer = store, policy, signer

    def handle(self, user, method, target, query, body):
        """(HTTP status, object) of a request, or a Watch instead of the object. Raises Refusal."""
        if (method, target) == ("POST", reviews.TARGET):
            return 201, reviews.review(user, self.policy, body)
        resource, namespace, name, sub = locate(target)
        verb = "list" if method == "GET" and not name else VERBS.get(method, method.lower())
        if verb == "list" and query.get("watch") in ("true", "1"):
            verb = "watch"
        fields = selecting.fields(resource, query.get("fieldSelector", ""))
        group = KINDS[resource][0].rpartition("/")[0]
        ask = rules.Ask(user, verb, group, resource, sub, namespace, name, fields, body)
        rules.check(ask, self.store, self.policy)
        if (resource, sub, verb) == ("pods", "eviction", "create"):
            return 201, evictions.evict(self.store, namespace, name, body)
        if verb == "watch":
            return 200, watching.Watch(self.store, ask, query, lambda found: _seen(resource, found))
        if verb == "list":
            return 200, self._list(ask, query)
        if verb == "get":
            return 200, _seen(resource, self.store.get(resource, namespace, name))
        if verb == "create" and not name:
            return 201, self._create(user, resource, namespace, body)
        if verb in ("patch", "update") and name and sub != "eviction":
            return 200, self._change(ask)
        if verb == "delete" and name and not sub:
            return 200, self._delete(resource, namespace, name, body)
        raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    def _list(self, ask, query):
        revision, start = selecting.place(query)
        found, revision = self.store.snapshot(ask.resource, ask.namespace, revision)
        found = [_seen(ask.resource, each) for each in found]
        kept = selecting.chosen(found, query.get("labelSelector", ""), ask.fields)
        kept, meta = selecting.page(kept, start, revision, query)
        version, kind, _ = KINDS[ask.resource]
        return {"kind": kind + "List", "apiVersion": version, "metadata": meta, "items": kept}

    def _create(self, user, resource, namespace, body):
        version, kind, spaced = KINDS[resource]
        meta = body.get("metadata") or {} if isinstance(body, dict) else {}
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + "".join(secrets.choice(GENERATED) for _ in range(5))
        if not meta.get("name"):
            raise Refusal(422, "Invalid", f"{kind} is invalid: metadata.name: Required value: name or generateName is required")
        if spaced and not namespace:
            raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        if spaced and not self.store.exists("namespaces", None, namespace):
            raise Refusal(404, "NotFound", f'namespaces "{namespace}" not found')
        body |= {"apiVersion": version, "kind": kind}
        if resource == "events":
            _must_be_in_its_namespace(namespace, body)
        if resource == "certificatesigningrequests":
            made = self.store.create(resource, namespace, self.signer.complete(user, body))
            return {**made, "status": {}}
        made = self.store.create(resource, namespace, _complete(resource, body))
        if resource in rbac.KINDS:
            self.policy.forget()
        return made

    def _change(self, ask):
        verb, resource, namespace, name, sub, body = ask.verb, ask.resource, ask.namespace, ask.name, ask.sub, ask.body
        node = ask.user.node()
        given = body.get("metadata") or {}
        if given.get("name", name) != name:
            text = f"the name of the object ({given['name']}) does not match the name on the URL ({name})"
            raise Refusal(400, "BadRequest", text)
        version, kind, _ = KINDS[resource]

        def rewritten(before):
            after = changed(before)
            if resource == "certificatesigningrequests":
                return self.signer.decide(ask.user, before, after) if sub == "approval" else signing.unchanged(before, given)
            if node:
                nodeauth.admit_change(node, ask, before, after)
            _must_keep_identity(resource, name, before, after)
            return _complete(resource, after, before)

        def changed(before):
            part = {key: value for key, value in body.items() if key == "status"} if sub else body
            _must_be_of_now(resource, name, given, before["metadata"], verb)
            if verb == "patch":
                return merge(before, part)
            if sub:
                return {**before, **part}
            # What is not said any more is gone, all but the state, which has a path of its own.
            kept = {"status": before["status"]} if "status" in before else {}
            return {**body, **kept, "apiVersion": version, "kind": kind, "metadata": dict(given)}

        made = self.store.change(resource, namespace, name, rewritten)
        if resource in rbac.KINDS:
            self.policy.forget()
        return made

    def _delete(self, resource, namespace, name, body):
        wanted = (body or {}).get("preconditions") or {}
        self.store.delete(resource, namespace, name, wanted.get("uid"), wanted.get("resourceVersion"))
        if resource in rbac.KINDS:
            self.policy.forget()
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


def _complete(resource, body, before=None):
    """An object as it is kept. Raises Refusal for one that Kubernetes does not take."""
    if resource == "secrets":
        return tokens.complete(body)
    return rbac.complete(resource, body, before) if resource in rbac.KINDS else body


def _must_keep_identity(resource, name, before, after):
    """Raises Refusal 422 where a Node is to become another machine's."""
    had = before.get("spec", {}).get("providerID") if resource == "nodes" else ""
    if had and after.get("spec", {}).get("providerID") != had:
        why = 'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid'
        raise Refusal(422, "Invalid", f'Node "{name}" is invalid: {why}')


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
