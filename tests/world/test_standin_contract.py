"""The contract with the real kubeadm: every row of its captures, replayed by the stand-in in the same situation.

The real waits of minutes are seconds here: the documents' own time-outs are set so.
"""

import subprocess
from types import SimpleNamespace

import pytest

from world.standin_lab import ENDPOINT, Lab, wait
from world.standin_text import replays, rows

KEY = "0" * 63 + "1"
DEAD = "127.0.0.9"  # nobody listens there
# Rows whose situation another row's test has made already.
WITH_ANOTHER = {"join-again-without-reset": "join-with-dead-member", "init-with-restored-etcd": "etcdutl-restore"}


@pytest.fixture
def lab():
    made = Lab()
    yield made
    made.close()


@pytest.fixture(scope="module")
def pair():
    """A cluster of two that some rows only look at."""
    made = Lab()
    first, second = made.node(), made.node()
    first.init("--upload-certs", certificateKey=KEY)
    second.join(first)
    yield SimpleNamespace(lab=made, first=first, second=second)
    made.close()


def killed(node, phase, **extra):
    """Runs init up to the end of a phase and kills it there with SIGKILL. Returns the documents' path."""
    node.write("/run/standin/faults", f'{{"init": {{"after": "{phase}", "hang": true, "times": 1}}}}')
    config = node.write("/run/init.yaml", node.init_config(**extra))
    under_way = node.start("kubeadm", "init", "--config", config)
    wait(lambda: "faults.used" in node.files("/run/standin"), f"init to reach {phase}")
    under_way.kill()
    under_way.communicate()
    return config


def test_every_row_is_replayed():
    """A row that somebody adds to the captures must not go without a test."""
    tests = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
    assert len(rows()) == 22
    assert set(rows()) - tests == set(WITH_ANOTHER) and set(WITH_ANOTHER.values()) <= tests


def test_init(lab):
    node = lab.node()
    replays(
        "init",
        node.run("kubeadm", "init", "--config", node.write("/run/init.yaml", node.init_config()), "--upload-certs"),
    )


def test_init_after_certs_killed(lab):
    node = lab.node()
    config = node.init_config()
    del config[1]["controlPlaneEndpoint"]
    killed(node, "certs")
    replays(
        "init-after-certs-killed",
        node.run("kubeadm", "init", "--config", node.write("/run/init.yaml", config), "--upload-certs"),
    )


def test_init_after_manifests_killed(lab):
    node = lab.node()
    config = killed(node, "control-plane")
    replays("init-after-manifests-killed", node.run("kubeadm", "init", "--config", config))


def test_init_while_running(lab):
    node = lab.node()
    config = killed(node, "wait-control-plane")
    replays("init-while-running", node.run("kubeadm", "init", "--config", config))


def test_reset_force(lab):
    node = lab.node()
    node.hosts(node.address)
    killed(node, "wait-control-plane")
    replays("reset-force", node.run("kubeadm", "reset", "-f"))
    assert node.files("/etc/kubernetes") == ["manifests", "pki"]
    for folder in ("/etc/kubernetes/manifests", "/etc/kubernetes/pki", "/var/lib/kubelet", "/var/lib/etcd"):
        assert node.files(folder) == [], folder


def test_reset_force_member(lab):
    first, second = lab.node(), lab.node()
    first.init()
    second.join(first)
    replays("reset-force-member", second.run("kubeadm", "reset", "-f"))
    assert len(first.members()) == 1
    assert first.get("/api/v1/nodes/n2")["metadata"]["name"] == "n2"


def test_join_control_plane(lab):
    first, second = lab.node(), lab.node()
    first.init()
    second.prepare_join(first)
    replays(
        "join-control-plane",
        second.run("kubeadm", "join", "--config", second.write("/run/join.yaml", second.join_config())),
    )
    assert second.files("/etc/kubernetes") == [
        "admin.conf",
        "controller-manager.conf",
        "kubelet.conf",
        "manifests",
        "pki",
        "scheduler.conf",
    ]


