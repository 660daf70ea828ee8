"""What a list shows of a collection: label and field selectors, and its pages."""

import base64

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


def page(objects, query):
    """(the objects of one page, metadata of the list): `limit` of them, after the one that `continue` names."""
    limit = int(query.get("limit") or 0)
    if query.get("continue"):
        try:
            last = base64.urlsafe_b64decode(query["continue"]).decode()
        except ValueError as error:
            raise Refusal(400, "BadRequest", f"continue key is not valid: {error}") from error
        objects = [each for each in objects if _key(each) > last]
    if not 0 < limit < len(objects):
        return objects, {}
    kept = objects[:limit]
    token = base64.urlsafe_b64encode(_key(kept[-1]).encode()).decode()
    return kept, {"continue": token, "remainingItemCount": len(objects) - limit}


def _key(found):
    return f"{found['metadata'].get('namespace', '')}/{found['metadata']['name']}"


def _pairs(text):
    return dict(pair.split("=", 1) for pair in text.replace("==", "=").split(",") if "=" in pair)


def _value(found, path):
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return {None: "", True: "true", False: "false"}.get(found, found) if not isinstance(found, (dict, list)) else ""
