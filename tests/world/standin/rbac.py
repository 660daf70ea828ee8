"""RBAC: roles and bindings are objects of the cluster, and who has none may nothing.

Bound here as anywhere else: what kubeadm grants it creates, and so does everybody else. The API server itself makes the roles below
when it starts. Nobody is kept from granting more than he may do himself: only administrators create roles here.
"""

import threading
import time

from .storage import Refusal

GROUP = "rbac.authorization.k8s.io"
KINDS = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")
# Seconds for which what was read counts, as the real one reads behind the writes of another API server, too.
FRESH = 0.25
CERTIFICATES = "certificates.k8s.io"
REQUESTS = "certificatesigningrequests"


def rule(verbs, group, resources, names=()):
    """One rule of a role."""
    found = {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources)}
    return {**found, "resourceNames": list(names)} if names else found


READ = ("get", "list", "watch")
ANYTHING = [rule("*", "*", "*"), {"verbs": ["*"], "nonResourceURLs": ["*"]}]
# Those of the real ones that matter here. The last two are asked for by the approver, and name no object that there is.
DEFAULT_ROLES = {
    "cluster-admin": ANYTHING,
    "view": [rule(READ, "", ("pods", "configmaps", "events", "namespaces")), rule(READ, "policy", ("poddisruptionbudgets",))],
    "system:node-bootstrapper": [rule(("create", *READ), CERTIFICATES, (REQUESTS,))],
    f"system:{CERTIFICATES}:{REQUESTS}:nodeclient": [rule(("create",), CERTIFICATES, (f"{REQUESTS}/nodeclient",))],
    f"system:{CERTIFICATES}:{REQUESTS}:selfnodeclient": [rule(("create",), CERTIFICATES, (f"{REQUESTS}/selfnodeclient",))],
}
DEFAULT_BINDINGS = {"cluster-admin": "system:masters"}


class Policy:
    """What the roles of a store allow."""

    def __init__(self, store):
        self._store, self._lock = store, threading.Lock()
        self._read, self._until = {}, 0.0

    def forget(self):
        """Somebody has changed a role or a binding through this API server."""
        self._until = 0.0

    def allows(self, user, verb, group, resource, namespace=None, name=None):
        """Whether a role that is bound to a user allows this. A subresource is written behind its resource and a slash."""
        return bool(self.reason(user, verb, group, resource, namespace, name))

    def reason(self, user, verb, group, resource, namespace=None, name=None):
        """By which binding a user is allowed this, in the words of the API server; empty if by none."""
        for binding, subject, rule in self._rules(user, namespace):
            if _fits(rule, verb, group, resource, name):
                to, where = binding["roleRef"], binding["metadata"].get("namespace")
                named = f'RoleBinding "{binding["metadata"]["name"]}/{where}"' if where else f'ClusterRoleBinding "{binding["metadata"]["name"]}"'
                return f'RBAC: allowed by {named} of {to["kind"]} "{to["name"]}" to {subject["kind"]} "{subject["name"]}"'
        return ""

    def _rules(self, user, namespace):
        """Each rule that is bound to a user, with its binding and the subject of that by which it is the user's."""
        present = self._present()
        roles = {("ClusterRole", None, each["metadata"]["name"]): each for each in present["clusterroles"]}
        roles |= {("Role", *_place(each)): each for each in present["roles"]}
        bindings = [*present["clusterrolebindings"]]
        bindings += [each for each in present["rolebindings"] if namespace and _place(each)[0] == namespace]
        for binding in bindings:
            subject = next((each for each in binding.get("subjects") or () if _is(user, each)), None)
            if subject:
                to = binding["roleRef"]
                where = binding["metadata"].get("namespace") if to["kind"] == "Role" else None
                for rule in roles.get((to["kind"], where, to["name"]), {}).get("rules") or ():
                    yield binding, subject, rule

    def _present(self):
        with self._lock:
            if time.monotonic() >= self._until:
                self._read = {kind: self._store.list(kind, None) for kind in KINDS}
                self._until = time.monotonic() + FRESH
            return self._read


