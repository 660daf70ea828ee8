"""Starts the benches, and gives each test the outcome of its case."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from world.build import binary

from systemd import roots
from systemd.cases import Case
from systemd.lanes import Lanes


class Session:
    """Every case of this session, on its way from the first test on."""

    def __init__(self, cases: list[Case]):
        made = roots.make({case.system for case in cases})
        self._reasons = {system: roots.why_not(root, binary()) for system, root in made.items()}
        # Most of a case is waiting, for systemd or for etcd's own pauses.
        count = int(os.environ.get("TEST_BENCHES") or 2 * (os.cpu_count() or 1))
        self._lanes = Lanes(count, binary(), made)
        rows: dict[str, list[str]] = {}
        for case in sorted(cases, key=lambda case: not case.long):
            if not self._reasons[case.system]:
                rows.setdefault(case.row or case.name, []).append(case.name)
        self._lanes.start(list(rows.values()))

    def outcome(self, case: Case) -> dict:
        """Waits for the outcome of a case; skips the test where its machine cannot run."""
        if reason := self._reasons[case.system]:
            pytest.skip(reason)
        return self._lanes.outcome(case.name)

    def end(self) -> None:
        self._lanes.end()


@pytest.fixture(scope="session")
def session(request) -> Iterator[Session]:
    # A gate that runs out of time ends us politely: then the benches are ended, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    items = [item for item in request.session.items if hasattr(item, "callspec")]
    running = Session([item.callspec.params["case"] for item in items if "case" in item.callspec.params])
    yield running
    running.end()


# What is promised in seconds, and so told also when all is well.
_promised: list[str] = []


def pytest_terminal_summary(terminalreporter) -> None:
    for line in _promised:
        terminalreporter.write_line(line)


@pytest.fixture
def holds(session: Session) -> Callable[[Case], None]:
    """Waits for a case, says how it went, and fails with what is wrong."""

    def hold(case: Case) -> None:
        outcome = session.outcome(case)
        print(outcome["told"])
        if "healthy voters" in outcome["told"]:
            _promised.append(f"{case.name}: {outcome['told']}")
        wrong = "\n".join(f"- {each}" for each in outcome["wrong"])
        assert not outcome["wrong"], f"\n{wrong}\n\nthe machine's console:\n{outcome['console']}"

    return hold


@pytest.fixture
def is_caught(session: Session) -> Callable[[Case, tuple[str, ...]], None]:
    """Waits for a case, and fails unless the bench found all of this wrong with it."""

    def caught(case: Case, complaints: tuple[str, ...]) -> None:
        wrong = session.outcome(case)["wrong"]
        print("; ".join(wrong))
        missed = [text for text in complaints if not any(each.startswith(text) for each in wrong)]
        assert not missed, f"the bench did not see: {missed}; it saw: {wrong}"

    return caught
