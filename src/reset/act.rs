//! Carrying the plan out: the membership under the lease where it can be had, then the Node, then the registration.

use super::members::{self, Removed};
use super::survey::Survey;
use super::{ResetContext, node, stayed, wipe};
use crate::bucket::Held;
use crate::exit::{Exit, Leaving};
use crate::host::lock::Lock;
use crate::host::systemd::notify;
use crate::model::duration::in_words;
use crate::model::leave::{LeavePlan, LeaveStep, Part, StayReason};
use crate::model::machine::ids::ClaimId;
use crate::model::machine::local::Local;
use crate::model::membership::instances::Instances;
use crate::model::membership::lease::Lease;
use crate::model::membership::registration::RegistrationPhase;
use crate::node::lease::{Queue, release};
use crate::node::registrar::Registrar;
use anyhow::{Context, Result, anyhow};
use tokio::time::timeout;

/// What has gone wrong on the way, each with its reason.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    /// The value, or `None` and a line in the log.
    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                tracing::error!("{error:#}");
                self.0.push(format!("{error:#}"));
            })
            .ok()
    }
}

/// Carries out the steps.
///
/// # Errors
/// With [`Exit::Operator`] when an operator's machine turns out to be the last voter; or the wipe failed.
pub(super) async fn carry_out(
    reset: &ResetContext,
    survey: &Survey,
    local: &Local,
    lock: Option<&Lock>,
) -> Result<Leaving> {
    let (LeavePlan::Leave(steps), Some(claim)) = (&survey.plan, claim_of(local)) else { return Ok(Leaving::Stayed) };
    let mut failures = Failures::default();
    let held = if steps.contains(&LeaveStep::Lease) { queue(reset).await } else { None };
    let mut registrar = None;
    let removed = {
        let work = async {
            registrar = register_leaving(reset, claim).await;
            if reset.facts.external_etcd() { Ok(Removed::Gone) } else { members::remove(reset, survey, local).await }
        };
        under_lease(reset, held, work).await
    };
    let removed = failures.take(removed);
    if removed == Some(Removed::LastVoter) {
        return stay_as_last_voter(reset, registrar, claim).await;
    }
    notify::status("leaving: deleting the Node");
    let uid = registrar.as_ref().and_then(Registrar::node_uid).cloned();
    if removed.is_none() && reset.now {
        // A machine that stays on and is a member needs its Node.
        failures.0.push("its Node was kept, since its member is still there".to_owned());
    } else {
        failures.take(node::delete(reset, survey, uid.as_ref()).await);
    }
    register_left(reset, registrar, claim, removed.is_some()).await;
    let leaving = report_end(reset, removed.is_some(), &failures);
    if let (true, true, Some(lock)) = (reset.now, removed.is_some(), lock) {
        wipe::wipe(reset, lock, local).await?;
    }
    Ok(leaving)
}

/// Says in one line how it ended, in the log and to systemd.
fn report_end(reset: &ResetContext, removed: bool, failures: &Failures) -> Leaving {
    let took = in_words(reset.clock.elapsed());
    let line = match (removed, failures.0.as_slice()) {
        (true, []) => format!("left the cluster in {took}"),
        (true, failures) => format!("left the cluster in {took}, but {}", failures.join("; ")),
        (false, failures) => format!("did not leave within {took}: {}", failures.join("; ")),
    };
    notify::status(&line);
    if failures.0.is_empty() {
        tracing::info!("{line}");
        Leaving::Left
    } else {
        tracing::error!(
            "{line}; what is left of this machine is reaped by the leader among the agents, or when another one joins"
        );
        Leaving::Incomplete
    }
}

/// The others have left while this machine was about to.
async fn stay_as_last_voter(reset: &ResetContext, registrar: Option<Registrar>, claim: &ClaimId) -> Result<Leaving> {
    if let Some(mut registrar) = registrar
        && timeout(reset.clock.left(Part::RegisterLeft), registrar.joined(claim, None, None)).await.is_err()
    {
        tracing::warn!("this machine's registration still says 'leaving', until 'kubeboot up' runs again");
    }
    if reset.now {
        return Err(anyhow!("this machine does not leave: {}", StayReason::LastVoter).context(Exit::Operator));
    }
    Ok(stayed(&StayReason::LastVoter.to_string()))
}

pub(crate) fn claim_of(local: &Local) -> Option<&ClaimId> {
    match local {
        Local::HalfMade { claim_id, .. } | Local::Made { claim_id, .. } => Some(claim_id),
        Local::Fresh | Local::Unexplained { .. } => None,
    }
}

/// The membership lease, if it can be had within a few seconds. It only orders the changes: what keeps them safe is etcd.
async fn queue(reset: &ResetContext) -> Option<Held<Lease>> {
    let (me, settings) = (reset.facts.machine.instance.clone(), &reset.facts.settings);
    let mut queue = Queue::new(reset.session.store.clone(), me, settings.lease_ttl);
    notify::status("leaving: queueing for the membership lease");
    let time_limit = reset.clock.left(Part::Lease);
    let instances = Instances::default();
    let taken = queue.take_within("leave", &instances, time_limit, |reason| tracing::info!("waiting for {reason}"));
    match reset.clock.within(Part::Lease, taken).await {
        Ok(Ok((held, nonce))) => {
            tracing::info!(lease = %nonce, "this machine holds the membership lease");
            Some(*held)
        }
        Ok(Err(reason)) => {
            tracing::warn!("going on without the membership lease, still waiting for {reason}");
            None
        }
        Err(error) => {
            tracing::warn!("going on without the membership lease: {error:#}");
            None
        }
    }
}

/// Does the work while holding the lease; losing it ends nothing.
async fn under_lease<T>(reset: &ResetContext, held: Option<Held<Lease>>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let Some(mut held) = held else { return work.await };
    let done = match held.while_holding(work.as_mut()).await {
        Ok(done) => done,
        Err(lost) => {
            tracing::warn!(%lost, "going on without the membership lease");
            return work.await;
        }
    };
    if timeout(reset.clock.left(Part::Node), release(held)).await.is_err() {
        tracing::warn!("failed to release the membership lease in time, it runs out by itself");
    }
    done
}

/// Registers that this machine leaves, so that the others do not wait for it. It is a hint, so a failure is logged and
/// ignored.
pub(crate) async fn register_leaving(reset: &ResetContext, claim: &ClaimId) -> Option<Registrar> {
    notify::status("leaving: registering");
    let write = async {
        let mut registrar = Registrar::load(reset.session.store.clone(), &reset.facts).await;
        registrar.silence(false);
        registrar.in_hook(reset.hook);
        registrar.phase(RegistrationPhase::Leaving, claim).await;
        Ok(registrar)
    };
    let registrar = reset.clock.within(Part::RegisterLeaving, write).await;
    registrar.inspect_err(|error| tracing::warn!("{error:#}")).ok()
}

/// Registers that it has left: from then on its registration explains no member.
pub(crate) async fn register_left(reset: &ResetContext, registrar: Option<Registrar>, claim: &ClaimId, removed: bool) {
    let (Some(mut registrar), true) = (registrar, removed) else { return };
    let write = async {
        registrar.no_member();
        registrar.phase(RegistrationPhase::Left, claim).await;
        Ok(())
    };
    if let Err(error) =
        reset.clock.within(Part::RegisterLeft, write).await.context("the registration still says 'leaving'")
    {
        tracing::warn!("{error:#}");
    }
}
