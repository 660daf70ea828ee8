"""Lifecycle hooks: who waits in which, how long, and how that ends."""

from types import SimpleNamespace

import pytest

from world.hooks import LONGEST_SECONDS, TRANSITIONS, Hooks, whole_time


class Clock:
    """A clock that stands until it is set."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def hook(transition: str, seconds: int, result: str = "ABANDON", name: str = "leave"):
    return SimpleNamespace(
        name=name, lifecycle_transition=TRANSITIONS[transition], heartbeat_timeout=seconds,
        global_timeout=whole_time(seconds), default_result=result,
    )  # fmt: skip


def test_the_whole_time_is_a_hundred_heartbeats_and_two_days_at_most():
    assert whole_time(30) == 3000
    assert whole_time(7200) == LONGEST_SECONDS == 172800


@pytest.mark.parametrize(
    ("transition", "state"),
    [
        ("terminating", "Terminating:Wait"),
        ("terminating", "Warmed:Pending:Wait"),
        ("terminating", "Warmed:Terminating:Wait"),
        ("launching", "Pending:Wait"),
    ],
)
@pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
def test_a_hook_ends_with_its_default_result(transition, state, result):
    clock = Clock()
    hooks = Hooks(lambda: [hook(transition, 30, result)], clock)
    hooks.entered("i-1", state)
    clock.now += 30
    assert hooks.over() == {}
    clock.now += 1
    assert hooks.over() == {"i-1": result}
    hooks.entered("i-1", "InService")
    assert hooks.over() == {}, "it waits no more"


def test_heartbeats_begin_its_time_anew_but_not_its_whole_time():
    clock = Clock()
    hooks = Hooks(lambda: [hook("terminating", 30)], clock)
    hooks.entered("i-1", "Terminating:Wait")
    for _ in range(150):
        clock.now += 20
        assert hooks.over() == {}
        hooks.keep_alive("i-1")
        hooks.entered("i-1", "Terminating:Wait")
    clock.now += 1
    assert hooks.over() == {"i-1": "ABANDON"}, "a hundred heartbeats are over"


def test_a_wait_is_that_of_a_hook_of_its_transition():
    hooks = Hooks(lambda: [hook("terminating", 30), hook("launching", 30, name="join")], Clock())
    hooks.entered("i-1", "Terminating:Wait")
    hooks.entered("i-2", "Pending:Wait")
    assert hooks.holds("i-1", "leave") and not hooks.holds("i-1", "join")
    assert hooks.held("join") == ["i-2"]
    assert not hooks.holds("i-3", "leave")


def test_a_wait_that_a_test_has_set_is_any_hooks_and_has_no_end():
    clock = Clock()
    hooks = Hooks(lambda: [], clock)
    hooks.entered("i-1", "Terminating:Wait")
    clock.now += LONGEST_SECONDS * 2
    assert hooks.holds("i-1", "leave") and hooks.over() == {}
