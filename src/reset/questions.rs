//! Asks the two questions: systemd the first, and IMDS, Auto Scaling and EC2 the second, at once.

use super::clock::Clock;
use crate::aws::{Session, imds};
use crate::host::systemd::jobs;
use crate::model::leave::{GoingDown, InGroup, InstanceStates, Part, QueuedJob, goes_down};
use crate::model::machine::ids::InstanceId;
use crate::node::Facts;
use anyhow::Result;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::slice::from_ref;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Asks systemd. Without an answer this machine counts as not going down.
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

/// Asks IMDS, Auto Scaling and EC2 at once what is to become of this instance, for at most `time_limit` and only until one
/// of the answers is final. A source that does not answer is left out.
pub(super) async fn outlook(facts: &Facts, session: &Session, time_limit: Duration) -> InstanceStates {
    let (me, group) = (&facts.machine.instance, facts.settings.group.as_deref());
    let end = Instant::now() + time_limit;
    let mut asked: FuturesUnordered<BoxFuture<'_, Result<InstanceStates>>> = FuturesUnordered::new();
    asked.push(Box::pin(target()));
    asked.push(Box::pin(lifecycle(session, me, group)));
    asked.push(Box::pin(state(session, me)));
    let mut outlook = InstanceStates::default();
    while !outlook.is_final() {
        match timeout_at(end, asked.next()).await {
            Ok(Some(Ok(answer))) => outlook = outlook.merge(answer),
            Ok(Some(Err(error))) => tracing::warn!("AWS does not say what is to become of this machine: {error:#}"),
            Ok(None) => break,
            Err(_) => {
                tracing::warn!(waited = ?time_limit, "IMDS, Auto Scaling or EC2 did not say in time what is to become of this machine");
                break;
            }
        }
    }
    tracing::debug!(?outlook, "AWS has said what is to become of this machine");
    outlook
}

async fn target() -> Result<InstanceStates> {
    Ok(InstanceStates { target: imds::target_lifecycle_state(&imds::client()).await?, ..InstanceStates::default() })
}

async fn lifecycle(session: &Session, me: &InstanceId, group: Option<&str>) -> Result<InstanceStates> {
    let lifecycle = session.lifecycle_of(me, group).await?.map_or(InGroup::No, InGroup::As);
    Ok(InstanceStates { lifecycle: Some(lifecycle), ..InstanceStates::default() })
}

async fn state(session: &Session, me: &InstanceId) -> Result<InstanceStates> {
    let mut found = session.instances(from_ref(me)).await?;
    Ok(InstanceStates { ec2: found.remove(me).map(|found| found.state), ..InstanceStates::default() })
}
