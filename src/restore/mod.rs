//! `kubeboot restore`: an operator's word that the cluster comes back from a snapshot.
//!
//! It restores nothing itself: it writes into the cluster's record, under If-Match, that the cluster lives in that snapshot, and the next
//! machines that run `kubeboot up` do the rest. That is refused while any machine that ever had a vote lives or anything answers.
//! Everything is looked at twice, and the second time, after the person has confirmed, with the version of the record that the write
//! names. What it means is in `docs/restoring.md`.

mod choose;
mod look;
mod report;

use crate::aws::store::Written;
use crate::aws::with_exit;
use crate::bucket::keys;
use crate::bucket::record::StoredRecord;
use crate::exit::Exit;
use crate::host::confirm::confirm;
use crate::layout::tell;
use crate::model::record::claim;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::conditional_write::Condition;
use crate::model::restore::{RestoreDecision, RestoreRefusal};
use crate::node::remains::{self, POLL_INTERVAL};
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow};
use look::{RestoreObservation, RestoreObserver};
use report::RestoreReport;
use std::time::Duration;
use tokio::time::Instant;

/// How long the one write is tried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// What is about to be done.
const ANNOUNCEMENT: &str = "The record will say that the cluster is saved in this snapshot, and the next machines that run 'kubeboot up' restore \
     it: all that was written after the snapshot is gone for good. No object is deleted.";

/// What `restore` was asked for beside the settings.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// The snapshot that is meant, by its key or name; `None` for the latest.
    pub snapshot: Option<String>,
    /// Say what would be restored and lost, and change nothing.
    pub dry_run: bool,
    /// The operator has confirmed.
    pub yes: bool,
    /// Print JSON for programs.
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in.
pub async fn run(settings: Settings, options: RestoreOptions) -> Result<()> {
    restore(settings, options).await.map_err(with_exit)
}

async fn restore(settings: Settings, options: RestoreOptions) -> Result<()> {
    let deadline = Instant::now() + settings.deadline;
    let mut observer = RestoreObserver::new(settings, options.snapshot.clone()).await?;
    let observed = if options.dry_run { observer.look().await? } else { settled(&mut observer, deadline).await? };
    if let RestoreDecision::Refused(refusals) = &observed.verdict {
        return refused(&observed, refusals, &options);
    }
    observer.verify(&observed).await?;
    if options.dry_run {
        return RestoreReport::new(&observed, false).print(options.json);
    }
    if observed.verdict == RestoreDecision::Already {
        tell("the record says so already");
        return RestoreReport::new(&observed, true).print(options.json);
    }
    tell(RestoreReport::new(&observed, false).page().trim_end());
    tell(ANNOUNCEMENT);
    confirm(options.yes).await?;
    // The confirmation may have taken minutes, in which machines may have booted, and another snapshot may have come.
    let again = settled(&mut observer, deadline.max(Instant::now() + POLL_INTERVAL)).await?;
    if again.reference() != observed.reference() {
        return Err(anyhow!("there is another snapshot now: run this again").context(Exit::TryAgain));
    }
    match &again.verdict {
        RestoreDecision::Allowed => write(&observer, again, &options).await,
        RestoreDecision::Already => RestoreReport::new(&again, true).print(options.json),
        RestoreDecision::Refused(refusals) => refused(&again, refusals, &options),
        RestoreDecision::Wait { .. } => Err(anyhow!("EC2's word has changed: run this again").context(Exit::TryAgain)),
    }
}

/// Looks until the verdict waits for nobody, or until `deadline`.
async fn settled(observer: &mut RestoreObserver, deadline: Instant) -> Result<RestoreObservation> {
    remains::settled(deadline, async || observer.look().await, |observed| observed.verdict.waits_for()).await
}

/// The one write.
async fn write(observer: &RestoreObserver, observed: RestoreObservation, options: &RestoreOptions) -> Result<()> {
    let StoredRecord::Found(record, etag) = &observed.remains.record else {
        return Err(anyhow!("the record was not read"));
    };
    let reference = observed.reference().context("no snapshot was chosen")?;
    let next = claim::saved(record, reference.clone()).context("the record is of no cluster")?;
    let store = &observer.session().store;
    let again = |what: &str| Err(anyhow!("{what}: run this again, it is harmless").context(Exit::TryAgain));
    let condition = Condition::Unchanged(etag.clone());
    match store.write(keys::RECORD, &next.to_bytes(), &condition, WRITE_TIMEOUT).await? {
        Written::Ours(_) => {}
        Written::Others(object) if is_saved_so(&object.body, &next) => {}
        Written::Others(_) => return again("the cluster record was changed at the same moment"),
        Written::Gone => {
            let url = store.url(keys::RECORD);
            return Err(anyhow!("the cluster record '{url}' has been deleted: restore its last version")
                .context(Exit::Operator));
        }
        Written::Unknown => return again("S3 did not say whether the record was written"),
    }
    tracing::warn!(snapshot = %reference.key, "the record says that the cluster is saved: the next machines restore it");
    RestoreReport::new(&observed, true).print(options.json)
}

/// Whether another run has written the same at the same moment.
fn is_saved_so(body: &[u8], next: &ClusterRecord) -> bool {
    ClusterRecord::parse(body).is_ok_and(|record| matches!(record.state, RecordState::Saved(_)) && record == *next)
}

/// Says what stands in the way.
fn refused(observed: &RestoreObservation, refusals: &[RestoreRefusal], options: &RestoreOptions) -> Result<()> {
    if options.json {
        RestoreReport::new(observed, false).print(true)?;
    } else {
        tell(RestoreReport::new(observed, false).page().trim_end());
    }
    let exit = if refusals.iter().any(RestoreRefusal::is_about_usage) { Exit::Usage } else { Exit::Operator };
    let reasons: Vec<String> = refusals.iter().map(|refusal| format!("- {refusal}")).collect();
    let what = "refused to have the cluster restored, nothing was changed:";
    Err(anyhow!("{}", reasons.join("\n")).context(what).context(exit))
}
