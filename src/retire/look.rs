//! One look at everything that a retirement depends on.

use super::RetireTarget;
use crate::aws::Session;
use crate::bucket::record::StoredRecord;
use crate::model::machine::ids::ClaimId;
use crate::model::record::identity::Identity;
use crate::model::retire::{LostRecordInput, Responder, RetireDecision, RetireInput, RetireMachine, judge, judge_lost};
use crate::node::remains::{Remains, RemainsObserver, Whose};
use crate::settings::Settings;
use anyhow::Result;
use std::collections::BTreeSet;

/// Looks again and again, and remembers since when EC2 leaves machines out.
pub(super) struct RetireObserver {
    remains: RemainsObserver,
    target: RetireTarget,
}

/// What was seen, and what it means.
#[derive(Debug, Clone)]
pub(super) struct RetireObservation {
    /// The record and its version.
    pub(super) record: StoredRecord,
    /// Every claim that a registration carries.
    pub(super) claims: BTreeSet<ClaimId>,
    /// The group whose machines were looked at.
    pub(super) group_arn: Option<String>,
    pub(super) machines: Vec<RetireMachine>,
    pub(super) answers: Vec<Responder>,
    pub(super) verdict: RetireDecision,
}

impl RetireObserver {
    /// Connects to AWS.
    ///
    /// # Errors
    /// No Region, no credentials, no answer.
    pub(super) async fn new(settings: Settings, target: RetireTarget) -> Result<Self> {
        let whose = match &target {
            RetireTarget::Cluster(_) => Whose::Recorded,
            RetireTarget::LostRecord => Whose::Lost,
        };
        Ok(Self { remains: RemainsObserver::new(settings, whose).await?, target })
    }

    /// The connection to AWS.
    pub(super) fn session(&self) -> &Session {
        &self.remains.session
    }

    /// What is written into a record of which only the settings are known.
    pub(super) fn identity(&self, group_arn: String) -> Identity {
        self.remains.identity(group_arn)
    }

    /// Looks. The record is read first, and its version is the condition of the write: what follows is never older.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub(super) async fn look(&mut self) -> Result<RetireObservation> {
        let seen = self.remains.look().await?;
        let verdict = self.verdict(&seen);
        let Remains { record, registrations, group_arn, machines, answers, .. } = seen;
        let claims =
            registrations.into_iter().flat_map(|found| [found.claim_id, found.ready_claim]).flatten().collect();
        Ok(RetireObservation { record, claims, group_arn, machines, answers, verdict })
    }

    fn verdict(&self, seen: &Remains) -> RetireDecision {
        let (record, machines, answers) = (seen.record(), seen.machines.as_slice(), seen.answers.as_slice());
        let (asked_in, gone_grace) = (self.remains.asked_in.clone(), self.remains.settings.gone_grace);
        match &self.target {
            RetireTarget::Cluster(cluster_id) => {
                judge(&RetireInput { cluster_id, record, asked_in, machines, answers, gone_grace })
            }
            RetireTarget::LostRecord => judge_lost(&LostRecordInput {
                record,
                was_deleted: matches!(seen.record, StoredRecord::Deleted),
                registrations: &seen.registrations,
                hash: seen.hash.as_deref(),
                is_group_known: seen.group_arn.is_some(),
                asked_in,
                machines,
                answers,
                gone_grace,
            }),
        }
    }
}
