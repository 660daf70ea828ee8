"""The group scales as AWS would after calls of its API, and its hooks hold machines back."""

import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from world import lifetime
from world.account import GROUP
from world.client import wait_until
from world.conftest import Running
from world.options import Options


@pytest.fixture(scope="module")
def hooked(tmp_path_factory):
    """A world of one machine whose group has a launch hook and a termination hook."""
    folder: Path = tmp_path_factory.mktemp("hooked")
    options = Options(binary="/bin/true", nodes=1, up=False, launch_hook="launch", terminate_hook="end", off=[1])
    lifetime.start(folder, options)
    yield Running(folder)
    lifetime.stop(folder)


def complete(world: Running, instance: str, name: str, result: str = "CONTINUE") -> None:
    hook = {"LifecycleHookName": name, "AutoScalingGroupName": GROUP, "LifecycleActionResult": result}
    world.aws("autoscaling").complete_lifecycle_action(InstanceId=instance, **hook)


def test_a_machine_that_never_boots_is_there_for_aws(hooked):
    node = hooked.node(1)
    assert (node["power"], node["ec2"], node["lifecycle"]) == ("off", "running", "Pending:Wait")


def test_hooks_hold_launch_and_end(hooked):
    node = hooked.ask("launch", id="i-0000000000000000a", up=False)
    assert (node["id"], node["lifecycle"], node["power"]) == ("i-0000000000000000a", "Pending:Wait", "on")
    assert node["address"] not in hooked.ask("status")["load_balancer"]["targets"]
    complete(hooked, node["id"], "launch")
    wait_until(lambda: node["address"] in hooked.ask("status")["load_balancer"]["targets"])
    hooked.ask("terminate", node=node["id"])
    waiting = hooked.node(node["id"])
    assert (waiting["lifecycle"], waiting["power"], waiting["ec2"]) == ("Terminating:Wait", "on", "running")
    wait_until(lambda: node["address"] not in hooked.ask("status")["load_balancer"]["targets"])
    with pytest.raises(ClientError, match="No active Lifecycle Action"):
        complete(hooked, node["id"], "launch")
    complete(hooked, node["id"], "end")
    wait_until(lambda: hooked.node(node["id"])["ec2"] == "terminated")
    assert hooked.node(node["id"])["power"] == "off"


def test_an_abandoned_launch_ends_the_instance(hooked):
    node = hooked.ask("launch", up=False)
    complete(hooked, node["id"], "launch", "ABANDON")
    wait_until(lambda: hooked.node(node["id"])["ec2"] == "terminated")


def test_the_group_follows_its_desired_capacity_and_replaces(hooked):
    scaling = hooked.aws("autoscaling")
    before = {node["id"] for node in hooked.ask("status")["nodes"]}
    scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    new = lambda: [node for node in hooked.ask("status")["nodes"] if node["id"] not in before and node["power"] == "on"]
    wait_until(lambda: len(new()) == 1)
    first = new()[0]["id"]
    hooked.aws("ec2").terminate_instances(InstanceIds=[first])
    wait_until(lambda: hooked.node(first)["power"] == "off" and len(new()) == 1)
    assert new()[0]["id"] != first


@pytest.fixture
def retaining(tmp_path):
    """A world of one machine whose group retains it after two seconds without a heartbeat."""
    options = Options(binary="/bin/true", nodes=1, up=False, terminate_hook="end", hook_seconds=2, retain=True, off=[1])
    lifetime.start(tmp_path, options)
    yield Running(tmp_path)
    lifetime.stop(tmp_path)


def test_a_hook_that_nobody_keeps_alive_ends_and_the_machine_is_retained(retaining):
    node = retaining.node(1)["id"]
    group = retaining.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
    assert group["InstanceLifecyclePolicy"] == {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}
    retaining.ask("terminate", node=node)
    hook = {"LifecycleHookName": "end", "AutoScalingGroupName": GROUP, "InstanceId": node}
    began = time.monotonic()
    while time.monotonic() - began < 4:
        retaining.aws("autoscaling").record_lifecycle_action_heartbeat(**hook)
        assert retaining.node(node)["lifecycle"] == "Terminating:Wait", "its heartbeats keep it"
    wait_until(lambda: retaining.node(node)["lifecycle"] == "Terminating:Retained")
    assert retaining.node(node)["ec2"] == "running"


def test_what_is_called_unhealthy_is_ended_and_replaced(hooked):
    node = hooked.ask("launch", up=False)
    complete(hooked, node["id"], "launch")
    counted = sum((each["lifecycle"] or "").startswith(("Pending", "InService")) for each in hooked.ask("status")["nodes"])
    hooked.ask("desired", count=counted, scale=False)
    before = len(hooked.ask("status")["nodes"])
    hooked.aws("autoscaling").set_instance_health(InstanceId=node["id"], HealthStatus="Unhealthy")
    wait_until(lambda: hooked.node(node["id"])["lifecycle"] == "Terminating:Wait")
    wait_until(lambda: len(hooked.ask("status")["nodes"]) == before + 1)
    complete(hooked, node["id"], "end")
    wait_until(lambda: hooked.node(node["id"])["ec2"] == "terminated")
