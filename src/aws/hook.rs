//! A lifecycle hook of the group, completed by instance ID.

use super::error::CallFailed;
use crate::model::agent::HookTimes;
use crate::model::machine::ids::InstanceId;
use aws_sdk_autoscaling::Client;
use std::fmt;
use std::time::Duration;

/// How the hook is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookResult {
    /// The instance goes on: it enters service, or is terminated.
    Continue,
    /// A launch is given up: the instance is terminated and another launched. An end is not agreed to: the instance is kept where the group
    /// retains it, and terminated elsewhere.
    Abandon,
}

impl fmt::Display for HookResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continue => "CONTINUE",
            Self::Abandon => "ABANDON",
        })
    }
}

/// What a hook holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The launch of an instance.
    Launch,
    /// Its termination.
    Terminate,
}

impl Transition {
    /// The verbs of the errors of both calls.
    const fn verbs(self) -> (&'static str, &'static str) {
        match self {
            Self::Launch => ("keep alive the launch hook", "complete the launch hook"),
            Self::Terminate => ("keep alive the terminate hook", "complete the terminate hook"),
        }
    }
}

/// One hook, for one instance.
#[derive(Debug, Clone)]
pub struct Hook {
    client: Client,
    transition: Transition,
    name: String,
    instance: InstanceId,
}

impl Hook {
    /// The hook with this name.
    #[must_use]
    pub fn new(client: Client, transition: Transition, name: String, instance: InstanceId) -> Self {
        Self { client, transition, name, instance }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
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
        let (verb, _) = self.transition.verbs();
        call.send().await.map(|_| ()).map_err(|error| CallFailed::new(verb, &self.name, permission, &error))
    }

    /// Completes it.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn complete(&self, group: &str, answer: HookResult) -> Result<(), CallFailed> {
        let call = self.client.complete_lifecycle_action().lifecycle_action_result(answer.to_string());
        let call =
            call.auto_scaling_group_name(group).lifecycle_hook_name(&self.name).instance_id(self.instance.as_str());
        let permission = "autoscaling:CompleteLifecycleAction";
        let (_, verb) = self.transition.verbs();
        call.send().await.map(|_| ()).map_err(|error| CallFailed::new(verb, &self.name, permission, &error))
    }

    /// Its times, as the group has them; `None` when the group has no such hook.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn times(&self, group: &str) -> Result<Option<HookTimes>, CallFailed> {
        let call = self.client.describe_lifecycle_hooks().auto_scaling_group_name(group);
        let answer = call.lifecycle_hook_names(&self.name).send().await.map_err(|error| {
            CallFailed::new("describe the lifecycle hook", &self.name, "autoscaling:DescribeLifecycleHooks", &error)
        })?;
        let hooks = answer.lifecycle_hooks.unwrap_or_default();
        let found = hooks.into_iter().find(|hook| hook.lifecycle_hook_name.as_deref() == Some(&self.name));
        let seconds = |value: Option<i32>| value.and_then(|value| u64::try_from(value).ok()).map(Duration::from_secs);
        Ok(found.and_then(|hook| {
            Some(HookTimes {
                heartbeat: seconds(hook.heartbeat_timeout)?,
                whole: seconds(hook.global_timeout)?,
                abandons: hook.default_result.as_deref() != Some("CONTINUE"),
            })
        }))
    }
}
