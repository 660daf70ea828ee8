"""One machine going down, and what became of it and of the cluster: by the word of those who stay."""

import json
import time
from dataclasses import asdict, dataclass, field

from world.client import wait_until

from .bench import LOOK, Bench
from .layers import REAL, Variant
from .watch import Watch
from .ways import Way

# The unit's own budget is below two minutes, and systemd waits for nothing else here.
DOWN_SECONDS = 150.0
SETTLE_SECONDS = 20.0


@dataclass
class Outcome:
    """What a case came to. `wrong` is empty if it holds; `told` is the line that people read."""

    wrong: list[str] = field(default_factory=list)
    told: str = ""
    console: str = ""

    def json(self) -> str:
        return json.dumps(asdict(self))

    def must(self, true: bool, otherwise: str) -> None:
        """Notes what is wrong unless this holds."""
        if not true:
            self.wrong.append(otherwise)


class Departure:
    """One machine of the bench, booted and armed, and the one of the others who is asked about it.

    `kept`: it need not have booted for this alone.
    """

    def __init__(
        self, bench: Bench, slot: int, system: str, variant: Variant = REAL, asked: int = 2, kept: bool = False
    ):
        self.bench, self.slot, self.asked = bench, slot, asked
        self._kind = (slot, system, variant)
        self.machine = bench.machine(slot, system, variant, kept)
        self.outcome = Outcome()
        self.seconds = 0.0

    def is_member(self) -> bool | None:
        """As etcd says, or None if it says nothing."""
        voters = self.bench.voters(self.asked)
        return None if voters is None else self.bench.name(self.slot) in voters

    def go(self, way: Way, may_end: tuple[str, ...] = ()) -> None:
        """Goes down that way, and notes what is not as that way has to be. `may_end`: what need not live meanwhile."""
        address, began = self.bench.node(self.slot).address, time.monotonic()
        with Watch(self.machine, address, self.is_member) as watch:
            way.begin(self.machine)
            if way.ends:
                ended = self.machine.ended(DOWN_SECONDS)
                self.outcome.must(ended == way.ends, f"the machine did not go {way.ends}: {ended or 'it is still on'}")
            else:
                self._settle(watch)
        self.seconds = time.monotonic() - began
        seen = watch.seen
        self.outcome.must(seen.ran == way.runs, f"the unit {'ran' if seen.ran else 'did not run'}")
        for name, at in seen.broken.items():
            self.outcome.must(name in may_end, f"{name} ended while the unit ran, after {at:g} s")

    def judge(self, leaves: bool, tells: bool = True) -> None:
        """Asks who stays, and compares. `tells`: it can reach the bucket to say so there."""
        gone = self._until_answered() is False
        self.outcome.must(gone == leaves, f"the member is {'gone' if gone else 'still there'}")
        if leaves and gone:
            self.outcome.must(not self.bench.has_node(self.slot, self.asked), "its Node object is still there")
            phase = self.bench.phase(self.slot)
            self.outcome.must(not tells or phase == "left", f"it is registered as {phase}")
        verdict = "left" if gone else "stayed"
        self.outcome.told = f"{verdict} after {self.seconds:.1f} s"
        self.outcome.console = self.machine.console(300)

    def undo(self, way: Way) -> None:
        """Keeps the machine for the next case where it can be put back, and all was well."""
        if way.undo and not self.outcome.wrong:
            way.undo(self.machine)
            self.bench.keep(*self._kind, self.machine)

    def _settle(self, watch: Watch) -> None:
        """Waits until the queue is empty and the unit's processes are gone."""

        def idle() -> bool:
            jobs = self.machine.run("systemctl", "list-jobs", "--no-legend").stdout.strip()
            return jobs in ("", "No jobs running.") and (not watch.seen.ran or watch.seen.ended is not None)

        try:
            wait_until(idle, DOWN_SECONDS, LOOK)
        except TimeoutError:
            self.outcome.must(False, "systemd did not come to rest")

    def _until_answered(self) -> bool | None:
        """Those who stay may have to elect a leader first."""
        end = time.monotonic() + SETTLE_SECONDS
        while (member := self.is_member()) is None and time.monotonic() < end:
            time.sleep(LOOK)
        self.outcome.must(member is not None, "those who stay have no quorum")
        return member
