"""The three units together."""

import pytest

from systemd.cases import AGENTS


@pytest.mark.parametrize("case", AGENTS, ids=lambda case: case.name)
def test_it_leaves_once(case, holds):
    holds(case)
