"""ctr: what of containerd's own client is needed to run a program of an image that the machine has, in its options and its words.

A container sees its image and what is mounted into it. The program is the computer's own, started with the paths on the
machine for those in the container: what it writes beside a mount is lost, and a mount for reading cannot be written.
"""

import os
import shutil
import signal
import subprocess
import sys

from . import cri, faults, images, node, say, whole

NAMESPACE = "k8s.io"  # kubelet's; in any other there is nothing
RECORDS = "/var/lib/containerd/containers"  # of containers, which outlive a power cut
TASKS = "/run/standin/tasks"  # of what runs, which does not
ROOTS = "/run/standin/roots"
# What the images hold, and where this computer has it.
PROGRAMS = {"etcdutl": "STANDIN_ETCDUTL"}
GLOBAL = {"n": True, "namespace": True, "a": True, "address": True, "connect-timeout": True, "timeout": True, "debug": False}
RUN = {"rm": False, "mount": True, "net-host": False, "null-io": False, "env": True, "cwd": True, "label": True, "user": True}


class Refusal(Exception):
    """What ctr prints, and its exit code."""

    def __init__(self, text, code=1):
        super().__init__(text)
        self.code = code


def _options(rest, known):
    """The options before the first word; they are taken from the list. Of a repeated one every value is kept."""
    found = {}
    while rest and rest[0].startswith("-") and rest[0] != "-":
        given = rest.pop(0)
        if given == "--":
            break
        name, equals, value = given.lstrip("-").partition("=")
        if name not in known:
            raise Refusal(f"Incorrect Usage: flag provided but not defined: -{name}")
        if known[name] and not equals and not rest:
            raise Refusal(f"Incorrect Usage: flag needs an argument: -{name}")
        found.setdefault(name, []).append((value if equals else rest.pop(0)) if known[name] else True)
    return found


def _mount(text):
    """(where in the container, where on the machine, whether it is for reading only) of a --mount."""
    fields = {}
    for pair in text.split(","):
        key, equals, value = pair.partition("=")
        key = {"src": "source", "dst": "destination"}.get(key, key)
        if key not in ("type", "source", "destination", "options"):
            raise Refusal(f'ctr: mount option "{key}" not supported')
        if not equals:
            raise Refusal(f'ctr: invalid mount specification: expected key=val, got "{pair}"')
        fields[key] = value
    options = fields.get("options", "").split(":")
    if fields.get("type") != "bind" or "rbind" not in options and "bind" not in options:
        raise Refusal(f"ctr: failed to create shim task: OCI runtime create failed: no such device: {text}")
    if not os.path.exists(node.path(fields.get("source", ""))):
        raise Refusal(
            "ctr: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
            f'error during container init: error mounting "{fields.get("source")}" to rootfs at "{fields.get("destination")}": '
            "no such file or directory"
        )
    return fields["destination"], fields["source"], "ro" in options


def _inside(argument, mounts, root):
    """An argument of the program with the place of its path on this computer."""
    flag, equals, path = argument.partition("=")
    if not equals or not flag.startswith("-"):
        flag, equals, path = "", "", argument
    if not path.startswith("/"):
        return argument
    for inside, outside, _ in sorted(mounts, key=lambda mount: -len(mount[0])):
        if path == inside or path.startswith(inside.rstrip("/") + "/"):
            return flag + equals + node.path(outside) + path[len(inside.rstrip("/")) :]
    return flag + equals + root + path


def _must_be_writable(arguments, mounts):
    """Raises Refusal where the program would write below a mount for reading: it is told of its folder by --data-dir."""
    for at, each in enumerate(arguments):
        name, equals, value = each.partition("=")
        if name == "--data-dir":
            value = value if equals else "".join(arguments[at + 1 : at + 2])
            if any(only and f"{value}/".startswith(f"{inside.rstrip('/')}/") for inside, _, only in mounts):
                raise Refusal(f"Error: mkdir {value}: read-only file system")


