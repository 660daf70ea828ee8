"""The page, its pictures and its JSON, from a sample of results that nobody measured."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from docs.blocks import COMMANDS, PROJECT, blocks, unfenced

from . import bars, page
from .figure import Figure
from .measures import MEASURES
from .results import OF_TESTS, Results, ResultsError, Taken, read

ABOUT = {"decision": "How it was got.", "leave": "How that was got."}


def results(binary="release", computer="2", times=(0.5, 0.6, 0.7)) -> Results:
    figures = [
        Figure("decision.wall.kubeboot", "a decision: time", "s", times, of="kubeboot", plot="A decision: time"),
        Figure("decision.wall.recipe", "a decision: time", "s", (6.5, math.inf, 6.7), of="recipe", plot="A decision: time"),
        Figure("size", "size of the binary", "MiB", (16.0,)),
    ]
    left = Figure("leave.own", "leaving | for a hook", "s", (1.0,))
    return Results({"cores": computer}, {"jq": "jq-1.6"}, {
        "decision": Taken("2026-01-02", "0123456789", binary, figures),
        "leave": Taken("2026-01-02", "0123456789", binary, [left]),
    })  # fmt: skip


def test_results_survive_their_file(tmp_path: Path):
    page.write(tmp_path, results(), ABOUT)
    text = (tmp_path / "benchmarks.json").read_text()
    assert "Infinity" not in text and json.loads(text)["measures"]["decision"]["figures"][1]["values"] == [6.5, None, 6.7]
    assert read(tmp_path / "benchmarks.json") == results()


@pytest.mark.parametrize("text", ["", '{"schema": 1, "computer": {}, "versions": {}, "measures": []}', "[]", "{}", '{"schema": 2}', '{"schema": 1, "computer": {}, "versions": {}, "measures": {"a": 1}}'])
def test_what_are_no_results_is_refused(tmp_path: Path, text: str):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ResultsError, match="r.json"):
        read(tmp_path / "r.json")


def test_a_figure_without_values_is_refused():
    text = results().to_json().replace("16.0", "")
    with pytest.raises(ResultsError, match="no values"):
        Results.from_json(text)


def test_a_measure_that_was_not_taken_keeps_its_figures(tmp_path: Path):
    page.write(tmp_path, results(), ABOUT)
    newer = results(times=(0.1,))
    del newer.measures["leave"]
    merged = newer.merged_into(tmp_path / "benchmarks.json")
    assert merged.measures["decision"].figures[0].values == (0.1,)
    assert merged.measures["leave"] == results().measures["leave"]
    assert newer.merged_into(tmp_path / "none.json") == newer


def test_figures_of_two_computers_do_not_stand_in_one_table(tmp_path: Path):
    page.write(tmp_path, results(), ABOUT)
    with pytest.raises(ResultsError, match="other computer"):
        results(computer="64").merged_into(tmp_path / "benchmarks.json")


def test_the_page_has_every_figure_and_how_it_was_got():
    text = page.text(results(), ABOUT)
    assert "| a decision: time, kubeboot | 0.600 | s | 0.500 to 0.700 | 3 |  |" in text
    assert "| size of the binary | 16 | MiB |  | 1 | at most 15: **missed** |" in text
    assert "| leaving / for a hook | 1 | s |  | 1 | at most 5: met |" in text
    for told in (*ABOUT.values(), "2026-01-02", "0123456789", "| cores | 2 |", "jq-1.6"):
        assert told in text
    assert page.NOT_RELEASED not in text


def test_figures_of_another_binary_are_no_promise():
    assert page.NOT_RELEASED in page.text(results(binary="dev"), ABOUT)
    assert page.NOT_RELEASED not in page.text(results(binary=OF_TESTS), ABOUT)


def test_what_was_before_stands_beside_it():
    text = page.text(results(), ABOUT, before=results(times=(2.5,)))
    assert "| runs | bound | before |" in text
    assert "| 0.500 to 0.700 | 3 |  | 2.50 |" in text


def test_the_page_is_one_as_all_others_are(tmp_path: Path):
    page.write(tmp_path, results(), {name: module.ABOUT for name, module in MEASURES.items()})
    file = tmp_path / "benchmarks.md"
    assert [block.kind for block in blocks(file)] == ["console gate"] and blocks(file)[0].kind in COMMANDS
    assert not unfenced(file)
    named = [line.partition("](")[2].rstrip(")") for line in file.read_text().splitlines() if line.startswith("![")]
    assert named == ["benchmarks/decision-a-decision-time.svg"] and all((tmp_path / name).exists() for name in named)
    picture = (tmp_path / named[0]).read_text()
    assert ">kubeboot<" in picture and ">recipe<" in picture, "a bar is called by what tells it from the others"


def test_a_picture_has_a_bar_for_each_and_the_longest_fits():
    picture = bars.svg("A <title>", "s", [("kubeboot", 1.0), ("recipe & more", 4.0), ("plain kubeadm", math.inf)])
    root = ElementTree.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.get("width")) for bar in root.findall(f"{space}rect")][1:]
    assert widths == [bars.BAR / 4, bars.BAR, 0]
    texts = [text.text for text in root.findall(f"{space}text")]
    assert texts == ["A <title>", "kubeboot", "1 s", "recipe & more", "4 s", "plain kubeadm", "never"]
    colours = [bar.get("fill") for bar in root.findall(f"{space}rect")][1:]
    assert colours == [bars.COLOURS[0], bars.COLOURS[1], bars.COLOURS[1]]


def test_bars_of_nothing_are_drawn():
    assert "<svg" in bars.svg("none", "", [("a", 0.0)]) and "<svg" in bars.svg("none", "", [])


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_says_how_it_is_got(name: str):
    about = MEASURES[name].ABOUT
    assert about.endswith(".") and "\n\n" not in about
    # As dev/links looks for them on a page.
    gone = [path for path in re.findall(r"`((?:dev|docs|src|tests)/[\w./-]+)", about) if not (PROJECT / path).exists()]
    assert not gone
