"""The verbs that commands and tests call on a running world; each takes and returns what JSON can say."""

import base64
import inspect
import os
import time
from collections.abc import Callable

from . import disks, notices, objects, shutdown
from .account import CONTROL_PLANE, WORKER
from .group_verbs import GroupVerbs
from .node import Node
from .standin import whole
from .world import World


def of(world: World) -> dict[str, Callable]:
    """Every public method below, by its name."""
    return dict(inspect.getmembers(Verbs(world), lambda member: inspect.ismethod(member) and member.__name__[0] != "_"))


class Verbs(GroupVerbs):
    """`node` is always a number or an instance ID. Wrong ones raise KeyError or ValueError with the remedy."""

    # Machines.

    def launch(
        self, id: str | None = None, like: str | None = None, up: bool | None = None, workers: bool = False
    ) -> dict:
        """One more instance of the control plane, or of the workers; `like` names a terminated node whose address it gets."""
        role = WORKER if workers else CONTROL_PLANE
        made = self._world.make_node(id, self._world.find(like) if like else None, role)
        self._world.power_on(made, up)
        return self._describe(made)

    def kill(self, node: str) -> dict:
        """A power cut: SIGKILL to everything on the machine. AWS does not notice."""
        found = self._world.find(node)
        found.power_off(clean=False)
        return self._describe(found)

    def blackout(self, nodes: list[str] | None = None) -> dict:
        """A power cut of all machines, or of these, in one moment; `boot` brings them back, one by one."""
        chosen = [self._world.find(name) for name in nodes] if nodes else list(self._world.nodes)
        on = [node for node in chosen if node.machine.is_on]
        for node in on:
            node.machine.pull_the_plug()
        for node in on:
            node.power_off(clean=False)
        return self.status()

    def shutdown(self, node: str, way: str = "poweroff") -> dict:
        """The machine goes down by itself, this way; AWS does not notice. What the leaving unit did is in the answer."""
        found = self._world.find(node)
        left = found.stop_leaving_unit(way)
        if way in shutdown.ENDS_THE_POWER:
            found.power_off(clean=False)
        return {**self._describe(found), "leaving_unit": left}

    def boot(self, node: str, up: bool | None = None) -> dict:
        """Power on again, with the disk as it was."""
        found = self._world.find(node)
        self._world.groups.set_ec2_state(found.id, "running")
        options = self._world.options
        found.boot(options.up if up is None else up, options.agents)
        return self._describe(found)

    def run(self, nodes: list[str] | None = None) -> dict:
        """Starts `kubeboot up` on these machines, or on all that are on, as their unit would; `wait` waits for it."""
        on = [node for node in self._world.nodes if node.machine.is_on]
        for node in [self._world.find(name) for name in nodes] if nodes else on:
            node.run_up()
        return self.status()

    def terminate(self, node: str) -> dict:
        found = self._world.find(node)
        self._world.terminate(found, clean=True)
        return self._describe(found)

    def replace(self, node: str, id: str | None = None, same_address: bool = False, up: bool | None = None) -> dict:
        """A power cut for good, and the instance that the group launches in its place."""
        found = self._world.find(node)
        self._world.terminate(found, clean=False)
        return self.launch(id, found.id if same_address else None, up, workers=found.role == WORKER)

    def replace_root(self, node: str, up: bool | None = None) -> dict:
        """A new, empty root volume under the same instance and address."""
        found = self._world.find(node)
        found.power_off(clean=False)
        self._world.format(found)
        return self.boot(node, up)

    def enter(self, node: str) -> dict:
        """The command line that runs whatever follows it as this machine."""
        return {"argv": self._world.find(node).machine.enter([])}

    # Disks. A path is the machine's own, below /etc, /var/lib or /var/log.

    def disk_empty(self, node: str, path: str) -> dict:
        """Deletes what is in a folder; the folder stays."""
        return self._on_disk(node, path, disks.empty)

    def disk_rm(self, node: str, path: str) -> dict:
        return self._on_disk(node, path, disks.remove)

    def disk_set_aside(self, node: str, path: str, mount_point: bool = False) -> dict:
        """Takes a file or folder away until it is put back; `mount_point` leaves an empty folder."""
        return self._on_disk(node, path, lambda machine, where: disks.set_aside(machine, where, mount_point))

    def disk_put_back(self, node: str, path: str) -> dict:
        return self._on_disk(node, path, disks.put_back)

    def disk_copy(self, node: str, path: str, to: str, to_path: str | None = None) -> dict:
        """Lays a copy of a file or folder over the same place of another machine, or over `to_path` there."""
        target = self._world.find(to).machine
        return self._on_disk(node, path, lambda machine, where: disks.copy(machine, where, target, to_path or where))

    def _on_disk(self, node: str, path: str, work: Callable) -> dict:
        found = self._world.find(node)
        work(found.machine, path)
        return {"node": found.id, "path": path}

    # Who else answers.

    def stranger_start(self, at: str, answer: str = "401", ca_of: str | None = None, uid: str = "") -> dict:
        """Somebody else answers on port 6443 of `at`: "endpoint", a node, or an address. See strangers.py."""
        authority = self._world.find(ca_of).machine.folder / "disk/etc/kubernetes/pki" if ca_of else None
        return {"address": self._world.visits.invite(at, answer, authority, uid)}

    def stranger_stop(self, at: str | None = None) -> dict:
        """That one, or all of them, are gone."""
        return {"gone": self._world.visits.send_away(at)}

    # What else AWS says.

    def imds(self, node: str, mode: str) -> dict:
        found = self._world.find(node)
        found.imds.set_mode(mode)
        return self._describe(found)

    def notice(self, node: str, kind: str, value: str = "", raw: str | None = None, gone: bool = False) -> dict:
        """EC2 announces something to the instance (notices.py), or takes it back; `raw` is the answer as it stands."""
        found = self._world.find(node)
        text = notices.text(kind, value) if raw is None else raw
        found.imds.announce(kind, None if gone else text)
        return {"node": found.id, "notice": kind, "text": "" if gone else text}

    def lb(self, mode: str) -> dict:
        self._world.visits.must_be_none_at_the_endpoint()
        self._world.balancer.set_mode(mode)
        return self._world.balancer.state()

    def iam(self, policies: dict | None) -> dict:
        """From now on these policies count; None: everything is allowed."""
        self._world.iam.set(policies)
        return {"iam": "on" if policies else "off"}

    # Faults and objects.

    def fault_add(self, effect: str, **match) -> dict:
        return vars(self._world.faults.add(effect, **match))

    def fault_list(self) -> list[dict]:
        return self._world.faults.list()

    def fault_clear(self, id: int | None = None) -> dict:
        return {"cleared": self._world.faults.clear(id)}

    def standin_fault(self, node: str, fault: str) -> dict:
        """Writes the stand-in's fault file of a machine; an empty text removes it. Gone with the next boot."""
        found = self._world.find(node)
        path = f"/proc/{found.machine.pid}/root/run/standin/faults"
        if not fault:
            if os.path.exists(path):
                os.unlink(path)
            return self._describe(found)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        whole.write(path, fault)
        return self._describe(found)

    def s3_put(self, key: str, body: str) -> dict:
        """`body` is base64."""
        objects.put(key, base64.b64decode(body))
        return {"key": key}

    def s3_put_all(self, bodies: dict[str, str]) -> dict:
        """Many objects by their keys; no command of its own."""
        for key, body in bodies.items():
            objects.put(key, base64.b64decode(body))
        return {"keys": len(bodies)}

    def s3_get(self, key: str) -> dict:
        return {"key": key, "body": base64.b64encode(objects.get(key)).decode()}

    def s3_rm(self, key: list[str]) -> dict:
        for each in key:
            objects.remove(each)
        return {"keys": key}

    def s3_ls(self, prefix: str = "") -> list[str]:
        return objects.names(prefix)

    def s3_versions(self, key: str) -> list[dict]:
        """All there ever was under a key, the oldest first; a delete marker has no body."""
        shown = [(ident, body and base64.b64encode(body).decode()) for ident, body in objects.versions(key)]
        return [{"version": ident, "deleted": body is None, "body": body} for ident, body in shown]

    def s3_put_back(self, key: str, version: str) -> dict:
        """Writes an earlier version anew: its ID, or 1 for the first, -1 for the last, -2 for the one before."""
        objects.put_back(key, version)
        return {"key": key}

    def s3_undelete(self, key: str) -> dict:
        objects.undelete(key)
        return {"key": key}

    def s3_empty(self, prefix: str = "", forget: bool = False) -> dict:
        """Deletes everything; with `forget` every version and marker of it, too."""
        keys = objects.forget(prefix) if forget else objects.names(prefix)
        for key in [] if forget else keys:
            objects.remove(key)
        return {"keys": keys}

    def s3_versioning(self, status: str) -> dict:
        objects.set_versioning(status)
        return {"versioning": status}

    # The world.

    def wait(self, seconds: float, nodes: list[str] | None = None) -> dict:
        """Waits until the latest `up` of every machine that is on has ended. Raises RuntimeError after `seconds`."""
        deadline = time.monotonic() + seconds
        chosen = [self._world.find(name) for name in nodes] if nodes else list(self._world.nodes)
        for node in chosen:
            if not node.up_ended.wait(max(0.0, deadline - time.monotonic())):
                raise RuntimeError(f"'kubeboot up' of node {node.index} ({node.id}) still runs after {seconds:g} s")
        return self.status()

    def status(self) -> dict:
        world = self._world
        return {
            "folder": str(world.folder), "pid": os.getpid(), "aws": world.addresses.aws,
            "endpoint": world.addresses.balancer, "desired": world.group.moto.desired_capacity,
            "workers": self._desired_workers(), "settled": world.groups.is_settled(), "load_balancer": world.balancer.state(),
            "refresh": self.refresh_list()[:1], "faults": world.faults.list(), "nodes": [self._describe(node) for node in list(world.nodes)],
        }  # fmt: skip

    def _desired_workers(self) -> int | None:
        """How many workers there are to be; None in a world without their group."""
        group = self._world.groups.by_role.get(WORKER)
        return group.moto.desired_capacity if group else None

    def _describe(self, node: Node) -> dict:
        groups = self._world.groups
        return {
            "index": node.index, "id": node.id, "role": node.role, "address": node.address, "loopback": node.loopback,
            "name": node.machine.name, "power": "on" if node.machine.is_on else "off",
            "ec2": groups.ec2_state(node.id), "lifecycle": groups.of(node.id).lifecycle(node.id), "imds": node.imds.mode,
            "kubernetes": groups.of(node.id).image_of(node.id).kubernetes or None, "up": node.up_state(), "up_exit": node.up_exit, "folder": str(node.machine.folder),
        }  # fmt: skip
