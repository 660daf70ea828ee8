"""The Auto Scaling group and its instances as AWS tells of them: moto's objects, and every state they can be in."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

from moto.autoscaling.models import InstanceState, autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.ec2.models import instances as moto_instances

from .account import ACCOUNT, GROUP, REGION, ZONE, access_key
from .moto_patches import answer_hook_calls, instance_id, let_the_world_scale

# The codes that EC2 gives its states.
EC2_STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

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
)
HOOK_ACTION = "CompleteLifecycleAction"

# Lifecycle states in which an instance counts for the group, for settling and for scaling.
SERVING = ("Pending", "Pending:Wait", "Pending:Proceed", "InService")


class Group:
    """Changes the group under one lock, which the AWS endpoint takes for its answers as well."""

    def __init__(self, desired: int, vpc: str, subnet: str, on_api_change: Callable[[str], None]):
        """`on_api_change(action)` is called after a call of the AWS API by which machines start or end."""
        self.lock = threading.RLock()
        self._on_api_change = on_api_change
        self._keys: dict[str, str] = {}
        # When a terminate hook's wait began, and when it was last kept alive, on the monotonic clock.
        self._waits: dict[str, tuple[float, float]] = {}
        self._retains = False
        self._ec2 = ec2_backends[ACCOUNT][REGION]
        self._scaling = autoscaling_backends[ACCOUNT][REGION]
        let_the_world_scale()
        answer_hook_calls(self._complete_hook, self._keep_alive)
        self._subnet = self._ec2.create_subnet(self._ec2.create_vpc(vpc).id, subnet, availability_zone=ZONE)
        self._template = self._ec2.create_launch_template(
            "demo-control-plane", "", {"ImageId": self.image, "InstanceType": "t3.medium"}, {}
        )
        self.moto = self._make_group(desired)

    @property
    def arn(self) -> str:
        return self.moto.arn

    @property
    def image(self) -> str:
        return self._ec2.describe_images()[0].id

    def _make_group(self, desired: int):
        self._scaling.create_auto_scaling_group(
            name=GROUP, availability_zones=[ZONE], desired_capacity=0, max_size=1000, min_size=0, instance_id=None,
            launch_config_name=None, launch_template={"LaunchTemplateId": self._template.id, "Version": "$Latest"},
            mixed_instances_policy=None, vpc_zone_identifier=self._subnet.id, default_cooldown=None,
            health_check_period=0, health_check_type="EC2", load_balancers=[], target_group_arns=[],
            placement_group=None, termination_policies=[], tags=[], capacity_rebalance=False,
        )  # fmt: skip
        made = self._scaling.autoscaling_groups[GROUP]
        made.desired_capacity = desired
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
                    self.image, 1, None, [], instance_type="t3.medium", is_instance_type_default=False,
                    launch_template={"LaunchTemplateId": self._template.id}, subnet_id=self._subnet.id,
                    private_ip=address, region_name=REGION, placement=ZONE,
                    tags={"instance": {"aws:autoscaling:groupName": GROUP}},
                ).instances[0]  # fmt: skip
            made.autoscaling_group = self.moto
            self._set_ec2(made, "pending")
            self.moto.instance_states.append(InstanceState(made, lifecycle_state="Pending"))
            self._keys[access_key(made.id)] = made.id
        return made.id

    def node_of(self, key: str) -> str:
        """The instance that signs with this access key; the key itself if it is nobody's."""
        return self._keys.get(key, key)

    def instance(self, id: str):
        """moto's EC2 instance. Raises KeyError with what there is."""
        for instance in self._ec2.all_instances():
            if instance.id == id:
                return instance
        raise KeyError(f"no instance {id}")

    def member(self, id: str):
        """moto's record of the instance in the group; None when it is not in the group."""
        return next((state for state in self.moto.instance_states if state.instance.id == id), None)

    def lifecycle(self, id: str) -> str | None:
        """The lifecycle state; None when the instance is not in the group."""
        member = self.member(id)
        return member.lifecycle_state if member else None

    def ec2_state(self, id: str) -> str:
        return self.instance(id)._state.name

    def set_lifecycle(self, id: str, state: str) -> None:
        """Any text is taken: AWS has more states than anybody lists."""
        with self.lock:
            self._member_or_error(id).lifecycle_state = state
            if state == "Terminating:Wait":
                now = time.monotonic()
                self._waits.setdefault(id, (now, now))
            else:
                self._waits.pop(id, None)

    def set_health(self, id: str, health: str) -> None:
        with self.lock:
            self._member_or_error(id).health_status = health

    def given_up(self) -> list[str]:
        """The instances in service that somebody calls unhealthy."""
        with self.lock:
            states = [state for state in self.moto.instance_states if state.health_status == "Unhealthy"]
            return [state.instance.id for state in states if state.lifecycle_state == "InService"]

    def set_ec2_state(self, id: str, state: str) -> None:
        with self.lock:
            self._set_ec2(self.instance(id), state)

    def set_launch_time(self, id: str, when: datetime) -> None:
        with self.lock:
            self.instance(id).launch_time = when

    def set_desired(self, count: int) -> None:
        """Says a desired capacity without launching or ending anything."""
        with self.lock:
            self.moto.desired_capacity = count

    def leave(self, id: str) -> None:
        """Takes an instance out of the group; EC2 keeps telling of it."""
        with self.lock:
            self.moto.instance_states = [state for state in self.moto.instance_states if state.instance.id != id]

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

    def called(self, action: str) -> None:
        """Somebody called the AWS API: if AWS would now start or end machines, the world has to."""
        if action in SCALING_ACTIONS or action == HOOK_ACTION:
            self._on_api_change(action)

    def add_hook(self, name: str, transition: str, seconds: int = 3600) -> None:
        """A lifecycle hook for `launching` or `terminating`; instances then stop in the wait state."""
        made = self._scaling.create_lifecycle_hook(
            name, GROUP, f"autoscaling:EC2_INSTANCE_{transition.upper()}", timeout=seconds, result="ABANDON"
        )
        made.global_timeout = min(100 * seconds, 48 * 3600)

    def retain(self, on: bool) -> None:
        """The group's InstanceLifecyclePolicy: what a terminate hook's ABANDON or time-out leaves is retained."""
        self._retains = on
        triggers = {"TerminateHookAbandon": "retain" if on else "terminate"}
        with self.lock:
            self.moto.instance_lifecycle_policy = {"RetentionTriggers": triggers}

    def has_hook(self, transition: str) -> bool:
        return bool(self._hooks(transition))

    def _hooks(self, transition: str) -> list:
        hooks = self._scaling.describe_lifecycle_hooks(GROUP)
        return [hook for hook in hooks if hook.lifecycle_transition.endswith(transition.upper())]

    def _is_waiting(self, id: str, name: str) -> bool:
        """Whether this very hook holds the instance. A wait state that a test has set by hand is any hook's."""
        lifecycle = self.lifecycle(id) or ""
        if not lifecycle.endswith(":Wait"):
            return False
        transition = "terminating" if lifecycle.startswith("Terminating") else "launching"
        names = [hook.name for hook in self._hooks(transition)]
        return not names or name in names

    def _keep_alive(self, id: str, name: str) -> bool:
        """What RecordLifecycleActionHeartbeat does: the hook's time begins anew, its whole time does not."""
        if not self._is_waiting(id, name):
            return False
        if id in self._waits:
            self._waits[id] = (self._waits[id][0], time.monotonic())
        return True

    def end_hooks_in_time(self) -> list[str]:
        """Ends the terminate hooks whose time is over; returns the instances."""
        with self.lock:
            hooks, now = self._hooks("terminating"), time.monotonic()
            seconds = hooks[0].heartbeat_timeout if hooks else None
            over = [
                id
                for id, (began, alive) in self._waits.items()
                if seconds and (now - alive > seconds or now - began > hooks[0].global_timeout)
            ]
            for id in over:
                self._end_termination(id, "ABANDON")
        return over

    def _complete_hook(self, id: str, name: str, result: str) -> bool:
        """What CompleteLifecycleAction does: a launch goes on or is given up, a termination goes on."""
        if not self._is_waiting(id, name):
            return False
        if self.lifecycle(id) == "Pending:Wait":
            self.set_lifecycle(id, "InService" if result == "CONTINUE" else "Terminating:Proceed")
        else:
            self._end_termination(id, result)
        return True

    def _end_termination(self, id: str, result: str) -> None:
        retained = result == "ABANDON" and self._retains
        self.set_lifecycle(id, "Terminating:Retained" if retained else "Terminating:Proceed")

    def _member_or_error(self, id: str):
        member = self.member(id)
        if member is None:
            raise KeyError(f"instance {id} is not in the group")
        return member

    @staticmethod
    def _set_ec2(instance, state: str) -> None:
        if state not in EC2_STATES:
            raise ValueError(f"unknown EC2 state '{state}': one of {', '.join(EC2_STATES)}")
        instance._state = moto_instances.InstanceState(state, EC2_STATES[state])
