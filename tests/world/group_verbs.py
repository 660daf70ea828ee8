"""The verbs about the group and its instances, as AWS tells of them: see verbs.py."""

from datetime import UTC, datetime

from .account import GROUP
from .refresh import MAXIMUM, MINIMUM, Preferences
from .world import World


class GroupVerbs:
    """A part of the verbs of a world."""

    def __init__(self, world: World):
        self._world = world

    # What AWS says.

    def lifecycle(self, node: str, state: str) -> dict:
        found = self._world.find(node)
        self._world.group.set_lifecycle(found.id, state)
        return self._describe(found)

    def ec2_state(self, node: str, state: str) -> dict:
        found = self._world.find(node)
        self._world.group.set_ec2_state(found.id, state)
        return self._describe(found)

    def health(self, node: str, state: str) -> dict:
        found = self._world.find(node)
        self._world.group.set_health(found.id, state)
        return self._describe(found)

    def launch_time(self, node: str, when: str) -> dict:
        """`when` is a time as ISO 8601 writes it."""
        found = self._world.find(node)
        self._world.group.set_launch_time(found.id, datetime.fromisoformat(when).astimezone(UTC).replace(tzinfo=None))
        return self._describe(found)

    def leave_group(self, node: str) -> dict:
        """The instance is detached: EC2 knows it, the group does not."""
        found = self._world.find(node)
        self._world.group.leave(found.id)
        return self._describe(found)

    def desired(self, count: int, scale: bool = True) -> dict:
        """Sets the desired capacity; with `scale` the group also launches or terminates to match it."""
        self._world.group.set_desired(count)
        if scale:
            self._world.scale()
        return self.status()

    def delete_group(self, force: bool = False) -> dict:
        """The group is deleted; by force its machines with it, past every hook."""
        self._world.group.delete(force)
        self._world.group.called("DeleteAutoScalingGroup")
        return self.status()

    # Hooks.

    def hook_add(self, name: str, transition: str, seconds: int = 3600, result: str = "ABANDON") -> dict:
        """Makes a lifecycle hook, or changes it; `transition` is launching or terminating."""
        self._world.group.add_hook(name, transition, seconds, result)
        return {"hook": name}

    def hook_rm(self, name: str) -> dict:
        """Deletes a lifecycle hook; what waits in it goes on."""
        self._world.group.remove_hook(name)
        self._world.group.called("DeleteLifecycleHook")
        return {"hook": name}

    def retention(self, mode: str) -> dict:
        """Whether the group retains machines whose terminate hook ends with ABANDON: on or off."""
        self._world.group.retain(mode == "on")
        return {"retention": mode}

    # Instance refreshes.

    def refresh_start(self, minimum: int = MINIMUM, maximum: int = MAXIMUM) -> dict:
        """Replaces every machine of the group: with a minimum of 100 per cent each new one comes before an old one goes."""
        group = self._world.group
        with group.lock:
            started = group.refreshes.start(Preferences(minimum, maximum), group.counted())
        group.called("StartInstanceRefresh")
        return {"refresh": started.id, "status": started.status}

    def refresh_cancel(self) -> dict:
        group = self._world.group
        with group.lock:
            cancelled = group.refreshes.cancel()
        group.called("CancelInstanceRefresh")
        return {"refresh": cancelled.id, "status": cancelled.status}

    def refresh_list(self) -> list[dict]:
        """Every instance refresh, the last one first."""
        found = [refresh.describe(GROUP) for refresh in self._world.group.refreshes.all]
        return [
            {"refresh": each["InstanceRefreshId"], "status": each["Status"], "percent": each["PercentageComplete"]}
            for each in found
        ]
