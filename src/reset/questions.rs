//! Asking the two questions: systemd, and AWS from three sides at once.

use super::clock::Clock;
use crate::aws::{ec2, group, imds};
use crate::host::systemd::jobs;
use crate::model::ids::InstanceId;
use crate::model::leave::{Answer, Fate, InGroup, Job, Part, goes_down};
use anyhow::Result;
use aws_config::SdkConfig;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::slice::from_ref;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Asks systemd. Whoever gets no answer does not go down.
pub(super) async fn going_down(clock: &Clock) -> Answer {
    match clock.within(Part::Questions, jobs::list()).await {
        Ok(queue) => {
            let queue: Vec<Job<'_>> = queue.iter().map(|job| Job { unit: &job.unit, kind: &job.kind }).collect();
            goes_down(&queue)
        }
        Err(error) => {
            tracing::warn!("systemd does not say whether this machine goes down, so it stays: {error:#}");
            Answer::NotDown
        }
    }
}

/// Asks AWS what is to become of this instance, from all sides at once, for at most `patience`, and no longer than until
/// one of the answers is final. Who does not answer is silent.
pub(super) async fn fate(me: &InstanceId, sdk: &SdkConfig, patience: Duration) -> Fate {
    let end = Instant::now() + patience;
    let mut asked: FuturesUnordered<BoxFuture<'_, Result<Fate>>> = FuturesUnordered::new();
    asked.push(Box::pin(target()));
    asked.push(Box::pin(lifecycle(sdk, me)));
    asked.push(Box::pin(state(sdk, me)));
    let mut fate = Fate::default();
    while !fate.is_final() {
        match timeout_at(end, asked.next()).await {
            Ok(Some(Ok(heard))) => fate = fate.and(heard),
            Ok(Some(Err(error))) => tracing::warn!("AWS does not say what is to become of this machine: {error:#}"),
            Ok(None) => break,
            Err(_) => {
                tracing::warn!(waited = ?patience, "not everybody said in time what is to become of this machine");
                break;
            }
        }
    }
    tracing::debug!(?fate, "AWS has said what is to become of this machine");
    fate
}

async fn target() -> Result<Fate> {
    Ok(Fate { target: imds::target_lifecycle_state(&imds::client()).await?, ..Fate::default() })
}

async fn lifecycle(sdk: &SdkConfig, me: &InstanceId) -> Result<Fate> {
    let found = group::of_instance(&aws_sdk_autoscaling::Client::new(sdk), me).await?;
    let lifecycle = found.map_or(InGroup::No, |(_, state)| InGroup::As(state));
    Ok(Fate { lifecycle: Some(lifecycle), ..Fate::default() })
}

async fn state(sdk: &SdkConfig, me: &InstanceId) -> Result<Fate> {
    let mut found = ec2::describe(&aws_sdk_ec2::Client::new(sdk), from_ref(me)).await?;
    Ok(Fate { ec2: found.remove(me).map(|found| found.state), ..Fate::default() })
}
