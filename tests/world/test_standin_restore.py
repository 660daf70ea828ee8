"""A snapshot restored on a fresh machine by etcdutl from etcd's image, and init over what came of it."""

import json
import os

import pytest

from world.standin_lab import Lab, wait

DATA = "/var/lib/etcd"
IMAGE = "registry.k8s.io/etcd:3.6.8-0"
CTR = ("-n", "k8s.io")
IGNORED = "--ignore-preflight-errors=DirAvailable--var-lib-etcd"
WORD = ("/word", "kept")


@pytest.fixture
def lab():
    made = Lab(newer_etcd=True)
    yield made
    made.close()


def ctr(node, *words):
    """ctr in kubelet's namespace; the completed process."""
    return node.run("ctr", *CTR, *words)


def restoring(node, *more, snapshot="/run/snap.db", options="rbind:rw", image=IMAGE, name="restore"):
    """The words of ctr that restore a snapshot as this node's first member."""
    os.makedirs(f"{node.root}{DATA}", exist_ok=True)
    peer = f"https://{node.address}:2380"
    return [
        "run", "--rm", "--mount", f"type=bind,src={snapshot},dst=/snap.db,options=rbind:ro",
        "--mount", f"type=bind,src={DATA},dst={DATA},options={options}", image, name,
        "etcdutl", "snapshot", "restore", "/snap.db", "--data-dir", DATA, "--name", node.name,
        "--initial-cluster", f"{node.name}={peer}", "--initial-advertise-peer-urls", peer, *more,
    ]  # fmt: skip


def saved(lab):
    """A node whose cluster keeps a word, and a second one with its snapshot, keys and etcd's image."""
    first, second = lab.node(), lab.node("n2")
    first.init()
    assert first.etcdctl("put", *WORD).returncode == 0
    assert first.etcdctl("snapshot", "save", f"{first.root}/run/snap.db").returncode == 0
    second.prepare_join(first)
    with open(f"{first.root}/run/snap.db", "rb") as source, open(f"{second.root}/run/snap.db", "wb") as target:
        target.write(source.read())
    return first, second


def uid(node):
    """The UID of kube-system by the node's API server."""
    return node.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]


def revision(node):
    """etcd's revision."""
    return json.loads(node.etcdctl("get", "/none", "-w", "json").stdout)["header"]["revision"]


def init(node, *words):
    """init of a restored node; the completed process."""
    return node.run("kubeadm", "init", "--config", node.write("/run/init.yaml", node.init_config()), *words)


def test_the_cluster_is_back_with_its_data_and_its_uid(lab):
    first, second = saved(lab)
    before, last = uid(first), revision(first)
    first.cut()
    second.kubeadm("config", "images", "pull")
    done = ctr(second, *restoring(second, "--bump-revision", "1000000000", "--mark-compacted"))
    assert done.returncode == 0, done.stderr
    refused = init(second)
    assert refused.returncode == 1 and "\t[ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty" in refused.stderr
    made = init(second, IGNORED, "--skip-phases=addon,upload-config")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "\t[WARNING DirAvailable--var-lib-etcd]" in made.stderr
    assert "[upload-config]" not in made.stdout and "[addons]" not in made.stdout
    assert uid(second) == before and revision(second) > last + 1_000_000_000
    assert second.etcdctl("get", WORD[0], "--print-value-only").stdout.strip() == WORD[1]
    assert len(second.members()) == 1
    # The Node of before is still there, and its kubelet is silent.
    wait(lambda: {each["metadata"]["name"] for each in second.get("/api/v1/nodes")["items"]} == {"n1", "n2"}, "both Nodes")


def test_a_node_of_before_keeps_its_provider_until_it_is_deleted_and_kubelet_registers_anew(lab):
    def provider(name):
        return [{"name": "provider-id", "value": f"aws:///eu-central-1a/{name}"}]

    first = lab.node()
    first.init(nodeRegistration={"name": "same", "kubeletExtraArgs": provider("i-1")})
    assert first.etcdctl("snapshot", "save", f"{first.root}/run/snap.db").returncode == 0
    second = lab.node("same")
    second.prepare_join(first)
    os.rename(f"{first.root}/run/snap.db", f"{second.root}/run/snap.db")
    first.cut()
    second.kubeadm("config", "images", "pull")
    assert ctr(second, *restoring(second)).returncode == 0
    second.init(IGNORED, nodeRegistration={"name": "same", "kubeletExtraArgs": provider("i-2")})
    stale = second.get("/api/v1/nodes/same")
    assert stale["spec"]["providerID"].endswith("i-1"), "kubelet adopts the Node that there is"
    second.api("DELETE", "/api/v1/nodes/same")
    second.run("systemctl", "restart", "kubelet")
    wait(lambda: any(each["metadata"]["uid"] != stale["metadata"]["uid"] for each in second.get("/api/v1/nodes")["items"]), "it")
    assert second.get("/api/v1/nodes/same")["spec"]["providerID"].endswith("i-2")


