"""crictl: what of it a node's tools ask of the container runtime, in its options and its JSON."""

import json
import os
import re
import sys

from . import control, cri, images, node

# Options with a value, by their short and long names; everything else that begins with a dash stands alone.
VALUES = {
    "r": "runtime-endpoint", "i": "image-endpoint", "c": "config", "t": "timeout", "o": "output", "s": "state",
    "p": "pod", "n": "last",
}  # fmt: skip
LONG = (*VALUES.values(), "name", "namespace", "label", "id", "image", "tail", "since")
ALONE = {"q": "quiet", "a": "all", "f": "force", "D": "debug", "v": "verbose", "l": "latest"}
SHOWN = 13  # characters of an ID in a table
NAMESPACE = "kube-system"


def _parse(argv):
    """(words, options) of a command line. Exits on an option that is none."""
    words, options, rest = [], {}, list(argv)
    while rest:
        each = rest.pop(0)
        name, equals, value = each.lstrip("-").partition("=")
        if not each.startswith("-") or each == "-":
            words.append(each)
        elif VALUES.get(name, name) in LONG:
            options.setdefault(VALUES.get(name, name), []).append(value if equals else rest.pop(0))
        elif each.startswith("--") and (name in ALONE.values() or name == "no-trunc"):
            options[name] = [value or "true"]
        elif not each.startswith("--") and set(name) <= set(ALONE):
            options |= {ALONE[letter]: ["true"] for letter in name}
        else:
            sys.exit(f"Incorrect Usage: flag provided but not defined: {each}")
    return words, options


def _ask(options, **request):
    endpoint = options.get("runtime-endpoint", [os.environ.get("CONTAINER_RUNTIME_ENDPOINT") or cri.DEFAULT])[-1]
    problem = cri.down(endpoint)
    try:
        answer = {"error": problem} if problem else control.ask(**request)
    except control.NoSupervisor as error:
        answer = {"error": str(error)}
    if answer.get("error"):
        sys.exit(f"FATA[0000] {answer['error']}")
    return answer["containers"]


def _labels(each):
    return {
        "io.kubernetes.container.name": each["name"],
        "io.kubernetes.pod.name": each["pod"],
        "io.kubernetes.pod.namespace": NAMESPACE,
    }


def _fits(each, options, ident, name):
    state = "running" if each["running"] else "exited"
    ready = "ready" if each["sandbox"] and each["running"] else "notready"
    labels = dict(pair.partition("=")[::2] for pair in options.get("label", []))
    return (
        all(re.search(pattern, name) for pattern in options.get("name", []))
        and all(each[ident].startswith(given) for given in options.get("id", []))
        and all(each["sandbox"].startswith(given) for given in options.get("pod", []))
        and all(given == NAMESPACE for given in options.get("namespace", []))
        and all(given.lower() in (state, ready) for given in options.get("state", []))
        and labels.items() <= _labels(each).items()
    )


def _print(rows, options, ident, name, document):
    if "quiet" in options:
        text = [each[ident] for each in rows]
    elif options.get("output") == ["json"]:
        text = [json.dumps(document, indent=2)]
    else:
        text = [f"{each[ident][:SHOWN]}  {each[name]}" for each in rows]
    for line in text:
        print(line)


def _ps(_, options):
    rows = [each for each in _ask(options, verb="containers") if _fits(each, options, "ident", each["name"])]
    rows = [each for each in rows if each["running"] or {"all", "state", "id"} & set(options)]
    document = [
        {
            "id": each["ident"],
            "podSandboxId": each["sandbox"],
            "metadata": {"name": each["name"], "attempt": each["restarts"]},
            "state": "CONTAINER_RUNNING" if each["running"] else "CONTAINER_EXITED",
            "createdAt": str(each["created"]),
            "labels": _labels(each),
        }
        for each in rows
    ]
    _print(rows, options, "ident", "name", {"containers": document})


