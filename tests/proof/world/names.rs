//! Small numbers in the world, real names for the real code.

use super::{Claim, Data, FIRST, Lea, Line, Mem, Nonce, Phase, Rec, RecState, Reg, Slot};
use kubeboot::model::machine::etcd_data::EtcdIds;
use kubeboot::model::machine::ids::{self, BootId, ClaimId, InstanceId, MemberId, Uid};
use kubeboot::model::membership::lease::{Lease, LeaseHolder};
use kubeboot::model::membership::members::Member;
use kubeboot::model::membership::registration::{self, Registration, Versions};
use kubeboot::model::record::cluster::{ClusterRecord, Holder, Published, RecordState, SCHEMA};
use kubeboot::model::record::identity::Identity;
use kubeboot::model::record::saved::{Saved, SnapshotRef};
use std::net::IpAddr;
use std::sync::OnceLock;

const GOOD: &str = "the text is made here and always well-formed";

pub fn id(slot: Slot) -> InstanceId {
    InstanceId::parse(format!("i-{slot:08x}")).expect(GOOD)
}

pub fn slot(id: &InstanceId) -> Slot {
    u8::from_str_radix(&id.as_str()[2..], 16).expect(GOOD)
}

fn uuid(n: u16) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

fn number(uuid: &str) -> u16 {
    u16::from_str_radix(&uuid[24..], 16).expect(GOOD)
}

pub fn claim_id(claim: Claim) -> ClaimId {
    ClaimId::parse(uuid(claim.into())).expect(GOOD)
}

pub fn nonce(nonce: Nonce) -> ids::Nonce {
    ids::Nonce::parse(uuid(nonce)).expect(GOOD)
}

pub fn address(addr: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, addr])
}

/// A name goes with an address, as the one that EC2 makes of it does.
pub fn node_name(addr: u8) -> String {
    format!("n{addr}")
}

pub fn holder(slot: Slot) -> Holder {
    Holder { instance: id(slot), boot: BootId::parse(uuid(slot.into())).expect(GOOD) }
}

/// Group 0 is the first one, 1 another; from 8 on the endpoint is another.
pub fn identity(group: u8) -> Identity {
    Identity {
        account: "1".into(),
        region: "r".into(),
        group_arn: format!("arn:{}", group % 8),
        endpoint: if group >= 8 { "other:6443" } else { "api:6443" }.into(),
        service_subnet: "10.96.0.0/12".into(),
    }
}

/// What the init of this claim at this address makes: worked out once, by the real code.
pub fn of_init(claim: Claim, at: u8) -> EtcdIds {
    static IDS: [[OnceLock<EtcdIds>; 128]; 256] = [const { [const { OnceLock::new() }; 128] }; 256];
    *IDS[usize::from(claim)][usize::from(at)].get_or_init(|| EtcdIds::of_init(&claim_id(claim), address(at)))
}

/// The ID of a member of the cluster that the init of this claim made.
pub fn member_id(claim: Claim, member: u8) -> MemberId {
    member.checked_sub(FIRST).map_or(MemberId(member.into()), |at| of_init(claim, at).member)
}

impl Data {
    pub fn ids(&self) -> EtcdIds {
        EtcdIds { member: member_id(self.claim, self.member), cluster: of_init(self.claim, self.at).cluster }
    }
}

/// What a cluster made under this claim publishes, with the CA of one claim and the `kube-system` of another: its own, or those of
/// the cluster that it was restored from.
pub fn published(claim: Claim, (ca, uid): (Claim, Claim), by: Slot, at: u8) -> Published {
    Published {
        ca_hashes: vec![format!("sha256:{ca:064x}")],
        kube_system_uid: Uid::parse(uuid(uid.into())).expect(GOOD),
        etcd_cluster_id: Some(of_init(claim, at).cluster),
        kubernetes_version: "v1".into(),
        pki_key: format!("pki/{at}"),
        pki_digest: format!("sha256:{claim:064x}"),
        initialised_by: id(by),
        initialised_at: claim.to_string(),
    }
}

/// The number of a claim by its ID.
pub fn claim_of(claim: &ClaimId) -> Claim {
    u8::try_from(number(claim.as_str())).expect(GOOD)
}

impl Line {
    pub fn snapshot(self) -> SnapshotRef {
        SnapshotRef {
            key: self.writes.to_string(),
            digest: digest(self),
            revision: self.writes.into(),
            kubernetes_version: "v1".into(),
            etcd_version: "3".into(),
            claim: claim_id(self.made),
            taken_by: id(self.by),
            taken_at: String::new(),
        }
    }

    pub fn real(self) -> Saved {
        Saved { published: published(self.made, (self.uid, self.uid), self.by, self.at), snapshot: self.snapshot() }
    }

    pub fn of(real: &Saved) -> Self {
        let published = &real.published;
        Self {
            uid: u8::try_from(number(published.kube_system_uid.as_str())).expect(GOOD),
            made: published.initialised_at.parse::<u8>().expect(GOOD),
            by: slot(&published.initialised_by),
            at: published.pki_key[4..].parse::<u8>().expect(GOOD),
            writes: u8::try_from(real.snapshot.revision).expect(GOOD),
        }
    }
}