def with_key(node, **timeouts):
    """A join document that fetches the shared certificates from the cluster, as most of the captures did."""
    document = node.join_config(timeouts=timeouts)
    document[0]["controlPlane"]["certificateKey"] = KEY
    return document


def empty_pki(node):
    """Takes the shared files away again: they are to come from the cluster."""
    subprocess.run(["rm", "-rf", f"{node.root}/etc/kubernetes/pki"], check=True)


def test_join_control_plane_concurrent(lab):
    first, others = lab.node(), [lab.node(), lab.node()]
    first.init("--upload-certs", certificateKey=KEY)
    for node in others:
        node.prepare_join(first)
        empty_pki(node)
        node.write("/run/join.yaml", with_key(node))
    under_way = [node.start("kubeadm", "join", "--config", "/run/join.yaml") for node in others]
    for each in under_way:
        out, err = each.communicate(timeout=90)
        replays("join-control-plane-concurrent", SimpleNamespace(returncode=each.returncode, stdout=out, stderr=err))
    assert len(first.members()) == 3 and not any(learner for _, _, learner in first.members().values())


@pytest.fixture(scope="module")
def with_dead():
    """Three members, one of them powered off, and a fourth machine that is ready to join."""
    made = Lab()
    first, second, third, fourth = (made.node() for _ in range(4))
    first.init("--upload-certs", certificateKey=KEY)
    second.join(first)
    third.join(first)
    third.cut()
    yield SimpleNamespace(first=first, dead=third, new=fourth)
    made.close()


def join_with_key(node, other):
    """Tries to join by certificates from the cluster, with a short patience."""
    node.prepare_join(other)
    empty_pki(node)
    return node.run("kubeadm", "join", "--config", node.write("/run/join.yaml", with_key(node, etcdAPICall="3s")))


def test_join_with_dead_member(with_dead):
    replays("join-with-dead-member", join_with_key(with_dead.new, with_dead.first))
    assert len(with_dead.first.members()) == 3
    assert "etcd.yaml" not in with_dead.new.files("/etc/kubernetes/manifests")
    # What that join left behind is in the way of the next one.
    replays("join-again-without-reset", with_dead.new.run("kubeadm", "join", "--config", "/run/join.yaml"))


def test_join_same_ip_as_dead_member(with_dead):
    machine = with_dead.dead
    subprocess.run(["rm", "-rf", machine.root + "/etc/kubernetes", machine.root + "/var"], check=True)
    machine.name = "n5"
    machine.boot()
    replays("join-same-ip-as-dead-member", join_with_key(machine, with_dead.first))
    assert len(with_dead.first.members()) == 3


def test_join_with_orphan_learner(lab):
    first, second = lab.node(), lab.node()
    first.init()
    added = first.etcdctl("member", "add", "orphan", "--learner", "--peer-urls", "https://127.0.0.9:2380")
    assert added.returncode == 0, added.stderr
    second.prepare_join(first)
    replays(
        "join-with-orphan-learner",
        second.run(
            "kubeadm",
            "join",
            "--config",
            second.write("/run/join.yaml", second.join_config(timeouts={"etcdAPICall": "3s"})),
        ),
    )


def test_remove_etcd_member(lab):
    first, second = lab.node(), lab.node()
    first.init()
    second.join(first)
    second.write("/var/lib/etcd/member/of-before", "")
    replays("remove-etcd-member", second.run("kubeadm", "reset", "phase", "remove-etcd-member"))
    # Its kubelet runs on and may have started etcd again, which begins a folder of its own.
    assert len(first.members()) == 1 and "of-before" not in second.files("/var/lib/etcd/member")


def test_remove_etcd_member_api_unreachable(lab):
    first, second = lab.node(), lab.node()
    first.init()
    second.join(first)
    second.hosts(DEAD)
    replays("remove-etcd-member-api-unreachable", second.run("kubeadm", "reset", "phase", "remove-etcd-member"))
    assert len(first.members()) == 2


