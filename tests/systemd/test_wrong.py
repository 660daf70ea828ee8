"""That the bench sees what is wrong: the unit that is passed around, and kubeboot's own with a part missing."""

import pytest

from systemd.cases import WRONG


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_what_is_wrong_is_caught(case, is_caught):
    is_caught(case, WRONG[case])
