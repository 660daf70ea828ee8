"""`dev/bench --check`: ratios and counts of one group of three, in less than a minute."""

import time
from collections.abc import Iterator
from pathlib import Path

from world.control import ask
from world.figures import figures as of_journals

from . import recipe, tools, worlds
from .bounds import CHECKED
from .figure import Figure
from .measures import age, decision, waiting

NODES = ["1", "2", "3"]
# Of three decisions one may meet with whatever else the computer does.
DECISIONS, WAIT_SECONDS, AGES = 3, 8.0, (0, 500, 5000)


def figures() -> Iterator[Figure]:
    """Those that have a bound; in few runs, times are no figures."""
    tools.install()
    with worlds.world(nodes=len(NODES), up=False, ids=decision.IDS, visible=recipe.VISIBLE) as folder:
        for figure in story(folder):
            if figure.id in CHECKED:
                yield figure


def story(folder: Path) -> Iterator[Figure]:
    """They decide; they wait, since the group wants one more; they come in; they have been there for long."""
    yield from decision.compared(folder, DECISIONS)
    ask(folder, "desired", count=len(NODES) + 1, scale=False)
    ask(folder, "run")
    for node in NODES:
        worlds.until_logged(folder, node, waiting.SETTLE)
    begun = time.time()
    time.sleep(WAIT_SECONDS)
    yield from waiting.asked(folder, NODES, begun, WAIT_SECONDS, waiting.SETTLE)
    yield from come_in(folder)
    yield from age.aged(folder, AGES, 1)


def come_in(folder: Path) -> Iterator[Figure]:
    """What they ask from the moment on at which the group is whole."""
    begun = time.time()
    ask(folder, "desired", count=len(NODES), scale=False)
    worlds.until_up(folder)
    yield Figure.one("group.inits", "inits of a group of three", "", of_journals(folder).inits)
    for node in NODES:
        instance = worlds.machine(folder, node).name
        asked = sum(line["node"] == instance for line in worlds.requests(folder, begun))
        yield Figure.one("group.calls", "calls of AWS until it is in", "", asked, of=f"machine {node}")
