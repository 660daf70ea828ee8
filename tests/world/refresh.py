"""Instance refreshes: machines replaced one after the other, in either order.

With a minimum of 100 per cent the group launches before it terminates; with less it does both at once, as AWS has it
("terminate and launch"). AWS does not say whether a refresh waits for a machine that it has ended and that a hook still
holds. This one does not, which is the harder case. There are no checkpoints, no warm-up and no rollback. With SkipMatching those
are replaced that were launched from an earlier version of the launch template.
"""

import math
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

# What AWS takes where nothing is said.
MINIMUM, MAXIMUM = 90, 100
LIVES = "InProgress"


@dataclass(frozen=True)
class Preferences:
    """How many machines, in per cent of the desired capacity, are to be healthy at least, and there at most."""

    minimum: int = MINIMUM
    maximum: int = MAXIMUM
    skip_matching: bool = False

    def __post_init__(self):
        if not (0 <= self.minimum <= 100 <= self.maximum <= 200 and self.maximum - self.minimum <= 100):
            raise ValueError(
                f"MinHealthyPercentage {self.minimum} and MaxHealthyPercentage {self.maximum}: the first is 0 to 100, the "
                "second 100 to 200, and no more than 100 lie between them"
            )

    @property
    def launches_first(self) -> bool:
        return self.minimum == 100


@dataclass
class Refresh:
    """One instance refresh; `old` are the machines that it has to replace."""

    preferences: Preferences
    old: list[str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = LIVES
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    left: int = 0

    def end(self, status: str) -> None:
        self.status, self.ended = status, datetime.now(UTC)

    def describe(self, group: str) -> dict:
        """As DescribeInstanceRefreshes has it."""
        replaced = len(self.old) - self.left
        return {
            "InstanceRefreshId": self.id, "AutoScalingGroupName": group, "Status": self.status, "Strategy": "Rolling",
            "StartTime": self.started, "EndTime": self.ended, "InstancesToUpdate": self.left,
            "PercentageComplete": 100 * replaced // len(self.old) if self.old else 100,
            "Preferences": {
                "MinHealthyPercentage": self.preferences.minimum, "MaxHealthyPercentage": self.preferences.maximum,
                "SkipMatching": self.preferences.skip_matching,
            },
        }  # fmt: skip


class Refreshes:
    """All refreshes of the group, the last one first. At most one of them lives."""

    def __init__(self):
        self.all: list[Refresh] = []

    @property
    def living(self) -> Refresh | None:
        return next((refresh for refresh in self.all if refresh.status == LIVES), None)

    def start(self, preferences: Preferences, old: list[str]) -> Refresh:
        """Begins to replace these machines. Raises RuntimeError while another refresh lives."""
        if self.living:
            raise RuntimeError(f"the instance refresh {self.living.id} is in progress")
        self.all.insert(0, Refresh(preferences, list(old), left=len(old)))
        return self.all[0]

    def cancel(self) -> Refresh:
        """Ends it where it is: what was launched or ended stays so. Raises RuntimeError if there is none."""
        living = self.living
        if living is None:
            raise RuntimeError("no instance refresh is in progress")
        living.end("Cancelled")
        return living

    def step(self, desired: int, counted: list[str], in_service: list[str]) -> tuple[int, list[str]]:
        """How many machines the group is to have now, and which of them end now. `counted` are the machines that count for its
        capacity, `in_service` those of them that serve."""
        living = self.living
        if living is None:
            return desired, []
        left = [id for id in counted if id in living.old]
        living.left = len(left)
        if not left and len(in_service) >= desired:
            living.end("Successful")
            return desired, []
        wanted, ended = next_step(living.preferences, desired, left, in_service)
        living.left -= len(ended)
        return wanted, ended


def next_step(preferences: Preferences, desired: int, left: list[str], in_service: list[str]) -> tuple[int, list[str]]:
    """The same for one refresh that has these machines left to replace."""
    if preferences.launches_first:
        spare = len(in_service) - desired
    else:
        # One at a time at least: otherwise a small group would never get on.
        kept = min(math.ceil(desired * preferences.minimum / 100), desired - 1)
        spare = len(in_service) - kept
    ended = [id for id in left if id in in_service][: max(0, spare)]
    if not preferences.launches_first:
        return desired, ended
    most = max(desired + 1, desired * preferences.maximum // 100)
    return min(most, desired + len(left) - len(ended)), ended
