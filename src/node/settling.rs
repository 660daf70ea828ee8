//! What becomes of a machine that was isolated to save its cluster: the record decides.

use super::Facts;
use super::isolation;
use crate::aws::store::{Store, Written};
use crate::bucket::{keys, record};
use crate::exit::Exit;
use crate::kubeadm::withheld::{self, Why};
use crate::model::machine::ids::{ClaimId, MemberId};
use crate::model::record::cluster::ClusterRecord;
use crate::model::record::conditional_write::Condition;
use crate::model::saving::{RecordFound, SaveFindings, SaveStep, next};
use crate::node::point::Point;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;

/// How long one attempt to write the record is tried.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The cluster lives in a snapshot: nothing here starts again.
    ForGood,
    /// The record says `ready`, and the machine is what it was before.
    PutBack,
}

/// The record as it was read, and what it says of a machine's cluster.
pub struct RecordNow {
    /// What it says.
    pub record: RecordFound,
    stored: Option<(ClusterRecord, String)>,
}

impl RecordNow {
    /// The record, and its ETag.
    ///
    /// # Errors
    /// It could not be read.
    pub fn stored(&self) -> Result<(&ClusterRecord, &str)> {
        self.stored.as_ref().map(|(record, etag)| (record, etag.as_str())).context("the cluster record was not read")
    }
}

/// On a machine whose cluster is not to be saved any more: does what the record says. Once it has said that the cluster lives in a snapshot,
/// nothing goes back whatever it says by now, and an end that was not seen is brought about again.
///
/// # Errors
/// It says neither that the cluster is ready nor that it lives in a snapshot, or it may still change. What is isolated stays so.
pub async fn settle(facts: &Facts, store: &Store, claim: &ClaimId) -> Result<Settled> {
    let mark = withheld::load(Path::new("/"), &facts.machine.instance)?;
    if mark.is_some_and(|mark| mark.isolation().is_end()) {
        isolation::end_both(facts, claim).await?;
        return Ok(Settled::ForGood);
    }
    let found = find(store, claim).await;
    let step = next(&SaveFindings {
        record: found.record.clone(),
        wanted: false,
        too_old: &[],
        is_server_gone: false,
        is_etcd_alone: false,
        own: MemberId(0),
        members: None,
        snapshot: None,
        may_be_sent: may_be_sent(facts)?,
    });
    act(facts, store, claim, found, step).await
}

/// Takes the step with which a saving ends.
///
/// # Errors
/// It is not the end yet: what is isolated stays so, with why.
pub async fn act(facts: &Facts, store: &Store, claim: &ClaimId, found: RecordNow, step: SaveStep) -> Result<Settled> {
    match step {
        SaveStep::EndForGood => {
            isolation::end_both(facts, claim).await?;
            Point::SavedMarked.reached();
            Ok(Settled::ForGood)
        }
        SaveStep::PutBack { fence: is_fenced, .. } => {
            if is_fenced {
                fence(store, &found).await?;
            }
            isolation::put_back()?;
            tracing::warn!("the cluster was not saved: etcd and API server start again on this machine");
            Ok(Settled::PutBack)
        }
        SaveStep::Hold(why) => bail!("it is not known what becomes of the cluster that was to be saved: {why}"),
        SaveStep::IsolateApiServer
        | SaveStep::IsolateEtcd
        | SaveStep::List
        | SaveStep::RemoveLearner(_)
        | SaveStep::TakeSnapshot
        | SaveStep::WriteSaved => bail!("the saving of the cluster has not come to its end"),
    }
}

/// Reads the record, and what it says of the cluster of this claim.
pub async fn find(store: &Store, claim: &ClaimId) -> RecordNow {
    match read(store).await {
        Ok((record, etag)) => {
            let said = match () {
                () if record.supersedes(claim) => RecordFound::Saved,
                () if record.claim_id == *claim && record.published().is_some() => RecordFound::Ready,
                () => RecordFound::Unknown(
                    "the cluster record says neither that it is ready nor that it was saved; see 'kubeboot status'"
                        .to_owned(),
                ),
            };
            RecordNow { record: said, stored: Some((record, etag)) }
        }
        Err(error) => RecordNow { record: RecordFound::Unknown(format!("{error:#}")), stored: None },
    }
}

/// Whether a `saved` may have been sent of which nobody knows what came.
///
/// # Errors
/// The mark cannot be read.
pub fn may_be_sent(facts: &Facts) -> Result<bool> {
    let mark = withheld::load(Path::new("/"), &facts.machine.instance)?;
    Ok(mark.is_some_and(|mark| mark.why == Why::Writing))
}

/// The record, and its ETag.
///
/// # Errors
/// S3's; with [`Exit::Operator`], it is not there, or says nothing.
pub async fn read(store: &Store) -> Result<(ClusterRecord, String)> {
    record::read(store).await?.context("there is no cluster record").context(Exit::Operator)
}

/// Changes the record in nothing but its counter, so that a `saved` which was sent and has not arrived yet finds another record than the
/// one it was to be written over. Otherwise what is committed here from now on would be lost with it.
async fn fence(store: &Store, found: &RecordNow) -> Result<()> {
    let (record, etag) = found.stored()?;
    let next = ClusterRecord { generation: record.generation + 1, ..record.clone() };
    let condition = Condition::Unchanged(etag.to_owned());
    match store.write(keys::RECORD, &next.to_bytes(), &condition, WRITE_TIMEOUT).await? {
        Written::Ours(_) => Ok(()),
        Written::Others(_) | Written::Gone | Written::Unknown => {
            bail!(
                "the cluster record may still say 'saved' in a moment: etcd stays on the loopback until that is known"
            )
        }
    }
}
