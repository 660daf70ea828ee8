"""HTTPS to etcd and the API server: one request, one deadline, the name looked up anew for every dial."""

import http.client
import json
import socket
import ssl
from urllib.parse import urlsplit

from . import node


# OpenSSL's numbers for a certificate that leads to no CA that is trusted.
UNKNOWN_AUTHORITY = (18, 19, 20, 21)


class Unreachable(Exception):
    """Nobody answered: the text is how Go's dialer would put it."""


def client_context(ca_file=None, ca_data=None, cert=None, key=None):
    """A TLS client that trusts one CA and shows one certificate (paths; CA also as text). No CA: nobody is verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file or ca_data:
        context.load_verify_locations(cafile=ca_file, cadata=ca_data)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert:
        context.load_cert_chain(cert, key)
    return context


class _Connection(http.client.HTTPSConnection):
    """Dials the address that the node resolves, and checks the certificate for the name that was asked for."""

    def connect(self):
        address = node.resolve(self.host)
        plain = socket.create_connection((address, self.port), timeout=self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock = self._context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def connection(base, context, timeout):
    """An unopened connection to the host of a base URL such as https://10.0.0.1:2379; the timeout is in seconds."""
    parts = urlsplit(base)
    return _Connection(parts.hostname, parts.port or 443, context=context, timeout=timeout)


def explain(error, host, port):
    """The words of Go's dialer for an error of ours, with the address that was dialled."""
    try:
        where = f"{node.resolve(host)}:{port}"
    except OSError:
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(error, ssl.SSLCertVerificationError):
        why = "certificate signed by unknown authority" if error.verify_code in UNKNOWN_AUTHORITY else error.verify_message
        return f"tls: failed to verify certificate: x509: {why}"
    if isinstance(error, ssl.SSLError):
        return f"remote error: tls: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {where}: connect: connection refused"
    if isinstance(error, TimeoutError):
        return f"dial tcp {where}: i/o timeout"
    if isinstance(error, OSError) and error.strerror:
        return f"dial tcp {where}: {error.strerror.lower()}"
    return f"{where}: {error or 'EOF'}"


def exchange(link, method, target, body=None, headers=None):
    """One request over a connection: (status, decoded JSON, or text where it is none). Raises Unreachable."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    try:
        link.request(method, target, None if body is None else json.dumps(body), sent)
        answer = link.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        link.close()
        raise Unreachable(explain(error, link.host, link.port)) from error
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text
