"""The group's lifecycle hooks: which of them holds which instance, and whose time is over.

A hook's time begins anew with each heartbeat; its whole time, a hundred times that or 48 hours, does not. There is one hook
for each transition here, where AWS would wait for all that there are.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_SECONDS = 48 * 3600
MOST_HEARTBEATS = 100

# The states in which a hook holds an instance, and the transition of that hook.
WAITS = {
    "Pending:Wait": "launching",
    "Terminating:Wait": "terminating",
    # A machine that comes from service waits like one that is terminated before it goes back into its warm pool (a reuse
    # policy), and when it is terminated in there.
    "Warmed:Pending:Wait": "terminating",
    "Warmed:Terminating:Wait": "terminating",
}
# What a hook is about, as the API calls it.
TRANSITIONS = {
    "launching": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "terminating": "autoscaling:EC2_INSTANCE_TERMINATING",
}


def whole_time(heartbeat: int) -> int:
    """Seconds after which a hook ends, however often it is kept alive."""
    return min(MOST_HEARTBEATS * heartbeat, LONGEST_SECONDS)


@dataclass
class Wait:
    """An instance in a hook: when that began, and when it was kept alive last, on the hooks' clock."""

    transition: str
    began: float
    alive: float


class Hooks:
    """`listed()` returns moto's hooks; `clock` is monotonic."""

    def __init__(self, listed: Callable[[], list], clock: Callable[[], float] = time.monotonic):
        self._listed, self._clock = listed, clock
        self._waits: dict[str, Wait] = {}

    def of(self, transition: str) -> list:
        """The hooks of a transition: `launching` or `terminating`."""
        return [hook for hook in self._listed() if hook.lifecycle_transition == TRANSITIONS[transition]]

    def entered(self, id: str, state: str) -> None:
        """An instance has come into this lifecycle state. To say once more that it waits does not begin its time anew."""
        transition, wait = WAITS.get(state), self._waits.get(id)
        if transition is None:
            self._waits.pop(id, None)
        elif wait is None or wait.transition != transition:
            self._waits[id] = Wait(transition, self._clock(), self._clock())

    def holds(self, id: str, name: str) -> bool:
        """Whether this very hook holds the instance. A wait without any hook, which a test has set, is any hook's."""
        wait = self._waits.get(id)
        if wait is None:
            return False
        names = [hook.name for hook in self.of(wait.transition)]
        return not names or name in names

    def held(self, name: str) -> list[str]:
        """The instances that this hook holds."""
        return [id for id in self._waits if self.holds(id, name)]

    def keep_alive(self, id: str) -> None:
        self._waits[id].alive = self._clock()

    def over(self) -> dict[str, str]:
        """The instances whose hook's time is over, each with that hook's default result."""
        found, now = {}, self._clock()
        for id, wait in self._waits.items():
            for hook in self.of(wait.transition)[:1]:
                if now - wait.alive > hook.heartbeat_timeout or now - wait.began > hook.global_timeout:
                    found[id] = hook.default_result
        return found
