"""The process of one world: `python -m world.daemon FOLDER`. It serves until told to end, and all ends with it."""

import signal
import sys
import threading
from pathlib import Path

from . import verbs
from .control import Control
from .options import Options
from .world import World


def main() -> None:
    folder = Path(sys.argv[1])
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    world = World(folder, Options.read(folder / "options.json"))
    try:
        world.start()
        # Only now: a command that finds the socket finds a world that stands.
        control = Control(folder, verbs.of(world))
        print("ready", flush=True)
        done.wait()
        control.shutdown()
    finally:
        world.stop()


if __name__ == "__main__":
    main()
