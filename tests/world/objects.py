"""The bucket by hand: writes and reads that go past every condition, for planting garbage and looking at things."""

from moto.s3.models import s3_backends

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


def set_versioning(status: str) -> None:
    """Enabled, or Suspended: then it keeps what it has."""
    _bucket().put_bucket_versioning(BUCKET, status)


def _bucket():
    return s3_backends[ACCOUNT]["aws"]
