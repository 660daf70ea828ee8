"""What happens to disks, and to the power of all machines at once."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from world.client import wait_until
from world.control import WorldError
from world.journal import read


@pytest.fixture
def two(world) -> Iterator[list[str]]:
    """Two machines of their own, gone after the test."""
    made = [world.ask("launch", up=False)["id"] for _ in range(2)]
    yield made
    for each in made:
        world.ask("terminate", node=each)


@pytest.fixture
def disk(world, two):
    """The disk of the first of them, with a folder that looks like etcd's."""
    made = Path(world.node(two[0])["folder"]) / "disk"
    (made / "var/lib/etcd/member/wal").mkdir(parents=True)
    (made / "var/lib/etcd").chmod(0o700)
    (made / "var/lib/etcd/member/wal/0").write_text("log")
    return made


def test_a_folder_is_emptied_under_a_running_machine(world, two, disk):
    world.ask("disk_empty", node=two[0], path="/var/lib/etcd/member")
    assert world.run(two[0], "find", "/var/lib/etcd").split() == ["/var/lib/etcd", "/var/lib/etcd/member"]
    world.ask("disk_rm", node=two[0], path="/var/lib/etcd")
    assert not (disk / "var/lib/etcd").exists()


def test_a_volume_is_not_mounted_and_comes_back(world, two, disk):
    where = {"node": two[0], "path": "/var/lib/etcd"}
    world.ask("kill", node=two[0])
    world.ask("disk_set_aside", **where, mount_point=True)
    world.ask("boot", node=two[0], up=False)
    assert world.run(two[0], "stat", "-c", "%a", "/var/lib/etcd").strip() == "700"
    assert world.run(two[0], "ls", "-A", "/var/lib/etcd") == ""
    with pytest.raises(WorldError, match="put it back first"):
        world.ask("disk_set_aside", **where)
    world.run(two[0], "mkdir", "-p", "/var/lib/etcd/member/other")
    world.ask("disk_put_back", **where)
    assert world.run(two[0], "find", "/var/lib/etcd/member", "-type", "f").split() == ["/var/lib/etcd/member/wal/0"]
    assert world.run(two[0], "ls", "/var/lib/etcd/member").split() == ["wal"]
    with pytest.raises(WorldError, match="nothing .* was set aside"):
        world.ask("disk_put_back", **where)


def test_what_was_set_aside_outlives_a_new_root_volume(world, two, disk):
    where = {"node": two[0], "path": "/var/lib/etcd/member"}
    world.ask("disk_set_aside", **where)
    assert not (disk / "var/lib/etcd/member").exists()
    world.ask("replace_root", node=two[0], up=False)
    assert not (disk / "var/lib/etcd").exists()
    world.ask("disk_put_back", **where)
    assert (disk / "var/lib/etcd/member/wal/0").read_text() == "log"


def test_a_copy_is_of_one_moment(world, two, disk):
    # Two files that are written one after the other: in a copy of one moment the first is never behind.
    script = "i=0; while :; do i=$((i+1)); echo $i >/var/lib/pair/a.$i; echo $i >/var/lib/pair/b.$i; done"
    world.run(two[0], "mkdir", "/var/lib/pair")
    command = world.ask("enter", node=two[0])["argv"] + ["sh", "-c", script]
    writer = subprocess.Popen(command)
    try:
        wait_until(lambda: (disk / "var/lib/pair/b.200").exists())
        world.ask("disk_copy", node=two[0], path="/var/lib/pair", to=two[1])
    finally:
        writer.kill()
        writer.wait()
    names = world.run(two[1], "ls", "/var/lib/pair").split()
    first, second = (sum(name.startswith(letter) for name in names) for letter in "ab")
    assert first >= 200 and first - second in (0, 1)
    # Nothing stands still any more.
    states = world.run(two[0], "sh", "-c", "cut -d' ' -f3 /proc/[0-9]*/stat").split()
    assert "T" not in states


def test_a_copy_lies_over_what_was_there_and_may_go_elsewhere(world, two, disk):
    world.run(two[1], "sh", "-c", "mkdir -p /var/lib/etcd/member; touch /var/lib/etcd/mine")
    world.ask("disk_copy", node=two[0], path="/var/lib/etcd", to=two[1])
    assert world.run(two[1], "ls", "/var/lib/etcd").split() == ["member"]
    assert world.run(two[1], "cat", "/var/lib/etcd/member/wal/0") == "log"
    assert world.run(two[1], "stat", "-c", "%a", "/var/lib/etcd").strip() == "700"
    world.ask("disk_copy", node=two[0], path="/var/lib/etcd/member/wal/0", to=two[1], to_path="/var/lib/new/place")
    assert world.run(two[1], "cat", "/var/lib/new/place") == "log"


@pytest.mark.parametrize("path", ["/run/x", "/etc", "/var/lib", "/var/lib/../../tmp/x", "etc/x", "/var/lib/nothing"])
def test_only_what_is_on_a_disk_is_touched(world, two, path):
    for verb in ("disk_empty", "disk_rm", "disk_set_aside"):
        with pytest.raises(WorldError, match="not on the disk|has no"):
            world.ask(verb, node=two[0], path=path)


def test_the_power_of_all_goes_in_one_moment_and_each_comes_back_alone(world, two):
    inits = [int((Path(world.node(each)["folder"]) / "pid").read_text()) for each in two]
    world.ask("blackout", nodes=two)
    assert [world.node(each)["power"] for each in two] == ["off", "off"]
    assert not any(os.path.exists(f"/proc/{pid}") for pid in inits)
    cuts = [event["node"] for event in read(world.folder / "events.jsonl") if event["event"] == "power-cut"]
    assert cuts[-2:] == two
    world.ask("boot", node=two[1], up=False)
    assert [world.node(each)["power"] for each in two] == ["off", "on"]
    assert world.node(1)["power"] == "on", "only those that were named"
