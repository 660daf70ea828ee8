"""The nodes' progress side by side while a world comes up: redrawn in place at a terminal, else a line per change."""

import base64
import json
import re
import shutil
import time
from pathlib import Path
from typing import TextIO

from .account import PREFIX, WORKER
from .control import WorldError, ask

REGISTRATIONS = f"{PREFIX}/control-plane/nodes"
TICK_SECONDS = 0.2
TIME = re.compile(r"^\S+Z\s+")


class Progress:
    """Prints to `out` until the `kubeboot up` of these nodes, or of all that are on, has ended."""

    def __init__(self, folder: Path, out: TextIO, only: list[int] | None = None):
        self._folder, self._out, self._only = folder, out, only
        self._begin = time.monotonic()
        self._shown: dict[str, str] = {}
        self._lines = 0

    def follow(self, seconds: float) -> bool:
        """Shows and waits; False if some node had not ended after that many seconds."""
        while time.monotonic() - self._begin < seconds:
            nodes = [node for node in ask(self._folder, "status")["nodes"] if self._is_followed(node)]
            workers = [node for node in nodes if node.get("role") == WORKER]
            told = {f"node {node['index']} {node['id']}": self._tell(node) for node in nodes if node not in workers}
            self._show({**told, **({"workers": _sum(workers)} if workers else {})})
            if all(node["up_exit"] is not None for node in nodes):
                return True
            time.sleep(TICK_SECONDS)
        return False

    def _is_followed(self, node: dict) -> bool:
        return node["power"] == "on" if self._only is None else node["index"] in self._only

    def _tell(self, node: dict) -> str:
        """One node in a few words: its phase, and what it waits for or else said last."""
        if node["up_exit"] is not None:
            return f"{'done' if node['up_exit'] == 0 else 'FAILED':<14}up ended with exit code {node['up_exit']}"
        said = registration(self._folder, node["id"])
        return f"{said.get('phase') or 'booting':<14}{said.get('waits_for') or _last_message(node)}".rstrip()

    def _show(self, now: dict[str, str]) -> None:
        elapsed = f"{time.monotonic() - self._begin:6.1f} s"
        if not self._out.isatty():
            for node, text in now.items():
                if self._shown.get(node) != text:
                    print(f"{elapsed}  {node}  {text}", file=self._out, flush=True)
        else:
            width = shutil.get_terminal_size().columns
            back = f"\033[{self._lines}F" if self._lines else ""
            lines = [elapsed, *(f"  {node}  {text}" for node, text in now.items())]
            print(back + "\n".join(line[: width - 1] + "\033[K" for line in lines), file=self._out, flush=True)
            self._lines = len(lines)
        self._shown = now


def _sum(workers: list[dict]) -> str:
    """All workers in a few words: there may be a hundred."""
    ended = [worker["up_exit"] for worker in workers if worker["up_exit"] is not None]
    failed = sum(code != 0 for code in ended)
    return f"{len(ended) - failed} of {len(workers)} joined{f', {failed} FAILED' if failed else ''}"


def registration(folder: Path, instance: str) -> dict:
    """What a node has registered about itself; empty if nothing, or nothing that can be read."""
    try:
        body = ask(folder, "s3_get", key=f"{REGISTRATIONS}/{instance}.json")["body"]
        found = json.loads(base64.b64decode(body))
    except (WorldError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _last_message(node: dict) -> str:
    """The last line of its log, without the time."""
    log = Path(node["folder"]) / "disk/var/log/kubeboot.log"
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return TIME.sub("", lines[-1]) if lines else ""
