"""Comparing what the stand-in prints with what the real kubeadm printed: the captures without chance."""

import os
import re

CAPTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "kubeadm-1.36")

# What differs from run to run, and what it becomes. The order matters: a URL before the address in it.
_CHANCE = [
    (r'\{"level":"warn".*"method":"([^"]+)".*"error":"(.*)"\}', r"etcd-client \1 \2"),
    (r"^W\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "W "),
    # Go names the reason of a failed dial; which one it is depends on how the lab cut the way.
    (r"dial tcp [^ ]+: .*$", "dial tcp ADDRESS"),
    (r"lookup dl\.k8s\.io.*$", "lookup"),
    (r"\b(?!127\.0\.0\.1\b|10\.96\.0\.1\b)\d{1,3}(\.\d{1,3}){3}\b", "ADDRESS"),
    (r"after [0-9.]+(\u00b5s|ms|s)\b", "after TIME"),
    (r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b", "TOKEN"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"\bn\d\b", "NODE"),
    (r" +$", ""),
]
# Lines whose order is that of a Go map, or of who was healthy first.
_ANY_ORDER = re.compile(r"^\[certs\]|is healthy after")


def normal(text):
    """The lines of an output without chance; a folded run of one line, and such a run itself, become one line."""
    lines = []
    for line in text.splitlines():
        for pattern, plain in _CHANCE:
            line = re.sub(pattern, plain, line)
        folded = line.startswith("# ... ") or (line.startswith("etcd-client ") and lines[-1:] == [line])
        if line and not folded:
            lines.append(line)
    return lines


def compare(shown, captured):
    """Asserts that two outputs say the same: the same lines, and in the same order but for those of any order."""
    shown, captured = normal(shown), normal(captured)
    assert sorted(shown) == sorted(captured)
    assert [line for line in shown if not _ANY_ORDER.search(line)] == [
        line for line in captured if not _ANY_ORDER.search(line)
    ]


def capture(name, stream):
    """The captured output of a row, `out` or `err`; empty where none was kept, which means there was none."""
    file = os.path.join(CAPTURES, f"{name}.{stream}")
    if not os.path.exists(file):
        return ""
    with open(file, encoding="utf-8") as text:
        return text.read().replace("\u2026", "...")


def rows():
    """Every row of the captures' README: {file name: exit code}. A row for two captures counts as two."""
    found = {}
    with open(os.path.join(CAPTURES, "README.md"), encoding="utf-8") as text:
        for line in text:
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) == 6 and re.fullmatch(r"[a-z][a-z0-9, -]+", cells[1]) and cells[1] != "file":
                for name in cells[1].split(", "):
                    found[name] = int(re.search(r"\d", cells[3])[0])
    return found


def replays(name, done, code=None):
    """Asserts that a finished command ended and spoke as in the capture of that name."""
    wanted = rows()[name] if code is None else code
    assert done.returncode == wanted, f"{name}: exit {done.returncode}, not {wanted}\n{done.stdout}{done.stderr}"
    compare(done.stderr, capture(name, "err"))
    compare(done.stdout, capture(name, "out"))
