"""`python -m world`: the commands of dev/world."""

import base64
import json
import os
import sys
from dataclasses import asdict

from . import build, lifetime, outcome, show
from .cli import parser, verb
from .control import WorldError, ask
from .journal import read
from .options import Options


def main(argv: list[str] | None = None) -> int:
    """Carries out a command line, by default this process' own, and returns its exit code."""
    arguments = parser().parse_args(argv)
    try:
        return run(arguments)
    except WorldError as error:
        print(f"dev/world: {error}", file=sys.stderr)
        return 1


def run(arguments) -> int:
    """Carries out one command and returns its exit code. Raises WorldError with what the reader can do."""
    folder, command = arguments.dir, arguments.command
    if command == "up":
        return _print(arguments, lifetime.start(folder, _options(arguments)))
    if command == "down":
        lifetime.stop(folder)
        return 0
    if command == "nursery":
        # Only now: it loads what a world needs, and no other command does.
        from . import nursery

        nursery.serve(folder, main)
        return 0
    if command == "node":
        argv = [word for word in arguments.argv[:1] if word != "--"] + arguments.argv[1:]
        terminal = f"TERM={os.environ.get('TERM', 'dumb')}"
        command_line = [*ask(folder, "enter", node=arguments.node)["argv"], terminal, *(argv or ["sh"])]
        os.execvp(command_line[0], command_line)
    if command == "outcome":
        print(json.dumps([asdict(node) for node in outcome.look(folder)], indent=2))
        return 0
    if command == "events":
        name = "requests" if arguments.requests else "standin" if arguments.kubeadm else "events"
        for line in read(folder / f"{name}.jsonl"):
            print(json.dumps(line))
        return 0
    return _ask(arguments)


def _ask(arguments) -> int:
    """The commands that are one verb of the world with the arguments as they stand."""
    name, given = verb(arguments, sys.stdin.buffer.read)
    answer = ask(arguments.dir, name, timeout=given.get("seconds", 60.0) + 30, **given)
    if name == "s3_get" and not arguments.json:
        sys.stdout.buffer.write(base64.b64decode(answer["body"]))
        return 0
    _print(arguments, answer)
    if name == "wait":
        waited = given["nodes"] or [str(node["index"]) for node in answer["nodes"]]
        failed = [n for n in answer["nodes"] if n["up_exit"] and {str(n["index"]), n["id"]} & set(waited)]
        return 1 if failed else 0
    return 0


def _options(arguments) -> Options:
    if arguments.up is not False and not arguments.binary and build.build():
        raise WorldError("the build failed: see above. Without kubeboot: dev/world up --no-up")
    return Options(
        binary=str((arguments.binary or build.binary()).absolute()), nodes=arguments.nodes, desired=arguments.desired,
        ids=[id for id in arguments.ids.split(",") if id], off=arguments.off,
        up=arguments.up is not False, settings=_pairs(arguments.set), env=_pairs(arguments.env),
        kubeadm_config=arguments.kubeadm_config.read_text() if arguments.kubeadm_config else "",
        external_etcd=_numbers(arguments.external_etcd),
        balancer=arguments.lb, check_interval=arguments.lb_interval, check_threshold=arguments.lb_threshold,
        launch_hook=arguments.launch_hook, terminate_hook=arguments.terminate_hook,
        hook_seconds=arguments.hook_seconds, retain=arguments.retain, agents=arguments.agents,
        imds=arguments.imds,
        etcd=arguments.etcd, etcdutl=arguments.etcdutl, kubernetes=arguments.kubernetes,
        iam=json.loads(arguments.iam.read_text()) if arguments.iam else None,
        workers=arguments.workers, worker_settings=_pairs(arguments.worker_set),
        worker_kubeadm_config=arguments.worker_kubeadm_config.read_text() if arguments.worker_kubeadm_config else "",
        worker_launch_hook=arguments.worker_launch_hook, worker_terminate_hook=arguments.worker_terminate_hook,
        worker_hook_seconds=arguments.worker_hook_seconds,
    )  # fmt: skip


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    words = text.split(",")
    if not all(word.isdigit() for word in words):
        raise WorldError(f"'{text}' is not a list of numbers such as 1,2")
    return [int(word) for word in words]


def _pairs(words: list[str]) -> dict[str, str]:
    for word in words:
        if "=" not in word:
            raise WorldError(f"'{word}' is not KEY=VALUE")
    return dict(word.split("=", 1) for word in words)


def _print(arguments, answer) -> int:
    print(json.dumps(answer, indent=2) if arguments.json else show.text(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
