"""What stands before moto: names each call, applies faults, locks S3 keys, and keeps the record of it all."""

import socket
import threading
import time
from collections.abc import Callable

from .call import Call, parse
from .faults import Fault, Faults
from .group import Group
from .journal import Journal
from .keylock import KeyLocks
from .refusals import refusal

# A hanging call ends after this many seconds, whatever happens: every wait has an end.
LONGEST_HANG = 600
CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
WRITES = ("PutObject", "DeleteObject", "DeleteObjects", "POST")


class Front:
    """The WSGI application of the AWS endpoint."""

    def __init__(self, app: Callable, group: Group, faults: Faults, requests: Journal, events: Journal):
        self._app, self._group, self._faults = app, group, faults
        self._requests, self._events = requests, events
        self._locks = KeyLocks()

    def __call__(self, environ: dict, start_response: Callable) -> list[bytes]:
        arrived = time.time()
        call = parse(environ)
        node = self._group.node_of(call.access_key)
        fault = self._faults.hit(call, node)
        status, headers, body, settled = self._answer(call, environ, fault)
        self._record(call, node, fault, status, arrived, settled)
        if status is None:
            _drop(environ)
        start_response(status, headers)
        return [body]

    def _answer(self, call: Call, environ: dict, fault: Fault | None):
        """Carries out the call as far as the fault lets it; a status of None is no answer at all."""
        effect = fault.effect if fault else ""
        if effect == "delay":
            time.sleep(float(fault.value))
        elif effect == "hang":
            self._hang(fault)
        elif effect == "error":
            return *_refused(call, fault), False
        elif effect == "ignore-conditions":
            for name in CONDITIONS:
                environ.pop(name, None)
        if effect in ("hang", "cut"):
            return None, [], b"", False
        status, headers, body, settled = self._carry_out(call, environ)
        if effect == "lost-reply":
            return None, [], b"", settled
        if effect == "error-after":
            return *_refused(call, fault), settled
        if effect == "hide-missing" and call.service == "s3" and status.startswith("404"):
            return *refusal(call, 403, "AccessDenied"), settled
        return status, headers, body, settled

    def _carry_out(self, call: Call, environ: dict):
        if call.service == "s3":
            if call.key and call.action in WRITES:
                with self._locks.of(call.bucket, call.key):
                    return *_run(self._app, environ), False
            return *_run(self._app, environ), False
        # moto's groups and instances are not made for threads; the world changes them under the same lock.
        with self._group.lock:
            answer = _run(self._app, environ)
            settled = call.action == "DescribeAutoScalingGroups" and self._group.is_settled()
        self._group.called(call.action)
        return *answer, settled

    def _hang(self, fault: Fault) -> None:
        end = time.monotonic() + LONGEST_HANG
        while self._faults.in_force(fault) and time.monotonic() < end:
            time.sleep(0.1)

    def _record(self, call, node, fault, status, arrived, settled) -> None:
        code = int(status.split()[0]) if status else None
        fields = {
            "arrived": arrived, "node": node, "service": call.service, "action": call.action,
            "key": call.key or call.bucket, "status": code,
        }  # fmt: skip
        if call.condition:
            fields["condition"] = call.condition
        if fault:
            fields["fault"] = fault.effect
        if settled:
            fields["settled"] = True
        self._requests.write("request", **fields)
        if call.service == "s3" and call.action in WRITES:
            self._events.write("s3-write", **fields)
        if call.action in ("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat"):
            result = call.form.get("LifecycleActionResult", "")
            hook, instance = call.form.get("LifecycleHookName"), call.form.get("InstanceId")
            self._events.write("hook-call", action=call.action, hook=hook, instance=instance, result=result, node=node)


def _refused(call: Call, fault: Fault):
    status, _, code = fault.value.partition("/")
    return refusal(call, int(status), code)


def _run(app: Callable, environ: dict) -> tuple[str, list, bytes]:
    """Runs a WSGI application to its end, so that a lock around this covers all of it."""
    started: list = []
    chunks = app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    return *started[0], body


def _drop(environ: dict) -> None:
    """Closes the connection under the client, as a network fault would."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError(f"dropped by a fault ({threading.current_thread().name})")
