"""journalctl: the last lines that a unit of this machine has logged, as text. Only kubelet's are kept, and only of this boot."""

import sys

from . import node

FLAGS = ("--boot", "-b", "--no-pager", "--quiet", "-q")
VALUES = {"--unit": "unit", "-u": "unit", "--lines": "lines", "-n": "lines", "--output": "output", "-o": "output"}


def main(argv):
    """Prints them; whatever is not known is refused."""
    options, rest = {"lines": "10"}, list(argv)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in VALUES:
            if not equals and not rest:
                sys.exit(f"journalctl: option '{name}' requires an argument")
            options[VALUES[name]] = value if equals else rest.pop(0)
        elif name not in FLAGS:
            sys.exit(f"journalctl: unrecognized option '{name}'")
    unit = options.get("unit", "").removesuffix(".service")
    lines = node.lines(f"/run/standin/journal/{unit}")
    if not lines and not {"--quiet", "-q"} & set(argv):
        print("-- No entries --")
    for line in lines[max(0, len(lines) - int(options["lines"])) :]:
        print(line if options.get("output") == "cat" else f"Jan 01 00:00:00 {node.host_name()} {unit}[1]: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