def make_defaults(store):
    """The roles and bindings of the API server itself that are missing. Raises Refusal if another was first with one."""
    label = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    present = {each["metadata"]["name"] for each in store.list("clusterroles", None)}
    for name, rules in DEFAULT_ROLES.items():
        if name not in present:
            meta = {"name": name, "labels": label}
            store.create("clusterroles", None, complete("clusterroles", {"metadata": meta, "rules": rules}))
    present = {each["metadata"]["name"] for each in store.list("clusterrolebindings", None)}
    for name, who in DEFAULT_BINDINGS.items():
        if name not in present:
            made = binding(name, name, [{"kind": "Group", "name": who}])
            store.create("clusterrolebindings", None, complete("clusterrolebindings", made))


def binding(name, role, subjects, kind="ClusterRole"):
    """A binding of a role."""
    return {"metadata": {"name": name}, "subjects": subjects, "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role}}


def complete(resource, body, before=None):
    """A role or binding as it is kept. Raises Refusal 422 for one that Kubernetes does not take."""
    body |= {"apiVersion": f"{GROUP}/v1"}
    kind = {"clusterroles": "ClusterRole", "roles": "Role", "clusterrolebindings": "ClusterRoleBinding"}.get(resource, "RoleBinding")
    body["kind"] = kind
    wrong = _wrong_rules(body) if resource.endswith("roles") else _wrong_binding(resource, body, before)
    if wrong:
        raise Refusal(422, "Invalid", f'{kind}.{GROUP} "{body["metadata"]["name"]}" is invalid: {wrong}')
    return body


def _wrong_rules(body):
    for at, each in enumerate(body.get("rules") or ()):
        if not each.get("verbs"):
            return f"rules[{at}].verbs: Required value: verbs must contain at least one value"
        if each.get("nonResourceURLs"):
            continue
        if not each.get("apiGroups"):
            return f"rules[{at}].apiGroups: Required value: resource rules must supply at least one api group"
        if not each.get("resources"):
            return f"rules[{at}].resources: Required value: resource rules must supply at least one resource"
    return ""


def _wrong_binding(resource, body, before):
    to = body.get("roleRef") or {}
    if before and to != before["roleRef"]:
        return f"roleRef: Invalid value: {to}: cannot change roleRef"
    if to.get("apiGroup") != GROUP:
        return f'roleRef.apiGroup: Unsupported value: "{to.get("apiGroup", "")}": supported values: "{GROUP}"'
    kinds = ("ClusterRole",) if resource == "clusterrolebindings" else ("ClusterRole", "Role")
    if to.get("kind") not in kinds:
        return f'roleRef.kind: Unsupported value: "{to.get("kind", "")}": supported values: {", ".join(kinds)}'
    if not to.get("name"):
        return "roleRef.name: Required value"
    for at, each in enumerate(body.get("subjects") or ()):
        if each.get("kind") in ("User", "Group"):
            each.setdefault("apiGroup", GROUP)
            if each["apiGroup"] != GROUP:
                return f'subjects[{at}].apiGroup: Unsupported value: "{each["apiGroup"]}": supported values: "{GROUP}"'
        elif each.get("kind") != "ServiceAccount":
            return f'subjects[{at}].kind: Unsupported value: "{each.get("kind", "")}"'
        if not each.get("name"):
            return f"subjects[{at}].name: Required value"
    return ""


def _place(found):
    return found["metadata"].get("namespace"), found["metadata"]["name"]


def _is(user, subject):
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    return subject["kind"] == "User" and subject["name"] == user.name


def _fits(given, verb, group, resource, name):
    def has(wanted, key):
        return "*" in (given.get(key) or ()) or wanted in (given.get(key) or ())

    names = given.get("resourceNames")
    any_of_it = "/" in resource and f"*/{resource.split('/')[1]}" in (given.get("resources") or ())
    return (
        has(verb, "verbs")
        and has(group, "apiGroups")
        and (has(resource, "resources") or any_of_it)
        and (not names or name in names)
    )
