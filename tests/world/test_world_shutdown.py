"""A machine that goes down: the job queue that it sees, and the unit that acts when it is stopped."""

import pytest

from world.control import WorldError
from world.journal import read

UNIT = "kubeboot-reset.service"


@pytest.fixture
def machine(world):
    made = world.ask("launch", up=False)["id"]
    yield made
    world.ask("terminate", node=made)


def arm(world, node, script):
    """Gives the machine a leaving unit that runs this when it is stopped, and starts it."""
    world.run(node, "sh", "-c", "cat >/etc/leave", stdin=script)
    unit = "[Service]\nExecStop=/bin/sh /etc/leave\nTimeoutStopSec=1s\n"
    world.run(node, "sh", "-c", f"cat >/etc/systemd/system/{UNIT}", stdin=unit)
    world.run(node, "systemctl", "start", UNIT)


def stops(world, node):
    """How often the unit was stopped so far."""
    events = read(world.folder / "events.jsonl")
    return len([event for event in events if event["event"] == "leaving-unit" and event["node"] == node])


def test_the_way_down_is_in_the_job_queue(world, machine):
    for way in ("soft-reboot", "poweroff"):
        arm(world, machine, "systemctl list-jobs; exit 21")
        left = world.ask("shutdown", node=machine, way=way)
        unit = left["leaving_unit"]
        assert unit["exit"] == 21 and f" {way}.target start waiting" in unit["output"]
        assert left["power"] == ("off" if way == "poweroff" else "on")
        if left["power"] == "on":
            assert "No jobs" in world.run(machine, "systemctl", "list-jobs")
    world.ask("boot", node=machine, up=False)


def test_by_hand_nothing_is_queued_that_ends_the_machine(world, machine):
    arm(world, machine, "systemctl list-jobs")
    for way in ("restart", "stop"):
        left = world.ask("shutdown", node=machine, way=way)
        assert ".target" not in left["leaving_unit"]["output"] and left["power"] == "on"
    assert world.ask("shutdown", node=machine, way="stop")["leaving_unit"] is None, "it was stopped already"


def test_what_does_not_end_is_ended(world, machine):
    arm(world, machine, "exec sleep 60")
    assert world.ask("shutdown", node=machine)["leaving_unit"]["exit"] == -15
    world.ask("boot", node=machine, up=False)
    arm(world, machine, "trap '' TERM; while :; do sleep 1; done")
    assert world.ask("shutdown", node=machine)["leaving_unit"]["exit"] == -9
    world.ask("boot", node=machine, up=False)


def test_a_termination_stops_the_unit_and_a_power_cut_does_not(world):
    node = world.ask("launch", up=False)["id"]
    arm(world, node, "exit 0")
    world.ask("kill", node=node)
    assert stops(world, node) == 0
    world.ask("boot", node=node, up=False)
    arm(world, node, "exit 0")
    world.ask("terminate", node=node)
    assert stops(world, node) == 1


def test_an_unknown_way_is_refused(world, machine):
    with pytest.raises(WorldError, match="unknown way down 'explode': one of poweroff"):
        world.ask("shutdown", node=machine, way="explode")
