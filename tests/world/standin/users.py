"""Whom a request comes from: the subject of a client certificate, the bearer of a bootstrap token, or nobody in particular."""

from . import tokens
from .storage import Refusal

MASTERS = "system:masters"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"


class User:
    """A name and its groups, to which the API server adds whether it knows who that is."""

    def __init__(self, name, groups, known=True):
        self.name, self.anonymous = name, not known
        self.groups = {*groups, "system:authenticated" if known else "system:unauthenticated"}

    def node(self):
        """The Node this user is the kubelet of, or None."""
        if NODES in self.groups and self.name.startswith(NODE_PREFIX):
            return self.name.removeprefix(NODE_PREFIX)
        return None


def of(certificate, authorization, store):
    """The user of a request. A certificate counts before a token. Raises Refusal 401 for a token that is none (any more)."""
    if certificate:
        fields = [pair for part in certificate.get("subject", ()) for pair in part]
        name = next((value for key, value in fields if key == "commonName"), "")
        return User(name, {value for key, value in fields if key == "organizationName"})
    if not authorization:
        return User("system:anonymous", (), known=False)
    scheme, _, token = authorization.partition(" ")
    found = tokens.holder(store, token.strip()) if scheme.lower() == "bearer" else None
    if not found:
        raise Refusal(401, "Unauthorized", "Unauthorized")
    return User(*found)
