"""Where everything of one world is found: all of it lives in one /16, as a rule of the loopback network."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

AWS_PORT = 5000
IMDS_PORT = 1338
ENDPOINT_NAME = "api.demo.internal"
ENDPOINT_PORT = 6443
ETCD_NAME = "etcd.demo.internal"

LOOPBACK = 127

# The lowest octet is 2: 127.0 and 127.1 are what people use by hand.
OCTETS = range(2, 250)

# The first machine is .11, so that .1 to .10 stay free for what belongs to the network.
FIRST_HOST = 10
MACHINES = 200


@dataclass(frozen=True)
class Addresses:
    """The addresses of the world with this second octet.

    `first` is another one than the loopback network's where machines have networks of their own.
    """

    octet: int
    first: int = LOOPBACK

    @property
    def _net(self) -> str:
        return f"{self.first}.{self.octet}"

    @property
    def aws(self) -> str:
        """The AWS endpoint, as a URL."""
        return f"http://{self._net}.0.1:{AWS_PORT}"

    @property
    def balancer(self) -> str:
        """The load balancer, which is the control-plane endpoint."""
        return f"{self._net}.0.10"

    @property
    def etcd(self) -> str:
        """The etcd outside of the machines, where there is one."""
        return f"{self._net}.0.20"

    @property
    def vpc(self) -> str:
        return f"{self._net}.0.0/16"

    @property
    def subnet(self) -> str:
        return f"{self._net}.1.0/24"

    def private(self, index: int) -> str:
        """The private address of machine `index` (from 1)."""
        return f"{self._net}.1.{FIRST_HOST + index}"

    def loopback(self, index: int) -> str:
        """What machine `index` has as 127.0.0.1: one of many where all machines share one network namespace."""
        if self.first != LOOPBACK:
            return "127.0.0.1"
        return f"{self._net}.2.{FIRST_HOST + index}"

    def imds(self, index: int) -> str:
        """Where the instance metadata service of machine `index` listens."""
        return f"{self._net}.3.{FIRST_HOST + index}"


@dataclass(frozen=True)
class Network:
    """What a world stands on: its addresses, the listening socket of its AWS endpoint, and its machines' networks.

    `namespace(slot)` is the file of that machine's network namespace; None for the one of this process.
    """

    addresses: Addresses
    listener: socket.socket
    namespace: Callable[[int], Path | None] = lambda slot: None


def claim_octet() -> tuple[Addresses, socket.socket]:
    """Takes a /16 that no other world uses, and the listening socket of its AWS endpoint.

    The socket is the claim: the kernel gives it to one process only and takes it back when that process ends,
    so no lock file can be left behind.
    """
    for octet in OCTETS:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((f"127.{octet}.0.1", AWS_PORT))
            # Linux lets a second socket bind until one of them listens: only then the address is ours.
            listener.listen(256)
        except OSError:
            listener.close()
            continue
        return Addresses(octet), listener
    raise RuntimeError(
        f"no free network: something listens on port {AWS_PORT} of 127.N.0.1 for every N from "
        f"{OCTETS.start} to {OCTETS.stop - 1}. End a world: dev/world --dir DIR down"
    )
