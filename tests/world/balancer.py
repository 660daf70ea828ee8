"""The load balancer before the API servers: passes TCP on to healthy targets and refuses everybody without one."""

import asyncio
import contextlib
import itertools
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from .addresses import ENDPOINT_PORT

MODES = ("normal", "none")
DIAL_SECONDS = 3.0


@dataclass
class Target:
    """One registered machine and how its checks went: `streak` successes (or failures, below zero) in a row."""

    address: str
    healthy: bool = False
    streak: int = 0

    def checked(self, answered: bool, threshold: int) -> None:
        """Takes in one more check; `threshold` equal results in a row change the verdict."""
        self.streak = max(self.streak, 0) + 1 if answered else min(self.streak, 0) - 1
        if abs(self.streak) >= threshold:
            self.healthy = answered


class Balancer:
    """Runs in a thread of its own. `registered()` names the addresses that are targets now."""

    def __init__(self, address: str, registered: Callable[[], list[str]], interval: float = 1.0, threshold: int = 2):
        """Checks every `interval` seconds; a target starts unhealthy, as in AWS."""
        self.address, self.mode = address, "normal"
        self.targets: dict[str, Target] = {}
        self._registered, self._interval, self._threshold = registered, interval, threshold
        self._turn = itertools.count()
        self._listener: asyncio.Server | None = None
        # The rounds and `set_mode` both open and close, and to open takes more than one step of the loop.
        self._changing = asyncio.Lock()
        self._tls = ssl._create_unverified_context()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        runs = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(runs)), name="balancer", daemon=True)
        self._thread.start()
        runs.wait()

    def set_mode(self, mode: str) -> None:
        """`none` refuses everybody, whatever the targets say. Raises ValueError for another word."""
        if mode not in MODES:
            raise ValueError(f"unknown mode '{mode}': one of {', '.join(MODES)}")
        self.mode = mode
        asyncio.run_coroutine_threadsafe(self._open_or_close(), self._loop).result(timeout=5)

    def state(self) -> dict:
        return {
            "mode": self.mode,
            "targets": {t.address: "healthy" if t.healthy else "unhealthy" for t in self.targets.values()},
        }

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(timeout=5)

    async def _run(self, runs: threading.Event) -> None:
        """Checks in rounds until stopped; what is still passed on then is cancelled with the loop."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        runs.set()
        while not self._stopped.is_set():
            self._register()
            await asyncio.gather(*(self._check(target) for target in self.targets.values()))
            await self._open_or_close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), self._interval)
        if self._listener:
            self._listener.close()

    def _register(self) -> None:
        now = self._registered()
        self.targets = {address: self.targets.get(address) or Target(address) for address in now}

    async def _check(self, target: Target) -> None:
        """GET /readyz over TLS, the certificate unchecked as by a network load balancer."""
        answered, writer = False, None
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(DIAL_SECONDS):
                reader, writer = await asyncio.open_connection(target.address, ENDPOINT_PORT, ssl=self._tls)
                writer.write(f"GET /readyz HTTP/1.1\r\nHost: {target.address}\r\nConnection: close\r\n\r\n".encode())
                answered = b" 200 " in await reader.readline()
        if writer:
            writer.transport.abort()
        target.checked(answered, self._threshold)

    async def _open_or_close(self) -> None:
        """Listens only while there is somebody to pass on to: refused is what a client should see otherwise."""
        async with self._changing:
            wanted = self.mode == "normal" and any(target.healthy for target in self.targets.values())
            if wanted and not self._listener:
                self._listener = await asyncio.start_server(self._serve, self.address, ENDPOINT_PORT)
            elif not wanted and self._listener:
                self._listener.close()
                self._listener = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        healthy = [target for target in self.targets.values() if target.healthy]
        if self.mode == "none" or not healthy:
            writer.transport.abort()
            return
        target = healthy[next(self._turn) % len(healthy)]
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                up_reader, up_writer = await asyncio.open_connection(target.address, ENDPOINT_PORT)
        except (OSError, TimeoutError):
            writer.transport.abort()
            return
        await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        for end in (writer, up_writer):
            end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies one direction until its end; the other one lives on."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
