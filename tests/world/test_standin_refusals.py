"""What the real kubeadm refuses beyond the captures, what it leaves behind, and the faults that the world may order."""

import json
import os
import signal
import socket
import time

import pytest

from world.standin import faults
from world.standin_lab import ENDPOINT, Lab, wait

WIPE = ("reset", "-f", "--skip-phases=remove-etcd-member")


@pytest.fixture(scope="module")
def first():
    """A cluster of one that others try to join."""
    lab = Lab()
    made = lab.node()
    made.init()
    yield made
    lab.close()


@pytest.fixture
def joiner(first):
    """A machine that is ready to join, gone after the test."""
    made = first.lab.node()
    made.prepare_join(first)
    made.write("/run/join.yaml", made.join_config())
    yield made
    made.cut()


def join(node):
    return node.run("kubeadm", "join", "--config", "/run/join.yaml")


def refused(done, text, code=1):
    assert done.returncode == code, done.stdout + done.stderr
    assert text in done.stderr
    assert done.stderr.endswith("To see the stack trace of this error execute with --v=5 or higher\n")


def test_join_wants_the_shared_certificates(joiner):
    for file in ("etcd/ca.key", "sa.key"):
        os.unlink(f"{joiner.root}/etc/kubernetes/pki/{file}")
    done = join(joiner)
    refused(done, "One or more conditions for hosting a new control plane instance is not satisfied.")
    for file in ("etcd/ca.key", "sa.key"):
        assert f"/etc/kubernetes/pki/{file}: no such file or directory" in done.stderr


def test_join_dials_the_endpoint_by_its_name_each_time(joiner, first):
    joiner.hosts("127.0.0.9")
    joiner.write("/run/join.yaml", joiner.join_config(timeouts={"discovery": "3s"}))
    begun = time.monotonic()
    done = join(joiner)
    refused(
        done,
        "error execution phase preflight: couldn't validate the identity of the API Server: Abort reading "
        f'the cluster-info ConfigMap after timeout of 3s: Get "https://{ENDPOINT}:6443/',
    )
    assert 1.5 < time.monotonic() - begun < 20
    joiner.write("/run/join.yaml", joiner.join_config())
    under_way = joiner.start("kubeadm", "join", "--config", "/run/join.yaml")
    assert under_way.stdout.readline() == "[preflight] Running pre-flight checks\n"
    joiner.hosts(first.address)
    under_way.communicate(timeout=60)
    assert under_way.returncode == 0
    joiner.kubeadm("reset", "-f")


def test_join_is_refused_while_the_node_of_that_name_is_ready(joiner):
    document = joiner.join_config()
    document[0]["nodeRegistration"]["name"] = "n1"
    joiner.write("/run/join.yaml", document)
    refused(join(joiner), 'a Node with name "n1" and status "Ready" already exists in the cluster')
    # It has written what it writes before it looks.
    assert "bootstrap-kubelet.conf" in joiner.files("/etc/kubernetes")
    assert "kube-apiserver.yaml" in joiner.files("/etc/kubernetes/manifests")


@pytest.mark.parametrize(
    "version, text",
    [
        (
            "STANDIN_KUBELET_VERSION=v1.32.9",
            '[ERROR KubeletVersion]: Kubelet version "1.32.9" is lower than kubeadm can support',
        ),
        (
            "STANDIN_KUBEADM_VERSION=v1.38.0",
            "only supports deploying clusters with the control plane version >= 1.37.0",
        ),
    ],
)
def test_join_minds_versions(joiner, version, text):
    with open(f"{joiner.root}/run/standin.env", "a", encoding="ascii") as file:
        file.write(version + "\n")
    assert (
        version.partition("=")[2]
        in joiner.run(
            "kubelet" if "KUBELET" in version else "kubeadm", "--version" if "KUBELET" in version else "version"
        ).stdout
    )
    refused(join(joiner), text)


def test_lost_and_found_is_content(joiner):
    os.makedirs(f"{joiner.root}/var/lib/etcd/lost+found")
    refused(join(joiner), "[ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty")


def test_wiping_leaves_the_data_of_etcd():
    lab = Lab()
    try:
        node = lab.node()
        node.init()
        done = node.run("kubeadm", *WIPE)
        assert done.returncode == 0 and "Deleted contents of the etcd" not in done.stdout
        assert node.files("/var/lib/etcd") == ["member"] and node.files("/etc/kubernetes/pki") == []
        assert node.run("crictl", "ps", "-a", "-q").stdout == ""
        assert node.run("systemctl", "is-active", "kubelet").stdout == "inactive\n"
        again = node.run("kubeadm", "init", "--config", node.write("/run/init.yaml", node.init_config()))
        refused(again, "[ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty")
    finally:
        lab.close()


