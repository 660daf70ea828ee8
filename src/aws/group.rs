//! The Auto Scaling group: which one this machine is in, and who is in it.

use super::error::CallFailed;
use crate::model::machine::group::{Group, GroupMember, Lifecycle};
use crate::model::machine::ids::InstanceId;
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{AutoScalingGroup, RetentionAction};

/// The name of the group that lists this instance, and the instance's state in it. `None` when none does (yet): AWS leaves
/// an unknown ID out of its answer without an error.
///
/// # Errors
/// [`CallFailed`].
pub async fn of_instance(client: &Client, instance: &InstanceId) -> Result<Option<(String, Lifecycle)>, CallFailed> {
    let answer =
        client.describe_auto_scaling_instances().instance_ids(instance.as_str()).send().await.map_err(|error| {
            CallFailed::new(
                "describe the Auto Scaling instance",
                instance.as_str(),
                "autoscaling:DescribeAutoScalingInstances",
                &error,
            )
        })?;
    let found = answer
        .auto_scaling_instances
        .unwrap_or_default()
        .into_iter()
        .find(|found| found.instance_id.as_deref() == Some(instance.as_str()));
    Ok(found.and_then(|found| {
        let state = Lifecycle::parse(found.lifecycle_state.as_deref().unwrap_or_default());
        found.auto_scaling_group_name.map(|name| (name, state))
    }))
}

/// The group, without what EC2 knows of its instances. `None` when there is no such group (yet).
///
/// # Errors
/// [`CallFailed`].
pub async fn describe(client: &Client, name: &str) -> Result<Option<Group>, CallFailed> {
    let answer =
        client.describe_auto_scaling_groups().auto_scaling_group_names(name).send().await.map_err(|error| {
            CallFailed::new("describe the Auto Scaling group", name, "autoscaling:DescribeAutoScalingGroups", &error)
        })?;
    let group = answer
        .auto_scaling_groups
        .unwrap_or_default()
        .into_iter()
        .find(|group| group.auto_scaling_group_name.as_deref() == Some(name));
    Ok(group.map(|group| read(name, group)))
}

/// Tells the group that this instance is unhealthy, so that it ends and replaces it, at once and without the group's grace period.
///
/// # Errors
/// [`CallFailed`].
pub async fn set_unhealthy(client: &Client, instance: &InstanceId) -> Result<(), CallFailed> {
    let call = client.set_instance_health().instance_id(instance.as_str()).health_status("Unhealthy");
    call.should_respect_grace_period(false).send().await.map(|_| ()).map_err(|error| {
        CallFailed::new("set the health of", instance.as_str(), "autoscaling:SetInstanceHealth", &error)
    })
}

/// Reads the SDK's type. An instance without a valid ID can be no candidate and is left out.
fn read(name: &str, group: AutoScalingGroup) -> Group {
    let members = group
        .instances
        .unwrap_or_default()
        .into_iter()
        .filter_map(|found| {
            Some(GroupMember {
                instance: InstanceId::parse(found.instance_id?).ok()?,
                lifecycle: Lifecycle::parse(found.lifecycle_state.as_ref().map_or("", |state| state.as_str())),
                healthy: found.health_status.is_some_and(|status| status.eq_ignore_ascii_case("healthy")),
                ec2: None,
                addresses: Vec::new(),
            })
        })
        .collect();
    let triggers = group.instance_lifecycle_policy.and_then(|policy| policy.retention_triggers);
    let on_abandon = triggers.and_then(|triggers| triggers.terminate_hook_abandon);
    Group {
        name: name.to_owned(),
        arn: group.auto_scaling_group_arn.unwrap_or_default(),
        desired: group.desired_capacity.and_then(|desired| usize::try_from(desired).ok()).unwrap_or_default(),
        zones: group.availability_zones.unwrap_or_default(),
        retains: on_abandon == Some(RetentionAction::Retain),
        members,
    }
}
