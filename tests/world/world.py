"""The world: puts AWS, the load balancer and the machines together, and does what Auto Scaling would do with them."""

import itertools
import queue
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import launchers
from .account import BUCKET, CONTROL_PLANE, PREFIX, WORKER
from .addresses import ENDPOINT_NAME, ENDPOINT_PORT, MACHINES, Network, claim_octet
from .aws import Aws
from .balancer import Balancer
from .faults import Faults
from .call import Call
from .group import SCALING_ACTIONS, Group
from .groups import Groups
from .iam import Iam
from .image import Image
from .journal import Journal
from .metadata import Identity
from .node import Node
from .options import Options
from .outside import OutsideEtcd
from .visits import Visits

# What EC2 says of machines whose power is off.
OFF_STATES = ("shutting-down", "terminated", "stopping", "stopped")

# Seconds between two looks at the hooks whose time may be over.
HOOK_INTERVAL = 0.5

# Workers whose machines are made at the same moment: there may be a hundred, and few cores.
BOOTS_AT_ONCE = 4


class World:
    """One world with its state in `folder`, on the loopback network unless another is given.

    Nothing runs on a machine before `start`.
    """

    def __init__(self, folder: Path, options: Options, network: Network | None = None):
        self.folder, self.options = folder, options
        self.events = Journal(folder / "events.jsonl")
        self.faults = Faults()
        self.nodes: list[Node] = []
        self._lock = threading.RLock()
        # Held while the group is made what it is to be, so that nobody launches the same machine twice.
        self._scaling = threading.Lock()
        # The machines whose end has begun: several may come to it at the same moment.
        self._ending: set[int] = set()
        self._slots = itertools.count(1)
        binary = Path(options.binary)
        self._path = launchers.write(folder / "bin", binary, options.etcd, options.etcdutl)
        self._keep = launchers.must_be_visible(folder, binary)
        self._network = network or Network(*claim_octet())
        self.addresses = self._network.addresses
        self.etcd = None if options.external_etcd is None else OutsideEtcd(folder / "etcd", self.addresses.etcd)
        self._wakeups: queue.SimpleQueue = queue.SimpleQueue()
        desired = {CONTROL_PLANE: options.nodes if options.desired is None else options.desired}
        desired |= {} if options.workers is None else {WORKER: options.workers}
        came = lambda id, state: self.events.write("lifecycle", node=id, state=state)
        image = Image(options.kubernetes)
        self.groups = Groups(desired, image, self.addresses.vpc, self.addresses.subnet, self._wakeups.put, came)
        self._add_hooks()
        self.iam = Iam(self._arn_of_group, options.iam, self.groups.role)
        requests = Journal(folder / "requests.jsonl")
        self.aws = Aws(self._network.listener, self.groups, self.faults, self.iam, requests, self.events)
        self.balancer = Balancer(self.addresses.balancer, self.targets, options.check_interval, options.check_threshold)
        self.balancer.set_mode(options.balancer)
        self.visits = Visits(self.balancer, self._where, self.events)
        threading.Thread(target=self._follow_the_group, name="scaling", daemon=True).start()

    def start(self) -> None:
        """Launches the first machines. All instances first, so that the group is whole from the first answer on."""
        ids = itertools.chain(self.options.ids, itertools.repeat(None))
        nodes = [self.make_node(next(ids)) for _ in range(self.options.nodes)]
        workers = [self.make_node(role=WORKER) for _ in range(self.options.workers or 0)]
        for node in [*nodes, *workers]:
            self.enter_service(node)
        nodes = [node for node in nodes if node.index not in self.options.off]
        self._boot(nodes, len(nodes))
        self._boot(workers, BOOTS_AT_ONCE)

    def _boot(self, nodes: list[Node], at_once: int) -> None:
        with ThreadPoolExecutor(max_workers=max(1, at_once)) as pool:
            list(pool.map(lambda node: node.boot(self.options.up, self.options.agents), nodes))

    def stop(self) -> None:
        """Cuts the power of every machine. The rest is threads of this process, and ends with it."""
        for node in list(self.nodes):
            node.machine.cut_power()
        if self.etcd:
            self.etcd.stop()

    @property
    def group(self) -> Group:
        """The control plane's."""
        return self.groups.control_plane

    def find(self, name: str) -> Node:
        """A node by its number or instance ID. Raises KeyError with those that there are."""
        for node in self.nodes:
            if name in (str(node.index), node.id):
                return node
        known = ", ".join(f"{node.index} ({node.id})" for node in self.nodes) or "none"
        raise KeyError(f"no node '{name}'. There are: {known}")

    def make_node(self, id: str | None = None, like: Node | None = None, role: str = CONTROL_PLANE) -> Node:
        """An instance that is pending, its machine off. `like` gives it the address of that earlier machine, and its role."""
        role = like.role if like else role
        group = self.groups.of_role(role)
        with self._lock:
            slot = like.slot if like else next(self._slots)
            if slot > MACHINES:
                raise RuntimeError(f"this world has no address left after {MACHINES} machines. Start a new one")
            if like and like.imds.is_listening:
                raise ValueError(f"the address of node {like.index} is in use: terminate it first")
            address = self.addresses.private(slot)
            instance = group.launch(address, id)
            identity = self._identity(group, instance, address, slot)
            etcd = launchers.etcd_image(self.options.etcd)
            env = {"PATH": self._path, **etcd, **group.image_of(instance).env(), **self.options.env}
            node = Node(
                len(self.nodes) + 1,
                slot,
                identity,
                self.addresses,
                self.folder,
                env,
                self._keep,
                self.events,
                self.faults,
                self._network.namespace(slot),
                role,
            )
            node.imds.set_mode(self.options.imds)
            self.nodes.append(node)
        self.format(node)
        self.events.write("launched", node=node.id, index=node.index, address=address)
        return node

    def format(self, node: Node) -> None:
        """Gives the machine the disk of a fresh instance."""
        settings, options = {"bucket": BUCKET, "prefix": PREFIX}, self.options
        if node.role == WORKER:
            settings |= {"role": WORKER, **options.worker_settings}
        else:
            settings |= {"endpoint": f"{ENDPOINT_NAME}:{ENDPOINT_PORT}", **options.settings}
        document = options.worker_kubeadm_config if node.role == WORKER else options.kubeadm_config
        node.format_disk({name: value for name, value in settings.items() if value}, document)
        if self.etcd:
            self.etcd.introduce(node.machine.folder / "disk", node.index in self.options.external_etcd)

    def enter_service(self, node: Node) -> None:
        """What AWS says of an instance that comes up: running, then in service or waiting for the launch hook."""
        group = self.groups.of(node.id)
        self.groups.set_ec2_state(node.id, "running")
        hooked = bool(group.hooks.of("launching"))
        group.set_lifecycle(node.id, "Pending:Wait" if hooked else "InService")

    def power_on(self, node: Node, up: bool | None = None) -> None:
        """The first boot of an instance."""
        self.enter_service(node)
        node.boot(self.options.up if up is None else up, self.options.agents)

    def terminate(self, node: Node, clean: bool) -> None:
        """The end of an instance; `clean` lets its machine shut down and its termination hook wait."""
        group = self.groups.of(node.id)
        lifecycle = group.lifecycle(node.id)
        if clean and lifecycle and lifecycle != "Terminating:Proceed":
            group.begin_end(node.id)
            if group.lifecycle(node.id) == "Terminating:Wait":
                return
        with self._lock:
            if node.index in self._ending:
                return
            self._ending.add(node.index)
        if lifecycle:
            group.set_lifecycle(node.id, "Terminating")
        self.groups.set_ec2_state(node.id, "shutting-down")
        node.power_off(clean)
        node.destroy()
        self.groups.set_ec2_state(node.id, "terminated")
        group.leave(node.id)
        self.events.write("terminated", node=node.id, index=node.index)

    def targets(self) -> list[str]:
        """The addresses registered with the load balancer: a machine is deregistered before its hook runs."""
        return [node.address for node in list(self.nodes) if self.group.lifecycle(node.id) == "InService"]

    def scale(self) -> None:
        """Launches what the groups lack, ends what they have too much of, the newest first, and takes their refreshes a step on."""
        with self._scaling:
            for role, group in self.groups.by_role.items():
                self._scale(role, group)

    def _scale(self, role: str, group: Group) -> None:
        wanted, replaced = group.wanted()
        self._end([node for node in self.nodes if node.id in replaced])
        counted = group.counted()
        counted = [node for node in self.nodes if node.id in counted]
        missing = wanted - len(counted)
        made = [self.make_node(role=role) for _ in range(missing)]
        with ThreadPoolExecutor(max_workers=BOOTS_AT_ONCE) as pool:
            list(pool.map(self.power_on, made))
        self._end(counted[len(counted) + min(missing, 0) :])

    def _end(self, nodes: list[Node]) -> None:
        """Ends these machines at once, each as it is ended alone."""
        with ThreadPoolExecutor(max_workers=max(1, len(nodes))) as pool:
            list(pool.map(lambda node: self.terminate(node, clean=True), nodes))

    def _follow_the_group(self) -> None:
        """Does what AWS would do after somebody changed the group or an instance through its API, or time has passed."""
        while True:
            try:
                action = self._wakeups.get(timeout=HOOK_INTERVAL)
            except queue.Empty:
                action = ""
            try:
                self._follow(action)
            except (OSError, RuntimeError, ValueError, KeyError):
                # One machine that does not start must not stop the group for good.
                traceback.print_exc()

    def _follow(self, action: str) -> None:
        """One step of that, after this call or after a while."""
        over = [group.end_hooks_in_time() for group in self.groups.all]
        if any(over) or action:
            nodes = list(self.nodes)
            with ThreadPoolExecutor(max_workers=max(1, len(nodes))) as pool:
                list(pool.map(self._catch_up, nodes))
            for group in self.groups.all:
                group.forget()
        given_up = [id for group in self.groups.all for id in group.given_up()]
        for id in given_up if action == "SetInstanceHealth" else ():
            self.terminate(self.find(id), clean=True)
        replaces = [group.takes_replacement() or group.refreshes.living is not None for group in self.groups.all]
        if action in SCALING_ACTIONS or any(replaces):
            self.scale()

    def _catch_up(self, node: Node) -> None:
        """Makes a machine what AWS says of its instance."""
        state = self.groups.ec2_state(node.id)
        if self.groups.of(node.id).lifecycle(node.id) == "Terminating:Proceed":
            self.terminate(node, clean=True)
        elif state in OFF_STATES and node.machine.is_on:
            node.power_off(clean=True)
            if state == "terminated":
                node.destroy()

    def _add_hooks(self) -> None:
        options = self.options
        self._hook(self.group, options.launch_hook, options.terminate_hook, options.hook_seconds)
        self.group.retain(options.retain)
        if options.workers is not None:
            names = (options.worker_launch_hook, options.worker_terminate_hook)
            self._hook(self.groups.of_role(WORKER), *names, options.worker_hook_seconds)

    @staticmethod
    def _hook(group: Group, launch: str, terminate: str, seconds: int) -> None:
        if launch:
            group.add_hook(launch, "launching")
        if terminate:
            group.add_hook(terminate, "terminating", seconds)

    def _arn_of_group(self, call: Call) -> str:
        """The group that a call is about: the one that it names, or that of its instance."""
        instance = call.form.get("InstanceId", "")
        group = self.groups.named(call.form.get("AutoScalingGroupName")) or self.groups.owners.get(instance)
        return group.arn if group else "*"

    def _where(self, at: str) -> str:
        """The address that is meant by "endpoint", a node, or an address."""
        if at == "endpoint":
            return self.addresses.balancer
        return at if at.count(".") == 3 else self.find(at).address

    def _identity(self, group: Group, instance: str, address: str, slot: int) -> Identity:
        made = group.instance(instance)
        return Identity(
            instance=instance,
            private_ip=address,
            host_name=made.private_dns_name,
            mac=f"0a:00:7f:00:{self.addresses.octet:02x}:{slot:02x}",
            image=made.image_id,
            subnet=made.subnet_id,
            subnet_cidr=self.addresses.subnet,
            vpc=made.vpc_id,
            lifecycle=lambda: group.lifecycle(instance),
            role=group.name,
        )