def test_a_failed_restore_and_init_all_the_same_make_another_cluster(lab):
    first, second = saved(lab)
    before = uid(first)
    first.cut()
    second.kubeadm("config", "images", "pull")
    failed = ctr(second, *restoring(second, "--mark-compacted"))
    assert failed.returncode != 0 and not second.files(DATA), failed.stderr
    os.rename(f"{second.root}/run/snap.db", f"{second.root}/run/whole.db")
    with open(f"{second.root}/run/whole.db", "rb") as whole, open(f"{second.root}/run/snap.db", "wb") as bad:
        content = bytearray(whole.read())
        content[20000] ^= 1
        bad.write(content)
    failed = ctr(second, *(each.replace(DATA, "/other") if "src=" not in each else each for each in restoring(second)))
    assert failed.returncode != 0 and "expected sha256" in failed.stderr, failed.stderr
    made = init(second, IGNORED)
    assert made.returncode == 0, made.stderr
    assert uid(second) != before and not second.etcdctl("get", WORD[0], "--print-value-only").stdout


def test_a_container_sees_its_image_and_its_mounts(lab):
    _, node = saved(lab)
    rows = [
        # Nothing is pulled yet.
        (restoring(node), f'ctr: image "{IMAGE}": not found'),
        (restoring(node, snapshot="/run/none.db"), "no such file or directory"),
        (restoring(node, options="rbind:ro"), "read-only file system"),
        (restoring(node)[:7], "ctr: container id must be provided"),
        ([*restoring(node)[:7], "restore", "sh", "-c", "true"], "executable file not found in $PATH"),
        (["run", "--rm", "--mount", "src=/a,dst=/b,mode=rw", IMAGE, "x", "etcdutl"], 'ctr: mount option "mode" not supported'),
        (["run", "--remove", IMAGE, "x", "etcdutl"], "flag provided but not defined"),
    ]
    for at, (words, said) in enumerate(rows):
        done = ctr(node, *words)
        assert done.returncode != 0 and said in done.stderr, (words, done.stderr)
        if at == 0:
            assert node.run("crictl", "pull", IMAGE).returncode == 0
            assert ctr(node, "images", "ls", "-q").stdout.splitlines() == [IMAGE]
            assert json.loads(node.run("crictl", "inspecti", IMAGE).stdout)["status"]["repoTags"] == [IMAGE]
            listed = json.loads(node.run("crictl", "images", "--output", "json").stdout)["images"]
            assert [each["repoTags"] for each in listed] == [[IMAGE]]
    assert node.run("ctr", "images", "ls").returncode != 0, "another namespace"
    # What is beside the mounts is lost with the container.
    done = ctr(node, *(each.replace(DATA, "/other") if "src=" not in each else each for each in restoring(node)))
    assert done.returncode == 0 and node.files(DATA) == [] and not node.files("/other")


def test_a_container_outlives_its_client_and_its_name_is_taken(lab):
    _, node = saved(lab)
    assert node.run("crictl", "pull", IMAGE).returncode == 0
    os.mkfifo(f"{node.root}/run/fifo")
    # etcdutl waits for somebody to write into its snapshot.
    client = node.start("ctr", *CTR, *restoring(node, snapshot="/run/fifo"))
    wait(lambda: ctr(node, "tasks", "ls", "-q").stdout.split() == ["restore"], "the task")
    client.kill()
    client.wait()
    assert ctr(node, "tasks", "ls", "-q").stdout.split() == ["restore"]
    assert 'container "restore": already exists' in ctr(node, *restoring(node)).stderr
    assert "cannot delete a non stopped container" in ctr(node, "containers", "rm", "restore").stderr
    assert ctr(node, "tasks", "kill", "-s", "SIGKILL", "restore").returncode == 0
    wait(lambda: not ctr(node, "tasks", "ls", "-q").stdout, "its end")
    assert ctr(node, "containers", "ls", "-q").stdout.split() == ["restore"]
    assert ctr(node, "containers", "rm", "restore").returncode == 0
    assert ctr(node, *restoring(node)).returncode == 0
