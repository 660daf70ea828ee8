"""How systemctl, crictl and kubeadm talk to the supervisor of a node: one JSON line each way over a Unix socket."""

import json
import os
import socket
import threading

from . import node

SOCKET = "/run/standin/kubelet.sock"
TIMEOUT = 120.0  # seconds for an answer: a start of kubelet waits for the commands before it, a stop for containers


class NoSupervisor(Exception):
    """Nobody supervises this node: the world has not started its kubelet."""


def ask(**request):
    """Sends one request and returns the answer. Raises NoSupervisor."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(TIMEOUT)
            link.connect(node.path(SOCKET))
            link.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(link.makefile().readline())
    except (OSError, ValueError) as error:
        raise NoSupervisor(f"no kubelet supervisor on this node: {error}") from error


def serve(requests):
    """Takes requests in a thread and puts (request, answer function) into a queue: the main thread carries them out."""
    file = node.path(SOCKET)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    if os.path.exists(file):
        os.unlink(file)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(file)
    os.chmod(file, 0o600)
    listener.listen(16)
    threading.Thread(target=_accept, args=(listener, requests), daemon=True).start()


def _accept(listener, requests):
    while True:
        link, _ = listener.accept()
        link.settimeout(TIMEOUT)
        try:
            request = json.loads(link.makefile().readline())
        except (OSError, ValueError):
            link.close()
            continue
        requests.put((request, lambda answer, link=link: _reply(link, answer)))


def _reply(link, answer):
    try:
        link.sendall(json.dumps(answer).encode() + b"\n")
    except OSError:
        pass  # who asked has gone; the work is done all the same
    link.close()
