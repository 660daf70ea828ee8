"""The process of one bench: `python -m systemd.lane CONFIG`, as the first of its own namespaces (lanes.py).

Standard input brings names of cases, one a line; for each goes out one line, its outcome as JSON. All ends with it.
"""

import json
import os
import sys
import traceback
from pathlib import Path

from . import cases
from .bench import Bench
from .departure import Outcome
from .seed import Seed


def main() -> None:
    config = json.loads(sys.argv[1])
    # The answers have standard output for themselves; what else is printed goes to the log.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    roots = {name: Path(root) for name, root in config["roots"].items()}
    seed = Seed(Path(config["seed"]))
    bench = Bench(config["name"], Path(config["folder"]), Path(config["binary"]), roots, seed)
    print("{}", file=answers)
    for line in sys.stdin:
        outcome, sound = tell(bench, line.strip())
        print(outcome.json(), file=answers)
        if not sound:
            break


def tell(bench: Bench, name: str) -> tuple[Outcome, bool]:
    """The outcome of a case, and whether the bench is fit for another one."""
    try:
        outcome = cases.ALL[name].tell(bench)
    except (RuntimeError, OSError, TimeoutError, KeyError) as error:
        traceback.print_exc()
        outcome = Outcome(wrong=[f"the case could not be told: {error}"])
    try:
        bench.clear()
    except (RuntimeError, OSError, TimeoutError) as error:
        traceback.print_exc()
        outcome.wrong.append(f"the bench could not be put back: {error}")
        return outcome, False
    return outcome, True


if __name__ == "__main__":
    main()
