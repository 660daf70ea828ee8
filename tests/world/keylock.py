"""One lock per S3 key: moto checks a condition and then writes, and two threads could pass the check together."""

import threading
from collections import defaultdict


class KeyLocks:
    """Hands out the lock of a bucket and key; the same key always gets the same lock."""

    def __init__(self):
        self._guard = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)

    def of(self, bucket: str, key: str) -> threading.Lock:
        with self._guard:
            return self._locks[bucket, key]
