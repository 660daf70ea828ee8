"""What the container runtime is asked beside kubelet: which containers and sandboxes there are; stop them, remove them.

The answers are lists of dictionaries. While kubelet runs, it brings back whatever a manifest wants.
"""

from . import node


def listed(containers):
    """Every container, running or not."""
    return {
        "containers": [
            {
                "name": name,
                "ident": each.ident,
                "sandbox": each.sandbox,
                "pod": f"{name}-{node.host_name()}",
                "running": each.running(),
                "restarts": each.restarts,
                "created": each.created,
            }
            for name, each in containers.items()
        ]
    }


def stop(containers, idents, patience=0):
    """Stops containers. An ID that means none is an error, before anything is done."""
    return _each(containers, idents, "ident", lambda name: _stop(containers[name], patience))


def stop_sandboxes(containers, idents):
    """Stops all that is in these sandboxes; kubelet uses none of them again."""

    def work(name):
        _stop(containers[name], 0)
        containers[name].sandbox = ""

    return _each(containers, idents, "sandbox", work)


def remove(containers, idents=None, of="ident", force=True):
    """Removes containers, or whole sandboxes; without IDs all of them. One that runs only by force."""
    if idents is None:
        idents = [getattr(each, of) for each in containers.values()]
    running = [name for name, each in containers.items() if getattr(each, of) in idents and each.running()]
    if running and not force:
        return {"error": f"container {running[0]} is running, please stop it first"}

    def work(name):
        containers.pop(name).stop()

    return _each(containers, idents, of, work)


def _stop(container, patience):
    if container.running():
        container.restarts += 1
    container.stop(patience)


def _each(containers, idents, of, work):
    chosen = []
    for ident in idents:
        fitting = [name for name, each in containers.items() if ident and getattr(each, of).startswith(ident)]
        if len(fitting) != 1:
            return {"error": f"could not find or not only one: {ident}: not found"}
        chosen += fitting
    for name in chosen:
        work(name)
    return listed(containers)


VERBS = {"containers": listed, "stop-containers": stop, "stop-sandboxes": stop_sandboxes, "remove-containers": remove}
