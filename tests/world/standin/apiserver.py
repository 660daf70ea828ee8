"""The stand-in API server: HTTPS with the node's real certificates, objects in the node's etcd.

Like the real one it serves nothing before its etcd has answered, and /readyz and /livez are linearizable reads.
"""

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from . import containers, dial, etcdapi, mounts, node, rbac, resources, signing, storage, tokens, users, watching

HEALTH_TIMEOUT = 2.0  # seconds for the read behind /readyz
ETCD_TIMEOUT = 10.0  # seconds for any other call: etcd itself gives up after 7
CLIENT_TIMEOUT = 60.0  # seconds that a connection may be silent
START_TIMEOUT = 20.0  # seconds for etcd to answer; then the process ends and kubelet starts it anew
LARGEST_BODY = 3 << 20  # bytes
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
ADDRESS_LEASE, ADDRESS_PERIOD = 15, 10  # seconds for which its own address is written, and after which again: as the real one
NAMESPACES_CHECK = 3.0  # seconds; the real one looks once a minute
CHECKS = ("ping", "log", "etcd", "poststarthook/start-system-namespaces-controller", "informer-sync", "shutdown")
# Seconds after its start in which it knows nobody's rights yet, and then in which these hooks have not ended. The real one needs
# several seconds for each.
START = "0.2,0.3"
HOOKS = ("poststarthook/rbac/bootstrap-roles", "poststarthook/scheduling/bootstrap-system-priority-classes")


