"""What AWS says of a machine that goes down: the columns of the table of leaving, and what is right in each."""

from collections.abc import Callable
from dataclasses import dataclass

from .bench import Bench

# The one part of the metadata service that tells where Auto Scaling wants an instance to be.
TARGET = "meta-data/autoscaling/*"
SILENT_SECONDS = 600


@dataclass(frozen=True)
class Column:
    """`says` makes AWS say it of the machine in a slot; `leaves` names the jobs under which the machine leaves then.

    `tells`: it can still reach the bucket.
    """

    says: Callable[[Bench, int], None]
    leaves: tuple[str, ...]
    tells: bool = True


def _lifecycle(state: str) -> Callable[[Bench, int], None]:
    return lambda bench, slot: bench.world.group.set_lifecycle(bench.node(slot).id, state)


def _ec2(state: str) -> Callable[[Bench, int], None]:
    return lambda bench, slot: bench.world.groups.set_ec2_state(bench.node(slot).id, state)


def _target_alone(bench: Bench, slot: int) -> None:
    """Only the machine's own metadata service knows: the APIs deny."""
    _lifecycle("Terminating:Wait")(bench, slot)
    for service in ("autoscaling", "ec2"):
        bench.world.faults.add("error=403/AccessDenied", service=service)


def _lifecycle_alone(bench: Bench, slot: int) -> None:
    """Only the group knows: the metadata service has not caught up."""
    _lifecycle("Terminating:Wait")(bench, slot)
    bench.node(slot).imds.set_mode(f"missing={TARGET}")


def _gone(bench: Bench, slot: int) -> None:
    """The last thing EC2 says of an instance, which is in no group by then."""
    bench.world.group.leave(bench.node(slot).id)
    _ec2("terminated")(bench, slot)


def _silent(bench: Bench, slot: int) -> None:
    """Nobody answers, S3 included."""
    bench.world.faults.add("hang")
    bench.node(slot).imds.set_mode(f"silent={SILENT_SECONDS}")


def _nothing(_bench: Bench, _slot: int) -> None:
    """An instance in service."""


COLUMNS = {
    "target-terminated": Column(_target_alone, ("poweroff", "halt")),
    "lifecycle-terminating": Column(_lifecycle_alone, ("poweroff", "halt")),
    "ec2-shutting-down": Column(_ec2("shutting-down"), ("poweroff", "halt")),
    "ec2-terminated": Column(_gone, ("poweroff", "halt")),
    "ec2-stopping": Column(_ec2("stopping"), ()),
    "standby": Column(_lifecycle("Standby"), ()),
    "running": Column(_nothing, ("poweroff",)),
    "silent": Column(_silent, ("poweroff",), tells=False),
}
