"""Two minors of Kubernetes side by side: what a machine of another release joins as, and what of the cluster changes afterwards."""

import json

import pytest
import yaml

from world.standin import dial, kubeapi
from world.standin_lab import V, Lab, wait

OLD, NEW, PATCH = "v1.35.6", "v1.36.3", "v1.35.7"
SYSTEM = "/api/v1/namespaces/kube-system"
APPS = "/apis/apps/v1/namespaces/kube-system"
STORED = f"{SYSTEM}/configmaps/kubeadm-config"


@pytest.fixture
def lab():
    made = Lab()
    yield made
    made.close()


def machine(lab, release, **settings):
    """A machine whose image has this release of kubeadm and kubelet."""
    return lab.node(STANDIN_KUBEADM_VERSION=release, **settings)


def cluster_of(lab, release):
    """The first machine of a cluster of this release."""
    first = machine(lab, release)
    mine, shared = first.init_config()
    shared["kubernetesVersion"] = release
    first.kubeadm("init", "--config", first.write("/run/init.yaml", [mine, shared]))
    first.hosts(first.address)
    return first


def joins(node, first):
    """The join of a machine: the completed process."""
    node.prepare_join(first)
    return node.run("kubeadm", "join", "--config", node.write("/run/join.yaml", node.join_config()))


def raised(first, version, resource_version=None):
    """What kubeboot does before the first new machine joins: one patch of the version, of the ConfigMap as it was read."""
    found = first.get(STORED)
    stored = yaml.safe_load(found["data"]["ClusterConfiguration"])
    text = yaml.safe_dump({**stored, "kubernetesVersion": version})
    meta = {"resourceVersion": resource_version or found["metadata"]["resourceVersion"]}
    first.api("PATCH", STORED, {"metadata": meta, "data": {"ClusterConfiguration": text}}, kind="application/merge-patch+json")


def images(node):
    """The tags of the images that a machine's static pods have."""
    pods = [yaml.safe_load(node.read(f"/etc/kubernetes/manifests/{name}")) for name in node.files("/etc/kubernetes/manifests")]
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods}


def served(node):
    """The version that a machine's own API server says."""
    return node.get("/version")["gitVersion"]


def kubelet(node):
    """The version that a machine's kubelet says in its Node."""
    return node.get(f"/api/v1/nodes/{node.name}")["status"]["nodeInfo"]["kubeletVersion"]


def addons(node):
    """The images of the two addons; None for one that is not there."""
    found = {}
    for name, kind in (("coredns", "deployments"), ("kube-proxy", "daemonsets")):
        try:
            pods = node.get(f"{APPS}/{kind}/{name}")["spec"]["template"]["spec"]
        except kubeapi.ApiError as error:
            assert error.status == 404
            continue
        found[name] = pods["containers"][0]["image"].removeprefix("registry.k8s.io/")
    return found


OF_OLD = {"coredns": "coredns/coredns:v1.13.1", "kube-proxy": f"kube-proxy:{OLD}"}
OF_NEW = {"coredns": "coredns/coredns:v1.14.2", "kube-proxy": f"kube-proxy:{NEW}"}
APPLY = ("upgrade", "apply", "phase")


def test_a_newer_machine_joins_an_unraised_cluster_as_the_cluster_is_but_for_its_kubelet(lab):
    first = cluster_of(lab, OLD)
    assert images(first) == {
        "etcd": "3.6.6-0", "kube-apiserver": OLD, "kube-controller-manager": OLD, "kube-scheduler": OLD,
    }  # fmt: skip
    second = machine(lab, NEW)
    done = joins(second, first)
    assert done.returncode == 0 and "WARNING KubernetesVersion" not in done.stderr, done.stderr
    assert set(images(second).values()) == {OLD, "3.6.6-0"}
    assert (served(second), kubelet(second), kubelet(first)) == (OLD, NEW, OLD)


def test_an_older_machine_joins_a_raised_cluster_as_the_cluster_is_but_for_its_kubelet(lab):
    first = cluster_of(lab, OLD)
    raised(first, NEW)
    second = machine(lab, OLD)
    done = joins(second, first)
    assert done.returncode == 0, done.stderr
    assert "[WARNING KubernetesVersion]: Kubernetes version is greater than kubeadm version." in done.stderr
    # Of etcd it knows no newer one than its own.
    assert set(images(second).values()) == {NEW, "3.6.6-0"}
    assert (served(first), served(second), kubelet(second)) == (OLD, NEW, OLD)


def test_two_minors_apart_kubeadm_joins_downwards_only(lab):
    first = cluster_of(lab, OLD)
    third = machine(lab, "v1.37.0")
    done = joins_with_kubeconfig_of(third, first)
    assert done.returncode == 1
    text = "only supports deploying clusters with the control plane version >= 1.36.0. Current version: v1.35.6"
    assert text in done.stderr, done.stderr
    # Nor does it make anything else for such a cluster.
    made = third.run("kubeadm", "init", "phase", "certs", "etcd-healthcheck-client", "--cert-dir", "/c", "--kubernetes-version", OLD)
    assert made.returncode == 1 and text in made.stderr
    listed = third.run("kubeadm", "config", "images", "list", "--kubernetes-version", OLD)
    assert listed.returncode == 1 and text in listed.stderr and not listed.stdout
    raised(first, "v1.37.0")
    fourth = machine(lab, OLD)
    assert joins(fourth, first).returncode == 0 and served(fourth) == "v1.37.0"


