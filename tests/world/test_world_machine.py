"""Machines: what is their own, what survives, and that nothing does when they end."""

import os
import subprocess
from pathlib import Path

import pytest

from world.build import PROJECT
from world.client import run_as, wait_until
from world.control import WorldError
from world.journal import read
from world.machine import Machine


@pytest.fixture
def machine(world) -> str:
    """A machine of its own, gone after the test."""
    made = world.ask("launch", up=False)["id"]
    yield made
    world.ask("terminate", node=made)


def host_pids(pid: int) -> set[int]:
    """Every process in the PID namespace of that process."""
    namespace, found = os.readlink(f"/proc/{pid}/ns/pid"), set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "ns/pid") == namespace:
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


def test_each_machine_has_its_own_names_and_folders(world):
    for index in (1, 2):
        node = world.node(index)
        assert world.run(index, "hostname").strip() == node["name"]
        assert f"{node['address']} {node['name']}" in world.run(index, "cat", "/etc/hosts")
        files = "/etc/kubernetes/who /var/lib/etcd/who /run/who /tmp/who"
        world.run(index, "sh", "-c", f"mkdir -p /etc/kubernetes /var/lib/etcd && echo {index} | tee {files}")
    for index in (1, 2):
        found = world.run(index, "cat", "/etc/kubernetes/who", "/var/lib/etcd/who", "/run/who", "/tmp/who")
        assert found.split() == [str(index)] * 4
    assert not Path("/run/who").exists() and not Path("/etc/kubernetes/who").exists()


def test_a_machine_sees_no_process_but_its_own(world):
    assert "init.py" in world.run(1, "cat", "/proc/1/cmdline")
    assert str(os.getpid()) not in world.run(1, "ls", "/proc").split()


def test_the_firmware_says_which_instance_it_is(world):
    for index in (1, 2):
        assert world.run(index, "cat", "/sys/class/dmi/id/board_asset_tag").strip() == world.node(index)["id"]


def test_settings_are_for_root_alone(world):
    assert world.run(1, "stat", "-c", "%a", "/etc/kubeboot/config.toml").strip() == "600"
    assert 'endpoint = "api.demo.internal:6443"' in world.run(1, "cat", "/etc/kubeboot/config.toml")


def test_the_developers_credentials_are_not_seen(world):
    assert world.run(1, "find", "/root", "-maxdepth", "1", "-type", "f") == ""
    assert "AWS_ACCESS_KEY_ID" not in world.run(1, "env")


def test_the_exit_code_comes_through(world):
    assert run_as(world.folder, "1", ["sh", "-c", "exit 7"]).returncode == 7


def test_the_disk_survives_a_power_cut_and_run_does_not(world, machine):
    before = world.run(
        machine, "sh", "-c", "echo kept | tee /etc/kept /var/lib/kept /run/lost; cat /proc/sys/kernel/random/boot_id"
    ).split()[-1]
    world.ask("kill", node=machine)
    with pytest.raises(WorldError, match="is off. Start it"):
        world.ask("enter", node=machine)
    world.ask("boot", node=machine, up=False)
    after = world.run(
        machine, "sh", "-c", "cat /etc/kept /var/lib/kept /proc/sys/kernel/random/boot_id; ls /run/lost || true"
    ).split()
    assert after[:2] == ["kept", "kept"]
    assert len(after) == 3 and after[2] != before, "a boot has an ID of its own, and an empty /run"


def test_a_power_cut_ends_every_process(world, machine):
    pid = int((Path(world.node(machine)["folder"]) / "pid").read_text())
    world.run(machine, "sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & setsid setsid sleep 601 >/dev/null 2>&1 &")
    inside = host_pids(pid)
    assert len(inside) >= 3
    world.ask("kill", node=machine)
    assert not [pid for pid in inside if Path(f"/proc/{pid}").exists()]


def test_a_new_root_volume_is_empty_under_the_same_name(world, machine):
    before = world.node(machine)
    world.run(machine, "touch", "/var/lib/old")
    world.ask("replace_root", node=machine, up=False)
    assert "old" not in world.run(machine, "ls", "/var/lib").split()
    assert world.node(machine)["address"] == before["address"]


