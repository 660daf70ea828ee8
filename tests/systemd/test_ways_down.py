"""Every way down on every systemd, and every field of the table of leaving."""

import pytest

from systemd.cases import TABLE, WAYS_DOWN


@pytest.mark.parametrize("case", WAYS_DOWN, ids=lambda case: case.name)
def test_way_down(case, holds):
    holds(case)


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_table_of_leaving(case, holds):
    holds(case)
