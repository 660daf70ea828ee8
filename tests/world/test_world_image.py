"""Images of a group: who has which Kubernetes, from its launch on."""

import json
from collections.abc import Iterator

import pytest

from world import lifetime
from world.account import GROUP
from world.client import wait_until
from world.conftest import Running
from world.control import WorldError
from world.options import Options

OLD, NEW = "v1.35.6", "v1.36.3"


@pytest.fixture
def world(tmp_path) -> Iterator[Running]:
    """A machine of the control plane and a worker of the old image, and nothing runs on them."""
    folder = tmp_path / "world"
    lifetime.start(folder, Options(binary="/bin/true", nodes=1, workers=1, up=False, kubernetes=OLD))
    yield Running(folder)
    lifetime.stop(folder)


def releases(world: Running, node: int) -> tuple[str, str, str]:
    """What kubeadm, kubelet and kubeadm's list of images say on a machine."""
    kubeadm = json.loads(world.run(node, "kubeadm", "version", "-o", "json"))["clientVersion"]["gitVersion"]
    etcd = world.run(node, "kubeadm", "config", "images", "list", "--kubernetes-version", kubeadm).split()[-1]
    return kubeadm, world.run(node, "kubelet", "--version").split()[-1], etcd.rpartition(":")[2]


def test_machines_have_the_image_of_their_launch(world):
    assert releases(world, 1) == releases(world, 2) == (OLD, OLD, "3.6.6-0")
    assert world.ask("image", kubernetes=NEW, workers=True)["version"] == 2
    world.ask("launch", up=False)
    world.ask("launch", up=False, workers=True)
    assert releases(world, 3) == releases(world, 1) and releases(world, 4) == (NEW, NEW, "3.6.8-0")
    assert world.ask("image", kubernetes=NEW, kubelet="v1.36.1", etcd="3.4.9-0")["version"] == 2
    world.ask("launch", up=False)
    assert releases(world, 5) == (NEW, "v1.36.1", "3.4.9-0")
    for node in ("1", "5"):
        world.ask("kill", node=node)
        world.ask("boot", node=node, up=False)
    assert releases(world, 1)[0] == OLD and releases(world, 5)[1] == "v1.36.1"
    assert [node["kubernetes"] for node in world.ask("status")["nodes"]] == [OLD, OLD, OLD, NEW, NEW]
    instances = world.aws("ec2").describe_instances()["Reservations"]
    images = {each["InstanceId"]: each["ImageId"] for found in instances for each in found["Instances"]}
    mine = [images[node["id"]] for node in world.ask("status")["nodes"]]
    assert mine[0] == mine[1] == mine[2] != mine[3] == mine[4]


def test_a_refresh_that_skips_what_matches_replaces_those_of_older_images(world):
    started = world.aws("autoscaling").start_instance_refresh(AutoScalingGroupName=GROUP, Preferences={"SkipMatching": True})
    last = lambda: world.ask("refresh_list")[0]
    wait_until(lambda: last()["status"] == "Successful")
    assert last()["refresh"] == started["InstanceRefreshId"] and [node["index"] for node in on(world)] == [1, 2]
    world.ask("image", kubernetes=NEW)
    world.ask("refresh_start", minimum=100, skip_matching=True)
    wait_until(lambda: last()["status"] == "Successful" and [node["index"] for node in on(world)] == [2, 3])
    assert [node["kubernetes"] for node in on(world)] == [OLD, NEW]


def on(world: Running) -> list[dict]:
    return [node for node in world.ask("status")["nodes"] if node["power"] == "on"]


def test_a_version_that_is_none_is_refused(world):
    with pytest.raises(WorldError, match="no version of Kubernetes"):
        world.ask("image", kubernetes="1.36")
