"""What init makes of a document: files that it names, phases that it skips, an etcd that is not its own."""

import json
import os
import subprocess

import pytest
import yaml

from world.standin import dial, kubeapi
from world.standin_lab import Lab, wait


@pytest.fixture
def node():
    lab = Lab()
    yield lab.node()
    lab.close()


def init(node, change, *arguments, **timeouts):
    """init with documents changed by a function of (InitConfiguration, ClusterConfiguration)."""
    config = node.init_config(timeouts=timeouts)
    change(*config)
    return node.run("kubeadm", "init", "--config", node.write("/run/init.yaml", config), *arguments)


@pytest.mark.parametrize("mounted, there, code", [(True, True, 0), (True, False, 1), (False, True, 1)])
def test_the_api_server_needs_the_files_that_it_is_given(node, mounted, there, code):
    """A file that is missing, or that no volume carries into the container, keeps it from starting."""
    if there:
        node.write("/etc/kubernetes/audit/policy.yaml", "kind: Policy\n")

    def change(_, cluster):
        cluster["apiServer"] = {"extraArgs": [{"name": "audit-policy-file", "value": "/policies/policy.yaml"}]}
        if mounted:
            cluster["apiServer"]["extraVolumes"] = [
                {"name": "audit", "hostPath": "/etc/kubernetes/audit", "mountPath": "/policies"}
            ]

    done = init(node, change, **({"kubernetesAPICall": "4s"} if code else {}))
    assert done.returncode == code, done.stdout + done.stderr
    if code:
        assert (
            "error execution phase wait-control-plane: cannot obtain client without bootstrap: could not bootstrap the "
            "admin user in file admin.conf" in done.stderr
        )
        assert "no such file or directory" in node.read("/run/standin/logs/kube-apiserver.log").lower()


def knows_itself(node):
    """Whether the API server answers admin.conf."""
    try:
        return node.get("/api/v1/nodes/n1")["metadata"]["name"] == "n1"
    except (dial.Unreachable, kubeapi.ApiError):
        return False


def test_lost_files_are_made_anew_by_their_phases_as_init_made_them(node):
    node.hosts(node.address)
    node.init()
    manifests = "/etc/kubernetes/manifests"
    before = {name: node.read(f"{manifests}/{name}") for name in node.files(manifests)}
    assert len(before) == 4
    for name in before:
        os.unlink(f"{node.root}{manifests}/{name}")
    for name in ("admin.conf", "pki/apiserver.crt", "pki/apiserver.key"):
        os.unlink(f"{node.root}/etc/kubernetes/{name}")
    for phase in (["certs", "apiserver"], ["kubeconfig", "admin"], ["etcd", "local"], ["control-plane", "scheduler"]):
        node.kubeadm("init", "phase", *phase, "--config", "/run/init.yaml")
    assert node.files(manifests) == ["etcd.yaml", "kube-scheduler.yaml"]
    node.kubeadm("init", "phase", "control-plane", "all", "--config", "/run/init.yaml")
    assert {name: node.read(f"{manifests}/{name}") for name in node.files(manifests)} == before
    wait(lambda: knows_itself(node), "admin.conf to be of use again")


def test_phases_and_lines_are_skipped(node):
    done = init(
        node,
        lambda mine, cluster: cluster.update(encryptionAlgorithm="ECDSA-P256"),
        "--skip-phases=addon/kube-proxy,bootstrap-token",
        "--skip-token-print",
    )
    assert done.returncode == 0, done.stderr
    assert "Applied essential addon: CoreDNS" in done.stdout and "addon: kube-proxy" not in done.stdout
    assert "[bootstrap-token]" not in done.stdout and "--token <value withheld>" in done.stdout
    stored = yaml.safe_load(node.get("/api/v1/namespaces/kube-system/configmaps/kubeadm-config")["data"]["ClusterConfiguration"])
    assert stored["proxy"] == {"disabled": True} and stored["dns"] == {}
    assert "BEGIN EC PRIVATE KEY" in node.read("/etc/kubernetes/pki/ca.key")


def test_patches_must_be_there(node):
    done = init(node, lambda mine, cluster: mine.update(patches={"directory": "/etc/none"}))
    assert done.returncode == 1 and 'could not list patch files for path "/etc/none"' in done.stderr


