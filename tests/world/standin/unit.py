"""What drop-ins say of a unit's start: the lines ExecStartPre=, read anew for each start, as after a daemon-reload."""

import os
import shlex
import shutil

from . import node

# Of two files of one name the one in the first of these folders counts, as for systemd.
FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
PREFIXES = "-@:+!"


def drop_ins(unit):
    """The files, in the order in which they count."""
    found = {}
    for folder in reversed(FOLDERS):
        place = node.path(f"{folder}/{unit}.d")
        names = os.listdir(place) if os.path.isdir(place) else []
        found |= {name: f"{place}/{name}" for name in names if name.endswith(".conf")}
    return [found[name] for name in sorted(found)]


class Before:
    """What runs before a unit's own program: `commands` are (arguments, is its failure ignored), `env` what they see."""

    def __init__(self, unit):
        self.commands, given, files = [], {}, []
        for key, value in _settings(unit):
            if key == "ExecStartPre":
                self.commands = [*self.commands, _command(value)] if value else []
            elif key == "Environment":
                given |= dict(pair.split("=", 1) for pair in shlex.split(value) if "=" in pair)
            elif key == "EnvironmentFile":
                files = [*files, value] if value else []
        # What the launcher of this stand-in has added is nothing of the machine's.
        mine = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.env = {**mine, **given, **{name: value for file in files for name, value in _variables(file)}}


def _settings(unit):
    """Keys and values of the sections [Service]."""
    for file in drop_ins(unit):
        section = ""
        with open(file, encoding="utf-8") as text:
            lines = text.read().replace("\\\n", " ").splitlines()
        for line in map(str.strip, lines):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and line[0] not in "#;":
                key, value = line.split("=", 1)
                yield key.strip(), value.strip()


def _command(line):
    bare = line.lstrip(PREFIXES)
    ignored = "-" in line[: len(line) - len(bare)]
    program, *arguments = [word.replace("%%", "%") for word in shlex.split(bare)]
    # A machine has its programs in a folder of the world's; the computer's own are not meant.
    return [shutil.which(os.path.basename(program)) or program, *arguments], ignored


def _variables(file):
    """The lines of an environment file; one with a dash before its name may be missing. Raises OSError."""
    path = node.path(file.removeprefix("-"))
    if file.startswith("-") and not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if "=" in line and line[0] not in "#;":
                name, value = line.strip().split("=", 1)
                yield name, value.strip("\"'")
