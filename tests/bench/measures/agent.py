"""What an agent costs while nothing happens."""

from collections.abc import Iterator

from .. import worlds
from ..figure import Figure
from ..plan import Plan

ABOUT = """The agent of one of three voters, to which nothing happens: processor time over the seconds watched, memory at the peak since it
began, calls of AWS."""


def measure(plan: Plan) -> Iterator[Figure]:
    settings = {"terminate_hook": "leave"}
    with worlds.world(nodes=3, terminate_hook="leave", agents=True, settings=settings) as folder:
        worlds.until_up(folder)
        worlds.until_logged(folder, "2", "the group says InService", "kubeboot-agent.log")
        before = worlds.calls(folder, "2")
        cpu, memory = worlds.resident(worlds.process_of(folder, "2", "agent"), plan.seconds)
        asked = worlds.calls(folder, "2") - before
    yield Figure.one("agent.cpu", "processor time of an idle agent", "%", cpu)
    yield Figure.one("agent.memory", "memory of an idle agent", "MiB", memory)
    yield Figure.one("agent.calls", "calls of AWS of an idle agent, each minute", "", asked * 60 / plan.seconds)
