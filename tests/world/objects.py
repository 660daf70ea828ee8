"""The bucket by hand: writes and reads that go past every condition, for planting garbage and looking at things."""

from moto.s3.models import FakeDeleteMarker, s3_backends

from .account import ACCOUNT, BUCKET


def put(key: str, body: bytes) -> None:
    _bucket().put_object(BUCKET, key, body)


def get(key: str) -> bytes:
    """Raises KeyError if there is no such object."""
    found = _bucket().get_object(BUCKET, key)
    if found is None:
        raise KeyError(f"no object s3://{BUCKET}/{key}")
    return found.value


def remove(key: str) -> None:
    _bucket().delete_object(BUCKET, key)


def names(prefix: str = "") -> list[str]:
    """The keys of what is there; those of which only earlier versions are left are not."""
    return sorted(key for key in _bucket().buckets[BUCKET].keys if key.startswith(prefix) and is_there(key))


def is_there(key: str) -> bool:
    return _bucket().get_object(BUCKET, key) is not None


def is_marked(key: str) -> bool:
    """Whether a delete marker is the newest of an object."""
    return isinstance(_bucket().buckets[BUCKET].keys.get(key), FakeDeleteMarker)


def versions(key: str) -> list[tuple[str, bytes | None]]:
    """All there ever was under a key, the oldest first: ID and body; None for a delete marker.

    Raises KeyError if there is nothing.
    """
    found = _bucket().buckets[BUCKET].keys.getlist(key, default=[])
    if not found:
        raise KeyError(f"no version of s3://{BUCKET}/{key}")
    return [(str(each.version_id), None if isinstance(each, FakeDeleteMarker) else each.value) for each in found]


def put_back(key: str, version: str) -> None:
    """Writes an earlier version anew, over whatever is there. It is an ID, or a number: 1 is the first, -1 the last.

    Raises KeyError or ValueError if there is no such version with a body.
    """
    kept = versions(key)
    bodies = dict(kept)
    if version.lstrip("-").isdigit() and 0 < abs(int(version)) <= len(kept):
        version = kept[int(version) - (int(version) > 0)][0]
    if bodies.get(version) is None:
        raise ValueError(f"s3://{BUCKET}/{key} has no version '{version}' with a body, of {len(kept)}")
    put(key, bodies[version])


def undelete(key: str) -> None:
    """Takes away the delete markers that are the newest of an object."""
    while is_marked(key):
        _bucket().delete_object(BUCKET, key, versions(key)[-1][0])


def forget(prefix: str = "") -> list[str]:
    """Deletes objects below a prefix with all their versions and markers: nothing tells that they ever were."""
    keys = _bucket().buckets[BUCKET].keys
    gone = sorted(key for key in keys if key.startswith(prefix))
    for key in gone:
        for version in keys.getlist(key):
            if not isinstance(version, FakeDeleteMarker):
                version.dispose()
        # Not the store's own, which knows no delete markers.
        dict.pop(keys, key)
    return gone


def set_versioning(status: str) -> None:
    """Enabled, or Suspended: then it keeps what it has."""
    _bucket().put_bucket_versioning(BUCKET, status)


def _bucket():
    return s3_backends[ACCOUNT]["aws"]
