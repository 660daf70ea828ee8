"""The group scales as AWS would after calls of its API, and its hooks hold machines back."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from world import lifetime
from world.account import GROUP
from world.client import wait_until
from world.conftest import Running
from world.control import WorldError
from world.init import RESTART_SECONDS
from world.journal import read
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


def in_state(world: Running, state: str) -> list[str]:
    return [node["id"] for node in world.ask("status")["nodes"] if node["lifecycle"] == state]


def test_a_hook_that_nobody_keeps_alive_ends_and_the_machine_is_retained_and_replaced(retaining):
    scaling, node = retaining.aws("autoscaling"), retaining.node(1)["id"]
    retaining.ask("terminate", node=node)
    hook = {"LifecycleHookName": "end", "AutoScalingGroupName": GROUP, "InstanceId": node}
    began = time.monotonic()
    while time.monotonic() - began < 4:
        scaling.record_lifecycle_action_heartbeat(**hook)
        assert retaining.node(node)["lifecycle"] == "Terminating:Wait", "its heartbeats keep it"
    wait_until(lambda: retaining.node(node)["lifecycle"] == "Terminating:Retained")
    assert retaining.node(node)["ec2"] == "running"
    wait_until(lambda: len(in_state(retaining, "InService")) == 1)
    with pytest.raises(ClientError, match="No active Lifecycle Action"):
        complete(retaining, node, "end")
    # No hook holds it a second time, and nothing takes its place once more.
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=node, ShouldDecrementDesiredCapacity=False)
    wait_until(lambda: retaining.node(node)["ec2"] == "terminated")
    assert len(retaining.ask("status")["nodes"]) == 2


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


def is_so(world: Running, node: str, lifecycle: str | None, ec2: str) -> Callable[[], bool]:
    return lambda: (world.node(node)["lifecycle"], world.node(node)["ec2"]) == (lifecycle, ec2)


def test_what_a_hook_leaves_is_retained_by_the_policy_alone(retaining):
    scaling = retaining.aws("autoscaling")
    told = lambda: scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0].get("InstanceLifecyclePolicy")
    assert told() == {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}
    # CONTINUE retains nobody.
    retaining.ask("hook_add", name="end", transition="terminating", seconds=3600, result="ABANDON")
    node = retaining.node(1)["id"]
    retaining.ask("terminate", node=node)
    complete(retaining, node, "end", "CONTINUE")
    wait_until(lambda: retaining.node(node)["ec2"] == "terminated")
    # An answer of ABANDON does, and without the policy it does not.
    for trigger, state, ec2 in (("retain", "Terminating:Retained", "running"), ("terminate", None, "terminated")):
        policy = {"RetentionTriggers": {"TerminateHookAbandon": trigger}}
        scaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, InstanceLifecyclePolicy=policy)
        node = retaining.ask("launch", up=False)["id"]
        retaining.ask("terminate", node=node)
        complete(retaining, node, "end", "ABANDON")
        wait_until(is_so(retaining, node, state, ec2))
        retaining.ask("desired", count=0, scale=False)


def test_a_default_result_of_continue_ends_a_machine_and_takes_one_into_service(retaining):
    retaining.ask("hook_add", name="end", transition="terminating", seconds=1, result="CONTINUE")
    retaining.ask("hook_add", name="begin", transition="launching", seconds=1, result="CONTINUE")
    node = retaining.node(1)["id"]
    retaining.ask("terminate", node=node)
    wait_until(lambda: retaining.node(node)["ec2"] == "terminated")
    newcomer = retaining.ask("launch", up=False)
    assert newcomer["lifecycle"] == "Pending:Wait"
    wait_until(lambda: retaining.node(newcomer["id"])["lifecycle"] == "InService")


def test_a_hook_that_is_deleted_lets_go_what_waits_in_it(retaining):
    node = retaining.node(1)["id"]
    retaining.ask("hook_add", name="end", transition="terminating")
    retaining.ask("terminate", node=node)
    assert retaining.node(node)["lifecycle"] == "Terminating:Wait"
    retaining.aws("autoscaling").delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="end")
    wait_until(lambda: retaining.node(node)["ec2"] == "terminated")
    with pytest.raises(WorldError, match="no lifecycle hook 'end'"):
        retaining.ask("hook_rm", name="end")


def test_a_group_shrinks_and_grows_at_any_time_and_ends_with_its_machines_by_force(tmp_path):
    lifetime.start(tmp_path, Options(binary="/bin/true", nodes=5, up=False, terminate_hook="end"))
    world = Running(tmp_path)
    try:
        scaling = world.aws("autoscaling")
        scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
        wait_until(lambda: len(in_state(world, "Terminating:Wait")) == 4)
        assert in_state(world, "InService") == [world.node(1)["id"]]
        # Nobody comes back out of the hook: others are launched.
        scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
        wait_until(lambda: len(in_state(world, "InService")) == 2)
        assert len(in_state(world, "Terminating:Wait")) == 4
        with pytest.raises(ClientError, match="ResourceInUse"):
            scaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP)
        scaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
        assert world.ask("status")["desired"] == 0
        wait_until(lambda: all(node["ec2"] == "terminated" for node in world.ask("status")["nodes"]))
        wait_until(lambda: scaling.describe_auto_scaling_groups()["AutoScalingGroups"] == [])
        assert len(world.ask("status")["nodes"]) == 6, "nothing takes the place of what went with its group"
    finally:
        lifetime.stop(tmp_path)


def test_the_agent_of_a_machine_runs_from_its_boot_until_its_unit_is_stopped(tmp_path):
    agent, folder = tmp_path / "bin/kubeboot", tmp_path / "world"
    agent.parent.mkdir()
    agent.write_text("#!/bin/sh\nexec sleep 600\n")
    agent.chmod(0o755)
    lifetime.start(folder, Options(binary=str(agent), nodes=1, up=False, agents=True))
    world = Running(folder)
    heard = lambda what: [event for event in read(folder / "events.jsonl") if event["event"] == what]
    try:
        # As Restart=always has it.
        world.run(1, "sh", "-c", 'for p in /proc/[0-9]*; do ! grep -q ^sleep "$p/cmdline" || kill "${p#/proc/}"; done')
        wait_until(lambda: len(heard("agent-started")) > 1)
        # A way down that leaves the power on: there it is seen that it does not come back by itself.
        world.ask("shutdown", node="1", way="rescue")
        wait_until(lambda: len(heard("agent-ended")) == len(heard("agent-started")))
        before, began = len(heard("agent-started")), time.monotonic()
        while time.monotonic() - began < 2 * RESTART_SECONDS:
            assert len(heard("agent-started")) == before, "it was started again after its unit was stopped"
        world.ask("shutdown", node="1")
        assert world.node(1)["power"] == "off"
        world.ask("boot", node="1", up=False)
        wait_until(lambda: heard("agent-started")[-1]["time"] > heard("boot")[-1]["time"])
    finally:
        lifetime.stop(folder)
