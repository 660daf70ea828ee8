"""Least privilege, proven: kubeboot does all its work with the example's policies, and misses each single action.

Machines of the emulated world get the settings and documents that the example's user data writes, and a role with the
policies that the example's files come to.
"""

import json
import re
import stat
import time
from pathlib import Path

import pytest
import yaml

from example import machine_actions, world_policies
from example import plan as evaluate

DOCUMENTS = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
networking:
  podSubnet: 10.244.0.0/16
"""
TERMINATE_HOOK = "leave"
# Told by `kubeboot up` in its launch hook, and by `kubeboot check` before any `up`.
HOOK = {"autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"}
# Called by the leader among the agents alone, when one of several machines hangs: tests/stories/duties.rs.
LEADER = {"autoscaling:SetInstanceHealth"}


@pytest.fixture(scope="module")
def plan():
    return evaluate(f'kubeadm_config = <<EOT\n{DOCUMENTS}EOT\n')


def write_files(user_data: str, node: dict) -> None:
    """What cloud-init's write_files does on a machine."""
    for file in yaml.safe_load(user_data)["write_files"]:
        path = Path(node["folder"]) / "disk" / file["path"].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["content"])
        path.chmod(int(file["permissions"], 8))


def run_commands(user_data: str) -> str:
    """What cloud-init's runcmd runs, as one script."""
    return "\n".join(yaml.safe_load(user_data)["runcmd"])


def launch_hook(plan) -> str:
    return plan.one("aws_autoscaling_lifecycle_hook", "launch")["name"]


def test_a_control_plane_of_three_with_exactly_these_policies(world, plan):
    user_data = plan.user_data()
    nodes = world.up("--nodes", "3", "--no-up", "--launch-hook", launch_hook(plan), **world_policies(plan))
    for node in nodes:
        write_files(user_data, node)
        config = Path(node["folder"]) / "disk/etc/kubeboot/config.toml"
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        # By the unit, which the world then runs.
        started = world.as_node(node["id"], "sh", "-c", run_commands(user_data))
        assert started.returncode == 0, started.stderr
        assert world.as_node(node["id"], "systemctl", "is-enabled", "kubeboot.service").returncode == 0
    world.do("run")
    world.do("wait", "--seconds", "240")
    made = world.do("outcome")
    assert sorted(node["role"] for node in made) == ["initialised", "joined", "joined"], world.logs()
    assert all(node["voter"] and node["up_exit"] == 0 and node["voters_known"] == 3 for node in made), world.logs()
    states = {node["lifecycle"] for node in world.do("status")["nodes"]}
    assert states == {"InService"}, "a launch hook was not completed"
    for node in nodes:
        again = world.as_node(node["id"], "kubeboot", "up")
        assert again.returncode == 0, again.stderr
    for command in ("check", "status"):
        told = world.as_node(nodes[0]["id"], "kubeboot", command, "--json")
        assert told.returncode == 0, told.stdout + told.stderr
    # What an operator asks for is looked up with these as well. A cluster whose machines live is not retired.
    assert world.as_node(nodes[0]["id"], "kubeboot", "reap").returncode == 0
    living = world.as_node(nodes[0]["id"], "kubeboot", "retire", "--yes", "--cluster-id", cluster_id(world))
    assert living.returncode == 6, living.stderr
    # Out of the cluster, and back.
    joiner = next(node["instance"] for node in made if node["role"] == "joined")
    for command in (["reset", "--now", "--yes"], ["up"]):
        done = world.as_node(joiner, "kubeboot", *command)
        assert done.returncode == 0, done.stderr
    assert all(node["voter"] and node["voters_known"] == 3 for node in world.do("outcome"))
    moves_a_former_machine(world, joiner)
    # And for good. While AWS shows it as running no answer is final, so that every question of a shutdown is asked to its end.
    world.do("shutdown", joiner, "--way", "poweroff")
    left = [node["voters_known"] for node in world.do("outcome") if node["voter"]]
    assert left == [2, 2], world.logs()
    refused = [line for line in requests(world) if line["status"] == 403]
    assert not refused, refused


