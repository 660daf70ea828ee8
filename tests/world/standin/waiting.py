"""kubeadm's waits for the kubelet and the control plane, with its lines."""

import http.client
import time

from . import dial, node, say

POLL = 0.05  # seconds between two looks


def _healthy(server, target):
    """Whether a health endpoint answers 200. Only the API server speaks TLS here; the others are plain."""
    if server.startswith("https"):
        link = dial.connection(server, dial.client_context(), 2.0)
    else:
        host, _, port = server.removeprefix("http://").rpartition(":")
        link = http.client.HTTPConnection(node.resolve(host), int(port), timeout=2.0)
    try:
        return dial.exchange(link, "GET", target)[0] == 200
    except dial.Unreachable:
        return False
    finally:
        link.close()


def kubelet(limit):
    """Waits up to `limit` seconds for the kubelet. Raises say.Failure."""
    shown = "http://127.0.0.1:10248/healthz"
    say.out(f"[kubelet-check] Waiting for a healthy kubelet at {shown}. This can take up to {say.whole(limit)}")
    begun = time.monotonic()
    while not _healthy("http://127.0.0.1:10248", "/healthz"):
        if time.monotonic() - begun > limit:
            say.out(f"[kubelet-check] The kubelet is not healthy after {say.duration(limit)}")
            raise say.Failure(
                "failed while waiting for the kubelet to start: The HTTP call equal to 'curl -sSL "
                f'{shown}\' returned error: Get "{shown}": dial tcp 127.0.0.1:10248: connect: connection refused'
            )
        time.sleep(POLL)
    say.out(f"[kubelet-check] The kubelet is healthy after {say.duration(time.monotonic() - begun)}")


def control_plane(local_server, limit):
    """Waits up to `limit` seconds for API server, controller manager and scheduler. Raises say.Failure."""
    wanted = {
        "kube-apiserver": (local_server, "/livez", f"{local_server}/livez"),
        "kube-controller-manager": ("http://127.0.0.1:10257", "/healthz", "https://127.0.0.1:10257/healthz"),
        "kube-scheduler": ("http://127.0.0.1:10259", "/livez", "https://127.0.0.1:10259/livez"),
    }
    say.out(
        f"[control-plane-check] Waiting for healthy control plane components. This can take up to {say.whole(limit)}"
    )
    for name, (_, _, shown) in wanted.items():
        say.out(f"[control-plane-check] Checking {name} at {shown}")
    begun = time.monotonic()
    while wanted:
        for name, (server, target, _) in list(wanted.items()):
            if _healthy(server, target):
                say.out(f"[control-plane-check] {name} is healthy after {say.duration(time.monotonic() - begun)}")
                del wanted[name]
        if wanted and time.monotonic() - begun > limit:
            for name in wanted:
                say.out(f"[control-plane-check] {name} is not healthy after {say.duration(limit)}")
            failed = ", ".join(f"{name} check failed at {shown}" for name, (_, _, shown) in wanted.items())
            raise say.Failure(f"failed while waiting for the control plane to start: {failed}")
        time.sleep(POLL if wanted else 0)
