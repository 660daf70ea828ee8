"""An etcd whose clients are served late: it votes at once, and its client ports open some seconds after its start.

So does a promoted voter of etcd 3.6: it listens for clients only once it has published itself. Until then it has no name and no client
addresses in the list, which the etcd at hand publishes at once. So another port tells meanwhile that it has not, and whoever plays
kubeadm does not see them (`etcdapi.py`).

    python -m standin.late SECONDS ETCD FLAG...
"""

import asyncio
import re
import signal
import socket
import subprocess
import sys

from . import containers

HIDDEN = 10000  # is added to the port on which etcd itself listens for clients
UNPUBLISHED = 20000  # is added to it where somebody listens for as long as it has not published itself
CHUNK = 1 << 16
FLAG = "--listen-client-urls="


def hidden(flags):
    """The flags with other client ports, and the (address, port, port of etcd) of each."""
    places, changed = [], []
    for flag in flags:
        for scheme, host, port in re.findall(r"(https?)://(\[[^]]+]|[^:/,]+):(\d+)", flag) if flag.startswith(FLAG) else []:
            places.append((host.strip("[]"), int(port), int(port) + HIDDEN))
            flag = flag.replace(f"{scheme}://{host}:{port}", f"{scheme}://{host}:{int(port) + HIDDEN}")
        changed.append(flag)
    return changed, places


async def _copy(reader, writer):
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def is_unpublished(address, port):
    """Whether the etcd of these clients' address has not published itself yet."""
    try:
        with socket.create_connection((address, port + UNPUBLISHED), timeout=1):
            return True
    except OSError:
        return False


def _forward(host, port):
    async def serve(reader, writer):
        try:
            back, forth = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, forth), _copy(back, writer))

    return serve


async def _run(seconds, command):
    flags, places = hidden(command)
    process = subprocess.Popen(flags, preexec_fn=containers.die_with_parent)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    ended = asyncio.get_running_loop().run_in_executor(None, process.wait)
    signs = [await asyncio.start_server(lambda _, writer: writer.close(), host, port + UNPUBLISHED) for host, port, _ in places]
    await asyncio.wait([ended], timeout=seconds)
    for sign in signs:
        sign.close()
    if not ended.done():
        for host, port, own in places:
            await asyncio.start_server(_forward(host, own), host, port)
    return await ended


if __name__ == "__main__":
    sys.exit(asyncio.run(_run(float(sys.argv[1]), sys.argv[2:])))
