"""systemctl and crictl: the units kubeboot looks after, and nothing else."""

import json
import os

import pytest

from world.standin_lab import Lab, wait

UNIT = "[Unit]\nDescription=x\n[Service]\nType=oneshot\n[Install]\nWantedBy=multi-user.target\n"


@pytest.fixture(scope="module")
def node():
    lab = Lab()
    made = lab.node()
    yield made
    lab.close()


def ctl(node, *argv):
    """(exit code, output, errors) of a call."""
    done = node.run("systemctl", *argv)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_kubelet_starts_in_vain_until_it_is_configured(node):
    assert ctl(node, "is-active", "kubelet") == (3, "activating", "")
    assert ctl(node, "stop", "kubelet.service")[0] == 0
    assert ctl(node, "is-active", "kubelet") == (3, "inactive", "")
    assert ctl(node, "start", "--no-block", "kubelet")[0] == 0 and ctl(node, "is-active", "kubelet")[1] == "activating"
    assert ctl(node, "is-enabled", "kubelet") == (0, "enabled", "")


def test_units_are_known_by_their_files(node):
    assert ctl(node, "start", "kubeboot-reset.service") == (
        5,
        "",
        "Failed to start kubeboot-reset.service: Unit kubeboot-reset.service not found.",
    )
    node.write("/etc/systemd/system/kubeboot-reset.service", UNIT)
    assert ctl(node, "is-enabled", "kubeboot-reset") == (1, "disabled", "")
    assert ctl(node, "enable", "--now", "kubeboot-reset")[0] == 0
    assert os.path.islink(f"{node.root}/etc/systemd/system/multi-user.target.wants/kubeboot-reset.service")
    assert ctl(node, "is-enabled", "kubeboot-reset.service")[1] == "enabled"
    assert ctl(node, "is-active", "kubeboot-reset") == (0, "active", "")
    shown = ctl(node, "show", "kubeboot-reset", "--property=ActiveState,LoadState")
    assert shown == (0, "ActiveState=active\nLoadState=loaded", "")
    shown = ctl(node, "show", "--property", "LoadState", "--", "var-lib-etcd.mount", "kubeboot-reset.service")
    assert shown == (0, "LoadState=not-found\n\nLoadState=loaded", "")
    assert ctl(node, "disable", "--now", "kubeboot-reset")[0] == 0
    assert ctl(node, "is-active", "-q", "kubeboot-reset") == (3, "", "")


def test_the_job_queue_is_what_the_world_says(node):
    assert ctl(node, "list-jobs") == (0, "No jobs running.", "")
    node.write("/run/standin/jobs", "JOB UNIT            TYPE  STATE\n12  poweroff.target start waiting\n")
    assert "poweroff.target start" in ctl(node, "list-jobs")[1]
    os.unlink(f"{node.root}/run/standin/jobs")


def test_what_it_does_not_know_is_refused_and_everything_is_noted(node):
    assert ctl(node, "frobnicate", "x") == (1, "", "Unknown command verb 'frobnicate'.")
    assert ctl(node, "daemon-reload")[0] == 0 and ctl(node, "start") == (1, "", "Too few arguments.")
    calls = [json.loads(line) for line in node.read("/run/standin/systemctl.log").splitlines()]
    assert calls[-3:] == [["frobnicate", "x"], ["daemon-reload"], ["start"]]


def test_containers_outlive_the_kubelet_service(node):
    node.init()
    assert ctl(node, "is-active", "kubelet") == (0, "active", "")
    ctl(node, "stop", "kubelet")
    assert {"etcd", "kube-apiserver"} <= set(node.run("crictl", "ps").stdout.split())
    assert node.run("etcdctl", "x").returncode != 0 and len(node.members()) == 1
    ctl(node, "start", "kubelet")
    wait(lambda: ctl(node, "is-active", "kubelet")[0] == 0, "the service")
    assert len(node.run("crictl", "ps", "-q").stdout.split()) == 4


def test_without_the_runtime_nothing_can_be_asked(node):
    ctl(node, "stop", "containerd")
    done = node.run("crictl", "ps")
    assert done.returncode == 1 and "validate CRI v1 runtime API" in done.stderr
    ctl(node, "start", "containerd")
    assert node.run("crictl", "info").returncode == 0
