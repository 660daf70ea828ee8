"""A second `kubeboot up` on every node: it must find nothing to do, and do nothing."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .client import run_as
from .figures import is_change, kubeadm
from .outcome import NodeOutcome, look

SECONDS = 120.0


def second_run(folder: Path, before: list[NodeOutcome]) -> dict:
    """Runs it on all of these nodes at once, and says how long that took, how it ended and what is wrong with it."""
    known, begin = len(kubeadm(folder)), time.monotonic()
    with ThreadPoolExecutor(max_workers=max(1, len(before))) as pool:
        runs = list(pool.map(lambda node: run_as(folder, node.instance, ["kubeboot", "up"], SECONDS), before))
    seconds = round(time.monotonic() - begin, 3)
    commands = [command for command in kubeadm(folder)[known:] if is_change(command)]
    found = [
        f"second up of node {node.index}: exit code {run.returncode}: {_last_line(run.stderr)}"
        for node, run in zip(before, runs, strict=True)
        if run.returncode
    ]
    if commands:
        found.append(f"the second up ran kubeadm {commands[0]['argv'][0]}")
    if [node.member for node in look(folder)] != [node.member for node in before]:
        found.append("the second up changed the members of etcd")
    return {"seconds": seconds, "exits": [run.returncode for run in runs], "wrong": found}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
