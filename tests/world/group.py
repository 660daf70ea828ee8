"""An Auto Scaling group and its instances as AWS tells of them: moto's objects, and every state they can be in."""

from typing import TYPE_CHECKING

from moto.autoscaling.models import InstanceState

from .account import REGION, ZONE, access_key
from .hooks import TRANSITIONS, WAITS, Hooks, whole_time
from .image import Image
from .moto_patches import instance_id
from .refresh import Preferences, Refresh, Refreshes

if TYPE_CHECKING:
    from .groups import Groups

# Calls after which AWS starts or ends machines until the group is as it should be.
SCALING_ACTIONS = (
    "SetDesiredCapacity",
    "UpdateAutoScalingGroup",
    "TerminateInstanceInAutoScalingGroup",
    "TerminateInstances",
    "StopInstances",
    "DetachInstances",
    "EnterStandby",
    "SetInstanceHealth",
    "StartInstanceRefresh",
    "CancelInstanceRefresh",
)
# Calls after which an instance may go on to another state.
MOVING_ACTIONS = ("CompleteLifecycleAction", "DeleteLifecycleHook", "DeleteAutoScalingGroup")

# Lifecycle states in which an instance counts for the group, for settling and for scaling.
SERVING = ("Pending", "Pending:Wait", "Pending:Proceed", "InService")
# The policy by which a terminate hook's ABANDON leaves the machine running.
RETAIN = {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}


