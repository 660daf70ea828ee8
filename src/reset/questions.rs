//! Asking the two questions: systemd, and AWS from three sides at once.

use super::clock::Clock;
use crate::aws::{ec2, group, imds};
use crate::host::systemd::jobs;
use crate::model::leave::{GoingDown, InGroup, InstanceStates, Part, QueuedJob, goes_down};
use crate::model::machine::ids::InstanceId;
use anyhow::Result;
use aws_config::SdkConfig;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::slice::from_ref;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Asks systemd. Whoever gets no answer does not go down.
pub(super) async fn going_down(clock: &Clock) -> GoingDown {
    match clock.within(Part::Questions, jobs::list()).await {
        Ok(queue) => {
            let queue: Vec<QueuedJob<'_>> =
                queue.iter().map(|job| QueuedJob { unit: &job.unit, kind: &job.kind }).collect();
            goes_down(&queue)
        }
        Err(error) => {
            tracing::warn!("systemd does not say whether this machine goes down, so it stays: {error:#}");
            GoingDown::NotDown
        }
    }
}

/// Asks AWS what is to become of this instance, from all sides at once, for at most `time_limit`, and no longer than until
/// one of the answers is final. Who does not answer is silent.
pub(super) async fn fate(me: &InstanceId, sdk: &SdkConfig, time_limit: Duration) -> InstanceStates {
    let end = Instant::now() + time_limit;
    let mut asked: FuturesUnordered<BoxFuture<'_, Result<InstanceStates>>> = FuturesUnordered::new();
    asked.push(Box::pin(target()));
    asked.push(Box::pin(lifecycle(sdk, me)));
    asked.push(Box::pin(state(sdk, me)));
    let mut fate = InstanceStates::default();
    while !fate.is_final() {
        match timeout_at(end, asked.next()).await {
            Ok(Some(Ok(heard))) => fate = fate.merge(heard),
            Ok(Some(Err(error))) => tracing::warn!("AWS does not say what is to become of this machine: {error:#}"),
            Ok(None) => break,
            Err(_) => {
                tracing::warn!(waited = ?time_limit, "not everybody said in time what is to become of this machine");
                break;
            }
        }
    }
    tracing::debug!(?fate, "AWS has said what is to become of this machine");
    fate
}

async fn target() -> Result<InstanceStates> {
    Ok(InstanceStates { target: imds::target_lifecycle_state(&imds::client()).await?, ..InstanceStates::default() })
}

async fn lifecycle(sdk: &SdkConfig, me: &InstanceId) -> Result<InstanceStates> {
    let found = group::of_instance(&aws_sdk_autoscaling::Client::new(sdk), me).await?;
    let lifecycle = found.map_or(InGroup::No, |(_, state)| InGroup::As(state));
    Ok(InstanceStates { lifecycle: Some(lifecycle), ..InstanceStates::default() })
}

async fn state(sdk: &SdkConfig, me: &InstanceId) -> Result<InstanceStates> {
    let mut found = ec2::describe(&aws_sdk_ec2::Client::new(sdk), from_ref(me)).await?;
    Ok(InstanceStates { ec2: found.remove(me).map(|found| found.state), ..InstanceStates::default() })
}
