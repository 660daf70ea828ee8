"""The verbs about the groups and their instances, as AWS tells of them: see verbs.py. `workers` means the group of these."""

from datetime import UTC, datetime

from .account import CONTROL_PLANE, WORKER
from .group import Group
from .image import Image
from .refresh import MAXIMUM, MINIMUM, Preferences
from .world import World


class GroupVerbs:
    """A part of the verbs of a world."""

    def __init__(self, world: World):
        self._world = world

    # What AWS says.

    def lifecycle(self, node: str, state: str) -> dict:
        found = self._world.find(node)
        self._world.groups.of(found.id).set_lifecycle(found.id, state)
        return self._describe(found)

    def ec2_state(self, node: str, state: str) -> dict:
        found = self._world.find(node)
        self._world.groups.set_ec2_state(found.id, state)
        return self._describe(found)

    def health(self, node: str, state: str) -> dict:
        found = self._world.find(node)
        self._world.groups.of(found.id).set_health(found.id, state)
        return self._describe(found)

    def launch_time(self, node: str, when: str) -> dict:
        """`when` is a time as ISO 8601 writes it."""
        found = self._world.find(node)
        self._world.groups.set_launch_time(found.id, datetime.fromisoformat(when).astimezone(UTC).replace(tzinfo=None))
        return self._describe(found)

    def leave_group(self, node: str) -> dict:
        """The instance is detached: EC2 knows it, the group does not."""
        found = self._world.find(node)
        self._world.groups.of(found.id).leave(found.id)
        return self._describe(found)

    def desired(self, count: int, scale: bool = True, workers: bool = False) -> dict:
        """Sets the desired capacity; with `scale` the group also launches or terminates to match it."""
        self._group(workers).set_desired(count)
        if scale:
            self._world.scale()
        return self.status()

    def delete_group(self, force: bool = False, workers: bool = False) -> dict:
        """The group is deleted; by force its machines with it, past every hook."""
        self._group(workers).delete(force)
        self._world.groups.called("DeleteAutoScalingGroup")
        return self.status()

    # Images.

    def image(self, kubernetes: str, kubelet: str = "", etcd: str = "", workers: bool = False) -> dict:
        """A new version of the launch template: machines that are launched from now on have this release of kubeadm and kubelet, or
        another one of kubelet, and this tag of etcd's image."""
        image = Image(kubernetes, kubelet, etcd)
        return {"version": self._group(workers).take_image(image), **image.describe()}

    # Hooks.

    def hook_add(
        self, name: str, transition: str, seconds: int = 3600, result: str = "ABANDON", workers: bool = False
    ) -> dict:
        """Makes a lifecycle hook, or changes it; `transition` is launching or terminating."""
        self._group(workers).add_hook(name, transition, seconds, result)
        return {"hook": name}

    def hook_rm(self, name: str, workers: bool = False) -> dict:
        """Deletes a lifecycle hook; what waits in it goes on."""
        self._group(workers).remove_hook(name)
        self._world.groups.called("DeleteLifecycleHook")
        return {"hook": name}

    def retention(self, mode: str, workers: bool = False) -> dict:
        """Whether the group retains machines whose terminate hook ends with ABANDON: on or off."""
        self._group(workers).retain(mode == "on")
        return {"retention": mode}

    # Instance refreshes.

    def refresh_start(
        self, minimum: int = MINIMUM, maximum: int = MAXIMUM, skip_matching: bool = False, workers: bool = False
    ) -> dict:
        """Replaces every machine of the group, or those of an older image: with a minimum of 100 per cent each new one comes before
        an old one goes."""
        started = self._group(workers).start_refresh(Preferences(minimum, maximum, skip_matching))
        self._world.groups.called("StartInstanceRefresh")
        return {"refresh": started.id, "status": started.status}

    def refresh_cancel(self, workers: bool = False) -> dict:
        group = self._group(workers)
        with group.lock:
            cancelled = group.refreshes.cancel()
        self._world.groups.called("CancelInstanceRefresh")
        return {"refresh": cancelled.id, "status": cancelled.status}

    def refresh_list(self, workers: bool = False) -> list[dict]:
        """Every instance refresh, the last one first."""
        group = self._group(workers)
        found = [refresh.describe(group.name) for refresh in group.refreshes.all]
        return [
            {"refresh": each["InstanceRefreshId"], "status": each["Status"], "percent": each["PercentageComplete"]}
            for each in found
        ]

    def _group(self, workers: bool) -> Group:
        return self._world.groups.of_role(WORKER if workers else CONTROL_PLANE)
