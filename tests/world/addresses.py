"""Where everything of one world is found: all of it lives in one /16 of the loopback network."""

import socket
from dataclasses import dataclass

AWS_PORT = 5000
IMDS_PORT = 1338
ENDPOINT_NAME = "api.demo.internal"
ENDPOINT_PORT = 6443
ETCD_NAME = "etcd.demo.internal"

# The lowest octet is 2: 127.0 and 127.1 are what people use by hand.
OCTETS = range(2, 250)

# The first machine is .11, so that .1 to .10 stay free for what belongs to the network.
FIRST_HOST = 10
MACHINES = 200


@dataclass(frozen=True)
class Addresses:
    """The addresses of the world with this second octet."""

    octet: int

    @property
    def aws(self) -> str:
        """The AWS endpoint, as a URL."""
        return f"http://127.{self.octet}.0.1:{AWS_PORT}"

    @property
    def balancer(self) -> str:
        """The load balancer, which is the control-plane endpoint."""
        return f"127.{self.octet}.0.10"

    @property
    def etcd(self) -> str:
        """The etcd outside of the machines, where there is one."""
        return f"127.{self.octet}.0.20"

    @property
    def vpc(self) -> str:
        return f"127.{self.octet}.0.0/16"

    @property
    def subnet(self) -> str:
        return f"127.{self.octet}.1.0/24"

    def private(self, index: int) -> str:
        """The private address of machine `index` (from 1)."""
        return f"127.{self.octet}.1.{FIRST_HOST + index}"

    def loopback(self, index: int) -> str:
        """What machine `index` has instead of 127.0.0.1: all machines share one network namespace."""
        return f"127.{self.octet}.2.{FIRST_HOST + index}"

    def imds(self, index: int) -> str:
        """Where the instance metadata service of machine `index` listens."""
        return f"127.{self.octet}.3.{FIRST_HOST + index}"


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
