"""The demo's progress where nobody sits at a terminal: a line per change, and an end."""

import base64
import io
import json

import pytest

from world import progress
from world.control import WorldError


def script(monkeypatch, statuses: list[dict], registrations: list[dict]):
    """A world that answers these one after the other, the last for ever."""
    told = {"status": iter(statuses), "s3_get": iter(registrations)}
    last = {}

    def ask(folder, verb, **arguments):
        last[verb] = next(told[verb], last.get(verb))
        if last[verb] is None:
            raise WorldError("no object")
        if verb == "s3_get":
            return {"body": base64.b64encode(json.dumps(last[verb]).encode()).decode()}
        return last[verb]

    monkeypatch.setattr(progress, "ask", ask)
    monkeypatch.setattr(progress, "TICK_SECONDS", 0.001)


def node(exit_code: int | None) -> dict:
    return {"nodes": [{"index": 1, "id": "i-1", "up_exit": exit_code, "power": "on", "folder": "/nonexistent"}]}


def test_who_is_off_or_not_asked_for_is_not_waited_for(monkeypatch, tmp_path):
    off = {"index": 2, "id": "i-2", "up_exit": None, "power": "off", "folder": "/nonexistent"}
    other = {**off, "index": 3, "power": "on"}
    script(monkeypatch, [{"nodes": node(0)["nodes"] + [off]}], [None])
    assert progress.Progress(tmp_path, io.StringIO()).follow(seconds=5)
    script(monkeypatch, [{"nodes": node(0)["nodes"] + [other]}], [None])
    assert progress.Progress(tmp_path, io.StringIO(), only=[1]).follow(seconds=5)
    assert not progress.Progress(tmp_path, io.StringIO()).follow(seconds=0.05)


def test_changes_are_told_once(monkeypatch, tmp_path):
    waiting, joined = {"phase": "waiting", "waits_for": "the cluster"}, {"phase": "joined"}
    script(monkeypatch, [node(None)] * 3 + [node(0)], [None, waiting, waiting, joined])
    out = io.StringIO()
    assert progress.Progress(tmp_path, out).follow(seconds=5)
    lines = [line.split("node ", 1)[1] for line in out.getvalue().splitlines()]
    assert [line.split() for line in lines] == [
        ["1", "i-1", "booting"],
        ["1", "i-1", "waiting", "the", "cluster"],
        ["1", "i-1", "done", "up", "ended", "with", "exit", "code", "0"],
    ]


def test_a_run_without_end_is_given_up(monkeypatch, tmp_path):
    script(monkeypatch, [node(None)], [{"phase": "waiting"}])
    assert not progress.Progress(tmp_path, io.StringIO()).follow(seconds=0.05)


@pytest.mark.parametrize("body", ["not json", "[]"])
def test_garbage_in_a_registration_does_no_harm(monkeypatch, tmp_path, body):
    monkeypatch.setattr(progress, "ask", lambda *_, **__: {"body": base64.b64encode(body.encode()).decode()})
    assert progress.registration(tmp_path, "i-1") == {}


def test_all_workers_are_one_line(monkeypatch, tmp_path):
    def status(*exits: int | None) -> dict:
        workers = [{**node(code)["nodes"][0], "index": at, "role": "worker"} for at, code in enumerate(exits, start=2)]
        return {"nodes": [*node(0)["nodes"], *workers]}

    script(monkeypatch, [status(None, None, None), status(0, None, 1), status(0, 0, 1)], [None])
    out = io.StringIO()
    assert progress.Progress(tmp_path, out).follow(seconds=5)
    lines = [line.split(" s  ", 1)[1] for line in out.getvalue().splitlines() if "workers" in line]
    assert lines == ["workers  0 of 3 joined", "workers  1 of 3 joined, 1 FAILED", "workers  2 of 3 joined, 1 FAILED"]
