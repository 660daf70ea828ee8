"""What moto 5.2.5 lacks: a group whose machines the world starts, instance IDs of choice, lifecycle hooks, and the name
of an answer of S3's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import EmptyResult
from moto.ec2.models import instances
from moto.s3.responses import S3Response


def let_the_world_scale() -> None:
    """Makes moto keep to the bookkeeping: the world launches the machines that the group wants, and ends the others."""
    FakeAutoScalingGroup.replace_autoscaling_group_instances = lambda self, count_needed, propagated_tags: None
    FakeAutoScalingGroup.set_desired_capacity = _only_note


def _only_note(self, new_capacity: int | None) -> None:
    self.desired_capacity = self.min_size if new_capacity is None else new_capacity


def answer_hook_calls(complete: Callable[[str, str, str], bool], keep_alive: Callable[[str, str], bool]) -> None:
    """Adds the two calls that moto answers with 500.

    `complete(instance, hook, result)` carries CONTINUE or ABANDON out, `keep_alive(instance, hook)` starts the hook's time
    anew; where that hook does not hold the instance, both do nothing and AWS refuses with the text below.
    """

    def act(response: AutoScalingResponse, action: Callable[[str, str], bool]) -> EmptyResult:
        instance, hook = response._get_param("InstanceId") or "", response._get_param("LifecycleHookName") or ""
        if not action(instance, hook):
            raise ValidationError(f"No active Lifecycle Action found with instance ID {instance}")
        return EmptyResult()

    AutoScalingResponse.complete_lifecycle_action = lambda self: act(
        self, lambda instance, hook: complete(instance, hook, self._get_param("LifecycleActionResult"))
    )
    AutoScalingResponse.record_lifecycle_action_heartbeat = lambda self: act(self, keep_alive)


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
