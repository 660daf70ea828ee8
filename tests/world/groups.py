"""The Auto Scaling groups of a world, the control plane's and the workers', and what they share: EC2 and one lock."""

import threading
from collections.abc import Callable
from datetime import datetime

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.ec2.models import instances as moto_instances

from .account import ACCOUNT, CONTROL_PLANE, GROUPS, REGION, ZONE
from .group import MOVING_ACTIONS, SCALING_ACTIONS, Group
from .image import Image
from .moto_patches import answer_group_calls, answer_hook_calls, let_the_world_scale

# The codes that EC2 gives its states.
EC2_STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


class Groups:
    """`desired` says how many machines the group of each role is to have, from which image at first; a role that is not in it has none.

    `on_api_change(action)` is called after a call of the AWS API by which machines start or end,
    `on_lifecycle(instance, state)` when an instance has come into another lifecycle state.
    """

    def __init__(
        self, desired: dict[str, int], image: Image, vpc: str, subnet: str, on_api_change: Callable, on_lifecycle: Callable
    ):
        # Every change is made under it, and the AWS endpoint takes it for its answers as well.
        self.lock = threading.RLock()
        self.on_lifecycle, self._on_api_change = on_lifecycle, on_api_change
        self.keys: dict[str, str] = {}
        self.owners: dict[str, Group] = {}
        self.ec2 = ec2_backends[ACCOUNT][REGION]
        self.scaling = autoscaling_backends[ACCOUNT][REGION]
        let_the_world_scale()
        answer_hook_calls(self.named)
        answer_group_calls(self.named, self.owners.get)
        self.subnet = self.ec2.create_subnet(self.ec2.create_vpc(vpc).id, subnet, availability_zone=ZONE)
        self.by_role = {role: Group(self, GROUPS[role], count, image) for role, count in desired.items()}

    @property
    def control_plane(self) -> Group:
        return self.by_role[CONTROL_PLANE]

    @property
    def all(self) -> list[Group]:
        return list(self.by_role.values())

    def image_id(self, version: int) -> str:
        """The ID of the image of a launch template's version, from 1 on."""
        return self.ec2.describe_images()[version - 1].id

    def of_role(self, role: str) -> Group:
        """Raises ValueError, with the remedy, where a world has no such group."""
        if role not in self.by_role:
            raise ValueError(f"this world has no group of {role}s: start one with dev/world up --workers N")
        return self.by_role[role]

    def of(self, id: str) -> Group:
        """The group that launched this instance, also when it has left."""
        return self.owners[id]

    def named(self, name: str | None) -> Group | None:
        return next((group for group in self.all if group.name == name), None)

    def role(self, id: str) -> str:
        """What an instance is launched for; empty for who is none."""
        return next((role for role, group in self.by_role.items() if group is self.owners.get(id)), "")

    def node_of(self, key: str) -> str:
        """The instance that signs with this access key; the key itself if it is nobody's."""
        return self.keys.get(key, key)

    def instance(self, id: str):
        """moto's EC2 instance. Raises KeyError with what there is."""
        for instance in self.ec2.all_instances():
            if instance.id == id:
                return instance
        raise KeyError(f"no instance {id}")

    def ec2_state(self, id: str) -> str:
        return self.instance(id)._state.name

    def set_ec2_state(self, id: str, state: str) -> None:
        with self.lock:
            set_state(self.instance(id), state)

    def set_launch_time(self, id: str, when: datetime) -> None:
        with self.lock:
            self.instance(id).launch_time = when

    def is_settled(self) -> bool:
        """Whether the control plane's group has the machines that it wants."""
        return self.control_plane.is_settled()

    def called(self, action: str) -> None:
        """Somebody called the AWS API: if AWS would now start or end machines, the world has to."""
        if action in SCALING_ACTIONS or action in MOVING_ACTIONS:
            self._on_api_change(action)


def set_state(instance, state: str) -> None:
    """Puts moto's instance into a state of EC2."""
    if state not in EC2_STATES:
        raise ValueError(f"unknown EC2 state '{state}': one of {', '.join(EC2_STATES)}")
    instance._state = moto_instances.InstanceState(state, EC2_STATES[state])
