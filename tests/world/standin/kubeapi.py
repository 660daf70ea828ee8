"""The API server as kubeadm and kubelet call it: by kubeconfig, a fresh look at the endpoint's name for each dial.

A connection is kept for the next request. One that has broken meanwhile is not told of: a fresh one decides.
"""

import json
from urllib.parse import urlsplit

from . import dial

CALL_TIMEOUT = 10.0  # seconds: kubeadm's own limit for one request


class ApiError(Exception):
    """The API server's refusal: HTTP status, reason and message of its Status object."""

    def __init__(self, status, body):
        body = body if isinstance(body, dict) else {"message": str(body)}
        super().__init__(body.get("message") or json.dumps(body))
        self.status = status
        self.reason = body.get("reason", "")


class Api:
    """Requests to the server of a kubeconfig."""

    def __init__(self, config, timeout=CALL_TIMEOUT, server=None):
        self.server = server or config.server
        self.timeout = timeout
        self._context, self._token, self._idle = config.context(), config.token(), None

    def call(self, method, target, body=None, kind=None):
        """One request. Raises ApiError for a refusal, dial.Unreachable when nobody answers."""
        headers = {"Content-Type": kind} if kind else {}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            status, answer = self._exchange(method, target, body, headers)
        except dial.Unreachable as error:
            url = f"{self.server}{target}?timeout={self.timeout:.0f}s"
            raise dial.Unreachable(f'{method.capitalize()} "{url}": {error}') from error
        if status >= 400:
            raise ApiError(status, answer)
        return answer

    def _exchange(self, method, target, body, headers):
        link, self._idle = self._idle, None
        if link:
            try:
                return self._over(link, method, target, body, headers)
            except dial.Unreachable:
                pass
        return self._over(dial.connection(self.server, self._context, self.timeout), method, target, body, headers)

    def _over(self, link, method, target, body, headers):
        answer = dial.exchange(link, method, target, body, headers)
        self._idle = link
        return answer

    def close(self):
        """Gives up the connection that is kept."""
        if self._idle:
            self._idle.close()
            self._idle = None

    def get(self, target):
        """The object at a path."""
        return self.call("GET", target)

    def find(self, target):
        """The object at a path, or None where there is none."""
        try:
            return self.get(target)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def create(self, target, body):
        """A new object in a collection; one that exists already is left alone."""
        try:
            return self.call("POST", target, body)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return None
            raise

    def apply(self, target, body):
        """An object with this body, whether it was there before or not."""
        if self.create(target, body) is None:
            self.merge(f"{target}/{body['metadata']['name']}", {key: body[key] for key in body if key != "metadata"})

    def merge(self, target, change):
        """A merge patch."""
        return self.call("PATCH", target, change, "application/merge-patch+json")


def host_port(server):
    """Host and port of a server URL."""
    parts = urlsplit(server)
    return parts.hostname, parts.port or 443
