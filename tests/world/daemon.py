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
    try:
        serve(Path(sys.argv[1]))
    except (RuntimeError, ValueError, OSError) as error:
        # What a command shows is the end of this log: the reason, not how it got here.
        sys.exit(str(error))


def serve(folder: Path) -> None:
    """Runs the world in `folder` until a signal. Raises RuntimeError, ValueError or OSError if it cannot start."""
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
