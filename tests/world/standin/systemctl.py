"""systemctl: keeps the state of units in files, hands kubelet and containerd to the supervisor, runs nothing else.

Every call is noted in /run/standin/systemctl.log, one JSON list of arguments a line.
"""

import contextlib
import json
import os
import sys

from . import control, node, whole
from .unit import FOLDERS, drop_ins

SUPERVISED = ("kubelet.service", "containerd.service")
STATE = "/run/standin/units"
LOG = "/run/standin/systemctl.log"
JOBS = "/run/standin/jobs"
NOT_ACTIVE, NO_UNIT = 3, 4  # exit codes of is-active and status


def _full(unit):
    return unit if "." in unit else unit + ".service"


def _file(unit):
    """The unit's file, or None."""
    return next(
        (node.path(f"{folder}/{unit}") for folder in FOLDERS if os.path.exists(node.path(f"{folder}/{unit}"))), None
    )


def _known(unit):
    return unit in SUPERVISED or bool(_file(unit)) or unit.endswith(".target")


def _state(unit):
    if unit in SUPERVISED:
        try:
            return control.ask(verb="state")[unit.removesuffix(".service")]
        except control.NoSupervisor:
            return "inactive"
    return "active" if os.path.exists(node.path(f"{STATE}/{unit}.active")) else "inactive"


def _switch(verb, unit, flags=()):
    if unit in SUPERVISED:
        try:
            told = control.ask(verb=verb, unit=unit.removesuffix(".service"), no_block="--no-block" in flags)
        except control.NoSupervisor as error:
            return _refuse(f"Failed to {verb} {unit}: {error}")
        problem = told.get("problem")
        if problem == "failed":
            return _refuse(f"Job for {unit} failed because the control process exited with error code.")
        return _refuse(f"Job for {unit} {problem}.") if problem else 0
    mark = node.path(f"{STATE}/{unit}.active")
    if verb == "stop":
        # Another stop of the same unit may come first.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(mark)
    if verb != "stop":
        os.makedirs(os.path.dirname(mark), exist_ok=True)
        whole.write(mark, "")
    return 0


def _wants(unit):
    """The links that enable a unit, by the WantedBy lines of its file."""
    file = _file(unit)
    with open(file, encoding="utf-8") as lines:
        targets = [name for line in lines if line.startswith("WantedBy=") for name in line.strip()[9:].split()]
    return file, [node.path(f"/etc/systemd/system/{target}.wants/{unit}") for target in targets]


def _enable(unit, on):
    if unit in SUPERVISED and not _file(unit):
        return 0
    file, links = _wants(unit)
    for link in links:
        if os.path.lexists(link) and not on:
            os.unlink(link)
        elif on and not os.path.lexists(link):
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(file, link)
            print(f"Created symlink {link} -> {file}.", file=sys.stderr)
    return 0


def _is_enabled(unit):
    if unit in SUPERVISED and not _file(unit):
        return "enabled"
    links = _wants(unit)[1]
    if not links:
        return "static"
    return "enabled" if all(os.path.lexists(link) for link in links) else "disabled"


def _show(unit, properties):
    answers = {
        "LoadState": "loaded" if _known(unit) else "not-found",
        "ActiveState": _state(unit),
        "Id": unit,
        "UnitFileState": _is_enabled(unit) if _known(unit) and not unit.endswith(".target") else "",
        "FragmentPath": _file(unit) or "",
        "SubState": "running" if _state(unit) == "active" else "dead",
        "MainPID": "0",
        "Result": "success",
        "DropInPaths": " ".join(drop_ins(unit)),
        "ExecMainStatus": "0",
        "NRestarts": "0",
    }
    for name in properties or answers:
        print(f"{name}={answers.get(name, '')}")


def _refuse(text):
    print(text, file=sys.stderr)
    return 1


def _list_jobs():
    """The job queue as the world has set it; empty as a rule."""
    try:
        with open(node.path(JOBS), encoding="utf-8") as text:
            print(text.read(), end="")
    except FileNotFoundError:
        print("No jobs running.")
    return 0


def _each(verb, units, flags):
    """A verb for every unit; the worst exit code wins."""
    worst = 0
    for unit in map(_full, units):
        if verb == "is-active" or verb == "status":
            state = _state(unit)
            if "--quiet" not in flags and "-q" not in flags:
                print(state)
            worst = max(worst, 0 if state == "active" else NOT_ACTIVE)
        elif not _known(unit):
            missing = (
                f"Failed to {verb} {unit}: Unit {unit} not found."
                if verb != "enable"
                else f"Failed to enable unit: Unit file {unit} does not exist."
            )
            _refuse(missing)
            worst = max(worst, 5 if verb in ("start", "stop", "restart") else 1)
        elif verb == "is-enabled":
            state = _is_enabled(unit)
            if "--quiet" not in flags and "-q" not in flags:
                print(state)
            worst = max(worst, 0 if state in ("enabled", "static") else 1)
        elif verb in ("enable", "disable"):
            worst = max(worst, _enable(unit, verb == "enable"))
            if "--now" in flags:
                worst = max(worst, _switch("start" if verb == "enable" else "stop", unit, flags))
        else:
            worst = max(
                worst, _switch({"try-restart": "restart", "reload-or-restart": "restart"}.get(verb, verb), unit, flags)
            )
    return worst


def main(argv):
    """One call; returns the exit code systemd would."""
    os.makedirs(node.path("/run/standin"), exist_ok=True)
    with open(node.path(LOG), "a", encoding="utf-8") as log:
        log.write(json.dumps(argv) + "\n")
    properties, words, flags, rest = [], [], [], list(argv)
    while rest:
        each = rest.pop(0)
        if each in ("-p", "--property") and rest:
            properties += rest.pop(0).split(",")
        elif each.startswith("--property="):
            properties += each.partition("=")[2].split(",")
        else:
            (flags if each.startswith("-") else words).append(each)
    if "--version" in flags:
        print("systemd 252 (252.39-1~deb12u1)")
        return 0
    verb, units = (words[0] if words else "list-units"), words[1:]
    if verb == "list-jobs":
        return _list_jobs()
    if verb in ("daemon-reload", "daemon-reexec", "reset-failed"):
        return 0
    if verb == "is-system-running":
        print("running")
        return 0
    if verb == "show":
        for at, unit in enumerate(map(_full, units)):
            if at:
                print()
            _show(unit, properties)
        return 0
    if verb in (
        "start",
        "stop",
        "restart",
        "try-restart",
        "reload-or-restart",
        "enable",
        "disable",
        "is-active",
        "is-enabled",
        "status",
    ):
        return _each(verb, units, flags) if units else _refuse("Too few arguments.")
    return _refuse(f"Unknown command verb '{verb}'.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
