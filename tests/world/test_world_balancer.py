"""The load balancer: refuses without a target, follows health and the group."""

import asyncio
import http.server
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from world.addresses import ENDPOINT_PORT
from world.balancer import Balancer, Target
from world.client import wait_until


def answer(address: str) -> str | None:
    """The body of /readyz through the balancer; None if refused."""
    try:
        raw = socket.create_connection((address, ENDPOINT_PORT), timeout=3)
        with raw, ssl._create_unverified_context().wrap_socket(raw) as tls:
            tls.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: tls.recv(4096), b"")).decode().rpartition("\r\n\r\n")[2]
    except (ConnectionRefusedError, ConnectionResetError):
        return None


class ApiServer(http.server.BaseHTTPRequestHandler):
    ready = True

    def do_GET(self):
        self.send_response(200 if ApiServer.ready else 500)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def self_signed(file: Path) -> Path:
    """A key and a certificate for it, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api")])
    now = datetime.now(UTC)
    draft = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(key.private_bytes(*pem) + draft.sign(key, hashes.SHA256()).public_bytes(pem[0]))
    return file


@pytest.fixture
def target(tmp_path, addresses):
    """Something that answers /readyz over TLS."""
    server = http.server.ThreadingHTTPServer((addresses.private(1), ENDPOINT_PORT), ApiServer)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(self_signed(tmp_path / "server.pem"))
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ApiServer.ready = True
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def balancer(addresses):
    registered = []
    made = Balancer(addresses.balancer, lambda: list(registered), interval=0.05)
    yield made, registered
    made.stop()


def test_without_targets_everybody_is_refused(balancer):
    assert answer(balancer[0].address) is None


def test_traffic_follows_registration_and_health(balancer, target, addresses):
    made, registered = balancer
    registered.append(addresses.private(1))
    wait_until(lambda: answer(made.address) == "ok")
    ApiServer.ready = False
    wait_until(lambda: answer(made.address) is None)
    ApiServer.ready = True
    wait_until(lambda: answer(made.address) == "ok")
    registered.clear()
    wait_until(lambda: answer(made.address) is None)


def test_mode_none_refuses_although_a_target_is_healthy(balancer, target, addresses):
    made, registered = balancer
    registered.append(addresses.private(1))
    wait_until(lambda: answer(made.address) == "ok")
    made.set_mode("none")
    assert answer(made.address) is None
    made.set_mode("normal")
    wait_until(lambda: answer(made.address) == "ok")
    with pytest.raises(ValueError, match="unknown mode 'half'"):
        made.set_mode("half")


def test_a_round_of_checks_and_a_change_of_mode_open_one_listener(balancer, target, addresses):
    made, registered = balancer
    registered.append(addresses.private(1))
    wait_until(lambda: answer(made.address) == "ok")
    made.set_mode("none")

    async def both() -> None:
        made.mode = "normal"
        await asyncio.gather(made._open_or_close(), made._open_or_close())

    asyncio.run_coroutine_threadsafe(both(), made._loop).result(timeout=5)
    assert answer(made.address) == "ok"


def test_one_check_does_not_change_the_verdict():
    target = Target("127.0.0.1")
    assert not target.healthy, "a target starts unhealthy"
    target.checked(True, threshold=2)
    assert not target.healthy
    target.checked(True, threshold=2)
    assert target.healthy
    target.checked(False, threshold=2)
    assert target.healthy
    target.checked(False, threshold=2)
    assert not target.healthy
