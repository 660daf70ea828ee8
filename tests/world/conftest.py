"""What the tests of the emulated world share: one world with two machines that run nothing of ours."""

import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

# The stand-ins are run by launchers with this folder as their home, and their tests import them the same way.
sys.path.insert(0, str(Path(__file__).parent))

from world import lifetime
from world.account import REGION
from world.addresses import Addresses, claim_octet
from world.client import run_as
from world.control import ask
from world.options import Options


class Running:
    """A running world with the calls that tests need."""

    def __init__(self, folder: Path):
        self.folder = folder

    def ask(self, verb: str, **arguments):
        return ask(self.folder, verb, **arguments)

    def node(self, node: str | int) -> dict:
        """The status of one machine."""
        return next(n for n in self.ask("status")["nodes"] if str(node) in (str(n["index"]), n["id"]))

    def run(self, node: str | int, *argv: str, **more) -> str:
        """Standard output of a command that must succeed as that machine."""
        done = run_as(self.folder, str(node), list(argv), **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def aws(self, service: str, **more):
        """A boto3 client that does not retry, so that a test sees the first answer."""
        from botocore.config import Config

        return boto3.client(
            service, endpoint_url=self.ask("status")["aws"], region_name=REGION, aws_access_key_id="ASIATEST",
            aws_secret_access_key="x", config=Config(retries={"total_max_attempts": 1}, read_timeout=10, **more),
        )  # fmt: skip


@pytest.fixture
def addresses() -> Iterator[Addresses]:
    """A network that nobody else has meanwhile, worlds and other tests included."""
    claimed, listener = claim_octet()
    with listener:
        yield claimed


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("world")
    lifetime.start(folder, Options(binary="/bin/true", nodes=2, up=False, check_interval=0.1))
    yield Running(folder)
    lifetime.stop(folder)
