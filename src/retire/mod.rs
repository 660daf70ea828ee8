//! `kubeboot retire`: the one way to start over on purpose.
//!
//! The cluster's record is flipped to `retired` under If-Match, and the next machines of the group make a new cluster over
//! it. That is refused while any machine of the cluster lives or anything answers. Everything is looked at twice, and the
//! second time, after the person has confirmed, with the version of the record that the write names. Where the record is lost, the
//! same is written over nothing, or over the older version that has come back. What it means is in `docs/retire.md`.

mod finish;
mod look;
mod report;

use crate::aws::store::Written;
use crate::aws::with_exit;
use crate::bucket::record::StoredRecord;
use crate::bucket::{join, keys};
use crate::exit::Exit;
use crate::host::confirm::confirm;
use crate::layout::tell;
use crate::model::machine::ids::ClaimId;
use crate::model::record::claim;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::conditional_write::{Condition, Object};
use crate::model::retire::{RetireDecision, RetireRefusal};
use crate::node::remains::{self, POLL_INTERVAL};
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow};
use finish::finish;
use look::{RetireObservation, RetireObserver};
use report::RetireReport;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// How long the one write is tried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What `retire` was asked for beside the settings.
#[derive(Debug, Clone)]
pub struct RetireOptions {
    /// The cluster that is meant.
    pub target: RetireTarget,
    /// The operator has confirmed.
    pub yes: bool,
    /// Print JSON for programs.
    pub json: bool,
}

/// The cluster that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetireTarget {
    /// The one with this ID.
    Cluster(ClaimId),
    /// The one whose record is gone, or has gone back to an older version.
    LostRecord,
}

impl fmt::Display for RetireTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(cluster_id) => write!(f, "the cluster {cluster_id}"),
            Self::LostRecord => f.write_str("the cluster whose record is lost"),
        }
    }
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
    let mut observer = RetireObserver::new(settings, options.target.clone()).await?;
    let observed = settled(&mut observer, deadline).await?;
    match &observed.verdict {
        RetireDecision::Refused(refusals) => return refused(&observer, &observed, refusals, &options),
        RetireDecision::Already => return finished_anew(&observer, observed, &options).await,
        RetireDecision::Allowed | RetireDecision::Wait { .. } => {}
    }
    tell(RetireReport::new(&observer, &observed, None).page().trim_end());
    tell(&announcement(&options.target).to_string());
    confirm(options.yes).await?;
    // The confirmation may have taken minutes, in which machines may have booted.
    let observed = settled(&mut observer, deadline.max(Instant::now() + POLL_INTERVAL)).await?;
    match &observed.verdict {
        RetireDecision::Allowed => flip(&observer, observed, &options).await,
        RetireDecision::Already => finished_anew(&observer, observed, &options).await,
        RetireDecision::Refused(refusals) => refused(&observer, &observed, refusals, &options),
        RetireDecision::Wait { .. } => Err(anyhow!("EC2's word has changed: run this again").context(Exit::TryAgain)),
    }
}

/// What is about to be done.
fn announcement(target: &RetireTarget) -> String {
    let lost = match target {
        RetireTarget::Cluster(_) => "",
        RetireTarget::LostRecord => "If any later version of the record can be had, restore that instead. ",
    };
    format!(
        "{lost}This gives {target} up for good: its record will say 'retired', and the next machines that run 'kubeboot up' make a new \
         cluster. No object is deleted: the old keys stay in the bucket."
    )
}

/// Looks until the verdict waits for nobody, or until `deadline`.
async fn settled(observer: &mut RetireObserver, deadline: Instant) -> Result<RetireObservation> {
    remains::settled(deadline, async || observer.look().await, |observed| observed.verdict.waits_for()).await
}

