"""The options of `dev/world`: every command, what it takes, and the verb that it calls."""

import argparse
import base64
import json
from collections.abc import Callable
from pathlib import Path

from . import cli_group
from .faults import EFFECTS
from .imds import MODES as IMDS_MODES
from .lifetime import default_folder
from .notices import KINDS as NOTICES
from .shutdown import WAYS
from .strangers import KINDS as STRANGERS

ABOUT = """One emulated AWS world by hand: an Auto Scaling group of machines, their metadata services, S3, and a load
balancer before their API servers, all on this computer. A NODE is a number (from 1) or an instance ID."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="dev/world", description=ABOUT)
    top.add_argument(
        "--dir",
        type=Path,
        default=default_folder(),
        help="folder of the world (default: $KUBEBOOT_WORLD, or %(default)s)",
    )
    top.add_argument("--json", action="store_true", help="print the answer for programs")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _up_command(commands)
    _world_commands(commands)
    _machine_commands(commands)
    _disk_commands(commands)
    _stranger_commands(commands)
    cli_group.add_to(commands, _command)
    _aws_commands(commands)
    _fault_commands(commands)
    _object_commands(commands)
    return top


def verb(arguments: argparse.Namespace, standard_input: Callable[[], bytes]) -> tuple[str, dict]:
    """The verb of the world that a command is, and what it takes. For those that are one verb: all but up, down, node,
    outcome and events. `standard_input` reads what a command without a file takes from there."""
    words = vars(arguments)
    name = "_".join(filter(None, (arguments.command, words.get("action_name")))).replace("-", "_")
    given = {key: value for key, value in words.items() if key not in ("dir", "json", "command", "action_name")}
    if name == "s3_put":
        file = given.pop("file")
        given["body"] = base64.b64encode(file.read_bytes() if file else standard_input()).decode()
    if name == "iam":
        given["policies"] = json.loads(given.pop("file").read_text())
    return name, given


def _command(commands, name: str, help: str, *, node: bool = False, **more) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=help, description=help, **more)
    # After the command, too; not given there, it keeps what was said before it.
    made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    made.add_argument("--dir", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    if node:
        made.add_argument("node", metavar="NODE", help="number or instance ID")
    return made


def _up_choice(command: argparse.ArgumentParser) -> None:
    choice = command.add_mutually_exclusive_group()
    choice.add_argument(
        "--up", dest="up", action="store_true", default=None, help="run `kubeboot up` at boot, as cloud-init would"
    )
    choice.add_argument(
        "--no-up", dest="up", action="store_false", default=None, help="do not run `kubeboot up` at boot"
    )


def _up_command(commands) -> None:
    up = _command(commands, "up", "start a world and its machines; returns when they boot")
    up.add_argument("--nodes", type=int, default=3, metavar="N", help="machines (default: 3)")
    up.add_argument("--desired", type=int, metavar="N", help="desired capacity, if not the number of machines")
    up.add_argument("--ids", default="", metavar="ID,ID", help="instance IDs of the first machines")
    up.add_argument(
        "--off",
        type=int,
        action="append",
        default=[],
        metavar="N",
        help="machine that never boots, although AWS says it runs (may be repeated)",
    )
    _up_choice(up)
    up.add_argument("--binary", type=Path, help="the kubeboot to run (default: the one that cargo built)")
    up.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of every machine's config.toml; an empty VALUE leaves it out",
    )
    up.add_argument(
        "--env", action="append", default=[], metavar="KEY=VALUE", help="an environment variable of every machine"
    )
    up.add_argument(
        "--etcd",
        default="installed",
        choices=["installed", "3.5.30"],
        help="etcd of every machine: this computer's, or the one of dev/etcd, which can be saved and restored",
    )
    up.add_argument("--etcdutl", action="store_true", help="machines have etcdutl of that one on their PATH, not only in an image")
    up.add_argument(
        "--kubernetes", default="", metavar="VERSION", help="release of kubeadm and kubelet on every machine; `image` changes it for later ones"
    )
    up.add_argument("--kubeadm-config", type=Path, metavar="FILE", help="kubeadm documents for every machine")
    up.add_argument(
        "--external-etcd",
        metavar="N,N",
        help="one etcd outside of the machines, its client files on the disks of these; wants --kubeadm-config "
        "tests/world/external-etcd.yaml, or one like it",
    )
    up.add_argument(
        "--lb",
        default="normal",
        choices=["normal", "none"],
        help="load balancer: none refuses everybody (default: normal)",
    )
    up.add_argument(
        "--lb-interval", type=float, default=1.0, metavar="SECONDS", help="between health checks (default: 1)"
    )
    up.add_argument(
        "--lb-threshold", type=int, default=2, metavar="N", help="equal checks until the verdict changes (default: 2)"
    )
    up.add_argument(
        "--launch-hook", default="", metavar="NAME", help="new instances wait in Pending:Wait until the hook completes"
    )
    up.add_argument(
        "--terminate-hook",
        default="",
        metavar="NAME",
        help="ending instances wait in Terminating:Wait until the hook completes",
    )
    up.add_argument(
        "--hook-seconds",
        type=int,
        default=3600,
        metavar="SECONDS",
        help="the terminate hook's time after each heartbeat; then it ends with ABANDON (default: 3600)",
    )
    up.add_argument(
        "--retain", action="store_true", help="the group retains a machine whose terminate hook ends with ABANDON"
    )
    up.add_argument(
        "--agents", action="store_true", help="every machine runs `kubeboot agent` from its boot on, as its unit would"
    )
    up.add_argument(
        "--imds", default="normal", metavar="MODE", help="mode of every metadata service at first; see `imds --help`"
    )
    up.add_argument("--iam", type=Path, metavar="FILE", help="let policies count: as `iam` does, from the start")
    cli_group.worker_options(up)


def _world_commands(commands) -> None:
    _command(commands, "down", "end the world; leaves no process, mount or file, also after a crash")
    _command(commands, "nursery", "carry out such commands for a program until standard input ends: world/nursery.py")
    _command(commands, "status", "show the machines and what AWS says of them")
    _command(commands, "outcome", "print what has come of each machine, by etcd's and kubeadm's word; as JSON")
    wait = _command(commands, "wait", "wait until `kubeboot up` has ended on every machine; exit code 1 if one failed")
    wait.add_argument("nodes", nargs="*", metavar="NODE", help="these machines only")
    wait.add_argument("--seconds", type=float, default=300.0, help="give up after this long (default: 300)")
    events = _command(commands, "events", "print what happened, as JSON lines")
    events.add_argument("--requests", action="store_true", help="every request to AWS instead")
    events.add_argument("--kubeadm", action="store_true", help="every command of the stand-in instead")


def _machine_commands(commands) -> None:
    run = _command(commands, "run", "start `kubeboot up` as its unit would, on these machines or on all")
    run.add_argument("nodes", nargs="*", metavar="NODE")
    node = _command(commands, "node", "run a command as that machine, or a shell; its exit code is ours", node=True)
    node.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD", help="command and arguments (default: sh)")
    _command(commands, "kill", "cut the power of a machine; AWS does not notice", node=True)
    dark = _command(commands, "blackout", "cut the power of all machines in one moment; `boot` brings each one back")
    dark.add_argument("nodes", nargs="*", metavar="NODE", help="these machines only")
    down = _command(commands, "shutdown", "let a machine go down by itself, as systemd would", node=True)
    down.add_argument("--way", choices=WAYS, default="poweroff", help="which way (default: %(default)s)")
    _up_choice(_command(commands, "boot", "switch a machine on again", node=True))
    _command(commands, "terminate", "end an instance cleanly; nothing takes its place", node=True)
    replace = _command(commands, "replace", "cut the power for good; the group launches another instance", node=True)
    replace.add_argument("--id", help="instance ID of the new one")
    replace.add_argument("--same-address", action="store_true", help="the new one gets the address of the old one")
    _up_choice(replace)
    _up_choice(
        _command(commands, "replace-root", "give a machine an empty disk; same instance, same address", node=True)
    )
    launch = _command(commands, "launch", "one more instance")
    launch.add_argument("--id", help="its instance ID, such as one that sorts first")
    launch.add_argument("--like", metavar="NODE", help="give it the address of this terminated node")
    cli_group.of_workers(launch)
    _up_choice(launch)
    fault = _command(commands, "standin-fault", "write the stand-in's fault file of a machine", node=True)
    fault.add_argument(
        "fault", metavar="JSON", help='such as {"init": {"exit": 1, "after": "certs"}}; empty removes it'
    )


def _disk_commands(commands) -> None:
    disk = _command(commands, "disk", "what happens to a machine's disk; paths are the machine's own")
    actions = disk.add_subparsers(dest="action_name", required=True, metavar="empty|rm|set-aside|put-back|copy")
    made = {}
    for name, help in (
        ("empty", "delete what is in a folder, not the folder"),
        ("rm", "delete a file or folder"),
        ("set-aside", "take a file or folder away until it is put back"),
        ("put-back", "bring back what was set aside; what is there meanwhile goes"),
        ("copy", "lay a copy of a file or folder over that place of another machine"),
    ):
        made[name] = _command(actions, name, help, node=True)
        made[name].add_argument("path", metavar="PATH", help="below /etc, /var/lib or /var/log")
    made["set-aside"].add_argument(
        "--mount-point", action="store_true", help="leave an empty folder, as under a volume that is not mounted"
    )
    made["copy"].add_argument("to", metavar="NODE", help="the other machine")
    made["copy"].add_argument("--to-path", metavar="PATH", help="another place there")


def _stranger_commands(commands) -> None:
    kinds = "answers: " + "; ".join(f"{name}: {text}" for name, text in STRANGERS.items())
    stranger = _command(commands, "stranger", "somebody else who answers on port 6443", epilog=kinds)
    actions = stranger.add_subparsers(dest="action_name", required=True, metavar="start|stop")
    start = _command(actions, "start", "let somebody answer at the endpoint or at a machine", epilog=kinds)
    start.add_argument("at", metavar="PLACE", help="endpoint, a NODE whose API server does not run, or an address")
    start.add_argument("answer", nargs="?", default="401", metavar="ANSWER", help="what it is (default: 401)")
    start.add_argument("--ca-of", metavar="NODE", help="its certificate is by the cluster's CA on that machine's disk")
    start.add_argument("--uid", default="", help="it is ready, and this is the UID of its kube-system")
    _command(actions, "stop", "send it away").add_argument("at", nargs="?", metavar="PLACE", help="default: all of them")


def _aws_commands(commands) -> None:
    modes = "; ".join(f"{name}={text}" if ":" in text else f"{name}: {text}" for name, text in IMDS_MODES.items())
    imds = _command(
        commands, "imds", "set how a machine's metadata service behaves", node=True, epilog=f"modes: {modes}"
    )
    imds.add_argument("mode", metavar="MODE")
    kinds = "kinds: " + "; ".join(f"{name}: {text}" for name, text in NOTICES.items())
    notice = _command(
        commands, "notice", "have EC2 announce something to an instance by its metadata; nothing else happens",
        node=True, epilog=kinds,
    )  # fmt: skip
    notice.add_argument("kind", choices=NOTICES, metavar="KIND")
    notice.add_argument("value", nargs="?", default="", metavar="VALUE")
    notice.add_argument("--raw", metavar="TEXT", help="the answer as it stands")
    notice.add_argument("--gone", action="store_true", help="take it back")
    _command(
        commands, "iam", "let policies count: those of the machines' roles, of the bucket and of its keys"
    ).add_argument("file", type=Path, metavar="FILE", help="JSON; world/iam.py says what is in it")
    _command(commands, "lb", "set the load balancer's mode").add_argument("mode", choices=["normal", "none"])


def _fault_commands(commands) -> None:
    effects = "effects: " + "; ".join(f"{name}{'=' if ':' in text else ': '}{text}" for name, text in EFFECTS.items())
    fault = _command(commands, "fault", "faults of the AWS endpoint and of the metadata services", epilog=effects)
    actions = fault.add_subparsers(dest="action_name", required=True, metavar="add|list|clear")
    add = _command(
        actions, "add", "add a fault; patterns are those of a shell, none fits every call to AWS", epilog=effects
    )
    add.add_argument("effect", metavar="EFFECT")
    for name, example in (
        ("service", "s3 or imds"),
        ("action", "PutObject or PutToken"),
        ("key", "*/cluster.json"),
        ("body", '*"phase": "ready"*'),
        ("node", "i-0123*"),
    ):
        add.add_argument(f"--{name}", default="", metavar="PATTERN", help=f"such as '{example}'")
    add.add_argument("--times", type=int, metavar="N", help="only for the next N calls that fit")
    _command(actions, "list", "show the faults in force and how often each was hit")
    _command(actions, "clear", "remove one fault, or all").add_argument("id", nargs="?", type=int)


def _object_commands(commands) -> None:
    s3 = _command(commands, "s3", "the bucket by hand, past every condition")
    actions = s3.add_subparsers(dest="action_name", required=True, metavar="put|get|rm|ls|versions|put-back|undelete|empty|versioning")
    put = _command(actions, "put", "write an object from a file or standard input")
    put.add_argument("key")
    put.add_argument("file", nargs="?", type=Path)
    _command(actions, "get", "print an object").add_argument("key")
    _command(actions, "rm", "delete objects").add_argument("key", nargs="+")
    _command(actions, "ls", "list keys").add_argument("prefix", nargs="?", default="")
    _command(actions, "versions", "all there ever was under a key, the oldest first").add_argument("key")
    back = _command(actions, "put-back", "write an earlier version of an object anew")
    back.add_argument("key")
    back.add_argument("version", help="its ID, or 1 for the first, -1 for the last, -2 for the one before")
    _command(actions, "undelete", "take the delete marker of an object away").add_argument("key")
    empty = _command(actions, "empty", "delete every object")
    empty.add_argument("prefix", nargs="?", default="")
    empty.add_argument("--forget", action="store_true", help="with every version and delete marker")
    _command(actions, "versioning", "let the bucket keep earlier versions, or no longer").add_argument(
        "status", choices=["Enabled", "Suspended"]
    )
