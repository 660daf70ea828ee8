"""Instance refreshes: in which order machines come and go."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from world import lifetime
from world.account import GROUP
from world.client import wait_until
from world.conftest import Running
from world.options import Options
from world.refresh import Preferences, Refreshes, next_step

OLD = ["i-1", "i-2", "i-3"]


@pytest.mark.parametrize(
    ("minimum", "maximum", "desired", "in_service", "wanted", "ended"),
    [
        # Launch before terminate: one more than desired, and one goes as soon as that serves.
        (100, 100, 3, OLD, 4, []),
        (100, 100, 3, [*OLD, "i-4"], 4, ["i-1"]),
        (100, 200, 3, OLD, 6, []),
        (100, 200, 3, [*OLD, "i-4", "i-5"], 4, ["i-1", "i-2"]),
        (100, 110, 3, OLD, 4, []),
        # Terminate and launch: at least one goes, however high the minimum.
        (90, 100, 3, OLD, 3, ["i-1"]),
        (34, 100, 3, OLD, 3, ["i-1"]),
        (33, 100, 3, OLD, 3, ["i-1", "i-2"]),
        (0, 100, 3, OLD, 3, OLD),
        (90, 100, 3, OLD[1:], 3, []),
        # The desired capacity changes meanwhile.
        (100, 100, 5, OLD, 6, []),
        (100, 100, 1, OLD, 2, ["i-1", "i-2"]),
    ],
)
def test_one_step(minimum, maximum, desired, in_service, wanted, ended):
    left = [id for id in OLD if id in in_service]
    assert next_step(Preferences(minimum, maximum), desired, left, in_service) == (wanted, ended)


def test_the_last_one_that_goes_is_not_replaced_twice():
    assert next_step(Preferences(100, 100), 3, ["i-3"], ["i-3", "i-4", "i-5", "i-6"]) == (3, ["i-3"])


@pytest.mark.parametrize(("minimum", "maximum"), [(-1, 100), (101, 110), (90, 99), (100, 201), (50, 151)])
def test_percentages_that_aws_refuses(minimum, maximum):
    with pytest.raises(ValueError, match="MinHealthyPercentage"):
        Preferences(minimum, maximum)


def test_one_refresh_at_a_time():
    refreshes = Refreshes()
    first = refreshes.start(Preferences(), OLD)
    with pytest.raises(RuntimeError, match="is in progress"):
        refreshes.start(Preferences(), OLD)
    assert refreshes.cancel() is first and first.status == "Cancelled"
    with pytest.raises(RuntimeError, match="no instance refresh"):
        refreshes.cancel()
    assert refreshes.step(3, OLD, OLD) == (3, []), "one that was cancelled ends nobody"
    refreshes.start(Preferences(), [])
    assert refreshes.step(3, OLD, OLD) == (3, [])
    assert refreshes.all[0].status == "Successful", "there is nothing to replace"


@pytest.fixture
def hooked(tmp_path) -> Iterator[Running]:
    """A world of three machines with a hook on both sides."""
    folder: Path = tmp_path / "world"
    lifetime.start(folder, Options(binary="/bin/true", nodes=3, up=False, launch_hook="join", terminate_hook="leave"))
    world = Running(folder)
    for node in world.ask("status")["nodes"]:
        world.ask("lifecycle", node=node["id"], state="InService")
    yield world
    lifetime.stop(folder)


def in_state(world: Running, state: str) -> list[str]:
    return [node["id"] for node in world.ask("status")["nodes"] if node["lifecycle"] == state]


def complete(world: Running, hook: str, instance: str, result: str = "CONTINUE") -> None:
    world.aws("autoscaling").complete_lifecycle_action(
        LifecycleHookName=hook, AutoScalingGroupName=GROUP, LifecycleActionResult=result, InstanceId=instance
    )


def described(world: Running) -> dict:
    answer = world.aws("autoscaling").describe_instance_refreshes(AutoScalingGroupName=GROUP)
    return answer["InstanceRefreshes"][0]


@pytest.mark.parametrize("minimum", [100, 66])
def test_all_are_replaced_in_either_order(hooked, minimum):
    old = set(in_state(hooked, "InService"))
    scaling = hooked.aws("autoscaling")
    preferences = {"MinHealthyPercentage": minimum, "MaxHealthyPercentage": 100}
    started = scaling.start_instance_refresh(AutoScalingGroupName=GROUP, Preferences=preferences)
    with pytest.raises(ClientError, match="InstanceRefreshInProgress"):
        scaling.start_instance_refresh(AutoScalingGroupName=GROUP)
    for replaced in range(3):
        wait_until(lambda: in_state(hooked, "Pending:Wait"))
        serving = 3 if minimum == 100 else 2
        assert len(in_state(hooked, "InService")) == serving
        assert described(hooked)["InstancesToUpdate"] in (3 - replaced, 2 - replaced)
        if minimum == 100:
            assert in_state(hooked, "Terminating:Wait") == [], "the new one comes first"
        complete(hooked, "join", in_state(hooked, "Pending:Wait")[0])
        wait_until(lambda: in_state(hooked, "Terminating:Wait"))
        complete(hooked, "leave", in_state(hooked, "Terminating:Wait")[0])
    wait_until(lambda: described(hooked)["Status"] == "Successful")
    assert described(hooked)["InstanceRefreshId"] == started["InstanceRefreshId"]
    assert described(hooked)["PercentageComplete"] == 100
    now = set(in_state(hooked, "InService"))
    assert len(now) == 3 and not now & old


def test_a_refresh_that_is_cancelled_leaves_the_rest_alone(hooked):
    scaling = hooked.aws("autoscaling")
    with pytest.raises(ClientError, match="ActiveInstanceRefreshNotFound"):
        scaling.cancel_instance_refresh(AutoScalingGroupName=GROUP)
    hooked.ask("refresh_start", minimum=100)
    wait_until(lambda: in_state(hooked, "Pending:Wait"))
    scaling.cancel_instance_refresh(AutoScalingGroupName=GROUP)
    # The group is above its size, and ends the newest.
    wait_until(lambda: in_state(hooked, "Terminating:Wait"))
    assert len(in_state(hooked, "InService")) == 3
    assert hooked.ask("refresh_list")[0]["status"] == "Cancelled"
