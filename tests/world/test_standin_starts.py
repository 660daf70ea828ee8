"""How kubelet starts: what its drop-ins run before it, and what is left of the containers without it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from world.standin import containers as runtime
from world.standin import dial, late
from world.standin_lab import HERE, Lab, wait
from world.test_standin_cluster import containers, raw, ready
from world.test_standin_systemctl import ctl

DROP_IN = "/etc/systemd/system/kubelet.service.d/50-test.conf"
MANIFESTS = "/etc/kubernetes/manifests"
# Listens where its flag says, and nothing more.
ETCD = "import socket, sys, time; kept = socket.create_server(('127.0.0.1', int(sys.argv[1].rpartition(':')[2]))); time.sleep(60)"


@pytest.fixture
def node():
    lab = Lab()
    made = lab.node()
    made.hosts(made.address)
    yield made
    lab.close()


def drop_in(node, *lines, name=DROP_IN):
    """A drop-in with these lines; a shell finds the node's files in $R."""
    node.write(name, "\n".join(["[Unit]", "ExecStartPre=/bin/false", "[Service]", *lines, ""]))


def script(node, text, name="/opt/script"):
    """A command line that runs a script on the node."""
    node.write(name, f"R={node.root}\n{text}\n")
    return f"/bin/sh {node.root}{name}"


def runs(node):
    """How often a script has said `run` so far."""
    return node.read("/opt/runs").count("run") if "runs" in node.files("/opt") else 0


COUNT = "echo run >>$R/opt/runs"


def test_the_lines_of_drop_ins_run_at_every_start_before_any_pod(node):
    node.init()
    # Sets etcd's manifest aside if there is no data, as a guard would; its own failure stops nobody.
    guard = f"{COUNT}\n[ -d $R/var/lib/etcd/member ] || mv $R{MANIFESTS}/etcd.yaml $R/etc/kubernetes/\nexit 3"
    drop_in(node, f"ExecStartPre=-{script(node, guard)}")
    assert ctl(node, "restart", "kubelet")[0] == 0 and runs(node) == 1
    assert ctl(node, "start", "kubelet")[0] == 0 and runs(node) == 1, "it runs already"
    shown = ctl(node, "show", "kubelet", "--property=DropInPaths")
    assert shown[1] == f"DropInPaths={node.root}{DROP_IN}"
    wait(lambda: len(containers(node)) == 4 and ready(node), "all containers")
    node.cut()
    os.rename(f"{node.root}/var/lib/etcd", f"{node.root}/var/lib/away")
    node.boot()
    wait(lambda: "kube-scheduler" in containers(node), "the other containers")
    # Not for a moment: an etcd that ran would have made its folder.
    assert runs(node) == 2 and "etcd" not in containers(node) and not os.path.exists(f"{node.root}/var/lib/etcd")


def test_kubelet_does_not_run_before_its_commands_have_ended(node):
    node.init()
    hold = f"{COUNT}\nwhile [ ! -e $R/opt/go ]; do sleep 0.01; done"
    drop_in(node, f"ExecStartPre=-{script(node, hold)}")
    ctl(node, "stop", "kubelet")
    ended = []
    waiting = threading.Thread(target=lambda: ended.append(ctl(node, "start", "kubelet")))
    waiting.start()
    wait(lambda: runs(node) == 1, "the command")
    assert ctl(node, "is-active", "kubelet")[1] == "activating", "others are answered meanwhile"
    assert node.run("crictl", "ps", "-q").returncode == 0 and not ended
    assert ctl(node, "start", "--no-block", "kubelet")[0] == 0 and not ended
    node.write("/opt/go", "")
    waiting.join(10)
    assert ended[0][0] == 0 and ctl(node, "is-active", "kubelet") == (0, "active", "")


