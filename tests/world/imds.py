"""The instance metadata service of one machine: version 2 only, tokens enforced, with the faults of a real boot."""

import socket
import threading
import time
import uuid
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import notices
from .addresses import IMDS_PORT
from .call import Call
from .faults import Fault, Faults
from .metadata import Identity, answers

TOKEN_TTL = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "x-aws-ec2-metadata-token"
LONGEST_TTL = 21600

MODES = {
    "normal": "answers",
    "late": "SECONDS: 404 to everything but tokens for that long, as while credentials propagate",
    "silent": "SECONDS: accepts connections and says nothing for that long",
    "slow": "SECONDS: every answer takes that much longer",
    "gone": "refuses connections",
    "missing": "PATTERN: 404 for the keys below /latest that fit, such as 'meta-data/iam/*'",
}


class Imds:
    """Listens at the machine's own metadata address; `mode` may change at any time, and so may the `faults`, to which
    it is the service `imds` with the actions PutToken and GetMetadata, its keys being those below /latest/."""

    def __init__(self, address: str, identity: Identity, faults: Faults):
        self.address, self.identity, self.faults = address, identity, faults
        self._mode, self._value, self._since = "normal", "", time.monotonic()
        self._tokens: dict[str, float] = {}
        self._notices = notices.before()
        self._server: ThreadingHTTPServer | None = None
        self._listen()

    @property
    def url(self) -> str:
        return f"http://{self.address}:{IMDS_PORT}"

    @property
    def is_listening(self) -> bool:
        return self._server is not None

    @property
    def mode(self) -> str:
        return f"{self._mode}={self._value}" if self._value else self._mode

    def set_mode(self, text: str) -> None:
        """MODE or MODE=VALUE. Raises ValueError for one that does not exist or lacks its value."""
        mode, _, value = text.partition("=")
        if mode not in MODES:
            raise ValueError(f"unknown mode '{mode}': one of {', '.join(MODES)}")
        if MODES[mode].startswith("SECONDS"):
            float(value or "wanted after '=' are seconds")
        elif MODES[mode].startswith("PATTERN") != bool(value):
            raise ValueError(f"mode '{mode}': {MODES[mode]}")
        self._mode, self._value, self._since = mode, value, time.monotonic()
        if mode == "gone":
            self.stop()
        elif self._server is None:
            self._listen()

    def announce(self, kind: str, text: str | None) -> None:
        """From now on this is the answer at the key of such a notice; None: what it was before any."""
        key = notices.KEYS[kind]
        said = notices.before().get(key) if text is None else text
        others = {other: text for other, text in self._notices.items() if other != key}
        self._notices = others if said is None else {**others, key: said}

    def token(self, ttl: str) -> str | None:
        """A fresh token; None for a lifetime that AWS would refuse."""
        if not (ttl.isdigit() and 1 <= int(ttl) <= LONGEST_TTL):
            return None
        token = uuid.uuid4().hex
        self._tokens[token] = time.monotonic() + int(ttl)
        return token

    def knows(self, token: str) -> bool:
        return self._tokens.get(token, 0) > time.monotonic()

    def answer(self, key: str) -> str | None:
        """The text under `key` (what follows /latest/); None where AWS answers 404."""
        if self._mode == "late" and time.monotonic() - self._since < float(self._value):
            return None
        if self._mode == "missing" and fnmatchcase(key, self._value):
            return None
        return {**answers(self.identity), **self._notices}.get(key.rstrip("/"))

    def delay(self) -> float:
        """Seconds to wait before any answer."""
        if self._mode == "slow":
            return float(self._value)
        if self._mode == "silent":
            return max(0.0, float(self._value) - (time.monotonic() - self._since))
        return 0.0

    def stop(self) -> None:
        if self._server:
            server, self._server = self._server, None
            server.shutdown()
            server.server_close()

    def _listen(self) -> None:
        self._server = _Server((self.address, IMDS_PORT), _Handler)
        self._server.imds = self
        threading.Thread(target=self._server.serve_forever, name=f"imds {self.address}", daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    imds: Imds


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    # An answer goes out in one piece, as the real one's. In two, the second would wait for the client's delayed acknowledgement of the
    # first: 40 ms for each question on a connection that is kept.
    wbufsize = -1
    _fault: Fault | None = None

    def do_PUT(self) -> None:
        imds = self._wait("PutToken")
        if imds is None:
            return None
        if self.path != "/latest/api/token":
            return self._reply(404, "")
        # A request that came through a proxy gets no token: this is what version 2 is for.
        token = None if "x-forwarded-for" in self.headers else imds.token(self.headers.get(TOKEN_TTL, ""))
        if token is None:
            return self._reply(400, "Bad Request")
        return self._reply(200, token, {TOKEN_TTL: self.headers[TOKEN_TTL]})

    def do_GET(self) -> None:
        imds = self._wait("GetMetadata")
        if imds is None:
            return None
        if not imds.knows(self.headers.get(TOKEN, "")):
            return self._reply(401, "Unauthorized")
        text = imds.answer(self.path.removeprefix("/latest/")) if self.path.startswith("/latest/") else None
        return self._reply(404, "Not Found") if text is None else self._reply(200, text)

    def _wait(self, action: str) -> Imds | None:
        """The service, once it answers; None if a fault has answered, or closed the connection."""
        imds = self.server.imds
        time.sleep(imds.delay())
        call = Call("imds", action, "", key=self.path.removeprefix("/latest/"))
        self._fault = imds.faults.hit(call, imds.identity.instance)
        effect, value = (self._fault.effect, self._fault.value) if self._fault else ("", "")
        if effect == "delay":
            time.sleep(float(value))
        if effect == "hang":
            imds.faults.hang(self._fault)
        if effect in ("hang", "cut"):
            self._drop()
            return None
        if effect == "error":
            self._reply(int(value.partition("/")[0]), value.partition("/")[2])
            return None
        return imds

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _reply(self, status: int, text: str, headers: dict | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self._fault and self._fault.effect == "truncate":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            return self._drop()
        self.wfile.write(body)

    def log_message(self, format: str, *args) -> None:
        pass