def joins_with_kubeconfig_of(node, first):
    """The join of a machine whose own kubeadm does not make a kubeconfig for this cluster."""
    first.prepare_join(first)
    for file in ("ca.crt", "ca.key", "sa.pub", "sa.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key"):
        node.write(f"/etc/kubernetes/pki/{file}", first.read(f"/etc/kubernetes/pki/{file}"))
    node.hosts(first.address)
    node.write("/run/join.conf", first.read("/run/join.conf"))
    return node.run("kubeadm", "join", "--config", node.write("/run/join.yaml", node.join_config()))


def test_images_are_those_of_a_release(lab):
    node = machine(lab, OLD)
    listed = lambda version: node.kubeadm("config", "images", "list", "--kubernetes-version", version).split()
    old = [name.rpartition("/")[2] for name in listed(OLD)]
    assert old[:4] == [f"{each}:{OLD}" for each in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")]
    assert old[4:] == ["coredns:v1.13.1", "pause:3.10.1", "etcd:3.6.6-0"]
    assert listed("v1.34.2")[-1].endswith("etcd:3.6.5-0") and listed(NEW)[-1].endswith("etcd:3.6.6-0")


def test_the_version_is_raised_under_a_condition(lab):
    first = cluster_of(lab, OLD)
    before = first.get(STORED)["metadata"]["resourceVersion"]
    raised(first, PATCH)
    with pytest.raises(kubeapi.ApiError, match="the object has been modified") as refused:
        raised(first, NEW, before)
    assert refused.value.status == 409
    assert yaml.safe_load(first.get(STORED)["data"]["ClusterConfiguration"])["kubernetesVersion"] == PATCH


def test_init_is_refused_with_a_kubelet_that_is_newer_than_the_cluster(lab):
    node = lab.node(STANDIN_KUBEADM_VERSION=NEW, STANDIN_KUBELET_VERSION="v1.37.0")
    config = node.init_config()
    config[1]["kubernetesVersion"] = NEW
    done = node.run("kubeadm", "init", "--config", node.write("/run/init.yaml", config))
    assert done.returncode == 1 and "[ERROR KubeletVersion]: the kubelet version is higher" in done.stderr


def test_addons_follow_when_every_api_server_has(lab):
    first = cluster_of(lab, OLD)
    assert addons(first) == OF_OLD
    raised(first, NEW)
    second = machine(lab, NEW)
    assert joins(second, first).returncode == 0
    assert addons(second) == OF_OLD and set(images(second).values()) == {NEW, "3.6.8-0"}
    second.hosts(second.address)
    wait(lambda: len(second.get(f"{SYSTEM}/pods?labelSelector=component%3Dkube-apiserver")["items"]) == 2, 20, "mirror pods")
    said = second.kubeadm(*APPLY, "addon", "all", NEW)
    skipped = f"Skipping upgrade of addons because control plane instances [{first.name}] have not been upgraded"
    assert said.count(skipped) == 2 and addons(second) == OF_OLD
    first.kubeadm("reset", "-f")
    first.cut()
    wait(lambda: answers(second, STORED), 20, "the other's etcd to lead")
    # A machine that is gone counts until its Node is.
    assert skipped in second.kubeadm(*APPLY, "addon", "kube-proxy", NEW)
    second.api("DELETE", f"/api/v1/nodes/{first.name}")
    second.api("PATCH", f"{APPS}/deployments/coredns", {"spec": {"replicas": 5}}, kind="application/merge-patch+json")
    said = second.kubeadm(*APPLY, "addon", "all", NEW)
    assert "Applied essential addon: CoreDNS\n" in said and "Applied essential addon: kube-proxy\n" in said
    assert addons(second) == OF_NEW
    # What an operator made of it stays.
    assert second.get(f"{APPS}/deployments/coredns")["spec"]["replicas"] == 5
    # Nobody looks whether there is such a version, or stops an older kubeadm's own.
    second.kubeadm(*APPLY, "addon", "kube-proxy", "1.99")
    assert addons(second)["kube-proxy"] == "kube-proxy:1.99"


def test_an_addon_that_is_left_out_stays_so(lab):
    first = machine(lab, OLD)
    config = first.init_config(skipPhases=["addon/kube-proxy"])
    config[1]["kubernetesVersion"] = OLD
    first.kubeadm("init", "--config", first.write("/run/init.yaml", config))
    first.hosts(first.address)
    assert addons(first) == {"coredns": OF_OLD["coredns"]}
    said = first.kubeadm(*APPLY, "addon", "all", PATCH)
    assert "Skipping the addon/kube-proxy phase. The addon is disabled." in said and "addon: CoreDNS" in said
    assert addons(first) == {"coredns": OF_OLD["coredns"]}


def test_other_phases_write_what_belongs_to_the_cluster(lab):
    first = cluster_of(lab, OLD)
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    first.api("DELETE", f"{roles}/kubeadm:kubelet-bootstrap")
    first.kubeadm(*APPLY, "bootstrap-token", OLD)
    assert first.get(f"{roles}/kubeadm:kubelet-bootstrap")["subjects"]
    kubelets = f"{SYSTEM}/configmaps/kubelet-config"
    text = first.get(kubelets)["data"]["kubelet"]
    changed = yaml.safe_dump({**yaml.safe_load(text), "maxPods": 17})
    first.api("PATCH", kubelets, {"data": {"kubelet": changed}}, kind="application/merge-patch+json")
    first.kubeadm(*APPLY, "upload-config", "kubelet", OLD)
    assert yaml.safe_load(first.get(kubelets)["data"]["kubelet"])["maxPods"] == 17
    first.kubeadm(*APPLY, "kubelet-config", OLD)
    config = yaml.safe_load(first.read("/var/lib/kubelet/config.yaml"))
    assert config["maxPods"] == 17 and config["containerRuntimeEndpoint"].endswith("containerd.sock")
    assert first.files("/etc/kubernetes/tmp")
    first.kubeadm(*APPLY, "upload-config", "all", PATCH)
    assert yaml.safe_load(first.get(STORED)["data"]["ClusterConfiguration"])["kubernetesVersion"] == PATCH
    first.kubeadm(*APPLY, "post-upgrade", PATCH)


@pytest.mark.parametrize(
    "words, wrong",
    [
        (("addon", "all"), "missing one or more required arguments. Required arguments: [version]"),
        (("addon", "dns", NEW), 'unknown command "dns"'),
        (("addon", "all", NEW, "more"), "too many arguments"),
        (("control-plane", NEW), 'unknown command "upgrade apply" for "kubeadm"'),
        (("addon", "all", NEW, "--yes"), "unknown flag: --yes"),
        (("addon", "all", NEW, "--kubeconfig", "/none"), "failed to load admin kubeconfig: open /none: No such file"),
    ],
)
def test_phases_are_refused(lab, words, wrong):
    done = machine(lab, NEW).run("kubeadm", *APPLY, *words)
    assert done.returncode == 1 and wrong in done.stderr, done.stderr


def test_phases_want_a_kubeadm_that_knows_the_cluster_and_a_machine_of_it(lab):
    first = cluster_of(lab, OLD)
    other = lab.node(STANDIN_KUBEADM_VERSION="v1.37.1")
    admin = other.write("/etc/kubernetes/admin.conf", first.read("/etc/kubernetes/admin.conf"))
    other.hosts(first.address)
    done = other.run("kubeadm", *APPLY, "addon", "all", "v1.37.1", "--kubeconfig", admin)
    assert done.returncode == 1 and "[upgrade] FATAL: this version of kubeadm only supports" in done.stderr, done.stderr
    worker = machine(lab, OLD)
    worker.write("/etc/kubernetes/admin.conf", first.read("/etc/kubernetes/admin.conf"))
    worker.hosts(first.address)
    done = worker.run("kubeadm", *APPLY, "addon", "all", OLD)
    assert done.returncode == 1 and "failed to get node name from kubelet config" in done.stderr, done.stderr
    first.api("DELETE", STORED)
    done = first.run("kubeadm", *APPLY, "addon", "all", OLD)
    gone = '[upgrade] FATAL: the ConfigMap "kubeadm-config" in the "kube-system" namespace was not found'
    assert done.returncode == 1 and gone in done.stderr, done.stderr


def test_an_image_that_changes_where_it_stands_restarts_its_container(lab):
    """As any change of a manifest does: an operator who upgrades in place."""
    first = cluster_of(lab, OLD)
    ran = lambda: [each["id"] for each in json.loads(first.run("crictl", "ps", "-o", "json").stdout)["containers"] if each["metadata"]["name"] == "kube-apiserver"]
    before = ran()
    place = "/etc/kubernetes/manifests/kube-apiserver.yaml"
    first.write(place, first.read(place).replace(f":{OLD}", f":{PATCH}"))
    wait(lambda: ran() and ran() != before and answers(first, "/version") and served(first) == PATCH, 60, "the new image")


def answers(node, target):
    """Whether a machine's API server has this object."""
    try:
        return bool(node.get(target))
    except (dial.Unreachable, kubeapi.ApiError):
        return False


def test_the_documents_kind_of_an_upgrade_is_known_and_not_taken(lab):
    node = machine(lab, NEW)
    file = node.write("/run/upgrade.yaml", [{"apiVersion": V, "kind": "UpgradeConfiguration"}])
    done = node.run("kubeadm", *APPLY, "addon", "all", NEW, "--config", file)
    assert done.returncode == 1 and "leave out --config" in done.stderr, done.stderr
