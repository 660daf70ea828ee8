"""What every bench begins with: a control plane of three that the real `kubeboot up` has made, once for all benches.

Machines have the same addresses in each, and moto draws the same names for its account in each, so what the first bench
leaves here (disks, and the bucket's objects) is as good as made by any of them.
"""

import subprocess
from pathlib import Path
from urllib.parse import quote, unquote

from moto.moto_api._internal import mock_random

from world import objects
from world.options import Options
from world.standin import whole
from world.world import World

UP_SECONDS = 120.0
NODES = 3

# What a machine keeps on its disk; everything else of it is the Debian root, fresh for every machine.
DISK = ("etc/kubernetes", "etc/kubeboot", "var/lib/etcd", "var/lib/kubelet", "var/lib/kubeboot")


class Seed:
    """`folder` exists, and is empty until a bench has filled it."""

    def __init__(self, folder: Path):
        self._folder, self._names = folder, folder / "names"

    @property
    def is_whole(self) -> bool:
        return self._names.exists()

    def world(self, folder: Path, binary: Path, network) -> World:
        """A world in the account of the seed, its machines off; the first one to be made so fills the seed."""
        mock_random.seed(NODES)
        options = Options(binary=str(binary), nodes=NODES, off=list(range(1, NODES + 1)) if self.is_whole else [])
        world = World(folder, options, network)
        world.start()
        if self.is_whole:
            self._must_be_like(world)
        else:
            self._fill(world)
        return world

    def disk(self, index: int) -> Path:
        """The disk of that machine."""
        return self._folder / f"disk-{index}"

    def objects(self) -> dict[str, bytes]:
        """The bucket, by key."""
        return {unquote(file.name): file.read_bytes() for file in (self._folder / "objects").iterdir()}

    def _fill(self, world: World) -> None:
        for node in world.nodes:
            if not node.up_ended.wait(UP_SECONDS) or node.up_exit != 0:
                raise RuntimeError(f"`kubeboot up` of machine {node.index}: {node.up_state()}")
        for node in world.nodes:
            node.machine.cut_power()
        for node in world.nodes:
            copy(node.machine.folder / "disk", self.disk(node.index))
        (self._folder / "objects").mkdir()
        for key in objects.names():
            (self._folder / "objects" / quote(key, safe="")).write_bytes(objects.get(key))
        # Last: what is there now is whole.
        whole.write(self._names, _names(world))

    def _must_be_like(self, world: World) -> None:
        """Raises RuntimeError if the account is another one: kubeboot would be right to refuse it."""
        if (made := _names(world)) != self._names.read_text():
            raise RuntimeError(f"the account has other names than the seed: {made}")


def copy(source: Path, target: Path) -> None:
    """A copy of what belongs to a machine's state. etcd reserves 64 MB at a time: holes stay holes."""
    for name in DISK:
        if (source / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", "--sparse=always", source / name, target / name], check=True)


def _names(world: World) -> str:
    return " ".join([world.group.arn, *(node.id for node in world.nodes)])
