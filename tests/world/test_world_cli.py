"""The commands of dev/world, as somebody types them."""

import base64
import io
import json
import sys

import pytest

from world.__main__ import main
from world.control import WorldError


@pytest.fixture
def dev_world(world, monkeypatch, capsys):
    """Runs a command on the shared world; returns its exit code, output and errors."""

    def run(*words: str):
        monkeypatch.setattr(sys, "argv", ["dev/world", "--dir", str(world.folder), *words])
        try:
            code = main()
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_status_for_people_and_programs(dev_world, world):
    code, out, _ = dev_world("status")
    assert code == 0 and world.node(1)["id"] in out and "desired capacity 2" in out
    for words in (["--json", "status"], ["status", "--json"]):
        code, out, _ = dev_world(*words)
        assert code == 0 and [node["index"] for node in json.loads(out)["nodes"]][:2] == [1, 2]


def test_objects_by_hand(dev_world, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x00garbage")))
    assert dev_world("s3", "put", "hand/made")[0] == 0
    assert dev_world("s3", "ls", "hand/")[1].split() == ["hand/made"]
    code, out, _ = dev_world("--json", "s3", "get", "hand/made")
    assert code == 0 and json.loads(out)["body"] == "AGdhcmJhZ2U="
    assert dev_world("s3", "rm", "hand/made")[0] == 0
    assert dev_world("s3", "get", "hand/made") == (1, "", "dev/world: no object s3://kubeboot-demo/hand/made\n")


def test_faults_by_hand(dev_world):
    assert dev_world("fault", "add", "delay=0.5", "--service", "s3", "--times", "2")[0] == 0
    code, out, _ = dev_world("fault", "list", "--json")
    assert code == 0 and [(fault["effect"], fault["value"], fault["times"]) for fault in json.loads(out)] == [
        ("delay", "0.5", 2)
    ]
    assert "cleared=1" in dev_world("fault", "clear")[1]


def test_what_aws_says_can_be_set(dev_world, world):
    for command, value, field in (("lifecycle", "Standby", "lifecycle"), ("ec2-state", "stopping", "ec2")):
        assert dev_world(command, "1", value)[0] == 0
        assert world.node(1)[field] == value
    dev_world("lifecycle", "1", "InService")
    dev_world("ec2-state", "1", "running")
    assert dev_world("launch-time", "1", "2026-01-02T03:04:05+00:00")[0] == 0
    told = world.aws("ec2").describe_instances(InstanceIds=[world.node(1)["id"]])["Reservations"][0]["Instances"][0]
    assert told["LaunchTime"].isoformat() == "2026-01-02T03:04:05+00:00"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["kill", "99"], "no node '99'. There are: 1 (i-"),
        (["ec2-state", "1", "asleep"], "unknown EC2 state 'asleep': one of pending"),
        (["imds", "1", "moody"], "unknown mode 'moody': one of normal"),
        (["up", "--no-up", "--set", "novalue"], "'novalue' is not KEY=VALUE"),
        (["up", "--no-up", "--external-etcd", "one"], "'one' is not a list of numbers"),
        (["boot", "1"], "is on already"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(dev_world, words, says):
    code, out, err = dev_world(*words)
    assert code == 1 and out == "" and says in err and err.count("\n") == 1


def test_every_command_has_help(dev_world):
    _, out, _ = dev_world("--help")
    commands = [line.split()[0] for line in out.splitlines() if line.startswith("    ") and line[4] != " "]
    assert len(commands) > 20
    for command in commands[1:]:
        code, out, _ = dev_world(command, "--help")
        assert code == 0 and out.startswith(f"usage: dev/world {command}")


def test_the_world_carries_out_commands_without_a_program(world, tmp_path):
    assert world.ask("command", argv=["s3", "ls", "none/"]) == []
    body = tmp_path / "body"
    body.write_bytes(b"text")
    world.ask("command", argv=["s3", "put", "command/key", str(body)])
    assert world.ask("s3_get", key="command/key")["body"] == base64.b64encode(b"text").decode()
    wrong = {("s3", "put", "command/key"): "name a file", ("nonsense",): "no command", ("down",): "no verb"}
    for argv, says in wrong.items():
        with pytest.raises(WorldError, match=says):
            world.ask("command", argv=list(argv))


def test_disks_strangers_and_versions_by_hand(dev_world, world, monkeypatch):
    where = ("2", "/var/lib/kept")
    world.run(2, "sh", "-c", "mkdir -p /var/lib/kept; echo 1 >/var/lib/kept/file")
    assert dev_world("disk", "copy", *where, "1", "--to-path", "/var/lib/copied")[0] == 0
    assert world.run(1, "cat", "/var/lib/copied/file") == "1\n"
    assert dev_world("disk", "set-aside", *where, "--mount-point")[0] == 0
    assert world.run(2, "ls", "/var/lib/kept") == "" and dev_world("disk", "put-back", *where)[0] == 0
    assert dev_world("disk", "empty", *where)[0] == dev_world("disk", "rm", *where)[0] == 0
    code, out, _ = dev_world("stranger", "start", "endpoint", "403")
    assert code == 0 and out == f"address={world.ask('status')['endpoint']}\n"
    assert dev_world("stranger", "stop")[0] == 0
    for body in (b"1", b"2"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
        dev_world("s3", "put", "hand/again")
    assert dev_world("s3", "put-back", "hand/again", "-2")[0] == 0
    assert json.loads(dev_world("--json", "s3", "versions", "hand/again")[1])[2]["body"] == "MQ=="
    dev_world("s3", "rm", "hand/again")
    assert dev_world("s3", "undelete", "hand/again")[0] == 0 and dev_world("s3", "ls", "hand/")[1] == "hand/again\n"
    assert dev_world("s3", "empty", "hand/", "--forget")[0] == 0
    assert dev_world("s3", "versions", "hand/again") == (
        1, "", "dev/world: no version of s3://kubeboot-demo/hand/again\n",
    )  # fmt: skip