def test_a_stop_ends_the_commands_of_a_start(node):
    node.init()
    drop_in(node, f"ExecStartPre={script(node, f'{COUNT}; exec sleep 600')}")
    ctl(node, "stop", "kubelet")
    ended = []
    waiting = threading.Thread(target=lambda: ended.append(ctl(node, "start", "kubelet")))
    waiting.start()
    wait(lambda: runs(node) == 1, "the command")
    assert ctl(node, "stop", "kubelet")[0] == 0
    waiting.join(10)
    assert ended == [(1, "", "Job for kubelet.service canceled.")] and ctl(node, "is-active", "kubelet")[1] == "inactive"


def test_a_command_that_fails_without_a_dash_is_tried_again_and_keeps_kubelet_from_running(node):
    node.init()
    drop_in(node, f"ExecStartPre={script(node, f'{COUNT}; [ -e $R/opt/go ]')}")
    code, _, said = ctl(node, "restart", "kubelet")
    assert code == 1 and "failed because the control process exited with error code" in said
    assert ctl(node, "is-active", "kubelet")[1] == "activating" and runs(node) == 1
    node.write("/opt/go", "")
    wait(lambda: ctl(node, "is-active", "kubelet")[0] == 0, "the next try of the service")
    assert runs(node) == 2


def test_a_real_systemd_runs_them_itself(node):
    node.init()
    drop_in(node, f"ExecStartPre=-{script(node, COUNT)}")
    node.cut()
    node.env["INVOCATION_ID"] = "0" * 32
    node.boot()
    wait(lambda: ctl(node, "is-active", "kubelet")[0] == 0, "the service")
    assert runs(node) == 0
    ctl(node, "restart", "kubelet")
    assert runs(node) == 1


def test_drop_ins_count_as_for_systemd(node):
    say = "ExecStartPre=-/bin/sh -c 'echo {} $WORD $OTHER >>{}/opt/said'"
    root = node.root
    node.write("/opt/said", "")
    node.write("/etc/words", "# none\nOTHER='from a file'\n")
    drop_in(node, "Environment=WORD=x \"OTHER=y\"", "EnvironmentFile=/etc/words", "EnvironmentFile=-/etc/nothing",
            say.format("second", root), name="/etc/systemd/system/kubelet.service.d/20-b.conf")  # fmt: skip
    drop_in(node, say.format("first", root), name="/usr/lib/systemd/system/kubelet.service.d/10-a.conf")
    # Of two of one name the one in /etc counts, and an empty line forgets what stood before it.
    drop_in(node, say.format("hidden", root), name="/usr/lib/systemd/system/kubelet.service.d/20-b.conf")
    drop_in(node, say.format("not a drop-in", root), name="/etc/systemd/system/kubelet.service.d/30-c.bak")
    ctl(node, "restart", "kubelet")
    assert node.read("/opt/said").splitlines() == ["first x from a file", "second x from a file"]
    drop_in(node, "ExecStartPre=", say.format("alone", root), name="/etc/systemd/system/kubelet.service.d/40-d.conf")
    ctl(node, "restart", "kubelet")
    assert node.read("/opt/said").splitlines()[2:] == ["alone x from a file"]


