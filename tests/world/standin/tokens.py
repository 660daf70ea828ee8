"""Bootstrap tokens: Secrets of kube-system by which a machine without a certificate is known, for as long as they last.

What counts is what kube-apiserver looks at: name, type, both halves, expiry, the usage and the names of the groups.
"""

import base64
import binascii
import datetime
import hmac
import re

from .storage import Refusal

NAMESPACE = "kube-system"
PREFIX = "bootstrap-token-"
TYPE = "bootstrap.kubernetes.io/token"
DEFAULT_GROUP = "system:bootstrappers"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def holder(store, token):
    """(name, groups) of whoever shows a token; None for one that is none."""
    parts = _TOKEN.fullmatch(token)
    secret = store.find("secrets", NAMESPACE, PREFIX + parts[1]) if parts else None
    if not secret or secret.get("type") != TYPE:
        return None
    data = _decoded(secret)
    groups = [each for each in data.get("auth-extra-groups", "").split(",") if each]
    fits = hmac.compare_digest(data.get("token-secret", ""), parts[2]) and data.get("token-id") == parts[1]
    if not fits or has_ended(secret) or data.get("usage-bootstrap-authentication") != "true":
        return None
    if not all(_GROUP.fullmatch(each) for each in groups):
        return None
    return f"system:bootstrap:{parts[1]}", {DEFAULT_GROUP, *groups}


def has_ended(secret):
    """Whether a token's time is over. A time that nobody can read is over, too."""
    end = _decoded(secret).get("expiration", "")
    try:
        return bool(end) and datetime.datetime.fromisoformat(end) <= datetime.datetime.now(datetime.timezone.utc)
    except (ValueError, TypeError):
        return True


def clean(store):
    """Deletes the tokens whose time is over, as the token cleaner does."""
    for secret in store.list("secrets", NAMESPACE):
        if secret.get("type") == TYPE and has_ended(secret):
            meta = secret["metadata"]
            store.delete("secrets", NAMESPACE, meta["name"], meta["uid"])


def complete(secret):
    """A Secret as it is kept: `stringData` becomes a part of `data`, which has to be base64. Raises Refusal 400."""
    data = {**(secret.get("data") or {})}
    for key, text in (secret.pop("stringData", None) or {}).items():
        data[key] = base64.b64encode(text.encode()).decode()
    for key, text in data.items():
        try:
            base64.b64decode(text, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            why = f'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at data.{key}'
            raise Refusal(400, "BadRequest", why) from error
    secret.setdefault("type", "Opaque")
    return {**secret, "data": data}


def _decoded(secret):
    """The values of a Secret as text; those that are no text are left out."""
    found = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(value).decode()
        except (ValueError, TypeError):
            continue
    return found
