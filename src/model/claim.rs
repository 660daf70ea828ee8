//! The records a claim goes through. Each function makes the next body; the shell writes it with the condition that
//! belongs to it, so that only one machine can.

use super::identity::Identity;
use super::ids::{ClaimId, InstanceId};
use super::record::{ClusterRecord, Holder, Published, State};
use super::snapshot::RecordView;
use super::write::Condition;

/// The condition of a claim over what was seen: that it is still there.
#[must_use]
pub fn condition(seen: &RecordView) -> Condition {
    match seen {
        RecordView::Absent | RecordView::Vanished => Condition::Absent,
        RecordView::Found { etag, .. } => Condition::Unchanged(etag.clone()),
    }
}

/// Whether the record, as read anew, is still that very claim: only then may its machine start `kubeadm init`.
#[must_use]
pub fn stands(seen: &RecordView, claim_id: &ClaimId) -> bool {
    match seen {
        RecordView::Found { record, .. } => record.claim_id == *claim_id && record.holder().is_some(),
        RecordView::Absent | RecordView::Vanished => false,
    }
}

/// Whether what is stored is this very holding: a beat of ours that was taken for lost.
#[must_use]
pub fn continues(held: &ClusterRecord, stored: &ClusterRecord) -> bool {
    stored.claim_id == held.claim_id && stored.holder().is_some() && stored.holder() == held.holder()
}

/// A first claim (nothing is there), or a claim over what `before` says: retired, stepped down, or a holder believed
/// dead. The claim ID must be fresh: it is what fences late writes of every earlier claim.
#[must_use]
pub fn claimed(before: Option<&ClusterRecord>, claim_id: ClaimId, holder: Holder, identity: Identity) -> ClusterRecord {
    let yielded = match before.map(|record| &record.state) {
        None | Some(State::Retired(_)) => Vec::new(),
        Some(State::Initializing { .. } | State::Ready(_)) => {
            before.map(|record| record.yielded.clone()).unwrap_or_default()
        }
    };
    ClusterRecord {
        claim_id,
        generation: before.map_or(1, |record| record.generation + 1),
        identity,
        yielded,
        state: State::Initializing { holder: Some(holder), beat: 0 },
    }
}

/// The same claim, one beat later. `None` when the record is no held claim.
#[must_use]
pub fn beaten(record: &ClusterRecord) -> Option<ClusterRecord> {
    match &record.state {
        State::Initializing { holder: Some(holder), beat } => Some(ClusterRecord {
            state: State::Initializing { holder: Some(holder.clone()), beat: beat + 1 },
            ..record.clone()
        }),
        State::Initializing { holder: None, .. } | State::Ready(_) | State::Retired(_) => None,
    }
}

/// The holder steps down after too many failed attempts and ranks last from now on. `None` when the record is no
/// held claim.
#[must_use]
pub fn yielded(record: &ClusterRecord) -> Option<ClusterRecord> {
    let next = beaten(record)?;
    let State::Initializing { holder: Some(holder), beat } = next.state else { return None };
    let mut yielded: Vec<InstanceId> =
        next.yielded.into_iter().filter(|instance| *instance != holder.instance).collect();
    yielded.push(holder.instance);
    Some(ClusterRecord { yielded, state: State::Initializing { holder: None, beat }, ..record.clone() })
}

/// The flip: the claim becomes a cluster. `None` when the record is no held claim, so that a ready record can never be
/// flipped again.
#[must_use]
pub fn flipped(record: &ClusterRecord, published: Published) -> Option<ClusterRecord> {
    match &record.state {
        State::Initializing { holder: Some(_), .. } => {
            Some(ClusterRecord { yielded: Vec::new(), state: State::Ready(published), ..record.clone() })
        }
        State::Initializing { holder: None, .. } | State::Ready(_) | State::Retired(_) => None,
    }
}

/// The cluster is given up: the record says so, and keeps what is known of it. `None` when the record is no cluster's.
#[must_use]
pub fn retired(record: &ClusterRecord) -> Option<ClusterRecord> {
    match &record.state {
        State::Ready(published) => Some(ClusterRecord { state: State::Retired(published.clone()), ..record.clone() }),
        State::Initializing { .. } | State::Retired(_) => None,
    }
}

/// The same record for the group that replaced its own. Claim, CA and cluster stay what they are.
#[must_use]
pub fn regrouped(record: &ClusterRecord, group_arn: String) -> ClusterRecord {
    ClusterRecord { identity: Identity { group_arn, ..record.identity.clone() }, ..record.clone() }
}
