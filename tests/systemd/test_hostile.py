"""Machines that go down at the worst moment."""

import pytest

from systemd.cases import HOSTILE


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile_moment(case, holds):
    holds(case)
