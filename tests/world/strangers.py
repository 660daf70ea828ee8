"""What else may answer where an API server is looked for: another cluster's, something that is none, or mere silence."""

import contextlib
import json
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from .addresses import ENDPOINT_PORT
from .standin import keys, pki

# answer: what it is. All of them accept TCP. A number is the HTTP status of an API server's answer to everything.
KINDS = {
    "STATUS": "a TLS handshake as kubernetes.default.svc, then this HTTP status: 401, 403, 500, ...",
    "other": "a TLS handshake as somebody else, then 404",
    "plain": "HTTP without TLS",
    "silent": "nothing, ever",
    "closed": "the connection is closed at once",
    "reset": "the connection is reset at once",
}
API_SERVER = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
OTHER = ("web.example.com",)
REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}
TLS = b"\x16"  # the first byte of a handshake
SILENCE = 30.0  # seconds that a connection may say nothing
KUBE_SYSTEM = "/api/v1/namespaces/kube-system"


class Stranger:
    """Listens at `address` until stopped.

    `authority` is the folder with ca.crt and ca.key that its certificate is of, where it is not of one of its own;
    with `uid` an API server tells everybody that it is ready, and this UID of its kube-system.
    Raises ValueError for an unknown answer, OSError if somebody listens there already.
    """

    def __init__(self, address: str, answer: str, authority: Path | None = None, uid: str = ""):
        if answer not in KINDS and not answer.isdigit() or answer == "STATUS":
            raise ValueError(f"unknown answer '{answer}': one of {', '.join(KINDS)}")
        self.address, self.answer, self._uid = address, answer, uid
        self._context = None if answer in ("plain", "silent", "closed", "reset") else _context(answer, authority)
        self._open: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((address, ENDPOINT_PORT))
        except OSError:
            self._listener.close()
            raise
        self._listener.listen(64)
        threading.Thread(target=self._accept, name=f"stranger {address}", daemon=True).start()

    def stop(self) -> None:
        """Nobody is there any more; open connections are closed."""
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        self._open.add(link)
        link.settimeout(SILENCE)
        try:
            self._answer(link)
        except OSError:
            pass  # who asked has gone, or takes no such certificate
        finally:
            self._open.discard(link)
            link.close()

    def _answer(self, link: socket.socket) -> None:
        if self.answer == "reset":
            # To be closed without lingering: the kernel sends a reset.
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif self.answer == "silent":
            while link.recv(65536):
                pass
        elif self._context:
            with self._context.wrap_socket(link, server_side=True) as secured:
                self._speak(secured.recv, secured.sendall)
        elif self.answer == "plain":
            self._speak(link.recv, link.sendall)

    def _speak(self, receive: Callable[[int], bytes], send: Callable[[bytes], None]) -> None:
        """HTTP, as much as a client needs: one answer for each request that has no body, then the end."""
        text = b""
        while b"\r\n\r\n" not in text and text[:1] != TLS:
            more = receive(65536)
            if not more:
                return
            text += more
        words = text.split(b" ", 2)
        path = words[1].decode(errors="replace").partition("?")[0] if len(words) == 3 else ""
        status, body = self._said(path) if text[:1] != TLS else (400, "this is HTTP")
        content = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        send(f"{head}Connection: close\r\n\r\n".encode() + content)

    def _said(self, path: str) -> tuple[int, object]:
        if self._uid and path in ("/readyz", "/livez", "/healthz"):
            return 200, "ok"
        if self._uid and path == KUBE_SYSTEM:
            return 200, {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "kube-system", "uid": self._uid}}
        code = int(self.answer) if self.answer.isdigit() else 404
        reason = REASONS.get(code, "InternalError")
        return code, {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
            "reason": reason, "code": code,
        }  # fmt: skip


def _context(answer: str, authority: Path | None) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate made for it."""
    if authority:
        pair = pki.load_cert(str(authority / "ca.crt")), keys.load(str(authority / "ca.key"))
    else:
        pair = pki.new_ca("stranger")
    key = keys.leaf()
    names = OTHER if answer == "other" else API_SERVER
    # An authority is called kubernetes itself, so its leaf must not be.
    common = "web" if answer == "other" else "kube-apiserver"
    cert = pki.sign(pair, pki.name(common), key.public_key(), (pki.SERVER,), names)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pki.cert_pem(cert) + keys.pem(key))
        file.flush()
        made.load_cert_chain(file.name)
    return made
