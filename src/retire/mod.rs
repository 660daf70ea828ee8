//! `kubeboot retire`: the one way to start over on purpose.
//!
//! The cluster's record is flipped to `retired` under If-Match, and the next machines of the group make a new cluster over
//! it. That is refused while any machine of the cluster lives or anything answers. Everything is looked at twice, and the
//! second time, after the person has confirmed, with the version of the record that the write names. What it means is in
//! `docs/retire.md`.

mod look;
mod report;

use crate::aws::store::Written;
use crate::aws::with_exit;
use crate::bucket::keys;
use crate::exit::Exit;
use crate::host::confirm::confirm;
use crate::model::machine::ids::ClaimId;
use crate::model::record::claim;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::conditional_write::{Condition, Object};
use crate::model::retire::{RetireDecision, RetireRefusal};
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow};
use look::{RetireObservation, RetireObserver};
use report::RetireReport;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the one write is tried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks while machines that EC2 leaves out do not count as gone yet.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// What `retire` was asked for beside the settings.
#[derive(Debug, Clone)]
pub struct RetireOptions {
    /// The cluster that is meant.
    pub cluster_id: ClaimId,
    /// The operator has confirmed.
    pub yes: bool,
    /// Print JSON for programs.
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in.
pub async fn run(settings: Settings, options: RetireOptions) -> Result<()> {
    retire(settings, options).await.map_err(with_exit)
}

async fn retire(settings: Settings, options: RetireOptions) -> Result<()> {
    let deadline = Instant::now() + settings.deadline;
    let mut observer = RetireObserver::new(settings, options.cluster_id.clone()).await?;
    let observed = settled(&mut observer, deadline).await?;
    if let RetireDecision::Refused(refusals) = &observed.verdict {
        return refused(&observer, &observed, refusals, &options);
    }
    if observed.verdict == RetireDecision::Already {
        eprintln!("the cluster {} is retired already", options.cluster_id);
        return RetireReport::new(&observer, &observed, true).print(options.json);
    }
    eprint!("{}", RetireReport::new(&observer, &observed, false).page());
    eprintln!(
        "This gives the cluster {} up for good: its record will say 'retired', and the next machines that run 'kubeboot up' make a new \
         cluster. No object is deleted: the old keys stay in the bucket.",
        options.cluster_id
    );
    confirm(options.yes).await?;
    // The confirmation may have taken minutes, in which machines may have booted.
    let observed = settled(&mut observer, deadline.max(Instant::now() + POLL_INTERVAL)).await?;
    match &observed.verdict {
        RetireDecision::Allowed => flip(&observer, observed, &options).await,
        RetireDecision::Already => RetireReport::new(&observer, &observed, true).print(options.json),
        RetireDecision::Refused(refusals) => refused(&observer, &observed, refusals, &options),
        RetireDecision::Wait { .. } => Err(anyhow!("EC2's word has changed: run this again").context(Exit::TryAgain)),
    }
}

/// Looks until every machine that EC2 leaves out has been left out for `gone_grace`.
///
/// # Errors
/// With [`Exit::TryAgain`] when it has not by `deadline`; AWS' own.
async fn settled(observer: &mut RetireObserver, deadline: Instant) -> Result<RetireObservation> {
    let mut logged = false;
    loop {
        let observed = observer.look().await?;
        let RetireDecision::Wait { absent, left } = &observed.verdict else { return Ok(observed) };
        let absent: Vec<_> = absent.iter().map(ToString::to_string).collect();
        let left_for = humantime::format_duration(Duration::from_secs(left.as_secs() + 1));
        let reason = format!(
            "EC2 does not know {}; what it leaves out counts as gone after another {left_for} (gone_grace)",
            absent.join(", ")
        );
        if Instant::now() >= deadline {
            return Err(anyhow!("gave up: {reason}").context(Exit::TryAgain));
        }
        if !std::mem::replace(&mut logged, true) {
            tracing::info!("waiting: {reason}");
        }
        sleep(POLL_INTERVAL.min(*left)).await;
    }
}

/// The one write.
async fn flip(observer: &RetireObserver, observed: RetireObservation, options: &RetireOptions) -> Result<()> {
    let (record, etag) = observed.record.as_ref().context("the record was not read")?;
    let next = claim::retired(record).context("the record is not ready")?;
    let store = &observer.session.store;
    let condition = Condition::Unchanged(etag.clone());
    let again = |what: &str| Err(anyhow!("{what}: run this again, it is harmless").context(Exit::TryAgain));
    match store.write(keys::RECORD, &next.to_bytes(), &condition, WRITE_TIMEOUT).await? {
        Written::Ours(_) => {}
        Written::Others(object) if is_retired(&object, &options.cluster_id) => {}
        Written::Others(_) => return again("the cluster record was changed at the same moment"),
        Written::Gone => {
            let url = store.url(keys::RECORD);
            return Err(anyhow!("the cluster record '{url}' has been deleted: restore its last version")
                .context(Exit::Operator));
        }
        Written::Unknown => return again("S3 did not say whether the record was written"),
    }
    tracing::warn!(cluster = %options.cluster_id, "the cluster is retired");
    let observed =
        RetireObservation { record: Some((next, String::new())), verdict: RetireDecision::Already, ..observed };
    RetireReport::new(observer, &observed, true).print(options.json)
}

/// Whether another run has retired the same cluster at the same moment.
fn is_retired(object: &Object, cluster_id: &ClaimId) -> bool {
    ClusterRecord::parse(&object.body)
        .is_ok_and(|record| record.claim_id == *cluster_id && matches!(record.state, RecordState::Retired(_)))
}

/// Says what stands in the way.
fn refused(
    observer: &RetireObserver,
    observed: &RetireObservation,
    refusals: &[RetireRefusal],
    options: &RetireOptions,
) -> Result<()> {
    if options.json {
        RetireReport::new(observer, observed, false).print(true)?;
    }
    let exit = if refusals.iter().any(RetireRefusal::is_about_usage) { Exit::Usage } else { Exit::Operator };
    let reasons: Vec<String> = refusals.iter().map(|refusal| format!("- {refusal}")).collect();
    let what = format!("refused to retire the cluster {}, nothing was changed:", options.cluster_id);
    Err(anyhow!("{}", reasons.join("\n")).context(what).context(exit))
}
