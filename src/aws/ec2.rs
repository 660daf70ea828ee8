//! What EC2 says about instances: state and private addresses.

use super::error::CallFailed;
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::InstanceId;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, Instance, InstanceAttributeName};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One instance as EC2 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its state.
    pub state: Ec2State,
    /// Private addresses, the primary one first.
    pub addresses: Vec<IpAddr>,
    /// Its availability zone.
    pub zone: Option<String>,
    /// When it was last stopped or terminated, in EC2's words, for people.
    pub since: Option<String>,
    /// When it was launched, in seconds of the Unix epoch.
    pub launched: Option<u64>,
}

/// EC2 takes at most 200 values in one filter.
const FILTER_VALUES: usize = 200;

/// Describes these instances, by filter: an ID parameter makes the whole call fail for one unknown ID. Unknown
/// instances are left out.
///
/// # Errors
/// [`CallFailed`].
pub async fn describe(
    client: &Client,
    instances: &[InstanceId],
) -> Result<BTreeMap<InstanceId, Described>, CallFailed> {
    filtered(client, "instance-id", instances.iter().map(ToString::to_string).collect()).await
}

/// Describes the instances that have one of these primary addresses.
///
/// # Errors
/// [`CallFailed`].
pub async fn at(client: &Client, addresses: &[IpAddr]) -> Result<BTreeMap<InstanceId, Described>, CallFailed> {
    filtered(client, "private-ip-address", addresses.iter().map(ToString::to_string).collect()).await
}

/// Switches off the source/destination check of this instance, and reads back that it is off. Both permissions can be limited to the
/// own instance.
///
/// # Errors
/// [`CallFailed`]; among them an answer that it still is on.
pub async fn switch_off_source_dest_check(client: &Client, instance: &InstanceId) -> Result<(), CallFailed> {
    if !has_source_dest_check(client, instance).await? {
        return Ok(());
    }
    let off = AttributeBooleanValue::builder().value(false).build();
    let call = client.modify_instance_attribute().instance_id(instance.as_str()).source_dest_check(off);
    call.send().await.map_err(|error| {
        CallFailed::new("switch off", "the source/destination check", "ec2:ModifyInstanceAttribute", &error)
    })?;
    if has_source_dest_check(client, instance).await? {
        return Err(CallFailed {
            detail: "EC2 took the change, and says that the check is still on".to_owned(),
            ..CallFailed::silent("switch off", "the source/destination check", "ec2:ModifyInstanceAttribute")
        });
    }
    Ok(())
}

async fn has_source_dest_check(client: &Client, instance: &InstanceId) -> Result<bool, CallFailed> {
    let call = client.describe_instance_attribute().instance_id(instance.as_str());
    let answer = call.attribute(InstanceAttributeName::SourceDestCheck).send().await.map_err(|error| {
        CallFailed::new("read", "the source/destination check", "ec2:DescribeInstanceAttribute", &error)
    })?;
    Ok(answer.source_dest_check.and_then(|check| check.value) != Some(false))
}

async fn filtered(
    client: &Client,
    filter: &str,
    values: Vec<String>,
) -> Result<BTreeMap<InstanceId, Described>, CallFailed> {
    let mut all = BTreeMap::new();
    for some in values.chunks(FILTER_VALUES) {
        let filter = Filter::builder().name(filter).set_values(Some(some.to_vec())).build();
        let mut pages = client.describe_instances().filters(filter).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                CallFailed::new("describe", "the group's instances", "ec2:DescribeInstances", &error)
            })?;
            let instances = page
                .reservations
                .unwrap_or_default()
                .into_iter()
                .flat_map(|reservation| reservation.instances.unwrap_or_default());
            all.extend(instances.filter_map(read));
        }
    }
    Ok(all)
}

/// Reads the SDK's type. What has no valid ID was not asked for.
fn read(instance: Instance) -> Option<(InstanceId, Described)> {
    let id = InstanceId::parse(instance.instance_id?).ok()?;
    let state = instance.state.and_then(|state| state.name);
    let primary = instance.private_ip_address.and_then(|text| text.parse::<IpAddr>().ok());
    let interfaces = instance.network_interfaces.unwrap_or_default();
    let v4 = interfaces
        .iter()
        .flat_map(|interface| interface.private_ip_addresses())
        .filter_map(|address| address.private_ip_address());
    let v6 =
        interfaces.iter().flat_map(|interface| interface.ipv6_addresses()).filter_map(|address| address.ipv6_address());
    let mut addresses: Vec<IpAddr> = primary.into_iter().collect();
    for address in v4.chain(v6).filter_map(|text| text.parse().ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let zone = instance.placement.and_then(|placement| placement.availability_zone);
    let launched = instance.launch_time.and_then(|time| u64::try_from(time.secs()).ok());
    let since = instance.state_transition_reason.as_deref().and_then(time_in).map(str::to_owned);
    let state = Ec2State::parse(state.as_ref().map_or("", |state| state.as_str()));
    Some((id, Described { state, addresses, zone, since, launched }))
}

/// The time in a reason such as `User initiated (2026-01-02 03:04:05 GMT)`.
fn time_in(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once('(')?;
    let (time, _) = rest.split_once(')')?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | ':' | ' ');
    (time.starts_with(|digit: char| digit.is_ascii_digit()) && time.len() <= 40 && time.chars().all(plain))
        .then_some(time)
}

#[cfg(test)]
mod tests {
    use super::time_in;

    #[test]
    fn the_time_of_a_transition_is_read_where_there_is_one() {
        assert_eq!(time_in("User initiated (2026-01-02 03:04:05 GMT)"), Some("2026-01-02 03:04:05 GMT"));
        for none in ["", "Server.SpotInstanceTermination", "User initiated ()", "a (b)", "x (2026\n)"] {
            assert_eq!(time_in(none), None, "{none:?}");
        }
    }
}
