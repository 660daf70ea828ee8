"""Asks API servers with a client certificate from a machine's disk, at a machine or at the endpoint."""

import http.client
import json
import ssl
from pathlib import Path

PORT = 6443
SECONDS = 5.0
MERGE = "application/merge-patch+json"


def trust(disk: Path) -> ssl.SSLContext:
    """What is needed to ask as an administrator. Raises OSError where the machine has no certificates yet."""
    pki = disk / "etc/kubernetes/pki"
    tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    # Certificates are for the endpoint's name, and nobody here resolves that.
    tls.check_hostname = False
    tls.load_cert_chain(str(pki / "apiserver-kubelet-client.crt"), str(pki / "apiserver-kubelet-client.key"))
    return tls


class Kube:
    """One connection to the API server at an address, opened anew after everything that broke it."""

    def __init__(self, address: str, tls: ssl.SSLContext, seconds: float = SECONDS):
        self._address, self._tls, self._seconds = address, tls, seconds
        self._connection: http.client.HTTPSConnection | None = None

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        """The object of an answer. Raises OSError without one, or for a refusal."""
        made = self._connection or http.client.HTTPSConnection(self._address, PORT, timeout=self._seconds, context=self._tls)
        self._connection = None
        try:
            kind = {"Content-Type": MERGE} if method == "PATCH" else {}
            made.request(method, path, json.dumps(body) if body else None, kind)
            answer = made.getresponse()
            text = answer.read()
            found = json.loads(text)
        except (http.client.HTTPException, ValueError) as error:
            made.close()
            raise OSError(f"{method} {path}: {error}") from error
        except OSError:
            made.close()
            raise
        if answer.status >= 300:
            made.close()
            raise OSError(f"{method} {path}: {answer.status}: {text[:200]!r}")
        self._connection = made
        return found

    def close(self) -> None:
        if self._connection:
            self._connection.close()
