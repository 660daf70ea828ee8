//! Leaving for a terminate hook: the steps of `kubeboot reset`, but never without the membership lease, and only while enough stays.

use super::look::{Look, Looker};
use crate::host::systemd::notify;
use crate::model::agent::{AgentStep, Departure, decide};
use crate::model::leave::Part;
use crate::model::membership::instances::Instances;
use crate::node::departure;
use crate::node::lease::{Queue, release};
use crate::node::point::Point;
use crate::reset::members::{self, Removed};
use crate::reset::{ResetContext, act, node};
use anyhow::{Context, Result, anyhow, bail};
use std::path::Path;
use tokio::time::timeout;

/// Leaves, or returns the step that has taken the place of leaving meanwhile. `answered` is what the observation needs to know of the
/// hook.
///
/// # Errors
/// What was in the way. What was done stays done, and the next attempt goes on from there.
pub(super) async fn leave(looker: &mut Looker, reset: &ResetContext, answered: bool) -> Result<Option<AgentStep>> {
    let found = Box::pin(looker.look(reset, answered)).await?;
    Point::LeaveDue.reached();
    if found.seen.own_member().is_none() {
        return depart_if_still(reset, &found).await;
    }
    let settings = &reset.facts.settings;
    let me = reset.facts.machine.instance.clone();
    let mut queue = Queue::new(reset.session.store.clone(), me, settings.lease_ttl);
    notify::status("leaving: queueing for the membership lease");
    let (instances, on_wait) = (Instances::default(), |reason: &str| tracing::info!("waiting for {reason}"));
    // For long enough to see that a holder who has died does not renew it.
    let time_limit = settings.lease_ttl + reset.clock.left(Part::Lease);
    let taken = queue.take_within("leave", &instances, time_limit, on_wait).await?;
    let (mut held, nonce) = taken.map_err(|reason| anyhow!("it waits for {reason}"))?;
    tracing::info!(lease = %nonce, "this machine holds the membership lease");
    Point::LeaveLeaseTaken.reached();
    let reset = reset.anew();
    let done = held.while_holding(Box::pin(async {
        // Whoever held the lease before may have changed everything.
        let found = looker.look(&reset, answered).await?;
        depart_if_still(&reset, &found).await
    }));
    let done = done.await.context("the membership lease was lost")?;
    if timeout(reset.clock.budget().0, release(*held)).await.is_err() {
        tracing::warn!("failed to release the membership lease in time, it runs out by itself");
    }
    Point::LeaveLeaseReleased.reached();
    done
}

async fn depart_if_still(reset: &ResetContext, found: &Look) -> Result<Option<AgentStep>> {
    match decide(&found.seen) {
        AgentStep::Leave => Box::pin(depart(reset, found)).await.map(|()| None),
        other => Ok(Some(other)),
    }
}

/// From the durable marker to the last registration.
async fn depart(reset: &ResetContext, found: &Look) -> Result<()> {
    let (root, me) = (Path::new("/"), &reset.facts.machine.instance);
    let claim = act::claim_of(&found.local).context("the marker of this machine's state names no claim")?;
    departure::save(root, me, Departure::Leaving)?;
    Point::LeavingMarked.reached();
    let registrar = act::register_leaving(reset, claim).await;
    Point::LeavingRegistered.reached();
    let uid = registrar.as_ref().and_then(|registrar| registrar.node_uid()).cloned();
    if !reset.facts.external_etcd() {
        match members::remove(reset, &found.survey, &found.local).await? {
            Removed::Gone => {}
            Removed::LastVoter => {
                if let Some(mut registrar) = registrar {
                    registrar.joined(claim, None, None).await;
                }
                bail!("the others have left meanwhile, and this machine is the last voter");
            }
        }
    }
    Point::MemberGone.reached();
    notify::status("leaving: deleting the Node");
    let deleted = node::delete(reset, &found.survey, uid.as_ref()).await;
    match deleted {
        Ok(()) => {}
        // Nothing else of this machine is in the cluster.
        Err(error) if reset.facts.external_etcd() => return Err(error),
        Err(error) => tracing::warn!("{error:#}; the leader or whoever joins next deletes it"),
    }
    Point::NodeDeleted.reached();
    // Before the marker, over which the next agent does nothing but answer the hook.
    act::register_left(reset, registrar, claim, true).await;
    Point::LeftRegistered.reached();
    departure::save(root, me, Departure::Left)?;
    Point::LeftMarked.reached();
    tracing::info!("left the cluster");
    Ok(())
}
