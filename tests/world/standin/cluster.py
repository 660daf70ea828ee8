"""What kubeadm keeps in the cluster: its ConfigMaps, the marks on Nodes, bootstrap tokens, the shared certificates."""

import base64
import datetime
import json
import secrets
import string
import time

import yaml

from . import dial, documents, kubeapi, kubeconfig, rbac, say, users

SYSTEM = "/api/v1/namespaces/kube-system"
PUBLIC = "/api/v1/namespaces/kube-public"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
BOOTSTRAPPERS = "system:bootstrappers:kubeadm:default-node-token"
LABELS = ("node-role.kubernetes.io/control-plane", "node.kubernetes.io/exclude-from-external-load-balancers")
POLL = 0.05  # seconds
SHORT_RETRY = 0.35  # seconds that kubeadm tries to read its own ConfigMap


def retry(work, limit):
    """Calls `work` until it succeeds or `limit` seconds are over. Raises say.Failure with its last error."""
    end = time.monotonic() + limit
    while True:
        try:
            return work()
        except (dial.Unreachable, kubeapi.ApiError) as error:
            if time.monotonic() > end:
                raise say.Failure(str(error)) from error
            time.sleep(POLL)


def config_map(name, data):
    """A ConfigMap with these texts."""
    return {"metadata": {"name": name}, "data": data}


def bind_admins(api):
    """Gives admin.conf its rights; only super-admin.conf can do that."""
    _bind(api, "kubeadm:cluster-admins", "cluster-admin", "kubeadm:cluster-admins")


def allow_reading(api, name, config_map, *groups, namespace="kube-system", kind="Group"):
    """A role of this name that reads one ConfigMap, bound to these groups or users."""
    where = f"{RBAC}/namespaces/{namespace}"
    rules = [rbac.rule(("get",), "", ("configmaps",), (config_map,))]
    api.apply(f"{where}/roles", {"metadata": {"name": name}, "rules": rules})
    subjects = [{"kind": kind, "apiGroup": rbac.GROUP, "name": group} for group in groups]
    api.apply(f"{where}/rolebindings", rbac.binding(name, name, subjects, "Role"))


def allow_bootstrapping(api):
    """What the bearers of kubeadm's own tokens may do, and that their requests are approved."""
    rules = [rbac.rule(("get",), "", ("nodes",))]
    api.apply(f"{RBAC}/clusterroles", {"metadata": {"name": "kubeadm:get-nodes"}, "rules": rules})
    _bind(api, "kubeadm:get-nodes", "kubeadm:get-nodes", BOOTSTRAPPERS)
    _bind(api, "kubeadm:kubelet-bootstrap", "system:node-bootstrapper", BOOTSTRAPPERS)
    approved = f"system:{rbac.CERTIFICATES}:{rbac.REQUESTS}"
    _bind(api, "kubeadm:node-autoapprove-bootstrap", f"{approved}:nodeclient", BOOTSTRAPPERS)
    _bind(api, "kubeadm:node-autoapprove-certificate-rotation", f"{approved}:selfnodeclient", users.NODES)


def allow_cluster_info(api):
    """What anybody may read who does not know the cluster yet."""
    allow_reading(api, "kubeadm:bootstrap-signer-clusterinfo", "cluster-info", "system:anonymous", namespace="kube-public", kind="User")


def say_what_is_allowed():
    """What kubeadm says of allow_bootstrapping()."""
    for what in (
        "Node Bootstrap tokens to get nodes",
        "Node Bootstrap tokens to post CSRs in order for nodes to get long term certificate credentials",
        "the csrapprover controller automatically approve CSRs from a Node Bootstrap Token",
        "certificate rotation for all node client certificates in the cluster",
        "the API server kubelet client certificate to access the kubelet API",
    ):
        say.out(f"[bootstrap-token] Configured RBAC rules to allow {what}")


def _bind(api, name, role, group):
    subjects = [{"kind": "Group", "apiGroup": rbac.GROUP, "name": group}]
    api.apply(f"{RBAC}/clusterrolebindings", rbac.binding(name, role, subjects))