def moves_a_former_machine(world, node: str) -> None:
    """A member moves the registration of a machine that has left, and that EC2 no longer shows."""
    own = json.loads(world.call("s3", "get", f"demo/control-plane/nodes/{node}.json").stdout)
    gone = {key: own[key] for key in own if key not in ("member_id", "node_uid")}
    gone |= {"instance": "i-0123456789abcdef0", "phase": "left", "addresses": ["10.99.0.1"]}
    file = world.folder.parent / "gone.json"
    file.write_text(json.dumps(gone))
    world.do("s3", "put", "demo/control-plane/nodes/i-0123456789abcdef0.json", str(file))
    done = world.as_node(node, "kubeboot", "up")
    assert done.returncode == 0, done.stderr
    moved = [key for key in world.do("s3", "ls") if "i-0123456789abcdef0" in key]
    assert moved == ["demo/control-plane/former/i-0123456789abcdef0.json"], done.stderr


def test_straight_from_runcmd(world):
    plan = evaluate('start = "runcmd"')
    user_data = plan.user_data()
    (node,) = world.up("--nodes", "1", "--no-up", "--launch-hook", launch_hook(plan), **world_policies(plan))
    write_files(user_data, node)
    done = world.as_node("1", "sh", "-c", run_commands(user_data))
    assert done.returncode == 0, done.stderr
    (made,) = world.do("outcome")
    assert (made["role"], made["voter"]) == ("initialised", True)
    # Armed now by `up`, and at later boots, at which nobody runs that, by systemd.
    for question in ("is-active", "is-enabled"):
        assert world.as_node("1", "systemctl", question, "kubeboot-reset.service").returncode == 0, question


def test_each_action_is_missed(world, plan):
    user_data, missed = plan.user_data(), {}
    hooks = ["--launch-hook", launch_hook(plan), "--terminate-hook", TERMINATE_HOOK]
    (node,) = world.up("--nodes", "1", "--no-up", *hooks, **world_policies(plan))
    write_files(user_data, node)
    with_all = check(world)
    assert with_all["ready"], with_all
    for action in machine_actions(plan):
        assert action not in told_by(with_all), "it would be told with the permission as well"
        if action not in HOOK | LEADER:
            world.allow(**world_policies(plan, without=action))
            missed[action] = told_by(check(world))
    log = Path(node["folder"]) / "disk/var/log/kubeboot.log"
    for action in sorted(HOOK, reverse=True):
        world.allow(**world_policies(plan, without=action))
        world.do("lifecycle", "1", "Pending:Wait")
        begin = log.stat().st_size if log.exists() else 0
        world.do("run")
        wait_for(lambda action=action, begin=begin: action in log.read_text()[begin:], world, f"{action} in the log")
        missed[action] = log.read_text()[begin:]
        # And with the permission given back it goes on by itself.
        world.allow(**world_policies(plan))
        world.do("wait", "--seconds", "120")
        assert world.do("status")["nodes"][0]["up_exit"] == 0, world.logs()
    unsaid = {
        action: missed.get(action)
        for action in machine_actions(plan)
        if action not in LEADER and not asks_for(action, missed.get(action, ""))
    }
    assert not unsaid, unsaid


def asks_for(action: str, told: str) -> bool:
    """Whether kubeboot itself says what is to be allowed; AWS's own words say "allows"."""
    return re.search(rf"\ballow ('|[\w:]+ and )?{action}\b", told) is not None


def check(world) -> dict:
    return json.loads(world.as_node("1", "kubeboot", "check", "--json").stdout)


def told_by(checked: dict) -> str:
    """What is wrong, or was not looked at. What is right may name a permission, too."""
    wrong = [one for one in checked["findings"] if one["verdict"] != "ok" and one["check"] != "launch-hook"]
    return "\n".join(f"{one['text']} {one['remedy'] or ''}" for one in wrong)


def cluster_id(world) -> str:
    record = world.call("s3", "get", "demo/control-plane/cluster.json").stdout
    return json.loads(record)["claim_id"]


def requests(world) -> list[dict]:
    return [json.loads(line) for line in (world.folder / "requests.jsonl").read_text().splitlines()]


def wait_for(true, world, what: str, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited in vain for {what}: {world.logs()}"
        time.sleep(0.2)
