"""`kubeadm version`."""

import json

from . import node, say


def run(flags):
    """Prints the version as `-o json`, `-o short` or Go's own form."""
    release = node.kubeadm_version()
    major, minor = release.lstrip("v").split(".")[:2]
    info = {
        "major": major,
        "minor": minor,
        "gitVersion": release,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2026-05-12T00:00:00Z",
        "goVersion": "go1.26.0",
        "compiler": "gc",
        "platform": "linux/amd64",
    }
    wanted = flags.get("output", "")
    if wanted == "short":
        say.out(release)
    elif wanted == "json":
        say.out(json.dumps({"clientVersion": info}, indent=2))
    elif wanted:
        raise say.Failure(f"invalid output format: {wanted}")
    else:
        shown = ", ".join(f'{key[0].upper()}{key[1:]}:"{value}"' for key, value in info.items())
        say.out(f"kubeadm version: &version.Info{{{shown}}}")