def test_the_node_carries_what_the_document_says(node):
    def change(mine, _):
        mine["nodeRegistration"] = {
            "name": "other.name",
            "taints": [],
            "kubeletExtraArgs": [
                {"name": "provider-id", "value": "aws:///eu-central-1a/i-1"},
                {"name": "cloud-provider", "value": "external"},
                {"name": "node-labels", "value": "a=b"},
            ],
        }

    assert init(node, change).returncode == 0
    found = node.get("/api/v1/nodes/other.name")
    assert found["spec"] == {
        "providerID": "aws:///eu-central-1a/i-1",
        "taints": [{"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}],
    }
    assert (
        found["metadata"]["labels"]["a"] == "b"
        and "node-role.kubernetes.io/control-plane" in found["metadata"]["labels"]
    )


def test_an_external_etcd_is_used_and_left_alone(node):
    node.kubeadm("init", "phase", "certs", "etcd-ca", "--cert-dir", "/outside", "--kubernetes-version", "v1.36.1")
    for name in ("etcd-server", "apiserver-etcd-client"):
        node.kubeadm("init", "phase", "certs", name, "--cert-dir", "/outside", "--kubernetes-version", "v1.36.1")
    pki, url = f"{node.root}/outside", f"https://{node.address}:2479"
    etcd = subprocess.Popen(
        [
            "etcd",
            "--data-dir",
            f"{node.root}/data",
            "--listen-client-urls",
            url,
            "--advertise-client-urls",
            url,
            f"--listen-peer-urls=http://{node.address}:2480",
            f"--initial-advertise-peer-urls=http://{node.address}:2480",
            f"--initial-cluster=default=http://{node.address}:2480",
            "--client-cert-auth",
            f"--trusted-ca-file={pki}/etcd/ca.crt",
            f"--cert-file={pki}/etcd/server.crt",
            f"--key-file={pki}/etcd/server.key",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        done = init(
            node,
            lambda mine, cluster: cluster.update(
                etcd={
                    "external": {
                        "endpoints": [url],
                        "caFile": "/outside/etcd/ca.crt",
                        "certFile": "/outside/apiserver-etcd-client.crt",
                        "keyFile": "/outside/apiserver-etcd-client.key",
                    }
                }
            ),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "[certs] External etcd mode: Skipping etcd/ca certificate authority generation" in done.stdout
        assert "[certs] External etcd mode: Skipping apiserver-etcd-client certificate generation" in done.stdout
        assert "[etcd]" not in done.stdout
        assert node.files("/etc/kubernetes/manifests") == [
            "kube-apiserver.yaml",
            "kube-controller-manager.yaml",
            "kube-scheduler.yaml",
        ]
        node.hosts(node.address)
        assert "Assuming external etcd" in node.kubeadm("reset", "-f")
        wait(lambda: etcd.poll() is None, "the external etcd to be left alone")
    finally:
        etcd.kill()
        etcd.wait()


def test_an_external_etcd_must_answer_with_the_client_files_that_are_named(node):
    url = f"https://{node.address}:2479"

    def outside(ca):
        files = {"caFile": ca, "certFile": "/outside/etcd/server.crt", "keyFile": "/outside/etcd/server.key"}
        return lambda mine, cluster: cluster.update(etcd={"external": {"endpoints": [url], **files}})

    missing = init(node, outside("/outside/none.crt"))
    assert missing.returncode == 1
    assert "[ERROR ExternalEtcdClientCertificates]: /outside/none.crt doesn't exist" in missing.stderr
    for name in ("etcd-ca", "etcd-server"):
        node.kubeadm("init", "phase", "certs", name, "--cert-dir", "/outside", "--kubernetes-version", "v1.36.1")
    silent = init(node, outside("/outside/etcd/ca.crt"))
    assert silent.returncode == 1
    assert f'[ERROR ExternalEtcdVersion]: Get "{url}/version": dial tcp' in silent.stderr
    assert "connection refused" in silent.stderr and node.files("/etc/kubernetes/manifests") == []


def test_the_world_makes_the_first_inits_fail(node):
    node.write("/run/standin/faults", json.dumps({"init": {"after": "certs", "exit": 1, "times": 2}}))
    for code in (1, 1, 0):
        done = init(node, lambda *_: None)
        assert done.returncode == code, done.stdout + done.stderr
        assert code == 0 or "error execution phase certs" in done.stderr
        if code:
            node.kubeadm("reset", "-f")


def test_documents_of_others_are_ignored_with_a_warning(node):
    other = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ResetConfiguration", "force": True}
    config = node.write("/run/init.yaml", [*node.init_config(skipPhases=["preflight"]), other])
    node.write("/run/standin/faults", json.dumps({"init": {"exit": 9}}))
    done = node.run("kubeadm", "init", "--config", config)
    assert done.returncode == 9
    shown = "Ignored configuration document with GroupVersionKind kubeadm.k8s.io/v1beta4, Kind=ResetConfiguration"
    assert shown in done.stderr


def test_a_phase_to_skip_must_exist(node):
    done = init(node, lambda *_: None, "--skip-phases=addons")
    assert done.returncode == 1 and "error: invalid phase name: addons" in done.stderr
