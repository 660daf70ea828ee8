//! Claiming, taking over, stepping down: every write of the record but the flip.

use super::context::UpContext;
use super::{POLL_INTERVAL, StepOutcome, Waiting};
use crate::aws::store::Written;
use crate::bucket::probe::{self, Probed, Unfit};
use crate::bucket::{Held, HoldingLost, Renewable, keys};
use crate::exit::Exit;
use crate::kubeadm::{data_dir, quiesce};
use crate::model::duration::in_words;
use crate::model::machine::ids::ClaimId;
use crate::model::record::claim;
use crate::model::record::cluster::{ClusterRecord, Holder, RecordState};
use crate::model::record::conditional_write::Condition;
use crate::model::record::view::RecordView;
use crate::model::up::snapshot::Snapshot;
use crate::node::point::Point;
use anyhow::{Context, Result, anyhow};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout};

/// How long one write of the record is tried before the record is read anew.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the endpoint's name may take to resolve.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

impl Renewable for ClusterRecord {
    fn renewed_body(&self) -> Self {
        claim::renewed(self).unwrap_or_else(|| self.clone())
    }

    fn bytes(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn same_holding(&self, stored: &[u8]) -> Option<Self> {
        let stored = Self::parse(stored).ok()?;
        claim::continues(self, &stored).then_some(stored)
    }
}

impl UpContext {
    /// Writes a fresh claim over what was seen, under the condition that it is still there.
    pub(super) async fn claim(&mut self, seen: &Snapshot) -> Result<StepOutcome> {
        if let Some(reason) = unresolved(&self.facts.cluster.host, self.facts.cluster.port).await {
            return Ok(StepOutcome::Wait(Waiting { reason, pause: POLL_INTERVAL, exit: Exit::TryAgain }));
        }
        self.refuse_foreign_data_dir()?;
        self.ensure_conditions_count().await?;
        Point::BucketProven.reached();
        let before = match &seen.record {
            RecordView::Absent | RecordView::Vanished => None,
            RecordView::Found { record, .. } => Some(record.as_ref()),
        };
        // That of a saved cluster is the restored one's, too.
        let blank = ClusterRecord::is_claimed_anew(before);
        if let Some(reason) = self.blank_hash(seen.hash.as_deref().filter(|_| blank)).await? {
            return Ok(StepOutcome::Wait(Waiting { reason, pause: POLL_INTERVAL, exit: Exit::TryAgain }));
        }
        warn_if_unsettled(seen, before);
        let claim_id = ClaimId::parse(uuid::Uuid::new_v4().to_string()).context("a UUID is a claim ID")?;
        let holder = Holder { instance: self.facts.machine.instance.clone(), boot: self.facts.boot.clone() };
        let next = claim::claimed(before, claim_id, holder, seen.identity.clone());
        let sent = Instant::now();
        self.record.claim = None;
        Point::ClaimDue.reached();
        let written =
            self.store.write(keys::RECORD, &next.to_bytes(), &claim::condition(&seen.record), WRITE_TIMEOUT).await?;
        Point::ClaimSent.reached();
        match written {
            Written::Ours(etag) => {
                tracing::info!(claim = %next.claim_id, generation = next.generation, "this machine holds the claim");
                let ttl = self.facts.settings.claim_ttl;
                self.record.claim = Some(Held::new(self.store.clone(), keys::RECORD, next, etag, sent, ttl));
            }
            Written::Others(_) => tracing::info!("another machine was faster"),
            Written::Gone => tracing::warn!("the cluster record is gone"),
            Written::Unknown => tracing::warn!("S3 did not say whether the claim was written, reading it anew"),
        }
        Ok(StepOutcome::Again)
    }

    /// Sees that nothing but etcd's own lies in its data folder, before this machine claims or joins.
    ///
    /// # Errors
    /// With [`Exit::Operator`]: names what was found.
    pub(super) fn refuse_foreign_data_dir(&self) -> Result<()> {
        self.facts.documents.data_dir().map_or(Ok(()), data_dir::refuse_foreign).context(Exit::Operator)
    }

    /// Takes away the published hash of the retired cluster over which is claimed: beside a claim it would prove that there is a
    /// cluster. A reason to wait when S3 does not say.
    async fn blank_hash(&self, hash: Option<&str>) -> Result<Option<String>> {
        if hash.is_none() {
            return Ok(None);
        }
        let Some(object) = self.store.get(keys::HASH).await? else { return Ok(None) };
        let written = self.store.write(keys::HASH, b"\n", &Condition::Unchanged(object.etag), WRITE_TIMEOUT).await?;
        Ok(match written {
            Written::Ours(_) => None,
            Written::Others(_) | Written::Gone | Written::Unknown => {
                Some("the old discovery hash to be taken away".into())
            }
        })
    }

