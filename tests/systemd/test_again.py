"""The unit that runs `kubeboot up`, after it has failed."""

import pytest

from systemd.cases import AGAIN


@pytest.mark.parametrize("case", AGAIN, ids=lambda case: case.name)
def test_it_looks_again(case, holds):
    holds(case)
