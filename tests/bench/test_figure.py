"""Figures and bounds, from numbers of which the answer is known."""

import math

import pytest

from .bounds import CHECKED, PROMISED
from .figure import Bound, Figure, busiest, line, number, ratio


def of(*values, id="demo.own"):
    return Figure(id, "own time", "s", tuple(map(float, values)))


def test_a_figure_is_the_median_of_its_runs():
    assert of(9, 1, 2).value == 2
    assert of(1, 2, 4, 9).value == 3
    assert of(3, 1, 2).spread() == "1 to 3" and of(3).spread() == ""
    assert math.isinf(of(1, math.inf, math.inf).value), "most runs never ended"
    assert of(1, 2, math.inf).value == 2


def test_a_bound_holds_both_ways():
    both = Bound("", most=2, least=1)
    assert [both.keeps(value) for value in (0.9, 1, 2, 2.1, math.inf)] == [False, True, True, False, False]
    assert str(both) == "at least 1 and at most 2"
    assert Bound("", least=5).keeps(math.inf) and not Bound("", most=5).keeps(math.inf)


def test_a_ratio_is_of_medians():
    assert ratio("r", "times", of(6, 100, 7), of(2, 3.5, 9)).value == 2
    assert math.isinf(ratio("r", "times", of(1), of(0)).value)


@pytest.mark.parametrize(
    "value, text",
    [(0, "0"), (3, "3"), (5000, "5,000"), (0.0614, "0.0614"), (0.73, "0.730"), (6.7, "6.70"), (71.49, "71.5"), (math.inf, "never")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_the_busiest_second_begins_whenever_it_likes():
    assert busiest([]) == 0
    assert busiest([0.0, 0.9, 1.1, 1.8, 5.0]) == 3, "0.9 to 1.8"
    assert busiest([3.0, 1.0, 2.0]) == 1, "a second later is another second"
    assert busiest([1.0] * 7) == 7


def test_a_line_says_whether_its_bound_is_kept():
    assert line(of(3), Bound("", most=4)).endswith("at most 4: met")
    assert line(of(5), Bound("", most=4)).endswith("at most 4: MISSED")
    assert ":" not in line(of(5), None)
    assert line(of(3), None).endswith(" 3 s") and line(of(math.inf), None).endswith(" never")


def test_every_bound_bounds_something_and_says_why():
    for id, bound in {**PROMISED, **CHECKED}.items():
        assert bound.why, id
        assert math.isfinite(bound.most) or math.isfinite(bound.least), id
