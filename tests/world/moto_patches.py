"""What moto 5.2.5 lacks: a group whose machines the world starts, instance IDs of choice, lifecycle hooks, instance
refreshes, and the name of an answer of S3's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import FakeAutoScalingGroup, TerminateInstanceActivity
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models import instances
from moto.s3.responses import S3Response

from .refresh import MAXIMUM, MINIMUM, Preferences

if TYPE_CHECKING:
    from .group import Group


class Refused(AutoscalingClientError):
    """A refusal of Auto Scaling's with this code."""

    def __init__(self, code: str, message: str):
        self.code = code
        super().__init__(message)


def let_the_world_scale() -> None:
    """Makes moto keep to the bookkeeping: the world launches the machines that the group wants, and ends the others."""
    FakeAutoScalingGroup.replace_autoscaling_group_instances = lambda self, count_needed, propagated_tags: None
    FakeAutoScalingGroup.set_desired_capacity = _only_note


def _only_note(self, new_capacity: int | None) -> None:
    self.desired_capacity = self.min_size if new_capacity is None else new_capacity


def answer_hook_calls(named: Callable[[str | None], "Group | None"]) -> None:
    """Adds the two calls that moto answers with 500, and takes over those that make and delete a hook. `named` finds a group.

    Where the hook of a call does not hold the instance, nothing happens, and AWS refuses with the text below.
    """

    def act(response: AutoScalingResponse, work: Callable[["Group", str, str], bool]) -> EmptyResult:
        instance, hook = response._get_param("InstanceId") or "", response._get_param("LifecycleHookName") or ""
        if not work(meant(response), instance, hook):
            raise ValidationError(f"No active Lifecycle Action found with instance ID {instance}")
        return EmptyResult()

    def meant(response: AutoScalingResponse) -> "Group":
        return _meant(named, response)

    def put(response: AutoScalingResponse) -> EmptyResult:
        transition = (response._get_param("LifecycleTransition") or "").rpartition("_")[2].lower()
        seconds = response._get_int_param("HeartbeatTimeout") or 3600
        with refused(ValueError, "ValidationError"):
            meant(response).add_hook(
                response._get_param("LifecycleHookName"), transition, seconds,
                response._get_param("DefaultResult") or "ABANDON",
            )  # fmt: skip
        return EmptyResult()

    def delete(response: AutoScalingResponse) -> EmptyResult:
        with refused(ValueError, "ValidationError"):
            meant(response).remove_hook(response._get_param("LifecycleHookName"))
        return EmptyResult()

    AutoScalingResponse.complete_lifecycle_action = lambda self: act(
        self, lambda group, instance, hook: group.complete_hook(instance, hook, self._get_param("LifecycleActionResult"))
    )
    AutoScalingResponse.record_lifecycle_action_heartbeat = lambda self: act(
        self, lambda group, instance, hook: group.keep_alive(instance, hook)
    )
    AutoScalingResponse.put_lifecycle_hook = put
    AutoScalingResponse.delete_lifecycle_hook = delete


def _meant(named: Callable[[str | None], "Group | None"], response: AutoScalingResponse) -> "Group":
    """The group that a call names. Raises ValidationError where there is none."""
    group = named(response._get_param("AutoScalingGroupName"))
    if group is None:
        raise ValidationError("AutoScalingGroup name not found - null")
    return group


def answer_group_calls(named: Callable[[str | None], "Group | None"], of: Callable[[str], "Group | None"]) -> None:
    """Adds instance refreshes and the policy that retains machines, and lets machines and groups end as the world has it. `named`
    finds a group by its name, `of` by an instance of its own."""
    update = AutoScalingResponse.update_auto_scaling_group

    def meant(response: AutoScalingResponse) -> "Group":
        return _meant(named, response)

    def update_group(response: AutoScalingResponse) -> ActionResult:
        policy = response._get_param("InstanceLifecyclePolicy") or {}
        trigger = (policy.get("RetentionTriggers") or {}).get("TerminateHookAbandon")
        if trigger:
            meant(response).retain(trigger == "retain")
        return update(response)

    def terminate(response: AutoScalingResponse) -> ActionResult:
        instance = response._get_param("InstanceId")
        group = of(instance)
        if group is None or group.member(instance) is None:
            raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {instance}")
        size = group.moto.desired_capacity
        group.begin_end(instance, response._get_bool_param("ShouldDecrementDesiredCapacity", False))
        return ActionResult({"Activity": TerminateInstanceActivity(group.instance(instance), size)})

    def delete_group(response: AutoScalingResponse) -> EmptyResult:
        with refused(ValueError, "ResourceInUse"):
            meant(response).delete(response._get_bool_param("ForceDelete", False))
        return EmptyResult()

    def start(response: AutoScalingResponse) -> ActionResult:
        given, group = response._get_param("Preferences") or {}, meant(response)
        with refused(ValueError, "ValidationError"), refused(RuntimeError, "InstanceRefreshInProgress"):
            wanted = Preferences(
                int(given.get("MinHealthyPercentage", MINIMUM)), int(given.get("MaxHealthyPercentage", MAXIMUM)),
                bool(given.get("SkipMatching", False)),
            )  # fmt: skip
            return ActionResult({"InstanceRefreshId": group.start_refresh(wanted).id})

    def cancel(response: AutoScalingResponse) -> ActionResult:
        with refused(RuntimeError, "ActiveInstanceRefreshNotFound"):
            return ActionResult({"InstanceRefreshId": meant(response).refreshes.cancel().id})

    def describe(response: AutoScalingResponse) -> ActionResult:
        ids, group = response._get_param("InstanceRefreshIds") or [], meant(response)
        found = [refresh for refresh in group.refreshes.all if not ids or refresh.id in ids]
        return ActionResult({"InstanceRefreshes": [refresh.describe(group.name) for refresh in found]})

    AutoScalingResponse.update_auto_scaling_group = update_group
    AutoScalingResponse.terminate_instance_in_auto_scaling_group = terminate
    AutoScalingResponse.delete_auto_scaling_group = delete_group
    AutoScalingResponse.start_instance_refresh = start
    AutoScalingResponse.cancel_instance_refresh = cancel
    AutoScalingResponse.describe_instance_refreshes = describe


@contextmanager
def refused(error: type[Exception], code: str) -> Iterator[None]:
    """What goes wrong inside is a refusal with this code."""
    try:
        yield
    except error as found:
        raise Refused(code, str(found)) from found


def name_versioning_as_s3_does() -> None:
    """moto calls this answer after its operation. S3 calls it VersioningConfiguration, and some SDKs read no other."""
    answer = S3Response.get_bucket_versioning

    def renamed(self: S3Response) -> tuple:
        status, headers, body = answer(self)
        return status, headers, body.replace("GetBucketVersioningResponse", "VersioningConfiguration")

    S3Response.get_bucket_versioning = renamed


@contextmanager
def instance_id(id: str | None) -> Iterator[None]:
    """The instance that is made inside gets this ID; with None it gets a random one."""
    random_id = instances.random_instance_id
    if id:
        instances.random_instance_id = lambda: id
    try:
        yield
    finally:
        instances.random_instance_id = random_id
