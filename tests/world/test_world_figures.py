"""The demo's figures, from journals of which the answer is known."""

import json

import pytest

from world.figures import figures, joining, leaving, union
from world.outcome import NodeOutcome, wrong
from world.sampling import Sample


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_overlapping_intervals_count_once():
    assert union([(1, 3), (2, 4), (10, 11)], 0, 20) == 4
    assert union([(1, 3), (1, 2)], 0, 20) == 2
    assert union([(-5, 1), (9, 30)], 0, 10) == 2
    assert union([], 0, 10) == 0


def test_figures_come_from_the_journals(tmp_path):
    key = "demo/control-plane/cluster.json"
    write(tmp_path / "events.jsonl", [
        {"time": 100.0, "event": "up-started", "node": "a"},
        {"time": 100.5, "event": "s3-write", "key": key, "status": 412},
        {"time": 100.7, "event": "s3-write", "key": key, "status": 200},
        {"time": 110.0, "event": "up-ended", "node": "a"},
    ])  # fmt: skip
    write(
        tmp_path / "requests.jsonl",
        [{"time": 100.1}, {"time": 100.2, "settled": True}, {"time": 100.3, "settled": True}],
    )
    write(tmp_path / "standin.jsonl", [
        {"node": "a", "argv": ["kubeadm", "init", "phase", "certs"], "start": 100.8, "end": 101.0, "exit": 0},
        {"node": "a", "argv": ["/w/bin/kubeadm", "init", "--config", "f"], "start": 101.0, "end": 104.0, "exit": 0},
        {"node": "b", "argv": ["join", "--config", "f"], "start": 103.0, "end": 107.0, "exit": 0},
    ])  # fmt: skip
    cost = figures(tmp_path)
    assert cost.inits == 1
    assert (cost.settled_to_claim, cost.total, cost.standin, cost.own) == pytest.approx((0.5, 10.0, 6.2, 3.8))
    assert all(cost.bounds(3).values())


def test_a_run_that_came_to_nothing_keeps_no_promise(tmp_path):
    cost = figures(tmp_path)
    assert cost.settled_to_claim is None and cost.total is None
    assert not any(cost.bounds(3).values())


def test_a_replacement_is_measured_from_its_last_boot_and_by_its_own_commands(tmp_path):
    write(tmp_path / "events.jsonl", [
        {"time": 90.0, "event": "boot", "node": "a"},
        {"time": 95.0, "event": "up-ended", "node": "a"},
        {"time": 100.0, "event": "boot", "node": "b"},
        {"time": 101.0, "event": "up-ended", "node": "a"},
        {"time": 110.0, "event": "up-ended", "node": "b"},
        {"time": 120.0, "event": "boot", "node": "c"},
    ])  # fmt: skip
    write(tmp_path / "standin.jsonl", [
        {"node": "n1", "argv": ["kubeadm", "join"], "start": 100.0, "end": 109.0, "exit": 0},
        {"node": "n2", "argv": ["kubeadm", "join"], "start": 102.0, "end": 106.5, "exit": 0},
    ])  # fmt: skip
    took = joining(tmp_path, "b", "n2")
    assert (took.total, took.standin, took.own) == pytest.approx((10.0, 4.5, 5.5))
    assert not any(took.bounds().values())
    assert joining(tmp_path, "a", "none").total == pytest.approx(11.0), "the last end of its last boot counts"
    assert joining(tmp_path, "c", "n3").own is None


def node(index, **different):
    fine = {
        "index": index, "instance": f"i-{index}", "name": f"n{index}", "address": "", "role": "joined", "up_exit": 0, "seconds": 1.0,
        "member": "1", "voter": True, "cluster": "c", "voters_known": 3,
        "nodes_known": ["n1", "n2", "n3"],
    }  # fmt: skip
    return NodeOutcome(**{**fine, **different})


def test_every_way_to_be_wrong_is_said():
    fine = [node(1), node(2), node(3)]
    assert wrong(fine, 3, 1) == []
    assert wrong(fine, 3, 2) == ["kubeadm init ran 2 times, not once"]
    assert wrong(fine[:2], 3, 1) == ["2 machines are on, not 3"]
    assert "same etcd cluster" in wrong([node(1), node(2), node(3, cluster="d")], 3, 1)[0]
    assert "does not answer as a voter" in wrong([node(1), node(2), node(3, voter=False)], 3, 1)[0]
    assert "ended with exit code 4" in wrong([node(1), node(2), node(3, up_exit=4)], 3, 1)[0]
    assert "knows the Nodes ['n1']" in wrong([node(1), node(2), node(3, nodes_known=["n1"])], 3, 1)[0]
    assert "knows 4 voters" in wrong([node(1), node(2), node(3, voters_known=4)], 3, 1)[0]


def test_a_leave_is_from_the_begin_of_the_hook_to_its_completion(tmp_path):
    call = {"event": "hook-call", "instance": "i-2", "hook": "leave"}
    write(tmp_path / "events.jsonl", [
        {**call, "time": 90.0, "hook": "join", "result": "CONTINUE"},
        {"time": 100.0, "event": "lifecycle", "node": "i-2", "state": "Terminating:Wait"},
        {"time": 100.5, "event": "lifecycle", "node": "i-3", "state": "Terminating:Wait"},
        {**call, "time": 101.0, "result": ""},
        {**call, "time": 104.0, "result": "CONTINUE"},
        {**call, "time": 105.0, "instance": "i-9", "result": "CONTINUE"},
    ])  # fmt: skip
    write(tmp_path / "standin.jsonl", [{"node": "n2", "argv": ["kubeadm", "init", "phase"], "start": 101.0, "end": 102.5}])
    took = leaving(tmp_path, "i-2", "n2")
    assert (took.total, took.standin, took.own) == (4.0, 1.5, 2.5)
    assert all(took.bounds().values())
    for other in ("i-3", "i-9"):
        assert leaving(tmp_path, other, "n3").total is None
        assert not any(leaving(tmp_path, other, "n3").bounds().values())


def test_a_sample_keeps_the_worst():
    worst = Sample()
    for healthy, listed in ((3, 3), (3, 4), (2, 4), (4, 4)):
        worst.add(healthy, listed)
    assert worst.describe() == {"fewest": 2, "away": 2, "looks": 4}
