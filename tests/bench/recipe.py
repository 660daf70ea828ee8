"""The shell recipe on a world's machines."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from world.account import BUCKET, PREFIX
from world.addresses import ENDPOINT_NAME, ENDPOINT_PORT
from world.client import run_as
from world.control import ask

from . import tools

FOLDER = tools.HERE / "recipe"
# What it needs beside what every machine has; the world's own folder of programs comes first.
VARIABLES = {"BUCKET": BUCKET, "PREFIX": PREFIX, "ENDPOINT": f"{ENDPOINT_NAME}:{ENDPOINT_PORT}"}
VISIBLE = [str(tools.VENV)]


def command(script: str) -> list[str]:
    """The command that runs one of its scripts on a machine, with this aws cli before any other that the computer may have."""
    given = " ".join(f"{name}={value}" for name, value in VARIABLES.items())
    return ["bash", "-c", f'PATH={tools.VENV}/bin:$PATH {given} exec bash {FOLDER}/{script}']


def grow(folder: Path, seconds: float) -> tuple[float, list[str]]:
    """Has it make a control plane of all machines of a world: how many seconds that took, and what those said that failed."""
    nodes = [str(node["index"]) for node in ask(folder, "status")["nodes"]]
    begin = time.monotonic()
    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        ended = list(pool.map(lambda node: run_as(folder, node, command("grow.sh"), seconds), nodes))
    took = time.monotonic() - begin
    return took, [f"machine {node}: {done.stderr[-500:]}" for node, done in zip(nodes, ended, strict=True) if done.returncode]
