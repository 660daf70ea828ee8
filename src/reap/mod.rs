//! `kubeboot reap`: the members of machines that are gone, removed by hand.
//!
//! The same rules and the same code as before every join. What an operator may add is the word for a member that no
//! registration explains. What all of it means is in `docs/reap.md`.

mod act;
mod local;
mod look;
mod remote;
mod report;

use crate::exit::Exit;
use crate::host::confirm::confirm;
use crate::host::lock::{self, Lock};
use crate::model::machine::ids::{MemberId, Nonce};
use crate::model::membership::members::Member;
use crate::model::membership::reaping::ReapVerdict;
use crate::model::reap::operator::{OperatorRemoval, ReapRefusal, Remaining, remaining};
use crate::node::operator::{this_machine, with_exit};
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
    /// One member that an operator has judged.
    pub member: Option<MemberId>,
    /// The operator has confirmed.
    pub yes: bool,
    /// Print JSON for programs.
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in; what was done stands on standard output all the same.
pub async fn run(settings: Settings, options: ReapOptions) -> Result<()> {
    reap(settings, options).await.map_err(with_exit)
}

async fn reap(settings: Settings, options: ReapOptions) -> Result<()> {
    match this_machine().await {
        Ok(_) => {}
        Err(why) if options.dry_run && options.member.is_none() => {
            return remote::foretell(&settings, &why, options.json).await;
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
        let seen = here.observe().await?;
        return foretell(&here, &seen, options).await;
    }
    let _lock = Lock::acquire(Path::new(lock::PATH), "kubeboot reap", settings.deadline, local::waiting).await?;
    let mut here = LocalReap::gather(settings).await?;
    let seen = here.settled(deadline).await?;
    match options.member {
        Some(id) => named_by_operator(&mut here, &seen, id, options, deadline).await,
        None => by_rule(&mut here, seen, options, deadline).await,
    }
}

/// The plan, or what would become of the one member that was named.
async fn foretell(here: &LocalReap, seen: &ReapObservation, options: ReapOptions) -> Result<()> {
    let nonce = here.lease_nonce().await?;
    let mut report = ReapReport::new(here, seen, true);
    match options.member {
        None => report.plan(&here.plan(seen, &nonce)?, seen),
        Some(id) => match lawful(here, seen, id, &nonce)? {
            Some((row, _)) => report.push(row),
            None => not_listed(id),
        },
    }
    report.print(options.json)
}

/// Removes what the rules remove.
async fn by_rule(
    here: &mut LocalReap,
    mut seen: ReapObservation,
    options: ReapOptions,
    deadline: Instant,
) -> Result<()> {
    let mut plan = here.plan(&seen, &fresh_nonce()?)?;
    let mut done = Vec::new();
    if plan.iter().any(|(_, verdict)| matches!(verdict, ReapVerdict::Remove(_))) {
        (seen, plan, done) = here.reap(&seen, deadline).await?;
    }
    let mut report = ReapReport::new(here, &seen, false);
    report.plan(&plan, &seen);
    report.done(&done);
    report.print(options.json)?;
    nothing_stays(&plan)
}

/// Removes one member that an operator has named.
async fn named_by_operator(
    here: &mut LocalReap,
    seen: &ReapObservation,
    id: MemberId,
    options: ReapOptions,
    deadline: Instant,
) -> Result<()> {
    let mut report = ReapReport::new(here, seen, false);
    let Some((row, why)) = lawful(here, seen, id, &fresh_nonce()?)? else {
        not_listed(id);
        return report.print(options.json);
    };
    eprintln!("This removes etcd member {row} for good: {why}. What it holds on its disk can never be used again.");
    confirm(options.yes).await?;
    report.push(row);
    match here.reap_one(seen, id, deadline).await? {
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
    seen: &ReapObservation,
    id: MemberId,
    nonce: &Nonce,
) -> Result<Option<(ReapRow, OperatorRemoval)>> {
    match here.judged(seen, id, nonce)? {
        None => Ok(None),
        Some(Ok(why)) => Ok(ReapRow::lawful(seen, id, &why).map(|row| (row, why))),
        Some(Err(refusal)) => Err(refused(id, &refusal)),
    }
}

/// Why a member stays though it was named.
fn refused(id: MemberId, refusal: &ReapRefusal) -> anyhow::Error {
    anyhow!("{refusal}").context(format!("refused to remove etcd member {id}")).context(Exit::Operator)
}

/// Nothing is to be done about a member that etcd does not list, be it that it was mistyped or removed before.
fn not_listed(id: MemberId) {
    eprintln!("etcd lists no member {id}: nothing to remove");
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
            "a member stays about which an operator must decide; if nobody explains it, 'kubeboot reap --member ID' removes it"
        )
        .context(Exit::Operator)),
    }
}