def test_remove_etcd_member_node_deleted(lab):
    first, second = lab.node(), lab.node()
    first.init()
    second.join(first)
    first.api("DELETE", "/api/v1/nodes/n2")
    replays("remove-etcd-member-node-deleted", second.run("kubeadm", "reset", "phase", "remove-etcd-member"))
    assert len(first.members()) == 2


def test_cleanup_node_runtime_down(lab):
    node = lab.node()
    node.hosts(node.address)
    node.init()
    node.run("systemctl", "stop", "containerd")
    replays("cleanup-node-runtime-down", node.run("kubeadm", "reset", "phase", "cleanup-node"))


def test_kubeconfig_admin(lab, pair):
    node = lab.node()
    for file in ("ca.crt", "ca.key"):
        node.write(f"/etc/kubernetes/pki/{file}", pair.first.read(f"/etc/kubernetes/pki/{file}"))
    replays(
        "kubeconfig-admin",
        node.run(
            "kubeadm",
            "init",
            "phase",
            "kubeconfig",
            "admin",
            "--kubernetes-version",
            "v1.36.1",
            "--control-plane-endpoint",
            f"{ENDPOINT}:6443",
        ),
    )
    assert len(node.get("/api/v1/nodes", through=pair.first)["items"]) == 2


def test_token_create(pair):
    pair.second.hosts(pair.first.address)
    done = pair.second.run("kubeadm", "token", "create", "--ttl", "15m")
    replays("token-create", done)
    assert done.stdout.split(".")[0] in pair.second.kubeadm("token", "list")


def test_upload_certs(pair):
    pair.second.hosts(pair.first.address)
    replays(
        "upload-certs",
        pair.second.run(
            "kubeadm", "init", "phase", "upload-certs", "--upload-certs", "--kubeconfig", "/etc/kubernetes/admin.conf"
        ),
    )


def test_certs_etcd_healthcheck_client(lab, pair):
    node = lab.node()
    for file in ("ca.crt", "ca.key"):
        node.write(f"/run/pki/etcd/{file}", pair.first.read(f"/etc/kubernetes/pki/etcd/{file}"))
    replays(
        "certs-etcd-healthcheck-client",
        node.run(
            "kubeadm",
            "init",
            "phase",
            "certs",
            "etcd-healthcheck-client",
            "--cert-dir",
            "/run/pki",
            "--kubernetes-version",
            "v1.36.1",
        ),
    )
    pki = f"{node.root}/run/pki/etcd"
    listed = subprocess.run(
        [
            "etcdctl",
            f"--endpoints=https://{pair.first.address}:2379",
            f"--cacert={pki}/ca.crt",
            f"--cert={pki}/healthcheck-client.crt",
            f"--key={pki}/healthcheck-client.key",
            "member",
            "list",
        ],
        env={"ETCDCTL_API": "3", "PATH": node.env["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    assert len(listed.splitlines()) == 2


def test_etcdutl_restore(lab):
    first, second = lab.node(), lab.node("n6")
    first.init()
    assert first.etcdctl("snapshot", "save", f"{first.root}/snap.db").returncode == 0
    # etcd 3.4 restores by etcdctl, 3.6 by etcdutl: what that prints is etcd's own and not compared.
    restored = first.etcdctl(
        "snapshot",
        "restore",
        f"{first.root}/snap.db",
        "--name",
        "n6",
        "--data-dir",
        f"{second.root}/var/lib/etcd",
        "--initial-cluster",
        f"n6=https://{second.address}:2380",
        "--initial-advertise-peer-urls",
        f"https://{second.address}:2380",
    )
    assert restored.returncode == 0, restored.stderr
    second.prepare_join(first)
    first.cut()
    config = second.write("/run/init.yaml", second.init_config())
    replays(
        "init-with-restored-etcd",
        second.run("kubeadm", "init", "--config", config, "--ignore-preflight-errors=DirAvailable--var-lib-etcd"),
    )
    assert second.get("/api/v1/nodes/n1")["metadata"]["name"] == "n1"
