//! Asking all sources, each within its time and as many at once as depend on no other.

use super::aws::AwsAnswers;
use super::{cluster, origin};
use crate::model::status::{StatusInput, machines};
use crate::node::group::with_ec2;
use crate::settings::Settings;
use anyhow::Result;

/// Asks everybody. The bucket says who the machines are, AWS where they are, and then they are asked themselves.
///
/// # Errors
/// A proxy variable that is no URL.
pub(super) async fn gather(settings: &Settings) -> Result<StatusInput> {
    let place = origin::look(settings).await;
    let aws = AwsAnswers::connect(settings, &place).await?;
    let (record, hash, lease, registrations, group) =
        tokio::join!(aws.record(), aws.hash(), aws.lease(), aws.registrations(), aws.group(place.here.instance()));
    let not_asked = || "not asked".to_owned();
    let (etcd, api_servers, ec2) = (Err(not_asked()), Err(not_asked()), Err(not_asked()));
    let mut seen = StatusInput { here: place.here, record, hash, lease, registrations, group, ec2, etcd, api_servers };
    if seen.group == Ok(None) {
        seen.group = aws.recorded_group(&seen).await;
    }
    match aws.instances(&seen).await {
        Ok(described) => {
            seen.group = seen.group.map(|group| group.map(|group| with_ec2(group, &described)));
            seen.ec2 = Ok(described.into_iter().map(|(instance, found)| (instance, found.state)).collect());
        }
        Err(why) => seen.ec2 = Err(why),
    }
    let peers = cluster::peers(&machines(&seen));
    (seen.etcd, seen.api_servers) =
        tokio::join!(cluster::etcd(&peers, place.external_etcd), cluster::api_servers(&peers, place.api_port));
    Ok(seen)
}
