"""A command as a row of named phases, any of which can be skipped, fail with its name, or run into a fault."""

from . import faults, say


def run(command, phases, skip=()):
    """Runs (name, function) pairs in order, but for those to skip; a part of a phase is named phase/part.

    Raises say.Failure that names the phase, or the name to skip that is none.
    """
    for name in skip:
        if name.split("/")[0] not in dict(phases):
            raise say.Failure(f"invalid phase name: {name}")
    faults.after(command, "start")
    for name, work in phases:
        if name in skip:
            continue
        try:
            work()
            faults.after(command, name)
        except say.Failure as failure:
            raise say.Failure(f"error execution phase {name}: {failure}", failure.code) from failure
