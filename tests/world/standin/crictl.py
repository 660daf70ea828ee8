"""crictl: what of it a node's tools ask of the container runtime."""

import json
import sys

from . import control, cri

HEX = 64  # characters of a container ID


def _answer(verb):
    problem = cri.down(cri.DEFAULT)
    if problem:
        sys.exit(f"FATA[0000] {problem}")
    try:
        return control.ask(verb=verb)["containers"]
    except control.NoSupervisor as error:
        sys.exit(f"FATA[0000] {error}")


def _ident(name):
    return name.encode().hex().ljust(HEX, "0")[:HEX]


def main(argv):
    """`ps`, `pods`, `rm`, `rmp`, `stop`, `stopp`, `info`, `version`; anything else is refused."""
    words = [each for each in argv if not each.startswith("-")]
    verb = words[0] if words else ""
    if verb in ("info", "version"):
        _answer("containers")
        print(json.dumps({"runtimeName": "containerd", "runtimeVersion": "v2.1.0", "status": {"conditions": []}}))
    elif verb in ("ps", "pods"):
        for each in _answer("containers"):
            if each["running"] or "-a" in argv or "--all" in argv:
                quiet = {"-q", "--quiet", "-aq"} & set(argv)
                print(_ident(each["name"]) if quiet else f"{_ident(each['name'])[:13]}  {each['name']}")
    elif verb in ("rm", "rmp", "stop", "stopp"):
        _answer("remove-containers")
    else:
        sys.exit(f"No help topic for '{verb}'")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
