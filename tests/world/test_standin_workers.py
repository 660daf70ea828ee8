"""A worker's join by the stand-in: what kubeadm refuses, what it leaves behind, and how kubelet comes to its certificate."""

import base64
import json

import pytest

from world.standin import pki, rbac
from world.standin_lab import Lab, moment, wait

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SYSTEM = "/api/v1/namespaces/kube-system"
OWN, KUBEADMS = "system:bootstrappers:kubeboot", "system:bootstrappers:kubeadm:default-node-token"
TOKEN, DEFAULT, POOR = "aaaaaa.0123456789abcdef", "bbbbbb.0123456789abcdef", "cccccc.0123456789abcdef"
SHORT = {"timeouts": {"discovery": "1s", "tlsBootstrap": "1s"}}
CONFIG_MAPS = ("kubeadm-config", "kubelet-config", "kube-proxy")


def grant(node, group, *, config_maps=CONFIG_MAPS):
    """What kubeboot grants to the group of its tokens."""
    who, where = [{"kind": "Group", "name": group}], f"{RBAC}/namespaces/kube-system"
    rules = [rbac.rule(("get",), "", ("nodes",))]
    name = group.replace(":", "-")
    node.api("POST", f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    node.api("POST", f"{RBAC}/clusterrolebindings", rbac.binding(name, name, who))
    node.api("POST", f"{RBAC}/clusterrolebindings", rbac.binding(f"{name}-ask", "system:node-bootstrapper", who))
    rules = [rbac.rule(("get",), "", ("configmaps",), config_maps)]
    node.api("POST", f"{where}/roles", {"metadata": {"name": name}, "rules": rules})
    node.api("POST", f"{where}/rolebindings", rbac.binding(name, name, who, "Role"))


@pytest.fixture(scope="module")
def first():
    lab = Lab()
    made = lab.node()
    made.init()
    for token, group in ((TOKEN, OWN), (DEFAULT, KUBEADMS), (POOR, f"{OWN}:poor")):
        made.make_token(token, group)
    grant(made, OWN)
    grant(made, f"{OWN}:poor", config_maps=("kubeadm-config",))
    yield made
    lab.close()


@pytest.fixture
def worker(first):
    made = first.lab.node(f"w{len(first.lab.nodes)}")
    yield made
    made.cut()


def pending(node, worker):
    """The names of the requests for a worker's certificate that nobody has decided on."""
    found = node.get(REQUESTS)["items"]
    names = [each for each in found if worker.name in _subject(each) and not each["status"].get("conditions")]
    return [each["metadata"]["name"] for each in names]


def _subject(request):
    from cryptography import x509

    return x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"])).subject.rfc4514_string()


def decide(node, name, kind):
    found = {**node.get(f"{REQUESTS}/{name}"), "status": {"conditions": [{"type": kind, "status": "True", "reason": "Test"}]}}
    node.api("PUT", f"{REQUESTS}/{name}/approval", found)


def ready(node, name):
    """The Node of a machine, once it is Ready."""
    found = node.answer("GET", f"/api/v1/nodes/{name}")
    conditions = found[1].get("status", {}).get("conditions", []) if found[0] == 200 else []
    return found[1] if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions) else None


def test_kubeadms_own_token_is_all_a_worker_needs(first, worker):
    worker.discover(first, DEFAULT)
    done = worker.work()
    assert done.returncode == 0, done.stderr
    assert "This node has joined the cluster:\n* Certificate signing request was sent to apiserver and a response" in done.stdout
    assert "Could not access the cluster-info ConfigMap" in done.stderr and "KubeProxyConfiguration" in done.stderr
    wait(lambda: ready(first, worker.name), "the Node")
    found = ready(first, worker.name)
    assert found["spec"]["providerID"] == f"aws:///a/i-{worker.name}" and not found["spec"]["taints"]
    assert worker.files("/etc/kubernetes") == ["kubelet.conf", "pki"] and worker.files("/etc/kubernetes/pki") == ["ca.crt"]
    assert TOKEN.split(".")[1] not in worker.read("/etc/kubernetes/kubelet.conf")
    assert worker.read("/etc/kubernetes/pki/ca.crt") == first.read("/etc/kubernetes/pki/ca.crt")