def test_a_replacement_is_another_instance_at_another_address(world):
    first = world.ask("launch", up=False)
    second = world.ask("replace", node=first["id"], up=False)
    gone = world.node(first["id"])
    assert (gone["power"], gone["ec2"], gone["lifecycle"]) == ("off", "terminated", None)
    assert second["id"] != first["id"] and second["address"] != first["address"]
    third = world.ask("replace", node=second["id"], same_address=True, id="i-00000000000000001", up=False)
    assert (third["id"], third["address"]) == ("i-00000000000000001", second["address"])
    world.ask("terminate", node=third["id"])


def test_the_stand_ins_find_what_they_need_in_a_file(world):
    """kubeboot starts kubeadm with few variables, so these come by file."""
    told = dict(line.split("=", 1) for line in world.run(1, "cat", "/run/standin.env").splitlines())
    node = world.node(1)
    assert (told["STANDIN_ADDRESS"], told["STANDIN_LOOPBACK"], told["STANDIN_NODE"]) == (
        node["address"],
        node["loopback"],
        node["name"],
    )


def test_the_kubelet_is_started_at_boot_and_again_when_it_dies(world, machine):
    started = lambda: [
        e for e in read(world.folder / "events.jsonl") if e["event"] == "kubelet-started" and e["node"] == machine
    ]
    wait_until(lambda: len(started()) == 1)
    world.run(machine, "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)")
    wait_until(lambda: len(started()) >= 2)


def test_the_container_runtime_answers_as_soon_as_the_machine_is_up(world, machine):
    for _ in range(3):
        world.ask("kill", node=machine)
        world.ask("boot", node=machine, up=False)
        world.run(machine, "crictl", "--runtime-endpoint", "unix:///run/containerd/containerd.sock", "version")


def test_drop_ins_of_kubelet_run_as_kubeboot_would(world, machine):
    folder = Path(world.node(machine)["folder"]) / "disk"
    drop_in = folder / "etc/systemd/system/kubelet.service.d/50-test.conf"
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text("[Service]\nExecStartPre=-/bin/sh -c 'env >/var/lib/env; command -v kubeboot >>/var/lib/env'\n")
    world.ask("kill", node=machine)
    world.ask("boot", node=machine, up=False)
    wait_until(lambda: (folder / "var/lib/env").exists() and "/kubeboot\n" in (folder / "var/lib/env").read_text())
    seen = set((folder / "var/lib/env").read_text().split())
    given = set(world.run(machine, "env").split())
    assert {each for each in given if each.startswith(("PATH=", "HOME=", "AWS_", "STANDIN_"))} <= seen
    assert not any(each.startswith("PYTHONPATH=") for each in seen)


def test_the_units_of_the_project_are_installed_with_their_drop_ins(world):
    installed = Path(world.node(1)["folder"]) / "disk/etc/systemd/system"
    for file in (PROJECT / "systemd").rglob("*.*"):
        assert file.is_dir() or (installed / file.relative_to(PROJECT / "systemd")).read_bytes() == file.read_bytes()


def test_the_container_runtime_has_a_socket(world):
    connect = "import socket; socket.socket(socket.AF_UNIX).connect('/run/containerd/containerd.sock')"
    world.run(1, "python3", "-c", connect)


def test_up_runs_when_told_and_says_how_it_ended(world, machine):
    """The binary of this world is /bin/true, so that its `up` ends at once."""
    assert world.node(machine)["up"] == "not run"
    world.ask("run", nodes=[machine])
    world.ask("wait", seconds=10, nodes=[machine])
    assert world.node(machine)["up"] == "exit 0"


@pytest.mark.parametrize("way", [Machine.pull_the_plug, Machine.shut_down])
def test_a_machine_that_ends_while_it_is_switched_off_is_off(tmp_path, monkeypatch, way):
    machine = Machine(tmp_path, "n1", {}, [], print)
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / "pid").write_text(str(ended.pid))
    # On when it is looked at first, and not when its init is.
    looks = iter([True])
    monkeypatch.setattr(Machine, "is_on", property(lambda _: next(looks, False)))
    way(machine)