    /// Tests before the first claim of a run that the bucket honours conditional writes: without them every machine would
    /// win.
    ///
    /// # Errors
    /// With [`Exit::Usage`] when the bucket will not do; S3's own refusal, or its silence, for another attempt.
    async fn ensure_conditions_count(&mut self) -> Result<()> {
        if self.record.conditions_proven {
            return Ok(());
        }
        let Probed { verdict, left } = probe::honours_conditions(&self.store, &self.facts.machine.instance).await;
        if let Some(left) = left {
            tracing::warn!("a scratch object of a few bytes may stay in the bucket: {left}");
        }
        match verdict {
            Ok(()) => {}
            Err(Unfit::Call(failed)) => return Err(failed.into()),
            Err(why @ Unfit::NoAnswer) => return Err(why.into()),
            Err(why @ (Unfit::Ignores(_) | Unfit::Refuses(_))) => {
                let (url, remedy) = (self.store.url(""), probe::REMEDY);
                return Err(anyhow!("failed to use '{url}': {why}; {remedy}").context(Exit::Usage));
            }
        }
        self.record.conditions_proven = true;
        Ok(())
    }

    /// Steps down by If-Match and ranks last from now on.
    pub(super) async fn step_down(&mut self) -> Result<StepOutcome> {
        let Some(held) = self.record.claim.take() else { return Ok(StepOutcome::Again) };
        let Some(next) = claim::yielded(held.body()) else { return Ok(StepOutcome::Again) };
        let attempts = std::mem::take(&mut self.record.failed_inits);
        let last = self.report.failed.as_ref().map(|failed| format!(": {}", failed.text)).unwrap_or_default();
        self.report.registrar.gave_up(&format!("init failed {attempts} times, stepping down{last}")).await;
        let over = held.finish(&next.to_bytes(), WRITE_TIMEOUT).await?;
        tracing::warn!(attempts, ?over, "stepped down: another machine may try");
        Ok(StepOutcome::Wait(Waiting {
            reason: "another machine to initialise".into(),
            pause: POLL_INTERVAL,
            exit: Exit::Kubeadm,
        }))
    }

    /// Writes this group into the record, as the operator allowed.
    pub(super) async fn accept_group(&mut self, seen: &Snapshot) -> Result<StepOutcome> {
        let RecordView::Found { record, etag, .. } = &seen.record else { return Ok(StepOutcome::Again) };
        let next = claim::regrouped(record, seen.identity.group_arn.clone());
        let condition = Condition::Unchanged(etag.clone());
        let written = self.store.write(keys::RECORD, &next.to_bytes(), &condition, WRITE_TIMEOUT).await?;
        tracing::info!(group = %next.identity.group_arn, ?written, "wrote this group into the cluster record");
        Ok(StepOutcome::Again)
    }

    /// The claim is lost, or may be: the record says which, at the next look. Until then an unpublished cluster must not stay
    /// behind the endpoint, and nothing is removed.
    pub(super) async fn lost(&mut self, lost: &HoldingLost) {
        tracing::warn!(%lost, "this machine no longer holds the claim; kubeadm was stopped");
        self.record.claim = None;
        self.stop_serving().await;
    }

    /// Stops kubelet and an unpublished control plane here. What cannot be stopped is logged: the next pass goes on all the same.
    pub(super) async fn stop_serving(&self) {
        if let Err(error) = quiesce::stop_serving(self.facts.documents.cri_socket()).await {
            tracing::error!("{error:#}");
        }
    }
}

/// Why the endpoint's name cannot be used, if it does not resolve. A cluster keeps the name that it was made with.
async fn unresolved(host: &str, port: u16) -> Option<String> {
    let why = match timeout(RESOLVE_TIMEOUT, lookup_host((host, port))).await {
        Ok(Ok(mut addresses)) => match addresses.next() {
            Some(_) => return None,
            None => "it has no address".to_owned(),
        },
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {}", in_words(RESOLVE_TIMEOUT)),
    };
    Some(format!(
        "the endpoint's name '{host}' to resolve ({why}): create its DNS record, or correct the setting 'endpoint'"
    ))
}

/// Warns if a cluster begins with fewer or more candidates than expected.
fn warn_if_unsettled(seen: &Snapshot, before: Option<&ClusterRecord>) {
    let begins = before.is_none_or(|record| matches!(record.state, RecordState::Retired(_)));
    if begins && seen.settled_for.is_none() {
        let candidates = seen.group.as_ref().map_or(0, |group| group.candidates().len());
        tracing::warn!(
            candidates,
            "the group has not settled within 'settle_timeout': beginning with the candidates that there are"
        );
    }
}
