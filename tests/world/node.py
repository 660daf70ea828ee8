"""One instance as the world sees it: its machine, its metadata service, and how its `kubeboot up` went."""

import threading
from pathlib import Path

from . import disk, launchers, shutdown
from .account import CONTROL_PLANE
from .addresses import IMDS_PORT, Addresses
from .faults import Faults
from .imds import Imds
from .journal import Journal
from .machine import Machine
from .metadata import Identity
from .options import config_toml
from .standin import whole
from .standin.control import SOCKET

KUBEADM_CONFIG = "/etc/kubeboot/kubeadm.yaml"
# It plays the container runtime, too, which is there before cloud-init and the units of kubeboot are.
KUBELET = {
    "kubelet": {"argv": ["kubelet"], "restart": True, "at_boot": True, "log": "/var/log/kubelet.log", "socket": SOCKET},
}
AGENT = {"argv": ["kubeboot", "agent"], "restart": True, "log": "/var/log/kubeboot-agent.log"}
UP = {"argv": ["kubeboot", "up"], "restart": False, "log": "/var/log/kubeboot.log"}

# How long the agent may take to end when its unit is stopped.
AGENT_STOP_SECONDS = 10.0


# Unless a world asks for it nobody saves etcd by itself: calls to the bucket are counted in many stories.
QUIET = {"snapshot_interval": "0s"}


class Node:
    """`index` is the number by which people call it (from 1), `slot` its place in the network, used again by others."""

    def __init__(
        self,
        index: int,
        slot: int,
        identity: Identity,
        addresses: Addresses,
        state: Path,
        env: dict,
        keep: list[Path],
        events: Journal,
        faults: Faults,
        network: Path | None = None,
        role: str = CONTROL_PLANE,
    ):
        self.role = role
        self.index, self.slot, self.id, self.address = index, slot, identity.instance, identity.private_ip
        self.loopback, self._endpoint, self._events = addresses.loopback(slot), addresses.balancer, events
        self._host_name = identity.host_name
        self.imds = Imds(addresses.imds(slot), identity, faults)
        self.up_exit: int | None = None
        self.up_runs = threading.Event()
        self.up_ended = threading.Event()
        self.up_ended.set()
        self.agent_ended = threading.Event()
        self.agent_ended.set()
        folder = state / "nodes" / self.id
        self.machine = Machine(
            folder, self._host_name, {**env, **self._environment(state, addresses)}, keep, self._hear, network
        )

    def _environment(self, state: Path, addresses: Addresses) -> dict[str, str]:
        return {
            "HOME": "/root",
            "STANDIN_ADDRESS": self.address,
            "STANDIN_LOOPBACK": self.loopback,
            "STANDIN_NODE": self._host_name,
            "STANDIN_LOG": str(state / "standin.jsonl"),
            "STANDIN_ETCDUTL": str(launchers.NEWER_ETCD / "etcdutl"),
            "AWS_ENDPOINT_URL": addresses.aws,
            # All machines share one network: the default, 127.0.0.1, would be one address for all of their agents.
            "KUBEBOOT_AGENT_LISTEN": f"{self.loopback}:4040",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{addresses.imds(self.slot)}:{IMDS_PORT}",
        }

    def format_disk(self, settings: dict[str, str], kubeadm_config: str) -> None:
        """The disk of a fresh instance. `kubeadm_config` is the text of that file; empty for none."""
        if kubeadm_config:
            settings = {**settings, "kubeadm_config": KUBEADM_CONFIG}
        if self.role == CONTROL_PLANE:
            settings = {**QUIET, **settings}
        path = self.machine.folder / "disk"
        machine_id = self.id.removeprefix("i-").ljust(32, "0")
        disk.format(path, self._host_name, self.address, self.loopback, self._endpoint, config_toml(settings), machine_id)
        if kubeadm_config:
            file = path / KUBEADM_CONFIG.lstrip("/")
            whole.write(file, kubeadm_config, 0o600)

    def boot(self, with_up: bool, with_agent: bool = False) -> None:
        """Power on: the kubelet starts, and `kubeboot up` and the agent if asked for."""
        self.up_exit = None
        self.up_runs.clear()
        if with_up:
            self.up_ended.clear()
        self._events.write("boot", node=self.id, index=self.index)
        agent = {**AGENT, "at_boot": with_agent}
        self.machine.boot({**KUBELET, "up": {**UP, "at_boot": with_up}, "agent": agent})

    def run_up(self) -> None:
        """Starts `kubeboot up` now, as its unit would. Raises ValueError if it runs already, or the machine is off."""
        if not self.up_ended.is_set():
            raise ValueError(f"`kubeboot up` of node {self.index} runs already")
        self.machine.run("up")
        self.up_exit = None
        self.up_ended.clear()

    def power_off(self, clean: bool) -> None:
        """The end of this boot, with or without a chance for the machine to do something first."""
        self._events.write("power-off" if clean else "power-cut", node=self.id, index=self.index)
        if clean:
            if self.machine.is_on:
                self.stop_leaving_unit("poweroff")
            self.machine.shut_down()
        else:
            self.machine.cut_power()
        self.up_ended.set()

    def stop_leaving_unit(self, way: str) -> dict | None:
        """What systemd does before anything else ends; see shutdown.py. The agent's unit is stopped before the leaving unit."""
        if shutdown.WAYS.get(way) and self.machine.is_on:
            self._stop_agent()
        left = shutdown.stop_leaving_unit(self.machine, way)
        if left is not None:
            told = {"exit": left["exit"], "seconds": left["seconds"]}
            self._events.write("leaving-unit", node=self.id, index=self.index, way=way, **told)
        return left

    def _stop_agent(self) -> None:
        """Also where it is about to be started again."""
        self.machine.run("-agent")
        self.agent_ended.wait(AGENT_STOP_SECONDS)

    def destroy(self) -> None:
        """The instance is gone: nothing answers for it any more. Its disk stays for whoever wants to look at it."""
        self.machine.cut_power()
        self.imds.stop()
        self.up_ended.set()

    def up_state(self) -> str:
        if self.up_exit is not None:
            return f"exit {self.up_exit}"
        return "running" if self.up_runs.is_set() and not self.up_ended.is_set() else "not run"

    def _hear(self, event: dict) -> None:
        """Takes in what the machine's init says."""
        name, service = event.pop("event"), event.get("service")
        if service == "up" and name == "started":
            self.up_runs.set()
        if service == "agent":
            self.agent_ended.clear() if name == "started" else self.agent_ended.set()
        if service == "up" and name == "ended":
            self.up_exit = event["exit"]
            self.up_ended.set()
        self._events.write(
            f"{service}-{name}" if service else f"init-{name}",
            node=self.id,
            index=self.index,
            **{k: v for k, v in event.items() if k != "service"},
        )
