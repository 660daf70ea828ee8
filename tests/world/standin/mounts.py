"""Which files of the node a container sees: only those that its pod mounts."""

from . import node

# Files that an API server reads at its start and does not start without.
API_SERVER_FILES = (
    "encryption-provider-config",
    "audit-policy-file",
    "admission-control-config-file",
    "authentication-config",
    "authorization-config",
    "etcd-cafile",
    "etcd-certfile",
    "etcd-keyfile",
)


def on_node(pod, path):
    """The place on the node of a path in a pod's container, or None where nothing is mounted."""
    spec = pod["spec"]
    places = {each["name"]: (each.get("hostPath") or {}).get("path") for each in spec.get("volumes") or []}
    mounts = {
        each["mountPath"].rstrip("/"): places.get(each["name"])
        for each in spec["containers"][0].get("volumeMounts") or []
    }
    fitting = [mount for mount in mounts if mounts[mount] and (path == mount or path.startswith(mount + "/"))]
    best = max(fitting, key=len, default=None)
    return mounts[best].rstrip("/") + path[len(best) :] if best is not None else None


def api_server_arguments(pod, arguments):
    """The arguments, with those files as the node has them. Raises FileNotFoundError for one that is not mounted."""
    translated = []
    for each in arguments:
        name, _, value = each.removeprefix("--").partition("=")
        if name in API_SERVER_FILES:
            place = on_node(pod, value)
            if not place:
                raise FileNotFoundError(f"open {value}: no such file or directory: no volume of the pod holds it")
            each = f"--{name}={place}"
        translated.append(each)
    return translated


def check(flags):
    """Opens each of those files, as an API server does at its start. Raises OSError."""
    for name in API_SERVER_FILES:
        if name in flags:
            with open(node.path(flags[name]), encoding="utf-8"):
                pass
