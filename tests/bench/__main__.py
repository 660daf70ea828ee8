"""`dev/bench`: measures, prints a table, and writes the page."""

import argparse
import dataclasses
import os
import signal
import sys
from pathlib import Path

from world import build
from world.control import WorldError

from . import bounds, check, computer, page, tools
from .figure import Figure, line
from .measures import MEASURES
from .plan import Plan
from .results import OF_TESTS, Results, ResultsError, Taken, read

DOCS = build.PROJECT / "docs"
# What is counted in the binary of the unit tests, so that none is built for release.
WITHOUT_BINARY = ("workers",)
ABOUT = """Measures what kubeboot costs, beside what people use today, with a binary that it builds for release. A whole run
takes hours, prints a table and writes docs/benchmarks.md, its pictures and its JSON. Exit code 1 if a figure is
beyond its bound: tests/bench/bounds.py has all of them."""


def main() -> int:
    options = parser()
    arguments = options.parse_args()
    if arguments.list:
        print("\n".join(f"{name:<13}{module.__doc__.splitlines()[0]}" for name, module in MEASURES.items()))
        return 0
    if arguments.binary:
        os.environ["KUBEBOOT_BINARY"] = str(arguments.binary.absolute())
    # Ended from outside, it ends its worlds and the loops that keep the cores busy, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        before = read(arguments.before) if arguments.before else None
        if arguments.page:
            into = arguments.into or DOCS
            return write(read(into / page.JSON), into, before)
        if arguments.check:
            return checked()
        return measured(arguments, before)
    except (WorldError, RuntimeError, TimeoutError, ResultsError, OSError) as error:
        print(f"dev/bench: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="dev/bench", description=ABOUT)
    options.add_argument("--list", action="store_true", help="name the measures, and measure nothing")
    options.add_argument("--only", choices=list(MEASURES), action="append", metavar="NAME", help="this measure (may be repeated)")
    options.add_argument("--check", action="store_true", help="ratios and counts alone, by the binary that cargo built last: for the gate")
    options.add_argument("--quick", action="store_true", help="few runs and short waits, to see that it works")
    options.add_argument("--runs", type=at_least_one, metavar="N", help="how often what is repeated is measured (default: 10)")
    options.add_argument("--seconds", type=float, metavar="S", help="how long each wait is watched (default: 60)")
    options.add_argument("--megabytes", type=at_least_one, metavar="MB", help="how large a database is saved (default: 100)")
    options.add_argument("--binary", type=Path, help="measure this one instead of building one")
    options.add_argument("--into", type=Path, metavar="DIR", default=None, help="write page, pictures and JSON there, beside the measures in its "
                         "JSON that were not taken now (default: docs for a whole run, else nowhere)")  # fmt: skip
    options.add_argument("--before", type=Path, metavar="JSON", help="the figures of an earlier version, to stand beside these on the page")
    options.add_argument("--page", action="store_true", help="make the page anew from its JSON, and measure nothing")
    return options


def at_least_one(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("at least one")
    return int(text)


def measured(arguments: argparse.Namespace, before: Results | None) -> int:
    """Measures what was asked for, and writes it where it is to go. A measure that fails is told, and ends no other."""
    names = arguments.only or list(MEASURES)
    if set(names) - set(WITHOUT_BINARY) and (code := build.build()):
        return code
    # First, for the page names their versions beside every measure.
    tools.install()
    taken, commit, kept = Results(computer.computer(), computer.versions()), computer.commit(), True
    # All of it stands for itself; a part must fit beside what is there, which is looked at before an hour has gone.
    into = arguments.into or (DOCS if is_whole(arguments) else None)
    if arguments.into:
        taken = taken.merged_into(into / page.JSON)
    for name in names:
        try:
            figures = shown(MEASURES[name].measure(plan(arguments)), bounds.PROMISED)
        except (WorldError, RuntimeError, TimeoutError) as error:
            print(f"dev/bench: {name} could not be measured: {error}", file=sys.stderr)
            kept = False
            continue
        binary = OF_TESTS if name in WITHOUT_BINARY else computer.binary()
        taken.measures[name] = Taken(computer.today(), commit, binary, figures)
        kept = all(judged(figure, bounds.PROMISED) for figure in figures) and kept
        if into:
            # After each: what was measured in half an hour is not lost with the next.
            write(taken, into, before)
    return 0 if kept else 1


def is_whole(arguments: argparse.Namespace) -> bool:
    """Whether it is all of it, of the release binary: only that is for the project's own page."""
    return not (arguments.only or arguments.quick or arguments.binary or build.given())


def plan(arguments: argparse.Namespace) -> Plan:
    base = Plan.quick() if arguments.quick else Plan()
    given = {name: value for name in ("runs", "seconds", "megabytes") if (value := getattr(arguments, name)) is not None}
    return dataclasses.replace(base, **given)


def checked() -> int:
    """The gate's step: what a slow and busy computer may say as well."""
    if code := build.build():
        return code
    figures = shown(check.figures(), bounds.CHECKED)
    missing = sorted(set(bounds.CHECKED) - {figure.id for figure in figures})
    if missing:
        print(f"dev/bench: nothing was measured for the bounds {', '.join(missing)}", file=sys.stderr)
    return 0 if not missing and all(judged(figure, bounds.CHECKED) for figure in figures) else 1


def shown(figures, table: dict) -> list[Figure]:
    """All of them, each printed as soon as it is there."""
    found = []
    for figure in figures:
        print(line(figure, table.get(figure.id)), flush=True)
        found.append(figure)
    return found


def judged(figure: Figure, table: dict) -> bool:
    return figure.id not in table or table[figure.id].keeps(figure.value)


def write(results: Results, into: Path, before: Results | None) -> int:
    about = {name: module.ABOUT for name, module in MEASURES.items()}
    files = page.write(into, results, about, before)
    print(f"written: {len(files)} files in {into}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
