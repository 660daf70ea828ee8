"""The options of the commands of `dev/world` about the groups and their instances: see cli.py."""

import argparse
from collections.abc import Callable
from pathlib import Path

from .hooks import TRANSITIONS
from .refresh import MAXIMUM, MINIMUM


def add_to(commands: argparse._SubParsersAction, command: Callable) -> None:
    """Adds them; `command` makes one, as all those of dev/world are."""
    for name, what in (
        ("lifecycle", "lifecycle state in the group (any text)"),
        ("ec2-state", "state in EC2"),
        ("health", "health in the group: Healthy or Unhealthy"),
    ):
        made = command(commands, name, f"set an instance's {what}; its machine is not touched", node=True)
        made.add_argument("state", metavar="STATE")
    command(commands, "launch-time", "set when EC2 says that an instance was launched", node=True).add_argument(
        "when", metavar="TIME", help="as ISO 8601 writes it"
    )
    command(commands, "leave-group", "detach an instance: EC2 knows it, the group does not", node=True)
    desired = command(commands, "desired", "set the desired capacity; the group launches or terminates to match")
    desired.add_argument("count", type=int, metavar="N")
    of_workers(desired)
    desired.add_argument("--no-scale", dest="scale", action="store_false", help="only say it")
    deleted = command(commands, "delete-group", "delete the group; refused while it has machines")
    deleted.add_argument("--force", action="store_true", help="end its machines with it, past every hook")
    of_workers(deleted)
    retention = command(commands, "retention", "whether the group retains what a terminate hook's ABANDON leaves")
    retention.add_argument("mode", choices=["on", "off"])
    of_workers(retention)
    image = command(commands, "image", "a new version of the launch template: what machines have that are launched from now on")
    image.add_argument("kubernetes", metavar="VERSION", help="release of kubeadm and kubelet, such as v1.36.3")
    image.add_argument("--kubelet", default="", metavar="VERSION", help="another release of kubelet")
    image.add_argument("--etcd", default="", metavar="TAG", help="of etcd's image, such as 3.6.8-0 (default: as kubeadm's release, or the world, has it)")
    of_workers(image)
    _hook_commands(commands, command)
    _refresh_commands(commands, command)


def of_workers(command: argparse.ArgumentParser) -> None:
    """Lets a command mean the group of workers."""
    command.add_argument("--workers", action="store_true", help="of the group of workers, not the control plane's")


def worker_options(up: argparse.ArgumentParser) -> None:
    """Adds what `up` takes of a group of workers."""
    workers = up.add_argument_group("workers", "a second group, whose machines have role = \"worker\" and no endpoint in their settings")
    workers.add_argument("--workers", type=int, metavar="N", help="how many (default: there is no such group)")
    workers.add_argument(
        "--worker-set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every worker, as --set"
    )
    workers.add_argument("--worker-kubeadm-config", type=Path, metavar="FILE", help="kubeadm documents for every worker")
    workers.add_argument("--worker-launch-hook", default="", metavar="NAME", help="as --launch-hook, of that group")
    workers.add_argument("--worker-terminate-hook", default="", metavar="NAME", help="as --terminate-hook, of that group")
    workers.add_argument(
        "--worker-hook-seconds", type=int, default=3600, metavar="SECONDS", help="as --hook-seconds (default: 3600)"
    )


def _hook_commands(commands: argparse._SubParsersAction, command: Callable) -> None:
    hook = command(commands, "hook", "the group's lifecycle hooks")
    actions = hook.add_subparsers(dest="action_name", required=True, metavar="add|rm")
    add = command(actions, "add", "make a hook, or change it")
    add.add_argument("name", metavar="NAME")
    add.add_argument("transition", choices=list(TRANSITIONS))
    add.add_argument(
        "--seconds", type=int, default=3600, metavar="N", help="its time after each heartbeat (default: 3600)"
    )
    add.add_argument(
        "--result", default="ABANDON", choices=["CONTINUE", "ABANDON"], help="how it ends then (default: ABANDON)"
    )
    of_workers(add)
    remove = command(actions, "rm", "delete a hook; what waits in it goes on")
    remove.add_argument("name", metavar="NAME")
    of_workers(remove)


def _refresh_commands(commands: argparse._SubParsersAction, command: Callable) -> None:
    refresh = command(commands, "refresh", "instance refreshes: every machine of the group is replaced")
    actions = refresh.add_subparsers(dest="action_name", required=True, metavar="start|cancel|list")
    start = command(actions, "start", "begin one")
    start.add_argument(
        "--minimum", type=int, default=MINIMUM, metavar="PERCENT",
        help="healthy at least; with 100 the group launches before it terminates (default: %(default)s)",
    )  # fmt: skip
    start.add_argument(
        "--maximum", type=int, default=MAXIMUM, metavar="PERCENT", help="there at most (default: %(default)s)"
    )
    start.add_argument(
        "--skip-matching", action="store_true", help="leave machines alone that are of the launch template's newest version"
    )
    of_workers(start)
    of_workers(command(actions, "cancel", "end it where it is"))
    of_workers(command(actions, "list", "every one, the last one first"))
