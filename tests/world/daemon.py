"""The process of one world: `python -m world.daemon FOLDER`. It serves until told to end, and all ends with it."""

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from . import lean  # noqa: F401 (before moto)
from . import verbs
from .cli import parser, verb
from .control import Control
from .options import Options
from .world import World


def main(folder: Path) -> int:
    """Runs the world in `folder` to its end; returns the exit code."""
    try:
        serve(folder)
    except (RuntimeError, ValueError, OSError) as error:
        # What a command shows is the end of this log: the reason, not how it got here.
        print(error, file=sys.stderr)
        return 1
    return 0


def serve(folder: Path) -> None:
    """Runs the world in `folder` until a signal. Raises RuntimeError, ValueError or OSError if it cannot start."""
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    world = World(folder, Options.read(folder / "options.json"))
    try:
        world.start()
        # Only now: a command that finds the socket finds a world that stands.
        control = Control(folder, _with_commands(verbs.of(world)))
        print("ready", flush=True)
        done.wait()
        control.shutdown()
    finally:
        world.stop()


def _with_commands(known: dict[str, Callable]) -> dict[str, Callable]:
    """Adds one verb, which takes the words of a command of dev/world: starting Python for each costs more than most of
    them do. Raises ValueError for words that are none, or not one verb."""
    words = parser()

    def no_input() -> bytes:
        raise ValueError("a command that is carried out by the world has no standard input: name a file")

    def command(argv: list[str]):
        try:
            name, given = verb(words.parse_args(argv), no_input)
        except SystemExit as error:
            raise ValueError(f"dev/world has no command '{' '.join(argv)}': the log of the world says why") from error
        if name not in known:
            raise ValueError(f"'{' '.join(argv)}' is no verb of a world: run it with dev/world")
        return known[name](**given)

    return {**known, "command": command}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
