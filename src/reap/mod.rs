//! `kubeboot reap`: the members of machines that are gone, removed by hand.
//!
//! The same rules and the same code as before every join. What an operator may add is the word for a member that no
//! registration explains. What all of it means is in `docs/reap.md`.

mod act;
mod afar;
mod here;
mod look;
mod report;

use crate::exit::Exit;
use crate::host::confirm::confirm;
use crate::host::lock::{self, Lock};
use crate::model::ids::{MemberId, Nonce};
use crate::model::members::Member;
use crate::model::reap::Verdict;
use crate::model::reap::by_hand::{Lawful, Left, Refusal, left};
use crate::node::operator::{this_machine, with_exit};
use crate::settings::Settings;
use anyhow::{Result, anyhow};
use here::Here;
use look::{Seen, fresh_nonce};
use report::{Report, Row};
use std::path::Path;
use tokio::time::Instant;

/// What `reap` was asked for beside the settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
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
pub async fn run(settings: Settings, options: Options) -> Result<()> {
    reap(settings, options).await.map_err(with_exit)
}

async fn reap(settings: Settings, options: Options) -> Result<()> {
    match this_machine().await {
        Ok(_) => {}
        Err(why) if options.dry_run && options.member.is_none() => {
            return afar::foretell(&settings, &why, options.json).await;
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
        let mut here = Here::gather(settings).await?;
        let seen = here.observe().await?;
        return foretell(&here, &seen, options).await;
    }
    let _lock = Lock::acquire(Path::new(lock::PATH), "kubeboot reap", settings.deadline, here::waiting).await?;
    let mut here = Here::gather(settings).await?;
    let seen = here.settled(deadline).await?;
    match options.member {
        Some(id) => by_hand(&mut here, &seen, id, options, deadline).await,
        None => by_rule(&mut here, seen, options, deadline).await,
    }
}

/// The plan, or what would become of the one member that was named.
async fn foretell(here: &Here, seen: &Seen, options: Options) -> Result<()> {
    let nonce = here.lease_nonce().await?;
    let mut report = Report::new(here, seen, true);
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
async fn by_rule(here: &mut Here, mut seen: Seen, options: Options, deadline: Instant) -> Result<()> {
    let mut plan = here.plan(&seen, &fresh_nonce()?)?;
    let mut done = Vec::new();
    if plan.iter().any(|(_, verdict)| matches!(verdict, Verdict::Remove(_))) {
        (seen, plan, done) = here.reap(&seen, deadline).await?;
    }
    let mut report = Report::new(here, &seen, false);
    report.plan(&plan, &seen);
    report.done(&done);
    report.print(options.json)?;
    nothing_stays(&plan)
}

/// Removes one member that an operator has named.
async fn by_hand(here: &mut Here, seen: &Seen, id: MemberId, options: Options, deadline: Instant) -> Result<()> {
    let mut report = Report::new(here, seen, false);
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
fn lawful(here: &Here, seen: &Seen, id: MemberId, nonce: &Nonce) -> Result<Option<(Row, Lawful)>> {
    match here.judged(seen, id, nonce)? {
        None => Ok(None),
        Some(Ok(why)) => Ok(Row::lawful(seen, id, &why).map(|row| (row, why))),
        Some(Err(refusal)) => Err(refused(id, &refusal)),
    }
}

/// Why a member stays though it was named.
fn refused(id: MemberId, refusal: &Refusal) -> anyhow::Error {
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
fn nothing_stays(plan: &[(Member, Verdict)]) -> Result<()> {
    match left(plan.iter().map(|(_, verdict)| verdict)) {
        Left::Nothing => Ok(()),
        Left::MayMend => {
            Err(anyhow!("a member stays that does not answer: until it answers, or its machine is gone, no machine can join")
                .context(Exit::TryAgain))
        }
        Left::Operator => Err(anyhow!(
            "a member stays about which an operator must decide; if nobody explains it, 'kubeboot reap --member ID' removes it"
        )
        .context(Exit::Operator)),
    }
}
