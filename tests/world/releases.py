"""Which releases the API servers of a world are of, looked at again and again while something happens."""

import http.client
import json
import ssl
import threading
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .account import CONTROL_PLANE
from .control import WorldError, ask

PORT = 6443
SECONDS = 2.0
# Between two looks. A look asks every machine that is on.
PAUSE_SECONDS = 0.25


def served(address: str) -> str:
    """The version that the API server at an address says to anybody; empty if there is none that answers."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    try:
        with closing(http.client.HTTPSConnection(address, PORT, timeout=SECONDS, context=tls)) as connection:
            connection.request("GET", "/version")
            answer = connection.getresponse()
            return json.loads(answer.read()).get("gitVersion", "") if answer.status == 200 else ""
    except (OSError, http.client.HTTPException, ValueError):
        return ""


def minor(version: str) -> int:
    """The minor release of Kubernetes 1."""
    return int(version.split(".")[1])


@dataclass
class Releases:
    """Every set of releases that was seen side by side, in order, and by how many minor ones the API servers were apart at worst."""

    seen: list[list[str]] = field(default_factory=list)
    apart: int = 0

    def add(self, versions: set[str]) -> None:
        """One look."""
        if not versions:
            return
        if not self.seen or self.seen[-1] != sorted(versions):
            self.seen.append(sorted(versions))
        minors = [minor(version) for version in versions]
        self.apart = max(self.apart, max(minors) - min(minors))

    def describe(self) -> dict:
        return asdict(self)


class ReleaseSampler:
    """Looks from `with` to its end. An API server that has been seen counts until its machine is off: it may only be slow."""

    def __init__(self, folder: Path):
        self._folder, self._done = folder, threading.Event()
        self.releases = Releases()
        self._last: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="release sampler", daemon=True)

    def __enter__(self) -> Releases:
        self._thread.start()
        return self.releases

    def __exit__(self, *_) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                nodes = [node for node in ask(self._folder, "status")["nodes"] if node["role"] == CONTROL_PLANE]
            except WorldError:
                nodes = []
            on = {node["id"]: node["address"] for node in nodes if node["power"] == "on"}
            found = {id: served(address) or self._last.get(id, "") for id, address in on.items()}
            self._last = {id: version for id, version in found.items() if version}
            self.releases.add(set(self._last.values()))
            self._done.wait(PAUSE_SECONDS)
