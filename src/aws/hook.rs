//! The launch hook of the group, completed by instance ID.

use super::error::CallFailed;
use crate::model::machine::ids::InstanceId;
use aws_sdk_autoscaling::Client;

/// How the hook is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookResult {
    /// The instance enters service.
    Continue,
    /// The instance is terminated and another launched.
    Abandon,
}

/// One hook, for one instance.
#[derive(Debug, Clone)]
pub struct Hook {
    client: Client,
    name: String,
    instance: InstanceId,
}

impl Hook {
    /// The hook with this name.
    #[must_use]
    pub fn new(client: Client, name: String, instance: InstanceId) -> Self {
        Self { client, name, instance }
    }

    /// Starts its time-out anew.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn heartbeat(&self, group: &str) -> Result<(), CallFailed> {
        let call = self.client.record_lifecycle_action_heartbeat();
        let call =
            call.auto_scaling_group_name(group).lifecycle_hook_name(&self.name).instance_id(self.instance.as_str());
        let permission = "autoscaling:RecordLifecycleActionHeartbeat";
        call.send()
            .await
            .map(|_| ())
            .map_err(|error| CallFailed::new("keep alive the launch hook", &self.name, permission, &error))
    }

    /// Completes it.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn complete(&self, group: &str, answer: HookResult) -> Result<(), CallFailed> {
        let result = match answer {
            HookResult::Continue => "CONTINUE",
            HookResult::Abandon => "ABANDON",
        };
        let call = self.client.complete_lifecycle_action().lifecycle_action_result(result);
        let call =
            call.auto_scaling_group_name(group).lifecycle_hook_name(&self.name).instance_id(self.instance.as_str());
        let permission = "autoscaling:CompleteLifecycleAction";
        call.send()
            .await
            .map(|_| ())
            .map_err(|error| CallFailed::new("complete the launch hook", &self.name, permission, &error))
    }
}
