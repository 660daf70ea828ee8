"""How the commands talk to a world: HTTP with JSON over a unix socket in its folder."""

import contextlib
import http.client
import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

SOCKET = "control"


class WorldError(Exception):
    """What went wrong in the world, in words for the one who asked."""


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A path for the socket that fits: socket addresses end at 108 bytes, and folders of tests are long."""
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{opened}/{SOCKET}"
    finally:
        os.close(opened)


@contextlib.contextmanager
def bound(folder: Path) -> Iterator[str]:
    """A path by which a server binds the socket in `folder`, where an earlier one may have left its own."""
    (folder / SOCKET).unlink(missing_ok=True)
    with _short(folder) as path:
        yield path


class Control(socketserver.ThreadingUnixStreamServer):
    """Serves the verbs of a world: POST /VERB with keyword arguments as JSON."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path, verbs: dict[str, Callable]):
        self.verbs = verbs
        with bound(folder) as path:
            super().__init__(path, Handler)
        threading.Thread(target=self.serve_forever, name="control", daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    """Carries out a verb of the server's: POST /VERB."""

    def do_POST(self) -> None:
        try:
            arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = 200, self.server.verbs[self.path.lstrip("/")](**arguments)
        except (ValueError, KeyError, RuntimeError, OSError, TypeError) as error:
            status, answer = 400, {"error": str(error.args[0]) if error.args else repr(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "control"

    def log_message(self, format: str, *args) -> None:
        pass


class _Connection(http.client.HTTPConnection):
    def __init__(self, folder: Path, timeout: float):
        super().__init__("world", timeout=timeout)
        self._folder = folder

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        with _short(self._folder) as path:
            self.sock.connect(path)


def ask(folder: Path, verb: str, timeout: float = 60.0, **arguments):
    """Calls a verb of the world in `folder` and returns its answer.

    Raises WorldError if there is no world, it does not answer within `timeout` seconds, or the verb failed.
    """
    connection = _Connection(folder, timeout)
    try:
        connection.request("POST", f"/{verb}", json.dumps(arguments))
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (FileNotFoundError, ConnectionError) as error:
        raise WorldError(f"no world is running in {folder}. Start one: dev/world up --nodes 3") from error
    except TimeoutError as error:
        raise WorldError(
            f"the world in {folder} did not answer '{verb}' within {timeout:g} s; see {folder}/daemon.log"
        ) from error
    finally:
        connection.close()
    if response.status != 200:
        raise WorldError(answer["error"])
    return answer
