"""etcd through its JSON gateway: what kubeadm asks of a cluster, and what the API server keeps in it.

Every member answers the gateway on its client address, with the same certificates as the real protocol.
"""

import base64
import contextlib
import http.client
import json
import socket
import urllib.parse

from . import dial, late, node

WATCH_TIMEOUT = 600.0  # seconds; whoever watches ends it before
CALL_TIMEOUT = 2.0  # seconds that kubeadm gives one call to etcd


class EtcdError(Exception):
    """etcd said no: its own words, such as "etcdserver: unhealthy cluster"."""

    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


class Client:
    """Calls to the first of several members that can be reached, each with a deadline in seconds."""

    def __init__(self, endpoints, ca, cert, key, timeout=CALL_TIMEOUT):
        self.endpoints = list(endpoints)
        self.timeout = timeout
        self._context = dial.client_context(ca_file=ca, cert=cert, key=key)
        self._idle = []
        self.last = self.endpoints[0] if self.endpoints else ""

    def call(self, target, body=None, endpoints=None):
        """One call, answered by the first member that can be reached. Raises dial.Unreachable or EtcdError."""
        problem = dial.Unreachable("no endpoints available")
        for endpoint in endpoints or self.endpoints:
            self.last = endpoint
            try:
                return self._ask(endpoint, target, body)
            except dial.Unreachable as error:
                problem = error
        raise problem

    def _ask(self, endpoint, target, body):
        link = self._idle.pop() if self._idle and len(self.endpoints) == 1 else None
        if link:
            try:
                return self._answer(link, target, body)
            except dial.Unreachable:
                pass  # an idle connection that the member has closed: a fresh one decides
        return self._answer(dial.connection(endpoint, self._context, self.timeout), target, body)

    def _answer(self, link, target, body):
        status, answer = dial.exchange(link, "POST", "/v3/" + target, body or {})
        if len(self.endpoints) == 1:
            self._idle.append(link)
        else:
            link.close()
        if status == 200 and isinstance(answer, dict):
            return answer
        text = answer if isinstance(answer, str) else answer.get("error") or answer.get("message") or json.dumps(answer)
        raise EtcdError(text.strip(), answer.get("code", 2) if isinstance(answer, dict) else 2)

    # Membership, as kubeadm uses it.

    def members(self):
        """The members as the answering one lists them: dictionaries with ID, name, peerURLs, clientURLs, isLearner."""
        found = self.call("cluster/member/list", {"linearizable": True})["members"]
        listed = [
            {
                "ID": int(each["ID"]),
                "name": each.get("name", ""),
                "peerURLs": each.get("peerURLs", []),
                "clientURLs": each.get("clientURLs", []),
                "isLearner": each.get("isLearner", False),
            }
            for each in found
        ]
        return [{**each, "name": "", "clientURLs": []} if _is_unpublished(each["clientURLs"]) else each for each in listed]

    def sync(self):
        """Takes the client addresses of all started members for the endpoints, as etcd's client does."""
        self.endpoints = [url for each in self.members() for url in each["clientURLs"]] or self.endpoints

    def add_learner(self, peer_url):
        """Announces a new member that does not vote yet."""
        self.call("cluster/member/add", {"peerURLs": [peer_url], "isLearner": True})

    def promote(self, member):
        """Makes a learner a voter."""
        self.call("cluster/member/promote", {"ID": str(member)})

    def remove(self, member):
        """Takes a member out, by its ID."""
        self.call("cluster/member/remove", {"ID": str(member)})

    def status(self, endpoint):
        """The state of one member. Raises like call()."""
        return self.call("maintenance/status", {}, [endpoint])

    # Keys and values, as the API server uses them.

    def get(self, key, prefix=False):
        """A linearizable read: list of (key, value, revision of the last change), all text and numbers."""
        body = {"key": _b64(key)}
        if prefix:
            body["range_end"] = _b64(_after(key))
        return [
            (_text(kv["key"]), _text(kv.get("value", "")), int(kv["mod_revision"]))
            for kv in self.call("kv/range", body).get("kvs", [])
        ]

    def snapshot(self, key, at=0):
        """All keys with a prefix as of one revision, the present one without it: (the same as of get(), that revision)."""
        body = {"key": _b64(key), "range_end": _b64(_after(key)), **({"revision": str(at)} if at else {})}
        answer = self.call("kv/range", body)
        rows = [(_text(kv["key"]), _text(kv.get("value", "")), int(kv["mod_revision"])) for kv in answer.get("kvs", [])]
        return rows, at or int(answer["header"]["revision"])

    def watch(self, key, start):
        """What changes below a prefix from a revision on: a Stream. Raises dial.Unreachable."""
        asked = {"key": _b64(key), "range_end": _b64(_after(key)), "start_revision": str(start), "prev_kv": True}
        return Stream(dial.connection(self.endpoints[0], self._context, WATCH_TIMEOUT), {"create_request": asked})

    def put_if(self, key, value, revision):
        """Writes if the key is still at a revision (0: does not exist). Returns the new revision, None if it lost."""
        return self._txn(key, revision, {"request_put": {"key": _b64(key), "value": _b64(value)}})

    def put_for(self, seconds, key, value):
        """Writes a key that etcd deletes by itself after so many seconds."""
        lease = self.call("lease/grant", {"TTL": str(seconds)})["ID"]
        self.call("kv/put", {"key": _b64(key), "value": _b64(value), "lease": lease})

    def delete_if(self, key, revision):
        """Deletes a key if it is still at a revision. Returns the revision of that, or None if it lost."""
        return self._txn(key, revision, {"request_delete_range": {"key": _b64(key)}})

    def _txn(self, key, revision, operation):
        compare = {"key": _b64(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}
        answer = self.call("kv/txn", {"compare": [compare], "success": [operation]})
        return int(answer["header"]["revision"]) if answer.get("succeeded") else None


class Stream:
    """The answers of one watch, one after the other, until it is closed or breaks."""

    def __init__(self, link, body):
        self._link = link
        try:
            link.request("POST", "/v3/watch", json.dumps(body), {"Content-Type": "application/json"})
            self._answer = link.getresponse()
        except (OSError, http.client.HTTPException) as error:
            link.close()
            raise dial.Unreachable(dial.explain(error, link.host, link.port)) from error

    def __iter__(self):
        try:
            while line := self._answer.readline():
                yield json.loads(line).get("result") or {"canceled": True}
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return

    def close(self):
        """Ends it, also under a reader."""
        if self._link.sock:
            with contextlib.suppress(OSError):
                self._link.sock.shutdown(socket.SHUT_RDWR)
        self._link.close()


def _after(prefix):
    """The first key behind all those with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def version(endpoint, ca, cert, key, timeout=CALL_TIMEOUT):
    """What one member says of its release. Raises dial.Unreachable; OSError for a file that makes no sense."""
    link = dial.connection(endpoint, dial.client_context(ca_file=ca, cert=cert, key=key), timeout)
    try:
        return dial.exchange(link, "GET", "/version")[1]
    finally:
        link.close()


def _is_unpublished(urls):
    """Whether a member is one that serves its clients late, and does not yet."""
    if not node.setting("STANDIN_ETCD_LATE"):
        return False
    places = (urllib.parse.urlsplit(url) for url in urls)
    return any(late.is_unpublished(place.hostname, place.port) for place in places)


def _b64(text):
    return base64.b64encode(text.encode()).decode()


def _text(data):
    return base64.b64decode(data).decode()