/// The digest of a snapshot.
pub fn digest(line: Line) -> String {
    format!("sha256:{:064x}", line.writes)
}

impl Rec {
    pub fn real(&self) -> ClusterRecord {
        ClusterRecord {
            claim_id: claim_id(self.claim),
            generation: 1 + u64::from(self.fences),
            identity: identity(self.group),
            yielded: self.yielded.iter().map(|slot| id(*slot)).collect(),
            retired_claims: self.retired.iter().map(|claim| claim_id(*claim)).collect(),
            superseded: self.superseded.iter().map(|claim| claim_id(*claim)).collect(),
            state: match self.state {
                RecState::Initializing { holder: by, beat, restoring } => RecordState::Initializing {
                    holder: by.map(holder),
                    beat: beat.into(),
                    restoring: restoring.map(|line| Box::new(line.real())),
                },
                RecState::Ready { by, at, uid } => RecordState::Ready(published(self.claim, (uid, uid), by, at)),
                RecState::Saved(line) => RecordState::Saved(line.real()),
                RecState::Retired { by, at, uid } => {
                    RecordState::Retired(Some(published(self.claim, (uid, uid), by, at)))
                }
            },
        }
    }

    pub fn of(real: &ClusterRecord) -> Self {
        let by = |published: &Published| {
            let uid = u8::try_from(number(published.kube_system_uid.as_str())).expect(GOOD);
            (slot(&published.initialised_by), published.pki_key[4..].parse::<u8>().expect(GOOD), uid)
        };
        // Beside a ready record the counter of claims matters to nobody here.
        let fences = if real.published().is_some() { real.generation.saturating_sub(1) } else { 0 };
        Self {
            claim: claim_of(&real.claim_id),
            group: real.identity.group_arn[4..].parse::<u8>().expect(GOOD)
                + if real.identity.endpoint == identity(0).endpoint { 0 } else { 8 },
            yielded: real.yielded.iter().map(slot).collect(),
            retired: real.retired_claims.iter().map(claim_of).collect(),
            superseded: real.superseded.iter().map(claim_of).collect(),
            fences: u8::try_from(fences).unwrap_or(u8::MAX),
            state: match &real.state {
                RecordState::Initializing { holder, beat, restoring } => RecState::Initializing {
                    holder: holder.as_ref().map(|holder| slot(&holder.instance)),
                    beat: u8::try_from(*beat).unwrap_or(u8::MAX),
                    restoring: restoring.as_deref().map(Line::of),
                },
                RecordState::Saved(saved) => RecState::Saved(Line::of(saved)),
                RecordState::Ready(published) => {
                    let (by, at, uid) = by(published);
                    RecState::Ready { by, at, uid }
                }
                RecordState::Retired(published) => {
                    let (by, at, uid) = by(published.as_ref().expect("no record is lost here"));
                    RecState::Retired { by, at, uid }
                }
            },
        }
    }
}

impl Lea {
    pub fn real(self) -> Lease {
        let holder = self.holder.map(|(by, number)| LeaseHolder {
            instance: id(by),
            nonce: nonce(number),
            purpose: "join".into(),
        });
        Lease { schema: kubeboot::model::membership::lease::SCHEMA, holder, beat: self.beat.into() }
    }

    pub fn of(real: &Lease) -> Self {
        let holder = real.holder.as_ref().map(|holder| (slot(&holder.instance), number(holder.nonce.as_str())));
        Self { holder, beat: u16::try_from(real.beat).expect(GOOD) }
    }
}

impl Mem {
    pub fn real(&self, claim: Claim, answers: bool) -> Member {
        Member {
            id: member_id(claim, self.id),
            name: if self.started { format!("n{}", self.addr) } else { String::new() },
            peer_addresses: vec![address(self.addr)],
            learner: self.learner,
            answers,
        }
    }
}

impl Reg {
    pub fn real(&self, slot: Slot, addr: u8) -> Registration {
        Registration {
            schema: registration::SCHEMA,
            instance: id(slot),
            phase: match self.phase {
                Phase::Waiting => registration::RegistrationPhase::Waiting,
                Phase::Initializing => registration::RegistrationPhase::Initializing,
                Phase::Joining => registration::RegistrationPhase::Joining,
                Phase::Joined => registration::RegistrationPhase::Joined,
                Phase::Failed => registration::RegistrationPhase::Failed,
                Phase::Reaped => registration::RegistrationPhase::Reaped,
            },
            claim_id: self.claim.map(claim_id),
            ready_claim: self.ready.map(claim_id),
            lease_nonce: self.nonce.map(nonce),
            node_name: node_name(addr),
            node_uid: None,
            provider_id: String::new(),
            addresses: vec![address(addr)],
            member_id: self.member.map(|id| member_id(self.claim.unwrap_or_default(), id)),
            versions: Versions { record_schema: Some(SCHEMA), ..Versions::default() },
            waits_for: None,
            retired: self.retired,
            upgraded: None,
            hook: None,
            digests: Default::default(),
            last_error: None,
            since: String::new(),
            updated: String::new(),
            later: Default::default(),
        }
    }
}
