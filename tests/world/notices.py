"""What EC2 announces to an instance through its metadata: Spot notices, rebalance recommendations, scheduled events."""

import json
from datetime import UTC, datetime, timedelta

SPOT = "meta-data/spot/instance-action"
REBALANCE = "meta-data/events/recommendations/rebalance"
SCHEDULED = "meta-data/events/maintenance/scheduled"

KINDS = {
    "spot": f"/latest/{SPOT}; VALUE: terminate (default), stop or hibernate, two minutes from now",
    "rebalance": f"/latest/{REBALANCE}, from now",
    "scheduled": f"/latest/{SCHEDULED}; VALUE: system-reboot (default) or another code, in an hour",
}
KEYS = {"spot": SPOT, "rebalance": REBALANCE, "scheduled": SCHEDULED}
WARNING = timedelta(minutes=2)


def text(kind: str, value: str = "") -> str:
    """The answer of a metadata service. Raises ValueError for a kind that does not exist."""
    if kind not in KINDS:
        raise ValueError(f"unknown notice '{kind}': one of {', '.join(KINDS)}")
    now = datetime.now(UTC)
    if kind == "spot":
        return json.dumps({"action": value or "terminate", "time": _rfc3339(now + WARNING)})
    if kind == "rebalance":
        return json.dumps({"noticeTime": _rfc3339(now)})
    return json.dumps([_event(value or "system-reboot", now + timedelta(hours=1))], indent=2)


def before() -> dict[str, str]:
    """The keys of an instance to which nothing was announced: a list without events, and nothing else."""
    return {SCHEDULED: "[]"}


def _event(code: str, begins: datetime) -> dict[str, str]:
    return {
        "NotBefore": _of_mail(begins), "Code": code, "Description": f"scheduled {code.rpartition('-')[2]}",
        "EventId": "instance-event-0d59937288b749b32", "NotAfter": _of_mail(begins + timedelta(minutes=17)),
        "State": "active",
    }  # fmt: skip


def _rfc3339(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _of_mail(when: datetime) -> str:
    return when.strftime("%d %b %Y %H:%M:%S GMT")
