"""Who else answers where an API server is looked for."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from world.addresses import ENDPOINT_PORT
from world.control import WorldError
from world.standin import certs, documents, pki

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"


@pytest.fixture
def stranger(world) -> Iterator:
    yield lambda at="endpoint", *answer, **more: world.ask(
        "stranger_start", at=at, **({"answer": answer[0]} if answer else {}), **more
    )["address"]
    world.ask("stranger_stop")


def get(address: str, path: str = "/version", context: ssl.SSLContext | None = None) -> int:
    """The HTTP status of a request, the certificate unchecked unless there is a context."""
    link = http.client.HTTPSConnection(
        address, ENDPOINT_PORT, timeout=5, context=context or ssl._create_unverified_context()
    )
    try:
        link.request("GET", path)
        return link.getresponse().status
    finally:
        link.close()


def names(address: str) -> list[str]:
    """The DNS names of the certificate that is shown."""
    pem = ssl.get_server_certificate((address, ENDPOINT_PORT), timeout=5)
    found = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return found.value.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize("answer", ["401", "403", "500"])
def test_an_api_server_of_another_cluster_answers_at_the_endpoint(world, stranger, answer):
    address = stranger("endpoint", answer)
    assert address == world.ask("status")["endpoint"]
    assert "kubernetes.default.svc" in names(address) and get(address) == get(address, "/readyz") == int(answer)
    with pytest.raises(WorldError, match="send it away first"):
        world.ask("lb", mode="normal")
    assert world.ask("stranger_stop", at="endpoint") == {"gone": [address]}
    with pytest.raises(ConnectionRefusedError):
        get(address)
    assert world.ask("status")["load_balancer"]["mode"] == "normal"


def test_one_answers_at_a_machine_whose_api_server_does_not_run(world, stranger):
    address = stranger("1")
    assert address == world.node(1)["address"] and get(address) == 401
    with pytest.raises(WorldError, match="already"):
        stranger("1")


def test_what_answers_may_be_no_api_server(world, stranger):
    assert names(stranger("1", "other")) == ["web.example.com"]
    with pytest.raises(ssl.SSLError):
        get(stranger("2", "plain"))


def test_silence_has_many_forms(world, stranger):
    with socket.create_connection((stranger("1", "silent"), ENDPOINT_PORT), 5) as link:
        link.settimeout(0.3)
        link.sendall(b"anybody?")
        with pytest.raises(TimeoutError):
            link.recv(1)
    with socket.create_connection((stranger("2", "closed"), ENDPOINT_PORT), 5) as link:
        assert link.recv(1) == b""
    with pytest.raises((ConnectionResetError, ssl.SSLError)):
        get(stranger("endpoint", "reset"))


def test_one_of_the_same_authority_may_be_another_cluster(world, stranger):
    folder = Path(world.node(1)["folder"]) / "disk/etc/kubernetes/pki"
    maker = certs.Maker({**documents.cluster({}), "certificatesDir": str(folder)}, documents.local_endpoint(None), "n1")
    maker.make("ca")
    address = stranger("endpoint", "403", ca_of="1", uid="another")
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    with socket.create_connection((address, ENDPOINT_PORT), 5) as link:
        with context.wrap_socket(link, server_hostname="kubernetes.default.svc") as secured:
            secured.sendall(f"GET {KUBE_SYSTEM} HTTP/1.0\r\n\r\n".encode())
            assert b'"uid": "another"' in b"".join(iter(lambda: secured.recv(4096), b""))
    assert get(address, "/readyz") == 200 and get(address, "/api/v1/nodes") == 403
    assert pki.load_cert(str(folder / "ca.crt"))


def test_an_answer_that_is_none_is_refused(world):
    with pytest.raises(WorldError, match="unknown answer 'nonsense'"):
        world.ask("stranger_start", at="1", answer="nonsense")
    with pytest.raises(WorldError, match="no stranger answers"):
        world.ask("stranger_stop", at="2")
