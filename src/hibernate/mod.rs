//! `kubeboot hibernate`: says whether this group can be set to zero so that its cluster is saved and comes back, takes a snapshot as a
//! rehearsal, and names the one command that sets it to zero. It changes neither the group nor the cluster.

mod look;

use crate::aws::with_exit;
use crate::exit::Exit;
use crate::layout::{say, tell};
use crate::model::hibernate::{HibernateFinding, judge};
use crate::model::snapshot::SnapshotKind;
use crate::settings::Settings;
use crate::snapshot::{Progress, save_own, verify};
use anyhow::{Result, anyhow};
use look::Look;

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in: the group must not be set to zero, or nobody can tell.
pub async fn run(settings: Settings) -> Result<()> {
    prepare(settings).await.map_err(with_exit)
}

async fn prepare(settings: Settings) -> Result<()> {
    let look = Look::take(settings).await?;
    let mut findings = judge(&look.input);
    if !findings.iter().any(HibernateFinding::is_bad) {
        findings.push(rehearsed(&look).await);
    }
    findings.iter().for_each(|finding| say(&finding.to_string()));
    let bad = findings.iter().filter(|finding| finding.is_bad()).count();
    if bad > 0 {
        return Err(anyhow!(
            "the group must not be set to zero: {bad} of these would keep the cluster from being saved"
        )
        .context(Exit::Usage));
    }
    say(&told(&look));
    Ok(())
}

/// A snapshot is taken and read back: whoever may do that now may do it when the last machine saves, and most of the data is safe already.
async fn rehearsed(look: &Look) -> HibernateFinding {
    match rehearse(look).await {
        Ok(words) => HibernateFinding::Good(words),
        Err(error) => HibernateFinding::Bad(
            format!("no snapshot could be saved and read back: {error:#}"),
            "see 'kubeboot check', and docs/snapshots.md for what the machines' role needs".into(),
        ),
    }
}

async fn rehearse(look: &Look) -> Result<String> {
    let mut progress = |_: Progress| Ok(());
    tell("saving a snapshot as a rehearsal, and reading it back");
    let (facts, session, kind) = (&look.facts, &look.session, SnapshotKind::Routine);
    let manifest = save_own(facts, session, &look.record, kind, "kubeboot hibernate", &mut progress).await?;
    verify(&session.snapshots, &manifest, &mut progress).await?;
    Ok(format!("a snapshot of revision {} was saved as a rehearsal and read back: {}", manifest.revision, manifest.key))
}

/// What will happen, and the command.
fn told(look: &Look) -> String {
    let (group, machines) = (&look.group, look.input.voters.1);
    format!(
        "\nWhen the group is set to zero, one machine after the other leaves the cluster. The last one ends its API server, keeps its etcd to \
         itself, saves the whole of it, writes 'saved' into the cluster record, and goes. From then on nothing is lost and nothing serves. \
         Machines that the group launches later restore the cluster by themselves, with the same CA and the same data.\n\
         \nAs long as the record does not say 'saved', a desired capacity of 1 or more calls it off.\n\
         \nTo set it to zero:\n  aws autoscaling update-auto-scaling-group --auto-scaling-group-name {group} --min-size 0 --desired-capacity 0\n\
         To have it back:\n  aws autoscaling update-auto-scaling-group --auto-scaling-group-name {group} --min-size {machines} --desired-capacity {machines}"
    )
}