class Request(BaseHTTPRequestHandler):
    """One connection; the server holds the store and the rules."""

    protocol_version = "HTTP/1.1"
    timeout = CLIENT_TIMEOUT

    def log_message(self, *_):
        """Nothing: the demo shows nodes, not requests."""

    def _handle(self):
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        try:
            body = self._body()
            user = self._user()
        except storage.Refusal as refusal:
            self._refuse(refusal)
            return
        if self.server.age() < self.server.start[0] and users.MASTERS not in user.groups:
            text = f'forbidden: User "{user.name}" cannot {self.command.lower()} path "{parts.path}"'
            self._json(403, _status(403, "Forbidden", text))
            return
        if parts.path.split("/")[1] in ("livez", "readyz", "healthz"):
            self._health(parts.path, "verbose" in query)
        elif parts.path == "/version":
            self._json(200, version(self.server.release))
        else:
            self._object(user, parts.path, query, body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _health(self, path, verbose):
        try:
            self.server.health.get("/registry/health")
            failed = []
        except (dial.Unreachable, etcdapi.EtcdError):
            failed = ["etcd"]
        checks = CHECKS
        if self.server.age() < self.server.start[0] + self.server.start[1]:
            checks, failed = CHECKS + HOOKS, [*failed, *HOOKS]
        lines = [f"[-]{each} failed: reason withheld" if each in failed else f"[+]{each} ok" for each in checks]
        name = path.strip("/").split("/")[0]
        text = (
            "\n".join([*lines, f"{name} check {'failed' if failed else 'passed'}", ""]) if failed or verbose else "ok"
        )
        self._send(500 if failed else 200, "text/plain; charset=utf-8", text.encode())

    def _user(self):
        """Whom this request comes from. Raises Refusal 401: whoever has just started knows no token either."""
        given = self.headers.get("Authorization", "")
        certificate = self.connection.getpeercert()
        if given and not certificate and self.server.age() < self.server.start[0]:
            raise storage.Refusal(401, "Unauthorized", "Unauthorized")
        try:
            return users.of(certificate, given, self.server.handler.store)
        except (dial.Unreachable, etcdapi.EtcdError) as error:
            raise storage.Refusal(401, "Unauthorized", "Unauthorized") from error

    def _refuse(self, refusal):
        answer = _status(refusal.status, refusal.reason, str(refusal))
        self._json(refusal.status, answer | ({"details": refusal.details} if refusal.details else {}))

    def _object(self, user, path, query, body):
        try:
            status, answer = self.server.handler.handle(user, self.command, path, query, body)
        except storage.Refusal as refusal:
            self._refuse(refusal)
            return
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            status, answer = 400, _status(400, "BadRequest", f"the object provided is unrecognized: {error!r}")
        except (dial.Unreachable, etcdapi.EtcdError) as error:
            message = f"etcdserver: {str(error).removeprefix('etcdserver: ')}"
            status, answer = 500, _status(500, "InternalError", message)
        if isinstance(answer, watching.Watch):
            self._stream(answer)
        else:
            self._json(status, answer)

    def _stream(self, watch):
        """Sends the events of a watch as they come. What breaks ends it, and the connection."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(dial.Unreachable, etcdapi.EtcdError, OSError):
            for event in watch.events(self.connection):
                line = watching.line(event)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.write(b"0\r\n\r\n")

    def _body(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            # Read all the same, within reason: who still sends does not listen.
            self.rfile.read(min(length, 4 * LARGEST_BODY))
            self.close_connection = True
            text = f"Request entity too large: limit is {LARGEST_BODY}"
            raise storage.Refusal(413, "RequestEntityTooLarge", text)
        try:
            return json.loads(self.rfile.read(length)) if length else {}
        except ValueError as error:
            raise storage.Refusal(400, "BadRequest", f"the object provided is unrecognized: {error}") from error

    def _json(self, status, answer):
        self._send(status, "application/json", json.dumps(answer).encode())

    def _send(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Shakes hands in the connection's own thread, so that one silent client holds up nobody."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, context):
        self.context = context
        self.start = [float(each) for each in node.setting("STANDIN_API_START", START).split(",")]
        self._started = time.monotonic()
        super().__init__(address, Request)

    def age(self):
        """Seconds since it was started."""
        return time.monotonic() - self._started

    def finish_request(self, request, client_address):
        """Serves one connection; one that speaks no TLS or shows a foreign certificate is closed."""
        request.settimeout(CLIENT_TIMEOUT)
        try:
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.context.wrap_socket(request, server_side=True) as secured:
                self.RequestHandlerClass(secured, client_address, self)
        except OSError:
            pass


def _status(code, reason, message):
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def version(release):
    """What /version says."""
    major, minor = release.lstrip("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": release,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "platform": "linux/amd64",
        "compiler": "gc",
    }


def _make_namespaces(store):
    """Those of the system that are missing, each with a UID of its own. Raises Refusal if another was first with one."""
    present = {each["metadata"]["name"] for each in store.list("namespaces", None)}
    for name in NAMESPACES:
        if name not in present:
            body = {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name},
                "status": {"phase": "Active"},
            }
            store.create("namespaces", None, body)


def _keep_house(store):
    """For ever: namespaces that are lost under a running API server, an etcd that was emptied for one, are made anew, and bootstrap
    tokens whose time is over are deleted."""
    while True:
        time.sleep(NAMESPACES_CHECK)
        for work in (_make_namespaces, tokens.clean):
            with contextlib.suppress(storage.Refusal, dial.Unreachable, etcdapi.EtcdError):
                work(store)


def _keep_address(etcd, address):
    """For ever: the API server's own address, on a lease that runs out when it is killed."""
    while True:
        with contextlib.suppress(dial.Unreachable, etcdapi.EtcdError):
            etcd.put_for(ADDRESS_LEASE, f"/registry/masterleases/{address}", "{}")
        time.sleep(ADDRESS_PERIOD)


def _wait_for_etcd(store):
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            _make_namespaces(store)
            rbac.make_defaults(store)
            return
        except storage.Refusal:
            continue  # another API server was first with this one
        except (dial.Unreachable, etcdapi.EtcdError) as error:
            if time.monotonic() > deadline:
                sys.exit(f"error while dialing etcd: {error}")
            time.sleep(0.05)


def main(argv):
    """Runs until it is killed. The flags are those of kube-apiserver; files are looked for on the node."""
    flags = dict(each.removeprefix("--").split("=", 1) for each in argv if "=" in each)
    mounts.check(flags)
    files = [node.path(flags[key]) for key in ("etcd-cafile", "etcd-certfile", "etcd-keyfile")]
    release = flags[containers.RELEASE_FLAG]
    servers = flags["etcd-servers"].split(",")
    store = storage.Store(etcdapi.Client(servers, *files, timeout=ETCD_TIMEOUT))
    _wait_for_etcd(store)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(node.path(flags["tls-cert-file"]), node.path(flags["tls-private-key-file"]))
    context.load_verify_locations(node.path(flags["client-ca-file"]))
    context.verify_mode = ssl.CERT_OPTIONAL
    server = Server((flags["advertise-address"], int(flags["secure-port"])), context)
    policy = rbac.Policy(store)
    signer = signing.Signer(flags["client-ca-file"].removesuffix(".crt"), policy)
    server.release, server.handler = release, resources.Handler(store, policy, signer)
    server.health = etcdapi.Client(servers, *files, timeout=HEALTH_TIMEOUT)
    own = storage.Store(etcdapi.Client(servers, *files, timeout=ETCD_TIMEOUT))
    threading.Thread(target=_keep_house, args=(own,), daemon=True).start()
    leasing = etcdapi.Client(servers, *files, timeout=ETCD_TIMEOUT)
    threading.Thread(target=_keep_address, args=(leasing, flags["advertise-address"]), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
