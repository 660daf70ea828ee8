"""What stands before moto: names each call, applies faults, locks S3 keys, and keeps the record of it all."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from . import objects
from .call import Call, parse
from .faults import Fault, Faults
from .groups import Groups
from .iam import Iam
from .journal import Journal
from .keylock import KeyLocks
from .refusals import nobody, refusal

CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
WRITES = ("PutObject", "DeleteObject", "DeleteObjects", "UploadPart", "CompleteMultipartUpload", "POST")
# What S3 says beside 404 when there was an object once.
DELETED = ("x-amz-delete-marker", "true")
# Of this object every version is kept: which clusters there ever were.
RECORD = "/control-plane/cluster.json"


@dataclass
class Answer:
    """What goes back to the caller; `settled` if it shows the group at its desired size."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    settled: bool = False

    @property
    def code(self) -> int | None:
        """The HTTP status; None if the caller gets no answer at all."""
        return int(self.status.split()[0]) if self.status else None


NOTHING = Answer("", [], b"")


class Front:
    """The WSGI application of the AWS endpoint."""

    def __init__(self, app: Callable, groups: Groups, faults: Faults, iam: Iam, requests: Journal, events: Journal):
        self._app, self._groups, self._faults, self._iam = app, groups, faults, iam
        self._requests, self._events = requests, events
        self._locks = KeyLocks()

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        arrived = time.time()
        call = parse(environ)
        node = self._groups.node_of(call.access_key)
        fault = self._faults.hit(call, node)
        answer = self._before(call, environ, fault, node)
        if answer is None:
            answer = _after(call, fault, self._allowed(call, environ, node))
        self._record(call, node, fault, answer, arrived)
        if answer is NOTHING:
            _drop(environ)
        start_response(answer.status, answer.headers)
        return _half(environ, answer.body) if fault and fault.effect == "truncate" else [answer.body]

    def _before(self, call: Call, environ: dict, fault: Fault | None, node: str) -> Answer | None:
        """What a fault does before the call is carried out; an answer if it is not to be."""
        effect = fault.effect if fault else ""
        if effect == "error":
            return _refused(call, fault.value)
        if effect == "late":
            return self._later(call, environ, fault, node)
        if effect == "nobody" and call.action == "DescribeInstances":
            return Answer(*nobody())
        if effect == "hang":
            self._faults.hang(fault)
        if effect in ("hang", "cut"):
            return NOTHING
        if effect == "delay":
            time.sleep(float(fault.value))
        if effect == "ignore-conditions":
            for name in CONDITIONS:
                environ.pop(name, None)
        return None

    def _allowed(self, call: Call, environ: dict, node: str) -> Answer:
        """Carries the call out if the policies allow it."""
        self._iam.encrypt(call, environ)
        refused = self._iam.before(call, environ, node)
        if not refused:
            answer = self._carry_out(call, environ)
            refused = self._iam.after(call, node, answer.code, answer.headers)
        return Answer(*refused) if refused else answer

    def _carry_out(self, call: Call, environ: dict) -> Answer:
        if call.service == "s3":
            if call.key and call.action in WRITES:
                with self._locks.of(call.bucket, call.key):
                    answer = _run(self._app, environ)
                    if answer.code == 200 and call.action == "PutObject" and call.key.endswith(RECORD):
                        self._events.write("record-written", key=call.key, body=objects.get(call.key).decode())
                    return answer
            answer = _run(self._app, environ)
            if answer.code == 404 and call.action in ("GetObject", "HeadObject") and objects.is_marked(call.key):
                # moto says so for HEAD alone.
                present = {name.lower() for name, _ in answer.headers}
                answer.headers += [] if DELETED[0] in present else [DELETED]
            return answer
        # moto's groups and instances are not made for threads; the world changes them under the same lock.
        with self._groups.lock:
            answer = _run(self._app, environ)
            answer.settled = call.action == "DescribeAutoScalingGroups" and self._groups.is_settled()
        self._groups.called(call.action)
        return answer

    def _later(self, call: Call, environ: dict, fault: Fault, node: str) -> Answer:
        """Has the call carried out later, by nobody who could hear of it, and says what goes back now."""
        seconds, _, error = fault.value.partition("/")
        arrived = time.time()

        def land() -> None:
            time.sleep(float(seconds))
            self._record(call, node, fault, self._allowed(call, environ, node), arrived, landed=True)

        threading.Thread(target=land, name=f"late {call.action}", daemon=True).start()
        return _refused(call, error) if error else NOTHING

    def _record(
        self, call: Call, node: str, fault: Fault | None, answer: Answer, arrived: float, landed: bool = False
    ) -> None:
        fields = {
            "arrived": arrived, "node": node, "service": call.service, "action": call.action,
            "key": call.key or call.bucket, "status": answer.code,
        }  # fmt: skip
        if call.condition:
            fields["condition"] = call.condition
        if fault:
            fields["fault"] = fault.effect
        if landed:
            fields["landed"] = True
        if answer.settled:
            fields["settled"] = True
        self._requests.write("request", **fields)
        if call.service == "s3" and call.action in WRITES:
            self._events.write("s3-write", **fields)
        if call.action in ("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat"):
            result = call.form.get("LifecycleActionResult", "")
            hook, instance = call.form.get("LifecycleHookName"), call.form.get("InstanceId")
            self._events.write("hook-call", action=call.action, hook=hook, instance=instance, result=result, node=node)


def _after(call: Call, fault: Fault | None, answer: Answer) -> Answer:
    """What a fault makes of the answer to a call that was carried out."""
    effect = fault.effect if fault else ""
    if effect == "lost-reply":
        return NOTHING
    if effect == "error-after":
        return _refused(call, fault.value)
    if effect == "hide-missing" and call.service == "s3" and answer.code == 404:
        return Answer(*refusal(call, 403, "AccessDenied"))
    return answer


def _refused(call: Call, error: str) -> Answer:
    status, _, code = error.partition("/")
    return Answer(*refusal(call, int(status), code))


def _run(app: Callable, environ: dict) -> Answer:
    """Runs a WSGI application to its end, so that a lock around this covers all of it."""
    started: list = []
    chunks = app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    return Answer(*started[0], body)


def _half(environ: dict, body: bytes) -> Iterator[bytes]:
    """Half of what the headers have promised, and then no connection."""
    yield body[: len(body) // 2]
    _drop(environ)


def _drop(environ: dict) -> None:
    """Closes the connection under the client, as a network fault would."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("dropped by a fault")
