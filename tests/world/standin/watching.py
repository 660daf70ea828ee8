"""Watches: what changes in a collection from a version on, as a stream of events, until its time is over.

A watch without a version begins with all that is there. Of an object that comes to fit the selectors, or no longer does, it tells as of
one that comes or goes. It ends with a bookmark, where those are wanted, and with an error once etcd has forgotten that version.
"""

import base64
import json
import queue
import select
import threading
import time

from . import selecting

LONGEST = 300.0  # seconds; the real one ends a watch after half an hour
LOOK = 1.0  # seconds between two looks at whether the client is still there


class Watch:
    """One watch of a collection; `seen` makes of an object what a reader sees."""

    def __init__(self, store, ask, query, seen):
        self._store, self._ask, self._labels, self._seen = store, ask, query.get("labelSelector", ""), seen
        self._bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        self._seconds = min(float(query.get("timeoutSeconds") or LONGEST), LONGEST)
        self._from = int(query.get("resourceVersion") or 0)

    def events(self, client):
        """The events, each a dictionary, until the end of the watch or of the client, whose socket is given."""
        end = time.monotonic() + self._seconds
        if not self._from:
            objects, self._from = self._store.snapshot(self._ask.resource, self._ask.namespace)
            yield from ({"type": "ADDED", "object": each} for each in self._chosen(objects))
        told = queue.SimpleQueue()
        stream = self._store.etcd.watch(self._store.folder(self._ask.resource, self._ask.namespace), self._from + 1)
        threading.Thread(target=_read, args=(stream, told), daemon=True).start()
        try:
            while (left := end - time.monotonic()) > 0 and not _has_gone(client):
                try:
                    answer = told.get(timeout=min(left, LOOK))
                except queue.Empty:
                    continue
                if answer is None:
                    return
                if answer.get("compact_revision") or answer.get("canceled"):
                    yield self._too_old(answer)
                    return
                yield from self._told(answer)
        finally:
            stream.close()
        if self._bookmarks:
            yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self._from), "creationTimestamp": None}}}

    def _told(self, answer):
        for event in answer.get("events") or ():
            pair = event["kv"]
            self._from = int(pair["mod_revision"])
            after = self._object(pair) if event.get("type") != "DELETE" else None
            before = self._object(event["prev_kv"]) if event.get("prev_kv") else None
            if after and not self._chosen([after]):
                after = None
            if before and not self._chosen([before]):
                before = None
            if after:
                yield {"type": "MODIFIED" if before else "ADDED", "object": after}
            elif before:
                before["metadata"]["resourceVersion"] = str(self._from)
                yield {"type": "DELETED", "object": before}

    def _object(self, pair):
        return self._seen(self._store.decode(base64.b64decode(pair["value"]).decode(), int(pair["mod_revision"])))

    def _chosen(self, objects):
        return selecting.chosen(objects, self._labels, self._ask.fields)

    def _too_old(self, answer):
        text = f"too old resource version: {self._from} ({answer.get('compact_revision', '')})"
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": text, "reason": "Expired"}
        return {"type": "ERROR", "object": {**status, "code": 410}}


def line(event):
    """An event as it goes over the wire."""
    return (json.dumps(event) + "\n").encode()


def _read(stream, told):
    """Passes on what etcd says, and None at its end."""
    try:
        for answer in stream:
            told.put(answer)
    finally:
        told.put(None)


def _has_gone(client):
    """Whether a client has hung up: it says nothing while it watches, so all that can be read is the end."""
    try:
        return bool(select.select([client], [], [], 0)[0])
    except (OSError, ValueError):
        return True