def test_a_request_of_an_own_group_waits_for_whoever_approves(first, worker):
    worker.discover(first, TOKEN)
    joining = worker.start("kubeadm", "join", "--config", worker.write("/run/w.yaml", worker.worker_config()))
    wait(lambda: pending(first, worker), "the request")
    assert joining.poll() is None and not ready(first, worker.name)
    decide(first, pending(first, worker)[0], "Approved")
    assert joining.wait(30) == 0
    wait(lambda: ready(first, worker.name), "the Node")
    status, text = first.answer("GET", "/api/v1/nodes/n1", config=first.write("/run/other.conf", _as_kubelet(worker)))
    assert status == 403 and f'User "system:node:{worker.name}"' in text


def _as_kubelet(worker):
    """A worker's kubelet.conf with its certificate in it, for another machine of the test."""
    import yaml

    whole = yaml.safe_load(worker.read("/etc/kubernetes/kubelet.conf"))
    pem = base64.b64encode(worker.read("/var/lib/kubelet/pki/kubelet-client-current.pem").encode()).decode()
    whole["users"][0]["user"] = {"client-certificate-data": pem, "client-key-data": pem}
    return json.dumps(whole)


def test_kubeadm_gives_up_on_an_approval_and_kubelet_does_not(first, worker):
    worker.discover(first, TOKEN)
    done = worker.work(**SHORT)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2] == "error: error execution phase kubelet-wait-bootstrap: context deadline exceeded"
    assert "Unfortunately, an error has occurred:\n\tcontext deadline exceeded\n\nThis error is likely caused by:" in done.stdout
    assert worker.files("/etc/kubernetes") == ["kubelet.conf", "pki"]
    decide(first, pending(first, worker)[0], "Approved")
    wait(lambda: ready(first, worker.name), "the Node")


def test_who_is_denied_asks_again_with_another_key(first, worker):
    worker.discover(first, TOKEN)
    joining = worker.start("kubeadm", "join", "--config", worker.write("/run/w.yaml", worker.worker_config()))
    wait(lambda: pending(first, worker), "the request")
    old = pending(first, worker)[0]
    decide(first, old, "Denied")
    wait(lambda: pending(first, worker), "another request")
    again = pending(first, worker)[0]
    assert first.get(f"{REQUESTS}/{again}")["spec"]["request"] != first.get(f"{REQUESTS}/{old}")["spec"]["request"]
    decide(first, again, "Approved")
    assert joining.wait(30) == 0


def test_a_ready_node_of_that_name_is_not_taken_over_and_files_stay_behind(first, worker):
    worker.discover(first, TOKEN)
    config = worker.worker_config()
    config[0]["nodeRegistration"]["name"] = "n1"
    done = worker.run("kubeadm", "join", "--config", worker.write("/run/w.yaml", config))
    assert done.returncode == 1 and 'a Node with name "n1" and status "Ready" already exists in the cluster' in done.stderr
    assert worker.files("/etc/kubernetes") == ["bootstrap-kubelet.conf", "pki"]
    assert TOKEN in worker.read("/etc/kubernetes/bootstrap-kubelet.conf")
    again = worker.work()
    for file in ("bootstrap-kubelet.conf", "pki/ca.crt"):
        assert f"/etc/kubernetes/{file} already exists" in again.stderr
    assert worker.run("kubeadm", "reset", "-f").returncode == 0
    assert worker.files("/etc/kubernetes") == ["manifests", "pki"] or worker.files("/etc/kubernetes") == ["pki"]
    assert worker.files("/etc/kubernetes/pki") == []


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("dddddd.0123456789abcdef", "timeout of 1s: Unauthorized"),
        ("ended", "timeout of 1s: Unauthorized"),
        ("", "couldn't find authentication credentials for the TLS boostrap process"),
        (POOR, 'failed to get component configs: configmaps "kubelet-config" is forbidden: User "system:bootstrap:cccccc"'),
    ],
)
def test_a_token_that_does_not_do(first, worker, token, why):
    if token == "ended":
        token = "eeeeee.0123456789abcdef"
        first.make_token(token, OWN, expiration=moment(-5))
    worker.discover(first, token)
    done = worker.work(**SHORT)
    assert done.returncode == 1 and why in done.stderr
    assert worker.files("/etc/kubernetes") == []


