"""What measures make of what they have seen, from journals and runs of which the answer is known."""

import contextlib
import math
import statistics

import pytest

from . import check, worlds
from .measures import age, decision, group, size, waiting, workers
from .metering import Cost
from .plan import Plan


def by_id(figures) -> dict[str, list]:
    found: dict[str, list] = {}
    for figure in figures:
        found.setdefault(figure.id, []).append(figure)
    return found


def seen(**different) -> dict:
    return {
        "scene": "nothing is published", "loops": 1000, "seconds": 10, "requests": 2500, "peak": 300, "unchanged": 0,
        "heartbeats": 100, "heartbeat_peak": 50, "api_server": 0, "cpu": 20.0, "memory": 500 << 20, **different,
    }  # fmt: skip


def test_waiting_workers_are_judged_by_the_means_of_a_second():
    found = by_id(workers.waiting_workers(seen()))
    assert [figure.value for figure in found["workers.peak"]] == [300 / 250, 50 / 10]
    assert found["workers.requests"][0].value == 250 and found["workers.heartbeats"][0].value == 10
    # 250 a second for 600 s are 150,000 GETs.
    assert found["workers.dollars"][0].value == pytest.approx(0.06)
    # Two of ten seconds, and half a gibibyte, for a thousand.
    assert found["workers.cpu"][0].value == pytest.approx(0.2) and found["workers.memory"][0].value == pytest.approx(0.5)


def test_of_few_requests_no_peak_is_judged():
    few = seen(loops=1, requests=3, peak=2, heartbeats=1, heartbeat_peak=1)
    assert not {"workers.peak", "workers.memory"} & by_id(workers.waiting_workers(few)).keys()


def test_a_computer_that_is_too_busy_is_no_thousand_workers():
    with pytest.raises(RuntimeError, match="too busy"):
        list(workers.waiting_workers(seen(requests=1500)))
    # One that knows the objects asks for two in each look.
    assert list(workers.waiting_workers(seen(requests=5000, unchanged=5000)))


def test_a_run_of_kubeadm_is_told_apart_from_a_phase():
    commands = [
        {"node": "a", "argv": ["init", "--config", "f"], "start": 10.0, "end": 18.0},
        {"node": "b", "argv": ["init", "phase", "certs"], "start": 18.0, "end": 19.0},
        {"node": "b", "argv": ["join", "phase", "preflight"], "start": 19.0, "end": 21.0},
        {"node": "b", "argv": ["join", "--config", "f"], "start": 21.0, "end": 31.0},
        {"node": "c", "argv": ["join", "--config", "f"], "start": 31.0, "end": 44.0},
        {"node": "c", "argv": ["version"], "start": 1.0, "end": 2.0},
    ]
    init, joins = group.lasted(commands)
    assert init == 8.0 and sorted(joins) == [12.0, 13.0]
    assert group.lasted([]) == (0, [])


def test_a_group_is_held_against_the_recipe_and_against_a_series():
    runs = [group.Run(total=total, own=4.0, init=8.0, join=13.0) for total in (30.0, 27.0, 90.0)]
    found = by_id(group.compared(3, runs, [60.0, math.inf, math.inf]))
    value = {id: figures[0].value for id, figures in found.items()}
    assert value == {"group.total": 30, "group.recipe": math.inf, "group.series": 34, "group.kubeadm": 26, "group.own": 4, "group.over_one_join": 9}
    assert "group.over_one_join" not in by_id(group.compared(5, runs, [1.0]))


def test_calls_count_from_the_moment_on_and_for_those_machines(monkeypatch, tmp_path):
    lines = [{"node": node, "arrived": at} for node, at in (("a", 10.1), ("a", 10.2), ("b", 10.9), ("b", 13.0), ("c", 10.5), ("a", 14.0))]
    monkeypatch.setattr(worlds, "machine", lambda folder, node: tmp_path / node)
    monkeypatch.setattr(worlds, "requests", lambda folder, since: [line for line in lines if line["arrived"] >= since])
    found = by_id(waiting.asked(tmp_path, ["a", "b"], 10.0, 4.0, "here"))
    assert found["waiting.calls"][0].value == 4 / 4 / 2, "one is another machine's, and one came after the end"
    assert found["waiting.busiest"][0].value == 3


def costs(monkeypatch, module, name, calls) -> None:
    """Has each command cost this many calls, in turn."""
    taken = iter(calls)
    monkeypatch.setattr(module, name, lambda *_, **__: Cost(1.0, 0.5, 20.0, 3, next(taken), 0, ""))


def test_age_is_the_oldest_beside_the_youngest(monkeypatch, tmp_path):
    buried = []
    monkeypatch.setattr(age, "bury", lambda folder, numbers: buried.append(numbers))
    costs(monkeypatch, age, "succeeds", [10, 12, 10, 12, 20, 12])
    found = by_id(age.aged(tmp_path, (0, 500, 5000), 1))
    assert buried == [range(0, 0), range(0, 500), range(500, 5000)]
    assert [figure.value for figure in found["age.calls_ratio"]] == [2.0, 1.0]


def test_programs_are_counted_in_a_run_that_gives_no_times(monkeypatch, tmp_path):
    asked = []

    def decide(folder, who, programs=False):
        asked.append((who, programs))
        wall = 100.0 if programs else {decision.KUBEBOOT: 0.5, decision.RECIPE: 3.0}[who]
        return Cost(wall, wall, 20.0, 6 if programs else 0, 12, 0, "")

    monkeypatch.setattr(decision, "decide", decide)
    monkeypatch.setattr(decision.recorded, "install", lambda *_: None)
    found = by_id(decision.compared(tmp_path, 2))
    assert found["decision.wall_ratio"][0].value == 6
    assert found["decision.programs.kubeboot"][0].values == (6,)
    turns = [(decision.KUBEBOOT, False)] + [(who, True) for who in decision.COMMANDS] + 2 * [(who, False) for who in decision.COMMANDS]
    assert asked == turns, "in turns, so that what else the computer does hits both"


def test_a_start_is_measured_without_the_first(monkeypatch, tmp_path):
    binary, starts = tmp_path / "kubeboot", iter([(9.0, 9.0), (1.0, 0.5), (2.0, 0.5), (3.0, 0.5)])
    binary.write_bytes(bytes(2**20))
    monkeypatch.setattr(size.build, "binary", lambda: binary)
    monkeypatch.setattr(size, "start", lambda _: next(starts))
    found = by_id(size.measure(Plan(runs=3)))
    assert found["size"][0].value == 1
    assert statistics.median(found["size.start"][0].values) == 2


def test_only_what_has_a_bound_is_checked(monkeypatch, tmp_path):
    told = [*workers.waiting_workers(seen()), *group.compared(3, [group.Run(1, 1, 1, 1)], [1.0])]
    told += [waiting.Figure.one("waiting.calls", "calls", "", 1)]
    monkeypatch.setattr(check.tools, "install", lambda: None)
    monkeypatch.setattr(check.worlds, "world", lambda **_: contextlib.nullcontext(tmp_path))
    monkeypatch.setattr(check, "story", lambda folder: told)
    assert [figure.id for figure in check.figures()] == ["waiting.calls"]