def test_a_machine_of_anothers_image_removes_the_original():
    lab = Lab()
    try:
        first, original = lab.node(), lab.node()
        first.init()
        original.join(first)
        copy = lab.node("n9", 9)
        for folder in ("/etc", "/var"):
            os.system(f"rm -rf {copy.root}{folder} && cp -a {original.root}{folder} {copy.root}{folder}")
        assert copy.run("kubeadm", "reset", "phase", "remove-etcd-member").returncode == 0
        assert list(first.members()) == [f"https://{first.address}:2380"]
    finally:
        lab.close()


def test_several_runtimes_want_a_choice(joiner):
    for name in ("crio/crio.sock", "cri-dockerd.sock"):
        os.makedirs(os.path.dirname(f"{joiner.root}/run/{name}"), exist_ok=True)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(f"{joiner.root}/run/{name}")
    refused(join(joiner), "found multiple CRI endpoints on the host")
    refused(joiner.run("kubeadm", "reset", "-f"), "found multiple CRI endpoints on the host")
    chosen = joiner.run("kubeadm", "reset", "-f", "--cri-socket", "unix:///var/run/containerd/containerd.sock")
    assert chosen.returncode == 0, chosen.stderr


def test_a_runtime_that_is_down_is_found(joiner):
    joiner.run("systemctl", "stop", "containerd")
    refused(join(joiner), "[ERROR CRI]: could not connect to the container runtime")


def test_reset_asks_without_force(joiner):
    refused(joiner.run("kubeadm", "reset"), "won't proceed; the user didn't answer (Y|y) in order to continue")


def test_bad_documents_change_nothing(joiner):
    before = joiner.files("/etc/kubernetes")
    document = joiner.join_config()
    document[0]["controlPlane"]["foo"] = 1
    joiner.write("/run/join.yaml", document)
    refused(join(joiner), 'strict decoding error: unknown field "controlPlane.foo"')
    document = joiner.join_config()
    document[0]["discovery"] = {}
    joiner.write("/run/join.yaml", document)
    refused(join(joiner), "discovery: Invalid value", 3)
    refused(joiner.run("kubeadm", "join", "--config", "/run/none"), "no such file or directory")
    assert joiner.files("/etc/kubernetes") == before


def fault(node, what):
    """Orders faults on a node."""
    node.write("/run/standin/faults", json.dumps(what))


def test_the_world_can_make_a_command_fail(joiner):
    fault(joiner, {"join": {"after": "preflight", "exit": 7, "times": 1}})
    refused(join(joiner), "error execution phase preflight: the world ordered this command to fail here", 7)
    fault(joiner, {"reset": {"exit": 1}})
    refused(joiner.run("kubeadm", *WIPE), "the world ordered", 1)


def test_the_world_can_make_a_command_take_its_time(monkeypatch):
    slept = []
    monkeypatch.setattr(faults, "_read", lambda file: {"reset": {"after": "preflight", "seconds": 11}})
    monkeypatch.setattr(faults.time, "sleep", slept.append)
    for command, phase in (("reset", "start"), ("init", "preflight"), ("reset", "preflight")):
        faults.after(command, phase)
    assert slept == [11.0]


def test_the_address_of_a_member_that_never_started_can_be_used(joiner, first):
    """Facts of the real one: with the address of a started dead member a join fails, of an unstarted one it works."""
    added = first.etcdctl("member", "add", "x", "--learner", f"--peer-urls=https://{joiner.address}:2380")
    assert added.returncode == 0, added.stderr
    assert join(joiner).returncode == 0
    assert first.members()[f"https://{joiner.address}:2380"][1:] == (joiner.name, False)
    joiner.kubeadm("reset", "-f")


def test_killed_after_the_announcement_it_leaves_a_learner(joiner, first):
    """The member is in the list, its static pod is there, and the next join of anybody finds one learner too many."""
    under_way = joiner.start("kubeadm", "join", "--config", "/run/join.yaml")
    peer = f"https://{joiner.address}:2380"
    wait(lambda: peer in first.members(), 60, "the announcement")
    under_way.kill()
    under_way.communicate()
    joiner.cut()
    try:
        assert peer in first.members()
    finally:
        first.etcdctl("member", "remove", f"{first.members()[peer][0]:x}")


def test_sigterm_ends_it_as_a_signal_and_is_recorded(joiner):
    fault(joiner, {"hang": "preflight"})
    under_way = joiner.start("kubeadm", "join", "--config", "/run/join.yaml")
    for line in under_way.stdout:
        if "images pull" in line:
            break
    under_way.send_signal(signal.SIGTERM)
    under_way.communicate()
    assert under_way.returncode == -signal.SIGTERM
    with open(f"{joiner.lab.folder}/log", encoding="ascii") as log:
        last = [json.loads(line) for line in log][-1]
    assert last["node"] == joiner.name and last["exit"] == -signal.SIGTERM
    assert last["argv"] == ["kubeadm", "join", "--config", "/run/join.yaml"] and last["start"] < last["end"]
