"""Kubernetes objects in etcd: one JSON text per key under /registry, the revision of the key as resourceVersion."""

import datetime
import json
import uuid

from . import etcdapi

TRIES = 20  # lost races for one object before the caller hears of a conflict


class Refusal(Exception):
    """What the API server answers instead of an object: HTTP status, reason and message."""

    def __init__(self, status, reason, message):
        super().__init__(message)
        self.status, self.reason, self.details = status, reason, None


def now():
    """This moment as Kubernetes writes it."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def merge(target, change):
    """A JSON merge patch (RFC 7386) of one value onto another."""
    if not isinstance(change, dict):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


class Store:
    """All objects, by resource (its plural name), namespace and name."""

    def __init__(self, etcd):
        self.etcd = etcd

    @staticmethod
    def _key(resource, namespace, name=""):
        return f"/registry/{resource}/" + (f"{namespace}/" if namespace else "") + name

    def folder(self, resource, namespace):
        """The prefix of the keys of a collection."""
        return self._key(resource, namespace)

    @staticmethod
    def decode(text, revision):
        """The object of a text, with the revision of its key as its version."""
        found = json.loads(text)
        found["metadata"]["resourceVersion"] = str(revision)
        return found

    def get(self, resource, namespace, name):
        """One object. Raises Refusal 404."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise Refusal(404, "NotFound", f'{resource} "{name}" not found')
        return found

    def find(self, resource, namespace, name):
        """One object, or None where there is none."""
        rows = self.etcd.get(self._key(resource, namespace, name))
        return self.decode(rows[0][1], rows[0][2]) if rows else None

    def exists(self, resource, namespace, name):
        """Whether there is such an object."""
        return self.find(resource, namespace, name) is not None

    def list(self, resource, namespace):
        """All objects of a resource, of one namespace if that is given."""
        rows = self.etcd.get(self._key(resource, namespace), prefix=True)
        return [self.decode(text, revision) for _, text, revision in rows]

    def snapshot(self, resource, namespace, at=0):
        """(all objects of a collection, the revision at which they were so): the present one, or an earlier one that is given.

        Raises Refusal 410 for one that etcd has forgotten.
        """
        try:
            rows, revision = self.etcd.snapshot(self._key(resource, namespace), at)
        except etcdapi.EtcdError as error:
            if "compacted" not in str(error):
                raise
            why = "The provided continue parameter is too old to display a consistent list result."
            raise Refusal(410, "Expired", why) from error
        return [self.decode(text, version) for _, text, version in rows], revision

    def create(self, resource, namespace, body):
        """A new object with a UID of its own. Raises Refusal 409 when the name is taken."""
        name = body["metadata"]["name"]
        body["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        if namespace:
            body["metadata"]["namespace"] = namespace
        revision = self._put(resource, namespace, name, body, 0)
        if revision is None:
            raise Refusal(409, "AlreadyExists", f'{resource} "{name}" already exists')
        return self.decode(json.dumps(body), revision)

    def _put(self, resource, namespace, name, body, revision):
        body["metadata"].pop("resourceVersion", None)
        return self.etcd.put_if(self._key(resource, namespace, name), json.dumps(body), revision)

    def change(self, resource, namespace, name, how):
        """Rewrites an object by a function of it, again and again until nobody came between. Raises Refusal."""
        for _ in range(TRIES):
            before = self.get(resource, namespace, name)
            revision = int(before["metadata"]["resourceVersion"])
            after = how(before)
            kept = ("name", "namespace", "uid", "creationTimestamp")
            after["metadata"] |= {key: before["metadata"][key] for key in kept if key in before["metadata"]}
            written = self._put(resource, namespace, name, after, revision)
            if written is not None:
                return self.decode(json.dumps(after), written)
        raise Refusal(
            409,
            "Conflict",
            f'Operation cannot be fulfilled on {resource} "{name}": the object has been '
            "modified; please apply your changes to the latest version and try again",
        )

    def delete(self, resource, namespace, name, uid=None, version=None):
        """Deletes an object, under the preconditions of its UID and its version if they are given. Raises Refusal 404 or 409."""
        for _ in range(TRIES):
            found = self.get(resource, namespace, name)["metadata"]
            for what, wanted, field in (("UID", uid, "uid"), ("ResourceVersion", version, "resourceVersion")):
                if wanted and wanted != found[field]:
                    raise Refusal(
                        409,
                        "Conflict",
                        f'Operation cannot be fulfilled on {resource} "{name}": Precondition '
                        f"failed: {what} in precondition: {wanted}, {what} in object meta: {found[field]}",
                    )
            if self.etcd.delete_if(self._key(resource, namespace, name), int(found["resourceVersion"])) is not None:
                return
        raise Refusal(409, "Conflict", f'could not delete {resource} "{name}": too many changes at once')