def mark(api, name, taints, limit):
    """Labels and taints a Node as control plane, once its kubelet has registered it."""
    say.out(f"[mark-control-plane] Marking the node {name} as control-plane by adding the labels: [{' '.join(LABELS)}]")
    if taints:
        shown = " ".join(
            f"{each['key']}{'=' + each['value'] if each.get('value') else ''}:{each['effect']}" for each in taints
        )
        say.out(f"[mark-control-plane] Marking the node {name} as control-plane by adding the taints [{shown}]")

    def patch():
        found = api.get(f"/api/v1/nodes/{name}")
        had = found["spec"].get("taints") or []
        spec = {"taints": had + [each for each in taints if each not in had]}
        api.merge(f"/api/v1/nodes/{name}", {"metadata": {"labels": {label: "" for label in LABELS}}, "spec": spec})

    retry(patch, limit)


def fetch(api, log_prefix):
    """The ClusterConfiguration of the cluster. Raises say.Failure, in the words of `kubeadm join` and `reset`."""
    say.out(f'[{log_prefix}] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...')
    say.out(f"[{log_prefix}] Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it.")
    try:
        return _stored(_short_retry(api, "kubeadm-config"))
    except kubeapi.ApiError as error:
        raise say.Failure(f"failed to get config map: {error}") from error


def fetch_components(api):
    """The KubeletConfiguration of the cluster, as text; that of kube-proxy is looked for and may be missing. Raises say.Failure."""
    problem = "failed to get component configs: "
    try:
        text = _short_retry(api, "kubelet-config", problem)["data"]["kubelet"]
    except kubeapi.ApiError as error:
        raise say.Failure(f"{problem}{error}") from error
    try:
        _short_retry(api, "kube-proxy", problem)
        say.warn(
            "utils.go:69",
            'The recommended value for "bindAddress" in "KubeProxyConfiguration" is: ::; the provided value '
            "is: 0.0.0.0",
        )
    except kubeapi.ApiError as error:
        if error.status not in (403, 404):
            raise say.Failure(f"{problem}{error}") from error
        without = "Warning: No kubeproxy.config.k8s.io/v1alpha1 config is loaded. Continuing without it"
        say.warn("configset.go:77", f"{without}: {error}")
    return text


def _short_retry(api, name, problem="failed to get config map: "):
    """A ConfigMap of kube-system, within a third of a second. Raises kubeapi.ApiError, or say.Failure without an answer."""
    end = time.monotonic() + SHORT_RETRY
    while True:
        try:
            return api.get(f"{SYSTEM}/configmaps/{name}")
        except kubeapi.ApiError as error:
            if error.status in (401, 403, 404) or time.monotonic() > end:
                raise
        except dial.Unreachable as error:
            if time.monotonic() > end:
                raise say.Failure(f"{problem}{error}") from error
        time.sleep(POLL)


def _stored(config_map):
    text = (config_map.get("data") or {}).get("ClusterConfiguration")
    if not text:
        raise say.Failure(
            "unexpected error when reading kubeadm-config ConfigMap: ClusterConfiguration key value pair missing"
        )
    return documents.cluster(documents.parse(text))


def stored_form(clustering):
    """A ClusterConfiguration as it is kept in the cluster."""
    return yaml.safe_dump(documents.stored(clustering))


# Bootstrap tokens.


def new_token():
    """A random bootstrap token: six characters, a dot, sixteen more."""
    letters = string.ascii_lowercase + string.digits
    return ".".join("".join(secrets.choice(letters) for _ in range(count)) for count in (6, 16))


def save_token(api, token, ttl, description=""):
    """Keeps a bootstrap token as a Secret; `ttl` in seconds, 0 for ever."""
    ident, secret = token.split(".")
    data = {
        "token-id": ident,
        "token-secret": secret,
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": BOOTSTRAPPERS,
    }
    if description:
        data["description"] = description
    if ttl:
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=ttl)
        data["expiration"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    api.apply(
        f"{SYSTEM}/secrets",
        {"metadata": {"name": f"bootstrap-token-{ident}"}, "type": "bootstrap.kubernetes.io/token", "data": encoded},
    )


def cluster_info(api, server, ca_pem):
    """The ConfigMap that anybody may read: where the API server is and which CA it has."""
    text = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "",
                    "cluster": {"server": server, "certificate-authority-data": base64.b64encode(ca_pem).decode()},
                }
            ],
            "contexts": None,
            "current-context": "",
            "preferences": {},
            "users": None,
        }
    )
    api.apply(f"{PUBLIC}/configmaps", config_map("cluster-info", {"kubeconfig": text}))


def client(file, server=None):
    """The API server by a kubeconfig of the node. Raises OSError or ValueError."""
    return kubeapi.Api(kubeconfig.Config.load(file), server=server)