def test_a_ca_of_another_cluster(first, worker):
    worker.discover(first, TOKEN, pki.cert_pem(pki.new_ca("kubernetes")[0]).decode())
    done = worker.work(**SHORT)
    assert done.returncode == 1 and "couldn't validate the identity of the API Server: Abort reading the cluster-info" in done.stderr
    assert "tls: failed to verify certificate: x509: certificate signed by unknown authority" in done.stderr
    assert worker.files("/etc/kubernetes") == []


def test_a_token_beside_a_file_that_shows_nothing(first, worker):
    worker.discover(first, "")
    config = worker.worker_config()
    config[0]["discovery"]["tlsBootstrapToken"] = DEFAULT
    done = worker.run("kubeadm", "join", "--config", worker.write("/run/w.yaml", config))
    assert done.returncode == 0, done.stderr
    assert "Could not access the cluster-info" not in done.stderr


def test_who_may_not_read_how_kube_proxy_is_is_only_told_so(first, worker):
    worker.discover(first, TOKEN)
    first.api("DELETE", f"{SYSTEM}/configmaps/kube-proxy")
    done = worker.work(**SHORT)
    assert "No kubeproxy.config.k8s.io/v1alpha1 config is loaded. Continuing without it" in done.stderr
    assert "phase kubelet-wait-bootstrap" in done.stderr
    first.api("POST", f"{SYSTEM}/configmaps", {"metadata": {"name": "kube-proxy"}, "data": {"config.conf": ""}})


def test_taints_and_labels_are_kubelets(first, worker):
    worker.discover(first, DEFAULT)
    config = worker.worker_config()
    registration = config[0]["nodeRegistration"]
    registration["taints"] = [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
    registration["kubeletExtraArgs"].append({"name": "node-labels", "value": "pool=a"})
    done = worker.run("kubeadm", "join", "--config", worker.write("/run/w.yaml", config))
    assert done.returncode == 0, done.stderr
    wait(lambda: ready(first, worker.name), "the Node")
    found = ready(first, worker.name)
    assert found["spec"]["taints"] == registration["taints"] and found["metadata"]["labels"]["pool"] == "a"


def test_kubelet_does_not_start_with_a_label_that_is_kubernetes_own(first, worker):
    worker.discover(first, DEFAULT)
    config = worker.worker_config(timeouts={"kubeletHealthCheck": "1s"})
    config[0]["nodeRegistration"]["kubeletExtraArgs"].append({"name": "node-labels", "value": "node-role.kubernetes.io/worker="})
    done = worker.run("kubeadm", "join", "--config", worker.write("/run/w.yaml", config))
    assert done.returncode == 1 and "failed while waiting for the kubelet to start" in done.stderr
    assert "unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels" in worker.read("/run/standin/journal/kubelet")


def test_kubeadm_stops_no_kubelet_that_is_too_new(first):
    """Whoever wants that has to look himself."""
    worker = first.lab.node("newer", STANDIN_KUBELET_VERSION="v1.37.0")
    worker.discover(first, DEFAULT)
    assert worker.work().returncode == 0
    wait(lambda: ready(first, worker.name), "the Node")
    assert ready(first, worker.name)["status"]["nodeInfo"]["kubeletVersion"] == "v1.37.0"


def test_a_restarted_kubelet_registers_a_node_that_was_deleted(first, worker):
    worker.discover(first, DEFAULT)
    assert worker.work().returncode == 0
    wait(lambda: ready(first, worker.name), "the Node")
    uid = ready(first, worker.name)["metadata"]["uid"]
    first.api("DELETE", f"/api/v1/nodes/{worker.name}")
    assert worker.run("systemctl", "restart", "kubelet").returncode == 0
    wait(lambda: ready(first, worker.name), "the Node again")
    assert ready(first, worker.name)["metadata"]["uid"] != uid


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"caCertPath": "ca.crt"}, "caCertPath: Invalid value"),
        ({"discovery": {"file": {"kubeConfigPath": "/run/d"}, "tlsBootstrapToken": "x"}}, "the bootstrap token is invalid"),
        ({"discovery": {}}, "bootstrapToken or file must be set"),
    ],
)
def test_what_the_document_gets_wrong(first, worker, change, why):
    done = worker.run("kubeadm", "join", "--config", worker.write("/run/w.yaml", worker.worker_config(**change)))
    assert done.returncode == 3 and why in done.stderr