def _run(rest):
    options = _options(rest, RUN)
    if not rest:
        raise Refusal("ctr: image ref must be provided")
    if len(rest) < 2:
        raise Refusal("ctr: container id must be provided")
    image, ident, *command = rest
    if image not in images.present():
        raise Refusal(f'ctr: image "{image}": not found')
    record, task, root = (f"{node.path(place)}/{ident}" for place in (RECORDS, TASKS, ROOTS))
    if os.path.exists(record):
        raise Refusal(f'ctr: container "{ident}": already exists')
    program = node.setting(PROGRAMS.get(command[0] if command else "", "-"))
    mounts = [_mount(text) for text in options.get("mount", [])]
    if not program:
        raise Refusal(f'ctr: failed to create shim task: exec: "{" ".join(command[:1])}": executable file not found in $PATH')
    for file in (record, task, root + "/"):
        os.makedirs(os.path.dirname(file), exist_ok=True)
    whole.write(record, image)
    try:
        return _carry_out(program, command[1:], mounts, task, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        if "rm" in options:
            _forget(record)


def _carry_out(program, arguments, mounts, task, root):
    _must_be_writable(arguments, mounts)
    try:
        faults.after("ctr", "start")
    except say.Failure as failure:
        raise Refusal(f"Error: {failure}", failure.code) from failure
    # A session of its own: what ends ctr by SIGKILL does not end the container, which has containerd's shim for its parent.
    child = subprocess.Popen([program, *(_inside(each, mounts, root) for each in arguments)], start_new_session=True)
    whole.write(task, str(child.pid))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: child.send_signal(number))
    code = child.wait()
    _forget(task)
    return 128 - code if code < 0 else code


def _forget(file):
    if os.path.exists(file):
        os.unlink(file)


def _alive(ident):
    """The process of a container that runs, or None."""
    try:
        with open(f"{node.path(TASKS)}/{ident}", encoding="ascii") as text:
            pid = int(text.read())
        os.kill(pid, 0)
        return pid
    except (OSError, ValueError):
        return None


def _known(place):
    return sorted(os.listdir(node.path(place))) if os.path.isdir(node.path(place)) else []


def _images(rest):
    _verb(rest, ("ls", "list"), "images")
    quiet = _options(rest, {"q": False, "quiet": False})
    if rest:
        raise Refusal("ctr: the stand-in knows no filters")
    if not quiet:
        print("REF TYPE DIGEST SIZE PLATFORMS LABELS")
    for name in images.present():
        print(name if quiet else f"{name} application/vnd.oci.image.index.v1+json sha256:0 - linux/amd64 -")


def _containers(rest):
    if _verb(rest, ("ls", "list", "rm", "delete"), "containers") in ("ls", "list"):
        _options(rest, {"q": False, "quiet": False})
        for ident in _known(RECORDS):
            print(ident)
        return
    if not rest:
        raise Refusal("ctr: must specify at least one container to delete: invalid argument")
    for ident in rest:
        if ident not in _known(RECORDS):
            raise Refusal(f'ctr: container "{ident}" in namespace "{NAMESPACE}": not found')
        if _alive(ident):
            raise Refusal(f'ctr: cannot delete a non stopped container: {{running 0 {ident}}}')
        _forget(f"{node.path(RECORDS)}/{ident}")


def _tasks(rest):
    if _verb(rest, ("ls", "list", "kill"), "tasks") in ("ls", "list"):
        _options(rest, {"q": False, "quiet": False})
        for ident in filter(_alive, _known(TASKS)):
            print(ident)
        return
    chosen = _options(rest, {"s": True, "signal": True, "a": False, "all": False})
    if len(rest) != 1:
        raise Refusal("ctr: container id must be provided")
    pid = _alive(rest[0])
    if not pid:
        raise Refusal(f"ctr: no running task found: task {rest[0]} not found: not found")
    os.kill(pid, signal.Signals[(chosen.get("s") or chosen.get("signal") or ["SIGTERM"])[-1]])


def _verb(rest, known, of):
    if not rest or rest[0] not in known:
        raise Refusal(f"No help topic for '{' '.join([of, *rest[:1]])}'")
    return rest.pop(0)


VERBS = {
    "run": _run, "images": _images, "image": _images, "i": _images, "containers": _containers, "c": _containers,
    "tasks": _tasks, "t": _tasks,
}  # fmt: skip


def main(argv):
    """One command; whatever is not known is refused."""
    rest = list(argv)
    try:
        options = _options(rest, GLOBAL)
        verb = _verb(rest, VERBS, "ctr")
        if cri.down(cri.DEFAULT):
            raise Refusal('ctr: failed to dial "/run/containerd/containerd.sock": context deadline exceeded')
        name = (options.get("namespace") or options.get("n") or ["default"])[-1]
        if name != NAMESPACE:
            raise Refusal(f"ctr: the stand-in has nothing in the namespace {name}: not found")
        return VERBS[verb](rest) or 0
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
