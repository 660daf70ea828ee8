//! Asking all sources, each within its time and as many at once as depend on no other.

use super::aws::AwsAnswers;
use super::{cluster, origin};
use crate::kubeadm::state::Marker;
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::status::{Known, StatusInput, machines};
use crate::node::group::with_ec2;
use crate::settings::Settings;
use anyhow::Result;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long a source may take.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a source said within its time, or why it said nothing.
pub(super) async fn within<T, E: Display>(answer: impl Future<Output = Result<T, E>>) -> Known<T> {
    match timeout(SOURCE_TIMEOUT, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err(format!("no answer within {} seconds", SOURCE_TIMEOUT.as_secs())),
    }
}

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
    let recorded = recorded_etcd(&seen);
    (seen.etcd, seen.api_servers) = tokio::join!(
        cluster::etcd(&peers, place.external_etcd, recorded),
        cluster::api_servers(&peers, place.api_port)
    );
    Ok(seen)
}

/// The etcd that is meant: by the record, or else by what this machine knows of its own.
fn recorded_etcd(seen: &StatusInput) -> Option<RecordedEtcd> {
    match &seen.record {
        Ok(Some(record)) if record.published().is_some() => RecordedEtcd::of(record),
        Ok(_) | Err(_) => Marker::load(Path::new("/")).ok().flatten()?.recorded_etcd(),
    }
}
