"""The network of one bench: a bridge with the emulated AWS on it, and a namespace with one link for every machine."""

import socket
import subprocess
from pathlib import Path

from world.addresses import AWS_PORT, Addresses, Network

# The bench has a network namespace of its own, so these are nobody else's.
ADDRESSES = Addresses(77, first=10)
BRIDGE = "bench"
LINK = "eth0"
GATEWAY = "10.77.0.1"
WIDTH = 16
TAP = "tap"

RUN_SECONDS = 30.0

# What the emulated AWS answers at beside the gateway: the load balancer, and every machine's metadata service.
SERVED = ("10.77.0.0/24", "10.77.3.0/24")


class Bridge:
    """Made once in a network namespace that is still empty. `folder` gets the files of the machines' namespaces."""

    def __init__(self, folder: Path):
        self._folder = folder
        folder.mkdir()
        for line in (
            "link set lo up",
            f"link add {BRIDGE} type bridge",
            f"addr add {GATEWAY}/{WIDTH} dev {BRIDGE}",
            f"link set {BRIDGE} up",
            *(f"route add local {net} dev lo" for net in SERVED),
        ):
            run(["ip", *line.split()])

    def world(self) -> Network:
        """What a world stands on here."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((GATEWAY, AWS_PORT))
        listener.listen(256)
        return Network(ADDRESSES, listener, self.namespace)

    def namespace(self, slot: int) -> Path:
        """The file of a machine's network namespace, its link up and addressed; made when first asked for."""
        file = self._folder / str(slot)
        if not file.exists():
            file.touch()
            run(["unshare", f"--net={file}", "ip", "link", "set", "lo", "up"])
            # In the other direction there is no name for the namespace: ours is that of PID 1.
            self._inside(slot, f"link add {LINK} type veth peer name port{slot} netns 1")
            run(["ip", "link", "set", f"port{slot}", "master", BRIDGE, "up"])
            self.configure(slot)
        return file

    def configure(self, slot: int) -> None:
        """Gives the link its address, for machines that do not do that themselves."""
        self._inside(slot, f"addr replace {ADDRESSES.private(slot)}/{WIDTH} dev {LINK}")
        self._inside(slot, f"link set {LINK} up")

    def strip(self, slot: int) -> None:
        """Takes it away again: the machine's own network service is to bring it up."""
        self._inside(slot, f"addr flush dev {LINK}")
        self._inside(slot, f"link set {LINK} down")

    def tap(self) -> str:
        """A port for a virtual machine; the one before it is gone."""
        subprocess.run(["ip", "link", "del", TAP], capture_output=True)
        run(["ip", "tuntap", "add", "dev", TAP, "mode", "tap"])
        run(["ip", "link", "set", TAP, "master", BRIDGE, "up"])
        return TAP

    def _inside(self, slot: int, line: str) -> None:
        run(["nsenter", f"--net={self._folder / str(slot)}", "ip", *line.split()])


def run(argv: list[str], seconds: float = RUN_SECONDS) -> str:
    """Standard output of a command. Raises RuntimeError with what it said if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
