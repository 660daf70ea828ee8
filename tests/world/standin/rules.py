"""Who may do what: first what every kubelet may, then what roles allow; and what is said to whoever may not."""

from . import nodeauth, users
from .storage import Refusal


class Ask:
    """One request for objects: who wants what of which."""

    def __init__(self, user, verb, group, resource, sub, namespace, name, fields, body):
        self.user, self.verb, self.group, self.resource, self.sub = user, verb, group, resource, sub
        self.namespace, self.name, self.fields, self.body = namespace, name, fields, body

    @property
    def whole_resource(self):
        """The resource with its subresource, as a role names them."""
        return f"{self.resource}/{self.sub}" if self.sub else self.resource


def check(ask, store, policy):
    """Lets a request through or raises Refusal 403, in the words of the API server."""
    node = ask.user.node()
    if not _may(ask, node, store, policy):
        scope = f'in the namespace "{ask.namespace}"' if ask.namespace else "at the cluster scope"
        where = f"{ask.resource}.{ask.group}" if ask.group else ask.resource
        which = f'{where} "{ask.name}"' if ask.name else where
        raise Refusal(
            403,
            "Forbidden",
            f'{which} is forbidden: User "{ask.user.name}" cannot {ask.verb} resource "{ask.whole_resource}" in API group '
            f'"{ask.group}" {scope}',
        )
    if node:
        nodeauth.admit(node, ask, store)


def _may(ask, node, store, policy):
    if users.MASTERS in ask.user.groups or (node and nodeauth.allows(node, ask, store)):
        return True
    return policy.allows(ask.user, ask.verb, ask.group, ask.whole_resource, ask.namespace, ask.name)
