"""A command as a row of named phases, any of which can be skipped, fail with its name, or run into a fault."""

from . import faults, say


def run(command, phases, skip=()):
    """Runs (name, function) pairs in order. Raises say.Failure that names the phase."""
    faults.after(command, "start")
    for name, work in phases:
        if name in skip:
            continue
        try:
            work()
            faults.after(command, name)
        except say.Failure as failure:
            raise say.Failure(f"error execution phase {name}: {failure}", failure.code) from failure
