"""The command: what it measures, where it writes, and what its exit code says; with measures that cost nothing."""

import sys
from types import SimpleNamespace

import pytest

from . import __main__ as main
from .figure import Bound, Figure
from .results import read


def measure(value: float = 1.0, fails: bool = False):
    """A measure of one figure."""

    def yields(plan):
        if fails:
            raise RuntimeError("this computer is too busy")
        yield Figure.one("thing", "a thing", "s", value)

    return SimpleNamespace(ABOUT="How.", __doc__="A thing.\n\nMore.", measure=yields)


@pytest.fixture(autouse=True)
def nothing_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(main.build, "build", lambda: 0)
    monkeypatch.setattr(main.build, "given", lambda: None)
    monkeypatch.setattr(main.tools, "install", lambda: None)
    monkeypatch.setattr(main.computer, "versions", lambda: {"jq": "1"})
    monkeypatch.setattr(main.computer, "computer", lambda: {"cores": "2"})
    monkeypatch.setattr(main, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(main.bounds, "PROMISED", {"thing": Bound("", most=2)})
    monkeypatch.setattr(main.signal, "signal", lambda *_: None)


def run(monkeypatch, measures: dict, *arguments: str) -> int:
    monkeypatch.setattr(main, "MEASURES", measures)
    monkeypatch.setattr(sys, "argv", ["dev/bench", *arguments])
    return main.main()


def test_a_whole_run_writes_the_page(monkeypatch, tmp_path):
    assert run(monkeypatch, {"a": measure(), "b": measure()}) == 0
    assert list(read(tmp_path / "docs/benchmarks.json").measures) == ["a", "b"]
    assert "## b" in (tmp_path / "docs/benchmarks.md").read_text()


@pytest.mark.parametrize("part", [["--only", "a"], ["--quick"], ["--binary", "/bin/true"]])
def test_a_part_writes_nothing_unless_told(monkeypatch, tmp_path, part):
    # What --binary sets is gone after the test.
    monkeypatch.setenv("KUBEBOOT_BINARY", "")
    assert run(monkeypatch, {"a": measure(), "b": measure()}, *part) == 0
    assert not (tmp_path / "docs").exists()
    assert run(monkeypatch, {"a": measure(), "b": measure()}, *part, "--into", str(tmp_path / "here")) == 0
    assert (tmp_path / "here/benchmarks.md").exists()


def test_a_part_keeps_the_rest_of_what_is_there(monkeypatch, tmp_path):
    into = ["--into", str(tmp_path / "here")]
    run(monkeypatch, {"a": measure(), "b": measure()}, *into)
    run(monkeypatch, {"a": measure(0.5), "b": measure()}, "--only", "a", *into)
    found = read(tmp_path / "here/benchmarks.json").measures
    assert [found[name].figures[0].value for name in ("a", "b")] == [0.5, 1.0]


def test_what_does_not_fit_is_refused_before_it_is_measured(monkeypatch, tmp_path, capsys):
    into = ["--only", "a", "--into", str(tmp_path / "here")]
    run(monkeypatch, {"a": measure()}, *into)
    monkeypatch.setattr(main.computer, "computer", lambda: {"cores": "64"})
    assert run(monkeypatch, {"a": measure(fails=True)}, *into) == 1
    assert "other computer" in capsys.readouterr().err


def test_a_bound_that_is_missed_is_an_exit_code(monkeypatch, capsys):
    assert run(monkeypatch, {"a": measure(3.0), "b": measure()}) == 1
    assert "MISSED" in capsys.readouterr().out


def test_a_measure_that_fails_ends_no_other(monkeypatch, tmp_path, capsys):
    assert run(monkeypatch, {"a": measure(fails=True), "b": measure()}) == 1
    assert list(read(tmp_path / "docs/benchmarks.json").measures) == ["b"]
    assert "a could not be measured: this computer is too busy" in capsys.readouterr().err


def test_the_page_is_made_again_from_its_json(monkeypatch, tmp_path):
    run(monkeypatch, {"a": measure()})
    (tmp_path / "docs/benchmarks.md").write_text("scribbled")
    assert run(monkeypatch, {"a": measure(fails=True)}, "--page") == 0
    assert "scribbled" not in (tmp_path / "docs/benchmarks.md").read_text()
    (tmp_path / "docs").rename(tmp_path / "here")
    assert run(monkeypatch, {}, "--page", "--into", str(tmp_path / "here")) == 0


def test_a_page_of_nothing_says_which_file_is_missing(monkeypatch, capsys):
    assert run(monkeypatch, {"a": measure()}, "--page") == 1
    assert "benchmarks.json" in capsys.readouterr().err


def test_no_binary_is_built_for_what_takes_none(monkeypatch):
    monkeypatch.setattr(main.build, "build", lambda: 101)
    assert run(monkeypatch, {"workers": measure(), "a": measure()}, "--only", "workers") == 0
    assert run(monkeypatch, {"workers": measure(), "a": measure()}, "--only", "a") == 101


def test_the_check_wants_a_figure_for_each_of_its_bounds(monkeypatch, capsys):
    monkeypatch.setattr(main.bounds, "CHECKED", {"thing": Bound("", most=2), "other": Bound("", most=2)})
    monkeypatch.setattr(main.check, "figures", lambda: [Figure.one("thing", "a thing", "", 1)])
    assert run(monkeypatch, {}, "--check") == 1
    assert "other" in capsys.readouterr().err
    monkeypatch.setattr(main.bounds, "CHECKED", {"thing": Bound("", most=2)})
    assert run(monkeypatch, {}, "--check") == 0
    monkeypatch.setattr(main.bounds, "CHECKED", {"thing": Bound("", most=0)})
    assert run(monkeypatch, {}, "--check") == 1


def test_the_list_names_every_measure(monkeypatch, capsys):
    assert run(monkeypatch, {"a": measure()}, "--list") == 0
    assert capsys.readouterr().out == "a            A thing.\n"


def test_a_number_of_runs_is_one_at_least(monkeypatch):
    with pytest.raises(SystemExit):
        run(monkeypatch, {"a": measure()}, "--runs", "0")
