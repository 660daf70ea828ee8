"""Faults of the AWS endpoint and the metadata services: which calls they hit, how often, and what happens to those."""

import itertools
import threading
import time
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase

from .call import Call

# A hanging call ends after this many seconds, whatever happens: every wait has an end.
LONGEST_HANG = 600

# Effects, each with what stands after its '='. See `dev/world fault --help`.
EFFECTS = {
    "delay": "SECONDS: the call is carried out that much later",
    "error": "STATUS/CODE: refused with that error, nothing is done",
    "error-after": "STATUS/CODE: carried out, but answered with that error",
    "late": "SECONDS or SECONDS/STATUS/CODE: the connection is closed, or that error answered, at once; carried out so "
    "much later, whatever has happened meanwhile",
    "lost-reply": "carried out, and the connection is closed without an answer",
    "cut": "not carried out, and the connection is closed without an answer",
    "truncate": "carried out, and the connection is closed in the middle of the answer",
    "hang": "no answer until the fault is cleared (ten minutes at most); not carried out",
    "ignore-conditions": "S3 carries the call out as if it had no If-Match or If-None-Match",
    "nobody": "EC2 answers DescribeInstances with an empty list, as in a wrong Region or account",
    "hide-missing": "S3 answers 403 AccessDenied where it would answer 404 (no s3:ListBucket)",
}
WITH_VALUE = {"delay", "late", "error", "error-after"}

# The metadata services know only effects that make sense for a read; `late`, say, is none there.
OF_METADATA = ("delay", "error", "cut", "truncate", "hang")


@dataclass
class Fault:
    """One rule. Patterns are those of a shell; an empty one fits everything that is asked of AWS."""

    id: int
    effect: str
    value: str
    service: str
    action: str
    key: str
    body: str
    node: str
    times: int | None
    hits: int = 0

    def fits(self, call: Call, node: str) -> bool:
        # Only a rule that says so is about the metadata services: nothing else works without them.
        if call.service == "imds" and not self.service:
            return False
        pairs = (
            (self.service, call.service), (self.action, call.action), (self.key, call.key), (self.body, call.body),
            (self.node, node),
        )  # fmt: skip
        return all(not pattern or fnmatchcase(text, pattern) for pattern, text in pairs)


class Faults:
    """The rules in force, in the order in which they were added; the first that fits is the one that counts."""

    def __init__(self):
        self._lock = threading.Lock()
        self._rules: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, effect: str, service="", action="", key="", body="", node="", times: int | None = None) -> Fault:
        """Adds a rule for the next `times` fitting calls (None: all). `effect` is NAME or NAME=VALUE.

        Raises ValueError for an effect that does not exist or whose value is not right.
        """
        name, _, value = effect.partition("=")
        _check(name, value)
        if service == "imds" and name not in OF_METADATA:
            raise ValueError(f"effect '{name}' is none of a metadata service: one of {', '.join(OF_METADATA)}")
        with self._lock:
            rule = Fault(next(self._ids), name, value, service, action, key, body, node, times)
            self._rules.append(rule)
        return rule

    def hit(self, call: Call, node: str) -> Fault | None:
        """The rule that this call runs into, counted; None if it goes through."""
        with self._lock:
            for rule in self._rules:
                if rule.fits(call, node) and (rule.times is None or rule.hits < rule.times):
                    rule.hits += 1
                    return rule
        return None

    def hang(self, rule: Fault) -> None:
        """Returns when the rule is cleared."""
        end = time.monotonic() + LONGEST_HANG
        while self._in_force(rule) and time.monotonic() < end:
            time.sleep(0.1)

    def _in_force(self, rule: Fault) -> bool:
        with self._lock:
            return rule in self._rules

    def clear(self, id: int | None = None) -> int:
        """Removes one rule, or all; says how many."""
        with self._lock:
            kept = [] if id is None else [rule for rule in self._rules if rule.id != id]
            removed, self._rules = len(self._rules) - len(kept), kept
        return removed

    def list(self) -> list[dict]:
        with self._lock:
            return [asdict(rule) for rule in self._rules]


def _check(name: str, value: str) -> None:
    if name not in EFFECTS:
        raise ValueError(f"unknown effect '{name}': one of {', '.join(EFFECTS)}")
    if (name in WITH_VALUE) != bool(value):
        raise ValueError(f"effect '{name}': {EFFECTS[name]}" if value == "" else f"effect '{name}' takes no value")
    error = value if name.startswith("error") else ""
    if name in ("delay", "late"):
        seconds, slash, error = value.partition("/")
        float(seconds)
        if slash and name == "delay":
            raise ValueError(f"effect '{name}={value}': wants SECONDS")
    status, _, code = error.partition("/")
    if (error or name.startswith("error")) and not (status.isdigit() and 400 <= int(status) <= 599 and code):
        raise ValueError(f"effect '{name}={value}': wants STATUS/CODE, such as 503/SlowDown")
