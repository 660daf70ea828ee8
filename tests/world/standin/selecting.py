"""What a list shows of a collection: label and field selectors, and its pages."""

import base64
import json

from .storage import Refusal

# The fields that may be selected by, beside name and namespace; Kubernetes refuses others.
FIELDS = {
    "pods": ("spec.nodeName", "status.phase", "spec.schedulerName"),
    "certificatesigningrequests": ("spec.signerName",),
    "events": ("involvedObject.name", "involvedObject.kind", "involvedObject.uid", "reason", "type"),
    "secrets": ("type",),
    "nodes": ("spec.unschedulable",),
}


def fields(resource, text):
    """A field selector as a dictionary: equality only. Raises Refusal 400 for a field that nobody can select by."""
    found = _pairs(text)
    for each in found:
        if each not in ("metadata.name", "metadata.namespace", *FIELDS.get(resource, ())):
            why = f'Unable to find "{resource}" that match label selector "", field selector "{text}": field label not supported: {each}'
            raise Refusal(400, "BadRequest", why)
    return found


def chosen(objects, labels, wanted):
    """Those of the objects that fit both selectors."""
    by_label = _pairs(labels)
    return [
        each
        for each in objects
        if by_label.items() <= (each["metadata"].get("labels") or {}).items()
        and all(_value(each, path) == value for path, value in wanted.items())
    ]


def place(query):
    """Where a page of a list begins: (the revision of the first page, the key behind which it goes on). Raises Refusal 400."""
    if not query.get("continue"):
        return 0, ""
    try:
        said = json.loads(base64.urlsafe_b64decode(query["continue"]))
        return int(said["rv"]), str(said["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(400, "BadRequest", f"continue key is not valid: {error}") from error


def page(objects, start, revision, query):
    """(the objects of one page, metadata of the list): `limit` of them, behind a key. All pages are of one revision."""
    limit = int(query.get("limit") or 0)
    objects = [each for each in objects if _key(each) > start]
    meta = {"resourceVersion": str(revision)}
    if not 0 < limit < len(objects):
        return objects, meta
    kept = objects[:limit]
    token = base64.urlsafe_b64encode(json.dumps({"rv": revision, "start": _key(kept[-1])}).encode()).decode()
    return kept, {**meta, "continue": token, "remainingItemCount": len(objects) - limit}


def _key(found):
    return f"{found['metadata'].get('namespace', '')}/{found['metadata']['name']}"


def _pairs(text):
    return dict(pair.split("=", 1) for pair in text.replace("==", "=").split(",") if "=" in pair)


def _value(found, path):
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return {None: "", True: "true", False: "false"}.get(found, found) if not isinstance(found, (dict, list)) else ""
