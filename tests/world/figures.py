"""What a run cost and what it came to, worked out from the world's journals."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from .account import PREFIX
from .journal import read

RECORD = f"{PREFIX}/control-plane/cluster.json"

# The promises: seconds from the settled group to the claim, and seconds of our own for three nodes.
CLAIM_BOUND = 1.0
OWN_BOUND, OWN_BOUND_NODES = 4.0, 3
# And of a machine that replaces a dead one, from its boot until it is a voter.
REPLACE_BOUND = 5.0
# And of one that the group terminates, from the moment at which it learns that until its hook is completed.
LEAVE_BOUND = 5.0


@dataclass(frozen=True)
class Figures:
    """Times in seconds; None where the run did not come that far."""

    settled_to_claim: float | None
    total: float | None
    standin: float
    own: float | None
    inits: int

    def bounds(self, nodes: int) -> dict[str, bool]:
        """Each promise and whether it was kept."""
        kept = {
            f"settled to claim under {CLAIM_BOUND:g} s": self.settled_to_claim is not None
            and self.settled_to_claim < CLAIM_BOUND,
            "exactly one init": self.inits == 1,
        }
        if nodes == OWN_BOUND_NODES:
            kept[f"our own time under {OWN_BOUND:g} s"] = (
                self.inits > 0 and self.own is not None and self.own < OWN_BOUND
            )
        return kept


@dataclass(frozen=True)
class Took:
    """A part of one machine's life, in seconds; None if its end did not come."""

    total: float | None
    standin: float
    own: float | None
    promise: ClassVar[str]
    bound: ClassVar[float]

    def bounds(self) -> dict[str, bool]:
        """The promise and whether it was kept."""
        return {f"{self.promise} within {self.bound:g} s of our own time": self.own is not None and self.own < self.bound}

    @classmethod
    def between(cls, folder: Path, machine: tuple[str, str], begin: float | None, end: float | None) -> Self:
        """From `begin` to `end`. `machine` is an instance and its host name, by which the stand-in knows it: only the commands of its
        own count as the stand-in's time."""
        if not begin or not end or end < begin:
            return cls(None, 0.0, None)
        commands = [line for line in kubeadm(folder) if line["node"] in machine]
        standin = union([(line["start"], line["end"]) for line in commands], begin, end)
        return cls(end - begin, standin, end - begin - standin)


class Joining(Took):
    """One machine from its boot to the end of its `kubeboot up`."""

    promise, bound = "a voter", REPLACE_BOUND


class Leaving(Took):
    """One machine from the begin of its terminate hook until its agent has completed that."""

    promise, bound = "left", LEAVE_BOUND


def joining(folder: Path, instance: str, name: str) -> Joining:
    """How long the last boot of a machine took until it had joined."""
    events = [line for line in read(folder / "events.jsonl") if line.get("node") == instance]
    return Joining.between(folder, (instance, name), last(events, "boot"), last(events, "up-ended"))


def leaving(folder: Path, instance: str, name: str) -> Leaving:
    """How long a machine took to leave."""
    events = read(folder / "events.jsonl")
    waits = [line for line in events if line["event"] == "lifecycle" and line["state"] == "Terminating:Wait"]
    answers = [line for line in events if line["event"] == "hook-call" and line.get("result") == "CONTINUE"]
    begin = first([line for line in waits if line["node"] == instance], "lifecycle")
    after = [line for line in answers if line["instance"] == instance and begin and line["time"] > begin]
    return Leaving.between(folder, (instance, name), begin, first(after, "hook-call"))


def figures(folder: Path) -> Figures:
    """The figures of the world in `folder`, up to now."""
    events, commands = read(folder / "events.jsonl"), kubeadm(folder)
    begin, end = first(events, "up-started"), last(events, "up-ended")
    total = end - begin if begin and end else None
    standin = union([(line["start"], line["end"]) for line in commands], begin or 0, end or 0)
    inits = sum(is_change(line) and line["argv"][0] == "init" for line in commands)
    return Figures(_settled_to_claim(folder, events), total, standin, total - standin if total else None, inits)


def kubeadm(folder: Path) -> list[dict]:
    """The stand-in's record of its commands; argv without the program."""
    lines = [{**line, "argv": _arguments(line["argv"])} for line in read(folder / "standin.jsonl") if "end" in line]
    return [line for line in lines if line["argv"]]


def is_change(command: dict) -> bool:
    """Whether a kubeadm command changes a machine or the cluster."""
    return command["argv"][0] in ("init", "join", "reset") and command["argv"][1:2] != ["phase"]


def first(events: list[dict], name: str) -> float | None:
    return next((line["time"] for line in events if line["event"] == name), None)


def last(events: list[dict], name: str) -> float | None:
    return first(events[::-1], name)


def union(intervals: list[tuple[float, float]], begin: float, end: float) -> float:
    """Seconds between `begin` and `end` that are covered by at least one interval."""
    covered, reached = 0.0, begin
    for start, stop in sorted(intervals):
        start, stop = max(start, reached), min(stop, end)
        if stop > start:
            covered, reached = covered + stop - start, stop
    return covered


def _settled_to_claim(folder: Path, events: list[dict]) -> float | None:
    """From the first answer that showed a machine the settled group to the first successful write of the record."""
    answers = (line["time"] for line in read(folder / "requests.jsonl") if line.get("settled"))
    claims = (
        line["time"]
        for line in events
        if line["event"] == "s3-write" and line["key"] == RECORD and line["status"] == 200
    )
    settled, claim = next(answers, None), next(claims, None)
    return claim - settled if settled and claim else None


def _arguments(argv: list[str]) -> list[str]:
    return argv[1:] if argv and argv[0].rpartition("/")[2] == "kubeadm" else argv
