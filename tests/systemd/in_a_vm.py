"""The same in virtual machines, with a real power button: `dev/test --vm` names this file, nobody else collects it."""

import pytest

from systemd.cases import VIRTUAL


@pytest.mark.parametrize("case", VIRTUAL, ids=lambda case: case.name)
def test_in_a_virtual_machine(case, holds):
    holds(case)
