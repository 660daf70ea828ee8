"""Private keys, which are most of what certificates cost: leaves take one from a pool that is made once, where there is one."""

import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from . import whole

# Beside the Python packages; dev/setup makes it.
POOL = os.path.join(sys.prefix, "leaf-keys")
POOLED = "RSA-2048"
SIZE = 32

_workers = ThreadPoolExecutor(2)
_ahead = []
# What the cluster is to have, as kubeadm calls it.
algorithm = POOLED


def _generate(kind):
    if kind == "ECDSA-P256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("RSA-")))


def prepare(count, kind):
    """Start making fresh keys in the background."""
    global algorithm
    algorithm = kind
    _ahead.extend(_workers.submit(_generate, kind) for _ in range(count))


def fresh():
    """A key that nobody else has: an authority is told from every other by it."""
    return _ahead.pop(0).result() if _ahead else _generate(algorithm)


def leaf():
    """A key for a certificate that an authority signs: nobody tells two of those by their keys."""
    pool = _pool() if algorithm == POOLED else []
    return load(os.path.join(POOL, random.choice(pool))) if pool else _generate(algorithm)


def load(file):
    """The private key of a PEM file. RSA arithmetic is not proven again: that takes longer than signing with it."""
    with open(file, "rb") as pem:
        return serialization.load_pem_private_key(pem.read(), None, unsafe_skip_rsa_key_validation=True)


def pem(key):
    """A private key as kubeadm writes it: PKCS 1 for RSA, SEC 1 for ECDSA."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _pool():
    try:
        return [name for name in os.listdir(POOL) if name.endswith(".key")]
    except FileNotFoundError:
        return []


def fill():
    """Makes the pool."""
    os.makedirs(POOL, mode=0o700, exist_ok=True)
    for number in range(SIZE):
        file = os.path.join(POOL, f"{number}.key")
        if os.path.exists(file):
            continue
        whole.write(file, pem(_generate(POOLED)), 0o600)


if __name__ == "__main__":
    fill()
