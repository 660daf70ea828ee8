//! `kubeboot reap`: removes the members of machines that are gone, when an operator says so.
//!
//! The same rules and the same code as before every join. For a member that no registration explains, an operator may decide
//! by naming it. `docs/reap.md` says what all of it means.

mod act;
mod local;
mod look;
mod remote;
mod report;
mod sources;

use crate::aws::imds::this_machine;
use crate::aws::with_exit;
use crate::exit::Exit;
use crate::host::confirm::confirm;
use crate::host::lock::{self, Lock};
use crate::layout::tell;
use crate::model::machine::ids::{MemberId, Nonce};
use crate::model::membership::members::Member;
use crate::model::membership::reaping::ReapVerdict;
use crate::model::reap::operator::{OperatorRemoval, ReapRefusal, Remaining, remaining};
use crate::settings::Settings;
use anyhow::{Result, anyhow};
use local::LocalReap;
use look::{ReapObservation, fresh_nonce};
use report::{ReapReport, ReapRow};
use std::path::Path;
use tokio::time::Instant;

/// What `reap` was asked for beside the settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReapOptions {
    /// Say what would be done and why, and touch nothing.
    pub dry_run: bool,
    /// One member that an operator has named.
    pub member: Option<MemberId>,
    /// The operator has confirmed.
    pub yes: bool,
    /// Print JSON for programs.
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in; what was done is printed all the same.
pub async fn run(settings: Settings, options: ReapOptions) -> Result<()> {
    reap(settings, options).await.map_err(with_exit)
}

async fn reap(settings: Settings, options: ReapOptions) -> Result<()> {
    match this_machine().await {
        Ok(_) => {}
        Err(why) if options.dry_run && options.member.is_none() => {
            return remote::dry_run(&settings, &why, options.json).await;
        }
        Err(why) => {
            let remedy = "log in to one; from elsewhere there is 'kubeboot reap --dry-run'";
            return Err(why
                .context(format!(
                    "reaping changes etcd's membership, which is done on a control-plane machine: {remedy}"
                ))
                .context(Exit::Usage));
        }
    }
    let deadline = Instant::now() + settings.deadline;
    if options.dry_run {
        let mut here = LocalReap::gather(settings).await?;
        let observed = here.observe().await?;
        return dry_run(&here, &observed, options).await;
    }
    let mut here = LocalReap::gather(settings).await?;
    let observed = here.settled(deadline).await?;
    match options.member {
        Some(id) => named_by_operator(&mut here, &observed, id, options, deadline).await,
        None => by_rule(&mut here, observed, options, deadline).await,
    }
}

/// This machine's lock, for what changes something alone: waiting for `gone_grace` and for an operator's answer takes minutes, in which the
/// agent may want it to leave by. Under the membership lease everything is judged anew.
async fn lock(deadline: Instant) -> Result<Lock> {
    let time_limit = deadline.saturating_duration_since(Instant::now());
    Lock::acquire(Path::new(lock::PATH), "kubeboot reap", time_limit, local::waiting).await
}

/// The plan, or what would become of the one member that was named.
async fn dry_run(here: &LocalReap, observed: &ReapObservation, options: ReapOptions) -> Result<()> {
    let nonce = here.lease_nonce().await?;
    let mut report = ReapReport::new(here, observed, true);
    match options.member {
        None => report.plan(&here.plan(observed, &nonce)?, observed),
        Some(id) => match lawful(here, observed, id, &nonce)? {
            Some((row, _)) => report.push(row),
            None => not_listed(id),
        },
    }
    report.print(options.json)
}

/// Removes what the rules remove.
async fn by_rule(
    here: &mut LocalReap,
    mut observed: ReapObservation,
    options: ReapOptions,
    deadline: Instant,
) -> Result<()> {
    let _lock = lock(deadline).await?;
    let mut plan = here.plan(&observed, &fresh_nonce()?)?;
    let mut done = Vec::new();
    if plan.iter().any(|(_, verdict)| matches!(verdict, ReapVerdict::Remove(_))) {
        (observed, plan, done) = here.reap(&observed, deadline).await?;
    }
    let mut report = ReapReport::new(here, &observed, false);
    report.plan(&plan, &observed);
    report.done(&done);
    report.print(options.json)?;
    nothing_stays(&plan)
}

/// Removes one member that an operator has named.
async fn named_by_operator(
    here: &mut LocalReap,
    observed: &ReapObservation,
    id: MemberId,
    options: ReapOptions,
    deadline: Instant,
) -> Result<()> {
    let mut report = ReapReport::new(here, observed, false);
    let Some((row, why)) = lawful(here, observed, id, &fresh_nonce()?)? else {
        not_listed(id);
        return report.print(options.json);
    };
    tell(&format!(
        "This removes etcd member {row} for good: {why}. What it holds on its disk can never be used again."
    ));
    confirm(options.yes).await?;
    let _lock = lock(deadline).await?;
    report.push(row);
    match here.reap_one(observed, id, deadline).await? {
        Some(done) => report.done(&[done]),
        None => not_listed(id),
    }
    report.print(options.json)
}

/// A named member that may go, and why; `None` when it is not listed.
///
/// # Errors
/// With [`Exit::Operator`] and the reason when it may not.
fn lawful(
    here: &LocalReap,
    observed: &ReapObservation,
    id: MemberId,
    nonce: &Nonce,
) -> Result<Option<(ReapRow, OperatorRemoval)>> {
    match here.judged(observed, id, nonce)? {
        None => Ok(None),
        Some(Ok(why)) => Ok(ReapRow::lawful(observed, id, &why).map(|row| (row, why))),
        Some(Err(refusal)) => Err(refused(id, &refusal)),
    }
}

/// Why a member stays though it was named.
fn refused(id: MemberId, refusal: &ReapRefusal) -> anyhow::Error {
    anyhow!("{refusal}").context(format!("refused to remove etcd member {id}")).context(Exit::Operator)
}

/// A member that etcd does not list needs no removal: it was mistyped, or removed before.
fn not_listed(id: MemberId) {
    tell(&format!("etcd lists no member {id}: nothing to remove"));
}

/// Whether all that stands in the way of the next join is gone.
///
/// # Errors
/// With [`Exit::TryAgain`] or [`Exit::Operator`], when something stays.
fn nothing_stays(plan: &[(Member, ReapVerdict)]) -> Result<()> {
    match remaining(plan.iter().map(|(_, verdict)| verdict)) {
        Remaining::Nothing => Ok(()),
        Remaining::MayRecover => {
            Err(anyhow!("a member stays that does not answer: until it answers, or its machine is gone, no machine can join")
                .context(Exit::TryAgain))
        }
        Remaining::Operator => Err(anyhow!(
            "a member stays about which an operator must decide; if no registration explains it, 'kubeboot reap --member ID' removes it"
        )
        .context(Exit::Operator)),
    }
}