class Group:
    """Changes one group of `groups` under their lock."""

    def __init__(self, groups: "Groups", name: str, desired: int, image: Image):
        self.name, self._groups, self.lock = name, groups, groups.lock
        self._on_lifecycle = groups.on_lifecycle
        self.refreshes = Refreshes()
        # Whether an instance was retained since the world looked last: then another one takes its place.
        self._lacks_one = False
        self._ec2, self._scaling, self._subnet = groups.ec2, groups.scaling, groups.subnet
        self.hooks = Hooks(lambda: self._scaling.describe_lifecycle_hooks(name))
        # The image of each version of the launch template, and from which version an instance was launched.
        self._images, self._launched_from = [image], {}
        self._template = self._ec2.create_launch_template(name, "", self._template_data(), {})
        self.moto = self._make_group(desired)

    @property
    def arn(self) -> str:
        return self.moto.arn

    @property
    def image(self) -> Image:
        """What it launches from now."""
        return self._images[-1]

    def take_image(self, image: Image) -> int:
        """A new version of the launch template, for machines that are launched from now on; its number."""
        with self.lock:
            self._images.append(image)
            return self._template.create_version(self._template_data(), "").number

    def image_of(self, id: str) -> Image:
        """What an instance was launched from."""
        return self._images[self._launched_from[id] - 1]

    def counted_of_older_images(self) -> list[str]:
        """Those that count and are not of the launch template's newest version."""
        return [id for id in self.counted() if self._launched_from[id] != len(self._images)]

    def _template_data(self) -> dict[str, str]:
        return {"ImageId": self._groups.image_id(len(self._images)), "InstanceType": "t3.medium"}

    def _make_group(self, desired: int):
        self._scaling.create_auto_scaling_group(
            name=self.name, availability_zones=[ZONE], desired_capacity=0, max_size=1000, min_size=0, instance_id=None,
            launch_config_name=None, launch_template={"LaunchTemplateId": self._template.id, "Version": "$Latest"},
            mixed_instances_policy=None, vpc_zone_identifier=self._subnet.id, default_cooldown=None,
            health_check_period=0, health_check_type="EC2", load_balancers=[], target_group_arns=[],
            placement_group=None, termination_policies=[], tags=[], capacity_rebalance=False,
        )  # fmt: skip
        made = self._scaling.autoscaling_groups[self.name]
        made.desired_capacity = desired
        made.instance_lifecycle_policy, made.status = None, None
        return made

    def launch(self, address: str, id: str | None = None) -> str:
        """Makes an instance of the group, pending in EC2 and Pending in the group; returns its ID."""
        with self.lock:
            if id and any(instance.id == id for instance in self._ec2.all_instances()):
                raise ValueError(f"instance {id} exists already")
            # An address of a terminated instance may be given out again, as EC2 does.
            self._subnet.del_subnet_ip(address)
            with instance_id(id):
                made = self._ec2.run_instances(
                    self._template_data()["ImageId"], 1, None, [], instance_type="t3.medium", is_instance_type_default=False,
                    launch_template={"LaunchTemplateId": self._template.id}, subnet_id=self._subnet.id,
                    private_ip=address, region_name=REGION, placement=ZONE,
                    tags={"instance": {"aws:autoscaling:groupName": self.name}},
                ).instances[0]  # fmt: skip
            made.autoscaling_group = self.moto
            self._groups.owners[made.id], self._launched_from[made.id] = self, len(self._images)
            self._groups.set_ec2_state(made.id, "pending")
            self.moto.instance_states.append(InstanceState(made, lifecycle_state="Pending"))
            self._groups.keys[access_key(made.id)] = made.id
        return made.id

    def instance(self, id: str):
        """moto's EC2 instance. Raises KeyError with what there is."""
        return self._groups.instance(id)

    def member(self, id: str):
        """moto's record of the instance in the group; None when it is not in the group."""
        return next((state for state in self.moto.instance_states if state.instance.id == id), None)

    def lifecycle(self, id: str) -> str | None:
        """The lifecycle state; None when the instance is not in the group."""
        member = self.member(id)
        return member.lifecycle_state if member else None

    def set_lifecycle(self, id: str, state: str) -> None:
        """Any text is taken: AWS has more states than anybody lists."""
        with self.lock:
            member = self._member_or_error(id)
            if member.lifecycle_state != state:
                self._on_lifecycle(id, state)
            member.lifecycle_state = state
            self.hooks.entered(id, state)

    def set_health(self, id: str, health: str) -> None:
        with self.lock:
            self._member_or_error(id).health_status = health

    def given_up(self) -> list[str]:
        """The instances in service that somebody calls unhealthy."""
        with self.lock:
            states = [state for state in self.moto.instance_states if state.health_status == "Unhealthy"]
            return [state.instance.id for state in states if state.lifecycle_state == "InService"]

    def set_desired(self, count: int) -> None:
        """Says a desired capacity without launching or ending anything."""
        with self.lock:
            self.moto.desired_capacity = count

    def leave(self, id: str) -> None:
        """Takes an instance out of the group; EC2 keeps telling of it."""
        with self.lock:
            self.moto.instance_states = [state for state in self.moto.instance_states if state.instance.id != id]
            self.hooks.entered(id, "")

    def join(self, id: str) -> None:
        """Puts an instance into the group, in service; one that is there already is left as it is."""
        with self.lock:
            if self.member(id) is None:
                self.moto.instance_states.append(InstanceState(self.instance(id), lifecycle_state="InService"))

    def serving(self) -> list[str]:
        """The candidates: instances in a serving state, healthy."""
        return [
            state.instance.id
            for state in self.moto.instance_states
            if state.lifecycle_state in SERVING and state.health_status == "Healthy"
        ]

    def is_settled(self) -> bool:
        with self.lock:
            return len(self.serving()) == self.moto.desired_capacity

    # Hooks.

    def add_hook(self, name: str, transition: str, seconds: int = 3600, result: str = "ABANDON") -> None:
        """A lifecycle hook for `launching` or `terminating`; instances then stop in the wait state."""
        if transition not in TRANSITIONS or result not in ("CONTINUE", "ABANDON"):
            raise ValueError(f"a hook is for one of {', '.join(TRANSITIONS)}, and ends with CONTINUE or ABANDON")
        with self.lock:
            made = self._scaling.create_lifecycle_hook(name, self.name, TRANSITIONS[transition], seconds, result)
            made.global_timeout = whole_time(seconds)

    def remove_hook(self, name: str) -> None:
        """What waits in it goes on, as after CONTINUE."""
        with self.lock:
            if name not in [hook.name for hook in self._scaling.describe_lifecycle_hooks(self.name)]:
                raise ValueError(f"there is no lifecycle hook '{name}'")
            for id in self.hooks.held(name):
                self._end_wait(id, "CONTINUE")
            self._scaling.delete_lifecycle_hook(self.name, name)

    def retain(self, on: bool) -> None:
        """The group's InstanceLifecyclePolicy: what a terminate hook's ABANDON or time-out leaves is retained."""
        self.moto.instance_lifecycle_policy = RETAIN if on else None

    def end_hooks_in_time(self) -> list[str]:
        """Ends the hooks whose time is over with their default result; returns the instances."""
        with self.lock:
            over = self.hooks.over()
            for id, result in over.items():
                self._end_wait(id, result)
        return list(over)

    def takes_replacement(self) -> bool:
        """Whether an instance was retained since this was asked last."""
        with self.lock:
            lacks, self._lacks_one = self._lacks_one, False
        return lacks

    def keep_alive(self, id: str, name: str) -> bool:
        """What RecordLifecycleActionHeartbeat does."""
        if not self.hooks.holds(id, name):
            return False
        self.hooks.keep_alive(id)
        return True

    def complete_hook(self, id: str, name: str, result: str) -> bool:
        """What CompleteLifecycleAction does."""
        if not self.hooks.holds(id, name):
            return False
        self._end_wait(id, result)
        return True

    def _end_wait(self, id: str, result: str) -> None:
        """A launch goes on or is given up, a termination goes on, or leaves the machine to whoever
        wants to look at it; one on its way into a warm pool comes into it."""
        if self.lifecycle(id) == "Warmed:Pending:Wait":
            self.set_lifecycle(id, "Warmed:Running" if result == "CONTINUE" else "Terminating:Proceed")
        elif WAITS[self.lifecycle(id)] == "launching":
            self.set_lifecycle(id, "InService" if result == "CONTINUE" else "Terminating:Proceed")
        elif result == "ABANDON" and self.moto.instance_lifecycle_policy == RETAIN:
            self.set_lifecycle(id, "Terminating:Retained")
            self._lacks_one = True
        else:
            self.set_lifecycle(id, "Terminating:Proceed")

    # Machines that end, and the end of the group.

    def begin_end(self, id: str, decrement: bool = False) -> None:
        """What TerminateInstanceInAutoScalingGroup does: the hook comes first, but for a machine that was retained."""
        with self.lock:
            retained = self._member_or_error(id).lifecycle_state == "Terminating:Retained"
            if retained or not self.hooks.of("terminating"):
                self.set_lifecycle(id, "Terminating:Proceed")
            else:
                self.set_lifecycle(id, "Terminating:Wait")
            if decrement:
                self.moto.desired_capacity -= 1

    def delete(self, force: bool) -> None:
        """The group ends, and by force its machines with it, past every hook. Raises ValueError if they are in the way."""
        with self.lock:
            if self.moto.instance_states and not force:
                raise ValueError("You cannot delete an AutoScalingGroup while there are instances still in the group.")
            self.moto.status, self.moto.desired_capacity = "Delete in progress", 0
            for state in self.moto.instance_states:
                self.set_lifecycle(state.instance.id, "Terminating:Proceed")

    @property
    def is_ending(self) -> bool:
        return self.moto.status is not None

    def forget(self) -> None:
        """Nobody is told of the group any more, once it was deleted and is empty."""
        with self.lock:
            if self.is_ending and not self.moto.instance_states:
                self._scaling.autoscaling_groups.pop(self.name, None)

    # What the group has, and what it wants.

    def counted(self) -> list[str]:
        """The instances that count when the group compares what it has with what it wants, the oldest first."""
        states = self.moto.instance_states
        return [state.instance.id for state in states if state.lifecycle_state.startswith(("Pending", "InService"))]

    def start_refresh(self, preferences: Preferences) -> Refresh:
        """Begins an instance refresh. Raises RuntimeError while another one lives."""
        with self.lock:
            return self.refreshes.start(preferences, self.counted_of_older_images() if preferences.skip_matching else self.counted())

    def wanted(self) -> tuple[int, list[str]]:
        """How many machines there are to be now, and which of them a refresh ends now."""
        with self.lock:
            serving = [id for id in self.serving() if self.lifecycle(id) == "InService"]
            return self.refreshes.step(self.moto.desired_capacity, self.counted(), serving)

    def _member_or_error(self, id: str):
        member = self.member(id)
        if member is None:
            raise KeyError(f"instance {id} is not in the group")
        return member