def test_what_is_stopped_without_kubelet_stays_so(node):
    node.init()
    ctl(node, "stop", "kubelet")
    assert len(containers(node)) == 4, "containers outlive the service"
    idents = node.run("crictl", "ps", "-q").stdout.split()
    assert len(set(idents)) == 4 and all(len(each) == 64 for each in idents)
    socket = "unix:///run/containerd/containerd.sock"
    one = node.run("crictl", "--runtime-endpoint", socket, "ps", "--name", "^etcd$", "-q").stdout.split()
    assert one[0] in idents and len(one) == 1
    done = node.run("crictl", f"--runtime-endpoint={socket}", "stop", "--timeout", "5", one[0][:13])
    assert done.returncode == 0 and containers(node) == {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    assert node.etcdctl("endpoint", "health").returncode != 0
    assert node.run("crictl", "ps", "-a", "-q", "--state", "exited").stdout.split() == one
    # The sandboxes are there until they are stopped themselves.
    pods = node.run("crictl", "pods", "-q", "--namespace", "kube-system").stdout.split()
    assert len(pods) == 4 and not set(pods) & set(idents)
    assert node.run("crictl", "stopp", *pods).returncode == 0
    assert containers(node) == set() and not ready(node)
    ctl(node, "start", "kubelet")
    wait(lambda: len(containers(node)) == 4 and ready(node), "kubelet to bring all of them back")
    assert not set(idents) & set(node.run("crictl", "ps", "-q").stdout.split())
    assert not set(pods) & set(node.run("crictl", "pods", "-q").stdout.split())


def test_kubelet_brings_back_what_is_stopped_while_it_runs(node):
    node.init()
    listed = json.loads(node.run("crictl", "ps", "-o", "json", "--name", "^kube-apiserver$").stdout)["containers"]
    assert [each["metadata"]["name"] for each in listed] == ["kube-apiserver"]
    assert listed[0]["state"] == "CONTAINER_RUNNING" and listed[0]["podSandboxId"]
    assert node.run("crictl", "stop", listed[0]["id"]).returncode == 0
    wait(lambda: ready(node), "kubelet to start it again")
    again = json.loads(node.run("crictl", "ps", "-o", "json", "--name", "^kube-apiserver$").stdout)["containers"]
    assert again[0]["id"] != listed[0]["id"] and again[0]["metadata"]["attempt"] >= 1


def test_an_api_server_without_a_manifest_serves_on_until_the_runtime_kills_it(node):
    node.init()
    before = node.run("crictl", "ps", "-q", "--name", "^kube-apiserver$").stdout.strip()
    place, kept = f"{node.root}{MANIFESTS}/kube-apiserver.yaml", f"{node.root}/etc/kept.yaml"
    os.rename(place, kept)
    time.sleep(1)
    assert ready(node) and node.run("crictl", "ps", "-q", "--name", "^kube-apiserver$").stdout.strip() == before
    assert node.run("crictl", "stop", "--timeout", "0", before).returncode == 0
    wait(lambda: "kube-apiserver" not in containers(node), "it to be gone")
    time.sleep(1)
    assert containers(node) == {"etcd", "kube-controller-manager", "kube-scheduler"} and not ready(node)
    os.rename(kept, place)
    wait(lambda: ready(node), "another one")


def test_an_api_server_that_starts_knows_no_rights_and_then_names_the_hooks_that_have_not_ended(node):
    node.init()
    with open(f"{node.root}/run/standin.env", "a", encoding="ascii") as file:
        file.write("STANDIN_API_START=1.5,1.5\n")
    assert node.run("crictl", "stop", node.run("crictl", "ps", "-q", "--name", "^kube-apiserver$").stdout.strip()).returncode == 0
    answers = []

    def serves():
        with contextlib.suppress(dial.Unreachable):
            answers.append(raw(node, "/readyz"))
        return bool(answers) and answers[-1][0] == 200

    wait(serves, "it to serve")
    codes = [code for code, _ in answers]
    assert codes == sorted(codes, key=[403, 500, 200].index) and {403, 500} <= set(codes), codes
    hooks = next(text for code, text in answers if code == 500)
    assert "[-]poststarthook/rbac/bootstrap-roles failed: reason withheld" in str(hooks)


@pytest.mark.parametrize("seconds, serves", [(600, False), (0, True)])
def test_an_etcd_may_serve_its_clients_later_than_it_starts(tmp_path, seconds, serves):
    port = next(port for port in range(21000, 22000) if not _listens("127.0.0.1", port))
    etcd = tmp_path / "etcd.py"
    etcd.write_text(ETCD, encoding="utf-8")
    command = [sys.executable, "-m", "standin.late", str(seconds), sys.executable, str(etcd), f"{late.FLAG}https://127.0.0.1:{port}"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": HERE})
    try:
        wait(lambda: _listens("127.0.0.1", port + late.HIDDEN), "etcd itself")
        if serves:
            wait(lambda: _listens("127.0.0.1", port), "its clients' port")
        assert _listens("127.0.0.1", port) == serves
        wait(lambda: late.is_unpublished("127.0.0.1", port) != serves, "the sign that it has not published itself")
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("state, is_late", [("existing", True), ("new", False)])
def test_only_a_joiners_etcd_is_late(monkeypatch, state, is_late):
    monkeypatch.setenv("STANDIN_ETCD_LATE", "600")
    command = ["etcd", f"--initial-cluster-state={state}"]
    started = runtime.command_line({"spec": {"containers": [{"command": command}]}})
    assert ("standin.late" in " ".join(started)) == is_late, started


def test_an_etcd_whose_manifest_says_something_else_is_started_anew_by_it(node):
    node.init()
    text = node.read(f"{MANIFESTS}/etcd.yaml")
    on_loopback = text.replace(f",https://{node.address}:2379", "", 1)
    node.write(f"{MANIFESTS}/etcd.yaml", on_loopback.replace("listen-peer-urls=https://" + node.address, "listen-peer-urls=https://127.0.0.1"))
    outside = ((node.address, 2379), (node.address, 2380))
    wait(
        lambda: not any(_listens(*each) for each in outside) and _listens(node.loopback, 2379),
        "etcd on the loopback alone",
    )
    node.write(f"{MANIFESTS}/etcd.yaml", text)
    wait(lambda: _listens(node.address, 2379), "etcd as before")


def _listens(address, port):
    with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
        return True
    return False


def test_crictl_refuses_what_the_real_one_refuses(node):
    node.init()
    one = node.run("crictl", "ps", "-q").stdout.split()[0]
    for argv, said in (
        (["stop", "0123"], "not found"),
        (["stop"], "ID cannot be empty"),
        (["inspecti", "-q", "registry.k8s.io/none:1"], 'no such image "registry.k8s.io/none:1" present'),
        (["rm", one], "is running, please stop it first"),
        (["ps", "--frobnicate"], "flag provided but not defined: --frobnicate"),
        (["-r", "unix:///run/nothing.sock", "ps"], "validate CRI v1 runtime API"),
    ):
        done = node.run("crictl", *argv)
        assert done.returncode == 1 and said in done.stderr, argv
    assert len(containers(node)) == 4


def test_crictl_tells_what_a_container_said_last(node):
    node.init()
    etcd = node.run("crictl", "ps", "-q", "--name", "^etcd$").stdout.strip()
    ctl(node, "stop", "kubelet")
    node.run("crictl", "stop", "--timeout", "5", etcd)
    argv = ("ps", "--state", "exited", "--name", "^(etcd|kube-apiserver)$", "--output", "json")
    listed = json.loads(node.run("crictl", *argv).stdout)["containers"]
    assert [each["id"] for each in listed if each["metadata"]["name"] == "etcd"] == [etcd]
    said = node.run("crictl", "logs", "--tail", "3", etcd)
    # What a program says on its standard error comes as that of crictl.
    assert said.returncode == 0 and said.stdout == "" and len(said.stderr.splitlines()) == 3
    assert len(node.run("crictl", "logs", etcd[:13]).stderr.splitlines()) > 3
    for argv in (["logs"], ["logs", "0123"], ["logs", etcd, etcd]):
        assert node.run("crictl", *argv).returncode == 1, argv


def test_journalctl_tells_the_last_lines_of_a_unit_alone(node):
    node.write("/run/standin/journal/kubelet", "one\ntwo\nthree\n")
    argv = ("--unit=kubelet.service", "--boot", "--lines", "2", "--output=cat", "--no-pager", "--quiet")
    assert node.run("journalctl", *argv).stdout == "two\nthree\n"
    assert node.run("journalctl", "-u", "other", "-q").stdout == ""
    assert node.run("journalctl", "-u", "other").stdout == "-- No entries --\n"
    done = node.run("journalctl", "--frobnicate")
    assert done.returncode == 1 and "unrecognized option" in done.stderr
