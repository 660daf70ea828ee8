"""What the demo of an upgrade measures: a client's longest gap, what was lost, and how far apart API servers were."""

import ssl
import time

import pytest

from world.releases import Releases
from world.writing import Writer


class Fake:
    """An API server that takes what is written, and does not answer some attempts."""

    def __init__(self, silent: range, forgets: bool = False):
        self.silent, self.forgets, self.asked, self.last = silent, forgets, 0, "0"

    def call(self, method: str, _path: str, body: dict | None = None) -> dict:
        self.asked += 1
        if method == "PATCH":
            if self.asked in self.silent:
                raise OSError("refused")
            self.last = body["data"]["last"]
        return {"data": {"last": "1" if self.forgets else self.last}}


def written(fake: Fake) -> Writer:
    """A client of it, after a second."""
    writer = Writer("127.0.0.1", ssl.create_default_context())
    writer._kube = fake
    with writer:
        time.sleep(1)
    return writer


def test_the_longest_gap_is_that_between_two_acknowledged_writes():
    writer = written(Fake(range(5, 11)))
    assert writer.written.failed == 6 and writer.written.writes > 5
    # Six attempts and the one after them, with a pause of 50 ms before each.
    assert 0.3 < writer.written.longest_gap < 0.9
    assert not writer.is_lost()


def test_a_client_that_is_kept_from_writing_to_the_end_says_so():
    writer = written(Fake(range(2, 1000)))
    assert writer.written.writes == 0 and writer.written.longest_gap > 0.9


def test_what_was_acknowledged_and_is_gone_is_lost():
    assert "was acknowledged, and 1 is what is there" in written(Fake(range(0), forgets=True)).is_lost()


@pytest.mark.parametrize(
    ("looks", "seen", "apart"),
    [
        ([], [], 0),
        ([set(), {"v1.35.6"}, {"v1.35.6"}], [["v1.35.6"]], 0),
        ([{"v1.35.6"}, {"v1.36.3", "v1.35.6"}, {"v1.36.3"}], [["v1.35.6"], ["v1.35.6", "v1.36.3"], ["v1.36.3"]], 1),
        ([{"v1.35.6", "v1.37.0", "v1.36.3"}], [["v1.35.6", "v1.36.3", "v1.37.0"]], 2),
        ([{"v1.9.1", "v1.10.0"}], [["v1.10.0", "v1.9.1"]], 1),
    ],
)
def test_releases_side_by_side(looks, seen, apart):
    releases = Releases()
    for versions in looks:
        releases.add(versions)
    assert (releases.seen, releases.apart) == (seen, apart)