def _pods(_, options):
    rows = [each for each in _ask(options, verb="containers") if each["sandbox"]]
    rows = [each for each in rows if _fits(each, options, "sandbox", each["pod"])]
    document = [
        {
            "id": each["sandbox"],
            "metadata": {"name": each["pod"], "namespace": NAMESPACE, "attempt": 0},
            "state": "SANDBOX_READY",
            "labels": {key: value for key, value in _labels(each).items() if "container" not in key},
        }
        for each in rows
    ]
    _print(rows, options, "sandbox", "pod", {"items": document})


def _stop(idents, options):
    _ask(options, verb="stop-containers", idents=idents, patience=float(options.get("timeout", ["0"])[-1].rstrip("s")))
    _echo(idents)


def _stopp(idents, options):
    _ask(options, verb="stop-sandboxes", idents=idents)
    _echo(idents, "Stopped sandbox ")


def _rm(idents, options, of="ident"):
    chosen = {} if "all" in options else {"idents": idents}
    _ask(options, verb="remove-containers", of=of, force="force" in options, **chosen)
    _echo(idents)


def _rmp(idents, options):
    _rm(idents, options, "sandbox")


def _echo(idents, word=""):
    for each in idents:
        print(word + each)


def _logs(idents, options):
    """The log of one container that the runtime still knows: the last of its name, since none is kept of those before."""
    if len(idents) != 1:
        sys.exit("FATA[0000] ID cannot be empty")
    known = [each for each in _ask(options, verb="containers") if each["ident"] and each["ident"].startswith(idents[0])]
    if len(known) != 1:
        sys.exit(f'FATA[0000] rpc error: code = NotFound desc = an error occurred when try to find container "{idents[0]}": not found')
    lines = node.lines(f"/run/standin/logs/{known[0]['name']}.log")
    count = int(options.get("tail", ["-1"])[-1])
    for line in lines if count < 0 else lines[max(0, len(lines) - count) :]:
        # Programs of a control plane log to standard error, and crictl tells the streams apart.
        print(line, file=sys.stderr)


def _info(_, options):
    _ask(options, verb="containers")
    print(json.dumps({"runtimeName": "containerd", "runtimeVersion": "v2.1.0", "status": {"conditions": []}}))


def _pull(names, options):
    """An image, which the runtime has from now on."""
    if len(names) != 1:
        sys.exit("FATA[0000] image name cannot be empty")
    _ask(options, verb="containers")
    images.pull(names)
    print(f"Image is up to date for {names[0]}")


def _images(names, options):
    """The images that the runtime has; those of one name, if one is given."""
    _ask(options, verb="containers")
    present = [each for each in images.present() if not names or each.rpartition(":")[0] == names[0] or each == names[0]]
    if "quiet" in options:
        text = [images.ident(each) for each in present]
    elif options.get("output") == ["json"]:
        listed = [{"id": images.ident(each), "repoTags": [each], "repoDigests": [], "pinned": False} for each in present]
        text = [json.dumps({"images": listed}, indent=2)]
    else:
        text = ["IMAGE  TAG  IMAGE ID", *(f"{each}  {images.ident(each)[7:][:SHOWN]}" for each in present)]
    for line in text:
        print(line)


def _inspecti(names, options):
    """What the runtime knows of images that it has."""
    _ask(options, verb="containers")
    present = images.present()
    for each in names:
        if each not in present:
            sys.exit(f'FATA[0000] no such image "{each}" present')
        print(json.dumps({"status": {"repoTags": [each]}}, indent=2))


VERBS = {
    "info": _info, "version": _info, "ps": _ps, "pods": _pods, "logs": _logs, "pull": _pull, "images": _images,
    "inspecti": _inspecti,
    "stop": _stop, "stopp": _stopp, "rm": _rm, "rmp": _rmp,
}  # fmt: skip
ON_SOME = ("inspecti", "stop", "stopp", "rm", "rmp")


def main(argv):
    """One command; whatever is not known is refused."""
    words, options = _parse(argv)
    verb, idents = (words[0] if words else ""), words[1:]
    if verb not in VERBS:
        sys.exit(f"No help topic for '{verb}'")
    if verb in ON_SOME and not idents and "all" not in options:
        sys.exit("FATA[0000] ID cannot be empty")
    VERBS[verb](idents, options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
