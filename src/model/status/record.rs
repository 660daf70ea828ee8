//! What is wrong with the record, and with what lies on this disk, as far as it may be an older version, lost, or another's.

use super::input::{Etcd, StatusInput};
use super::machines::{Ec2Answer, StatusMachine};
use super::reason::{StatusReason, StatusSource, unknown};
use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::machine::local::Local;
use crate::model::membership::later_truth::LaterTruth;
use crate::model::membership::members::Member;
use crate::model::membership::registration::{Registration, RegistrationPhase, witnesses};
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::former_cluster::FormerCluster;
use crate::model::record::identity::{Identity, Mismatch};

/// What is wrong with the record: unknown, missing, retired, or of another account, Region, endpoint, subnet or group.
pub(super) fn record(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Option<StatusReason> {
    match &input.record {
        Err(_) => unknown(StatusSource::Record, &input.record),
        Ok(None) => Some(missing(machines)),
        Ok(Some(record)) => match (&record.state, identity_mismatch(input, record)) {
            (RecordState::Retired(_), _) => Some(StatusReason::RecordRetired),
            (
                RecordState::Ready(_) | RecordState::Saved(_) | RecordState::Initializing { .. },
                Some(Mismatch::Settings(found)),
            ) => Some(StatusReason::OtherSettings(found)),
            (
                RecordState::Ready(_) | RecordState::Saved(_) | RecordState::Initializing { .. },
                Some(Mismatch::Group(found)),
            ) => Some(StatusReason::OtherGroup(found)),
            (RecordState::Ready(_) | RecordState::Saved(_) | RecordState::Initializing { .. }, None) => None,
        },
    }
}

/// The record is gone, and who says that there was a cluster.
pub(super) fn missing(machines: &[StatusMachine<'_>]) -> StatusReason {
    let registered = machines.iter().filter_map(StatusMachine::registered);
    StatusReason::RecordMissing { witnesses: witnesses(registered) }
}

/// What says that the record was once further than it is now: that is the same as what `up` goes by, and the machines that are
/// members of another claim's cluster.
pub(super) fn went_back(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Vec<StatusReason> {
    let Ok(Some(record)) = &input.record else { return Vec::new() };
    let hash = published_hash(input);
    let registrations = machines.iter().filter_map(StatusMachine::registered);
    let later = LaterTruth::than(record, registrations, hash).map(StatusReason::RecordWentBack);
    later.into_iter().chain(other_claims(input, record, machines)).collect()
}

/// The published discovery hash; a blank one is none.
pub(super) fn published_hash(input: &StatusInput) -> Option<&str> {
    input.hash.as_ref().ok()?.as_deref().map(str::trim_end).filter(|hash| !hash.is_empty())
}

/// Machines that are members of the cluster of another claim than the record's: this one by its disk, others by their word.
fn other_claims(input: &StatusInput, record: &ClusterRecord, machines: &[StatusMachine<'_>]) -> Vec<StatusReason> {
    let reason = |instance: &InstanceId, claim: &ClaimId, here| StatusReason::OtherClaim {
        instance: instance.clone(),
        claim_id: claim.clone(),
        former: FormerCluster::by(Some(record), claim),
        here,
    };
    let here = match &input.here.local {
        Ok(Local::Made { instance, claim_id, .. }) if input.here.instance() == Some(instance) => {
            Some((instance, claim_id))
        }
        Ok(Local::Made { .. } | Local::Fresh | Local::HalfMade { .. } | Local::Unexplained { .. }) | Err(_) => None,
    };
    let is_retired = matches!(record.state, RecordState::Retired(_));
    // A claim that a restore follows is no later truth than the record's.
    let is_explained = |claim: &ClaimId| is_retired && record.gives_up(claim) || record.supersedes(claim);
    let is_another = |claim: &ClaimId| *claim != record.claim_id && !is_explained(claim);
    let is_making = matches!(record.state, RecordState::Initializing { .. });
    let is_past = |claim: &ClaimId| is_another(claim) || is_making && !record.supersedes(claim);
    let own = here.filter(|(_, claim)| is_past(claim)).map(|(instance, claim)| reason(instance, claim, true));
    let others = machines.iter().filter(|machine| here.is_none_or(|(instance, _)| instance != machine.instance));
    let others = others.filter(|machine| machine.ec2 == Ec2Answer::State(&Ec2State::Running)).filter_map(|machine| {
        let says = machine.registered().filter(|says| is_joined(says))?;
        let claim = says.claim_id.as_ref().filter(|claim| is_another(claim))?;
        Some(reason(machine.instance, claim, false))
    });
    own.into_iter().chain(others).collect()
}

fn is_joined(says: &Registration) -> bool {
    says.phase == RegistrationPhase::Joined && !says.retired
}

/// What is wrong with etcd's data on this disk.
pub(super) fn data(input: &StatusInput) -> Option<StatusReason> {
    let (Ok(local), Ok(data)) = (&input.here.local, &input.here.data) else { return None };
    let me = input.here.machine.as_ref().ok().map(|machine| &machine.instance);
    let owner = match local {
        Local::Made { instance, .. } | Local::HalfMade { instance, .. } => instance,
        Local::Fresh | Local::Unexplained { .. } => return None,
    };
    let is_foreign = me.is_some_and(|me| me != owner);
    match (local, data) {
        (_, EtcdData::Of(_) | EtcdData::Unreadable { .. }) if is_foreign => {
            Some(StatusReason::ForeignData { owner: owner.clone() })
        }
        (Local::Made { .. }, EtcdData::Nothing) if !is_foreign => Some(StatusReason::DataGone(owner.clone())),
        (Local::Made { member, .. }, EtcdData::Of(ids)) => {
            let listed = listed_here(input).map(|member| member.id);
            // A certain list without this machine is another reason.
            let is_certain = matches!(&input.etcd, Ok(Etcd::Stacked { certain: true, .. }));
            let own = if is_certain { listed } else { *member }?;
            let is_listed = listed.is_some();
            (own != ids.member).then_some(StatusReason::DataOfAnother { found: ids.member, own, is_listed })
        }
        (_, EtcdData::Of(_) | EtcdData::Unreadable { .. } | EtcdData::Nothing | EtcdData::Elsewhere) => None,
    }
}

/// What this machine has lost of its own files, as the member that wrote its disk.
pub(super) fn lost_files(input: &StatusInput) -> Option<StatusReason> {
    let Ok(Local::Made { instance, .. }) = &input.here.local else { return None };
    let files = input.here.lost_files.clone()?;
    let is_foreign = input.here.machine.as_ref().is_ok_and(|machine| machine.instance != *instance);
    (!is_foreign).then(|| StatusReason::FilesLost { instance: instance.clone(), files })
}

/// The member that a certain list names at this machine's address.
fn listed_here(input: &StatusInput) -> Option<&Member> {
    match &input.etcd {
        Ok(Etcd::Stacked { members, certain: true, .. }) => members.at(&input.here.addresses),
        Ok(Etcd::Stacked { .. } | Etcd::Silent { .. } | Etcd::External) | Err(_) => None,
    }
}

/// How the record differs from what is known on this machine. What is not known does not count as different.
fn identity_mismatch(input: &StatusInput, record: &ClusterRecord) -> Option<Mismatch> {
    let recorded = &record.identity;
    let machine = input.here.machine.as_ref().ok();
    let group = input.group.as_ref().ok().and_then(Option::as_ref);
    let here = Identity {
        account: machine.map_or(&recorded.account, |machine| &machine.account).clone(),
        region: machine.map_or(&recorded.region, |machine| &machine.region).clone(),
        group_arn: group.map_or(&recorded.group_arn, |group| &group.arn).clone(),
        endpoint: input.here.endpoint.clone(),
        service_subnet: input.here.service_subnet.as_ref().unwrap_or(&recorded.service_subnet).clone(),
    };
    recorded.mismatch(&here)
}