/// The one write, and what follows it.
async fn flip(observer: &RetireObserver, observed: RetireObservation, options: &RetireOptions) -> Result<()> {
    let store = &observer.session().store;
    // A record that is lost has no generation to go on from, but what workers join with has one.
    let published = match options.target {
        RetireTarget::LostRecord => join::highest_generation(store).await?,
        RetireTarget::Cluster(_) => None,
    };
    let (next, condition) = next_record(observer, &observed, &options.target, published)?;
    let again = |what: &str| Err(anyhow!("{what}: run this again, it is harmless").context(Exit::TryAgain));
    let next = match store.write(keys::RECORD, &next.to_bytes(), &condition, WRITE_TIMEOUT).await? {
        Written::Ours(_) => next,
        Written::Others(object) => match retired_by_another(&object, &options.target) {
            Some(theirs) => theirs,
            None => return again("the cluster record was changed at the same moment"),
        },
        Written::Gone => {
            let url = store.url(keys::RECORD);
            return Err(anyhow!("the cluster record '{url}' has been deleted: restore its last version")
                .context(Exit::Operator));
        }
        Written::Unknown => return again("S3 did not say whether the record was written"),
    };
    tracing::warn!(target = %options.target, "the cluster is retired");
    let finished = finish(store, &next).await?;
    let record = StoredRecord::Found(next, String::new());
    let observed = RetireObservation { record, verdict: RetireDecision::Already, ..observed };
    RetireReport::new(observer, &observed, Some(finished)).print(options.json)
}

/// What is written, and over what.
fn next_record(
    observer: &RetireObserver,
    observed: &RetireObservation,
    target: &RetireTarget,
    published: Option<u64>,
) -> Result<(ClusterRecord, Condition)> {
    let (before, condition) = match &observed.record {
        StoredRecord::Found(record, etag) => (Some(record), Condition::Unchanged(etag.clone())),
        StoredRecord::Nothing | StoredRecord::Deleted => (None, Condition::Absent),
    };
    let next = match target {
        RetireTarget::Cluster(_) => {
            claim::retired(before.context("the record was not read")?).context("the record is not ready")?
        }
        RetireTarget::LostRecord => {
            let claim_id = ClaimId::parse(uuid::Uuid::new_v4().to_string()).context("a UUID is a claim ID")?;
            let arn = observed.group_arn.clone().context("no group is known")?;
            claim::lost(before, claim_id, published, observer.identity(arn), observed.claims.iter().cloned())
        }
    };
    Ok((next, condition))
}

/// The record is retired already: finishes what an earlier run has left.
async fn finished_anew(observer: &RetireObserver, observed: RetireObservation, options: &RetireOptions) -> Result<()> {
    tell(&format!("{} is retired already", options.target));
    let StoredRecord::Found(record, _) = &observed.record else {
        return Err(anyhow!("the record was not read"));
    };
    let finished = finish(&observer.session().store, record).await?;
    RetireReport::new(observer, &observed, Some(finished)).print(options.json)
}

/// The record of another run that has retired the same cluster at the same moment.
fn retired_by_another(object: &Object, target: &RetireTarget) -> Option<ClusterRecord> {
    let record = ClusterRecord::parse(&object.body).ok()?;
    let is_meant = match target {
        RetireTarget::Cluster(cluster_id) => record.claim_id == *cluster_id,
        // Which claims it names is looked at by the next run.
        RetireTarget::LostRecord => false,
    };
    (is_meant && matches!(record.state, RecordState::Retired(_))).then_some(record)
}

/// Says what stands in the way.
fn refused(
    observer: &RetireObserver,
    observed: &RetireObservation,
    refusals: &[RetireRefusal],
    options: &RetireOptions,
) -> Result<()> {
    if options.json {
        RetireReport::new(observer, observed, None).print(true)?;
    }
    let exit = if refusals.iter().any(RetireRefusal::is_about_usage) { Exit::Usage } else { Exit::Operator };
    let reasons: Vec<String> = refusals.iter().map(|refusal| format!("- {refusal}")).collect();
    let what = format!("refused to retire {}, nothing was changed:", options.target);
    Err(anyhow!("{}", reasons.join("\n")).context(what).context(exit))
}
