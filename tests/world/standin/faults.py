"""Faults that the world orders for a node in /run/standin/faults: a command that fails, hangs or takes its time after a phase.

The file is JSON: {"init": {"after": "certs", "exit": 1, "times": 2}, "join": {"after": "etcd-join", "hang": true}}.
`after` names a phase of the command, or "start" (before the first one; the default); without `times` it is for ever.
{"hang": "etcd-join"} makes any command hang after that phase. {"join": {"after": "etcd-join", "seconds": 8}} makes it last that
much longer; a list of orders has it do each at its phase. "etcd-join/start" lies within that phase: etcd is started, and has no vote yet.
{"kubelet": "failed to parse kubelet flag"} has kubelet say this and end, at every start.
"""

import json
import time

from . import node, say, whole

FILE = "/run/standin/faults"
USED = "/run/standin/faults.used"
LONGEST_HANG = 3600.0  # seconds; whoever tests a hang kills long before


def after(command, phase):
    """Called when a phase of a command is done: returns, or hangs, or raises say.Failure."""
    ordered = _read(FILE)
    mine = ordered.get(command) or []
    mine = [mine] if isinstance(mine, dict) else mine
    if ordered.get("hang") == phase:
        mine = [{"after": phase, "hang": True}]
    for order in mine:
        if order.get("after", "start") == phase and _spend(command, order.get("times")):
            _carry_out(order)


def _carry_out(mine):
    if mine.get("hang"):
        time.sleep(LONGEST_HANG)
    if "seconds" in mine:
        time.sleep(float(mine["seconds"]))
        return
    raise say.Failure("the world ordered this command to fail here", int(mine.get("exit", 1)))


def kubelet():
    """What kubelet says before it ends, if it is to."""
    return _read(FILE).get("kubelet")


def _spend(command, times):
    if times is None:
        return True
    used = _read(USED)
    used[command] = used.get(command, 0) + 1
    whole.write(node.path(USED), json.dumps(used))
    return used[command] <= times


def _read(file):
    try:
        with open(node.path(file), encoding="ascii") as text:
            return json.load(text)
    except FileNotFoundError:
        return {}  # the world may take it away at any moment
