"""One bench: a real control plane of three in the emulated AWS, whose machines are exchanged for ones with systemd.

It runs in namespaces of its own (lane.py), so whatever it mounts, starts or configures ends with it.
"""

import itertools
import json
import shutil
from pathlib import Path

from world import members, objects
from world.account import PREFIX
from world.client import wait_until
from world.node import Node
from world.standin import dial, kubeapi, kubeconfig, whole

from . import full, layers
from .cgroups import Cgroups
from .layers import Variant
from .machine import Machine
from .network import ADDRESSES, GATEWAY, LINK, WIDTH, Bridge, run
from .seed import DISK, Seed, copy
from .vm import Vm

READY_SECONDS = 30.0

# Between two looks that cost a process or a TLS handshake: the processor is what all benches wait for.
LOOK = 0.1

# The machines that stay, as a rule; the first one is exchanged.
SURVIVORS = (2, 3)

# A name that only a resolver knows: S3 is asked by address, since its client would put the bucket before the name.
AWS_NAME = "aws.demo.internal"


class Bench:
    """`folder` is an empty directory; `roots` says where the Debian roots are, by name; it begins as `seed` says."""

    def __init__(self, name: str, folder: Path, binary: Path, roots: dict[str, Path], seed: Seed):
        run(["mount", "-n", "-t", "tmpfs", "-o", "mode=0700", "bench", str(folder)])
        self.folder, self._binary, self._roots, self._seed = folder, binary, roots, seed
        for made in ("cgroup", "layers", "machines", "world"):
            (folder / made).mkdir()
        self._cgroups = Cgroups(folder / "cgroup", name)
        self._bridge = Bridge(folder / "network")
        self._numbers = itertools.count(1)
        self._machines: list[Machine | Vm] = []
        self._kept: dict[tuple[int, str, Variant], Machine] = {}
        self.world = seed.world(folder / "world", binary, self._bridge.world())
        for node in self.world.nodes:
            full.mount(self._disk(node))
        self._objects = seed.objects()
        self.clear()

    def node(self, slot: int) -> Node:
        """What AWS knows as the machine in this slot, from 1."""
        return self.world.nodes[slot - 1]

    def machine(self, slot: int, system: str, variant: Variant = layers.REAL, kept: bool = False) -> Machine:
        """The machine of this slot with the systemd of that Debian, booted on its disk: a healthy voter, armed.

        With `kept` it may be one that an earlier case has kept.
        """
        if kept and (found := self._kept.pop((slot, system, variant), None)):
            self.own(found)
            self.wait_ready(slot, found)
            return found
        number = next(self._numbers)
        folder = self.folder / "machines" / str(number)
        lower, inside = self.prepare(slot, system, variant, folder / "upper/etc")
        network = self._bridge.namespace(slot)
        made = Machine(folder, self._cgroups.make(f"machine-{number}"), network, lower, inside, variant.unit)
        self.own(made)
        made.boot()
        self.wait_ready(slot, made)
        return made

    def prepare(self, slot: int, system: str, variant: Variant, etc: Path) -> tuple[list[Path], dict[Path, str]]:
        """Frees a slot for another machine, fills its /etc; returns its layers, and {outside: inside} for the rest."""
        self._destroy_kept()
        node = self.node(slot)
        node.machine.cut_power()
        self._bridge.strip(slot)
        disk = self._disk(node)
        for name in DISK:
            (disk / name).mkdir(parents=True, exist_ok=True)
        self._write_etc(node, etc)
        inside = {**{disk / name: f"/{name}" for name in DISK}, **layers.binds(self._binary)}
        return [self._layer(system, variant), self._roots[system]], inside

    def own(self, machine: Machine | Vm) -> None:
        """Has it destroyed after the case."""
        self._machines.append(machine)

    def keep(self, slot: int, system: str, variant: Variant, machine: Machine) -> None:
        """Leaves a machine on after the case, for the next one that may have it; to be called if it is as it was."""
        self._machines.remove(machine)
        self._kept[slot, system, variant] = machine

    def fill_disk(self, slot: int) -> None:
        """Leaves no room on a machine's disk until it is put back."""
        full.fill(self._disk(self.node(slot)))

    def tap(self) -> str:
        """The name of a bridge port for a virtual machine."""
        return self._bridge.tap()

    def wait_ready(self, slot: int, machine: Machine, up: bool = True) -> None:
        """Waits until the machine is a healthy voter again, `kubeboot up` has said so (if `up`), and its unit is armed."""
        machine.wait_until(lambda: self.is_voter(slot), "its etcd is a voter", READY_SECONDS, LOOK)
        for unit in (layers.UP, machine.unit)[not up :]:
            active = ("systemctl", "is-active", "--quiet", unit)
            machine.wait_until(
                lambda active=active: machine.run(*active).returncode == 0, f"{unit} is up", READY_SECONDS, LOOK
            )

    def is_voter(self, slot: int) -> bool:
        """Whether this machine's own etcd answers, as a voter."""
        view = members.ask(ADDRESSES.private(slot), self._disk(self.node(slot)))
        me = view.me() if view else None
        return bool(me and me.voter and me.name)

    def voters(self, asked: int) -> set[str] | None:
        """The names of the members, as the etcd in that slot says by a linearizable read; None if it has no quorum."""
        view = members.ask(ADDRESSES.private(asked), self._disk(self.node(asked)))
        return None if view is None else {member.name for member in view.members if member.voter}

    def has_node(self, slot: int, asked: int) -> bool:
        """Whether the Node object of that machine is there, by the API server in slot `asked`, which may have to start.

        Raises TimeoutError if it does not.
        """
        config = kubeconfig.Config.load(str(self._disk(self.node(asked)) / "etc/kubernetes/admin.conf"))
        api = kubeapi.Api(config, server=f"https://{ADDRESSES.private(asked)}:6443")
        wait_until(lambda: _is_ready(api), READY_SECONDS, LOOK)
        return api.find(f"/api/v1/nodes/{self.name(slot)}") is not None

    def name(self, slot: int) -> str:
        """What the machine's Node and etcd member are called."""
        return self.node(slot).machine.name

    def phase(self, slot: int) -> str:
        """Where the machine stands, by its registration in the bucket."""
        return json.loads(objects.get(f"{PREFIX}/control-plane/nodes/{self.node(slot).id}.json"))["phase"]

    def clear(self) -> None:
        """After a case: ends its machines and puts AWS back as it was; etcd and disks, too, if they have changed."""
        for machine in self._machines:
            machine.destroy()
        self._machines.clear()
        self.world.faults.clear(None)
        self.world.balancer.set_mode("normal")
        for node in self.world.nodes:
            node.imds.set_mode("normal")
            self.world.group.join(node.id)
            self.world.groups.set_ec2_state(node.id, "running")
            self.world.group.set_lifecycle(node.id, "InService")
        for key in set(objects.names()) - set(self._objects):
            objects.remove(key)
        for key, body in self._objects.items():
            objects.put(key, body)
        if self._has_changed():
            self._restore()

    def _has_changed(self) -> bool:
        """Whether the members are others than at first, or one of the machines that stay does not answer."""
        everybody = {self.name(node.index) for node in self.world.nodes}
        return any(not self.node(slot).machine.is_on or self.voters(slot) != everybody for slot in SURVIVORS)

    def _destroy_kept(self) -> None:
        for machine in self._kept.values():
            machine.destroy()
        self._kept.clear()

    def _restore(self) -> None:
        """Rolls all members back together: one alone would lack what it has acknowledged."""
        self._destroy_kept()
        for node in self.world.nodes:
            node.machine.cut_power()
        for node in self.world.nodes:
            full.make_room(self._disk(node))
            for name in DISK:
                shutil.rmtree(self._disk(node) / name, ignore_errors=True)
            copy(self._seed.disk(node.index), self._disk(node))
        self._boot_survivors()

    def _boot_survivors(self) -> None:
        for slot in SURVIVORS:
            self._bridge.configure(slot)
            self.node(slot).boot(with_up=False)
        for slot in SURVIVORS:
            wait_until(lambda slot=slot: self.is_voter(slot), READY_SECONDS, LOOK)

    @staticmethod
    def _disk(node: Node) -> Path:
        return node.machine.folder / "disk"

    def _layer(self, system: str, variant: Variant) -> Path:
        layer = self.folder / "layers" / f"{system}-{variant.name}"
        if not layer.exists():
            layers.make(layer, self._roots[system], variant)
        return layer

    def _write_etc(self, node: Node, etc: Path) -> None:
        """The files that say who a machine is."""
        disk = self._disk(node) / "etc"
        etc.mkdir(parents=True)
        for name in ("hostname", "machine-id"):
            shutil.copy(disk / name, etc / name)
        (etc / "hosts").write_text((disk / "hosts").read_text() + f"{GATEWAY} {AWS_NAME}\n")
        (etc / "network").mkdir()
        (etc / "network/interfaces").write_text(
            f"auto lo\niface lo inet loopback\nauto {LINK}\niface {LINK} inet static\n"
            f"    address {node.address}/{WIDTH}\n"
        )
        env = {**node.machine.env, "STANDIN_LOG": "/var/log/standin.jsonl", "STANDIN_RUNTIME": "standin-scope"}
        standin = {key: value for key, value in env.items() if key.startswith("STANDIN_")}
        _write_variables(etc / "standin.env", standin)
        aws = ADDRESSES.aws
        kubeboot = {key: value for key, value in env.items() if key.startswith("AWS_")}
        kubeboot |= {"AWS_ENDPOINT_URL": aws.replace(GATEWAY, AWS_NAME), "AWS_ENDPOINT_URL_S3": aws}
        _write_variables(disk / "kubeboot/environment", kubeboot)


def _is_ready(api: kubeapi.Api) -> bool:
    try:
        api.get("/api/v1/nodes")
    except (dial.Unreachable, kubeapi.ApiError):
        return False
    return True


def _write_variables(file: Path, variables: dict[str, str]) -> None:
    whole.write(file, "".join(f"{key}={value}\n" for key, value in variables.items()))
