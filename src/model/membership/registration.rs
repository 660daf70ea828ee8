//! What one machine says about itself: `control-plane/nodes/<instance-id>.json`. A hint for others, never proof.

pub use super::phase::{PhaseWord, RegistrationPhase};
use crate::model::machine::ids::{ClaimId, InstanceId, MemberId, Nonce, Uid};
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::object;
use crate::model::text::{cut, one_line};
use crate::model::version::Release;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The schema this version writes and the only one it reads.
pub const SCHEMA: u32 = 1;

/// The largest registration that is written or read, in bytes.
pub const LIMIT: usize = 16 * 1024;
/// The longest text in one that is written, in bytes: two of them, every character escaped, leave room for the rest.
const LONGEST_TEXT: usize = 2500;

/// One machine's registration. Fields of a later kubeboot decide nothing here, and stay where another machine rewrites it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// The machine.
    pub instance: InstanceId,
    /// Its phase.
    pub phase: RegistrationPhase,
    /// The claim of the cluster that it makes or joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
    /// The claim of the last cluster whose record the machine has read in phase `ready`, until a record gives that cluster up. It
    /// is kept in every phase: a machine that stops must not take away what proves that there is a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_claim: Option<ClaimId>,
    /// Nonce of the membership lease under which it joins or joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_nonce: Option<Nonce>,
    /// Name of its Node.
    pub node_name: String,
    /// UID of its Node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_uid: Option<Uid>,
    /// `aws:///ZONE/INSTANCE`.
    pub provider_id: String,
    /// Private addresses, the primary one first.
    pub addresses: Vec<IpAddr>,
    /// Its etcd member, as soon as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// Versions of kubeboot and kubeadm.
    pub versions: Versions,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The cluster that it was part of was given up: it says nothing of the present.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// What it does while a terminate hook holds it. Written anew every half minute, so that the others see that it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookWork>,
    /// How it has raised the version of the cluster's configuration, if it was this machine that did so last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgraded: Option<Upgraded>,
    /// Digests of what must be the same on every machine, by its name; empty until it has joined. See [`super::alike`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, String>,
    /// Its last error, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When the phase was entered, by the machine's own clock (RFC 3339), for people.
    pub since: String,
    /// When this was written, by the machine's own clock (RFC 3339), for people.
    pub updated: String,
    /// Fields of a later kubeboot.
    #[serde(flatten)]
    pub later: BTreeMap<String, serde_json::Value>,
}

/// What a machine does while a terminate hook holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookWork {
    /// It leaves its cluster.
    Leaving,
    /// It stays for now.
    Holding,
    /// A later kubeboot's word, which this one does not know: it is at work.
    #[serde(untagged)]
    Unknown(PhaseWord),
}

/// How a machine has raised the version of the cluster's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgraded {
    /// The version that it named before.
    pub from: Release,
    /// The version that it names since.
    pub to: Release,
}

/// Versions of the programs on a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// kubeboot's own.
    pub kubeboot: String,
    /// kubeadm's, as soon as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeadm: Option<String>,
    /// The latest schema of the cluster record that its kubeboot reads. A record of a later one may only be written when every machine that
    /// lives names that schema or one after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_schema: Option<u32>,
}

impl Registration {
    /// Reads the object's bytes.
    ///
    /// # Errors
    /// What is wrong with them; such a registration explains no member.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LIMIT {
            return Err(format!("it has {} bytes, more than the {LIMIT} of a registration", bytes.len()));
        }
        object::read(bytes, SCHEMA)
    }

    /// The bytes to store: at most [`LIMIT`], for long texts are cut, and a later kubeboot's fields are left out where they are too long.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let shortened = |text: &String| cut(&one_line(text), LONGEST_TEXT);
        let short = Self {
            waits_for: self.waits_for.as_ref().map(shortened),
            last_error: self.last_error.as_ref().map(shortened),
            ..self.clone()
        };
        match object::to_bytes(&short) {
            bytes if bytes.len() <= LIMIT => bytes,
            _ => object::to_bytes(&Self { later: BTreeMap::new(), ..short }),
        }
    }

    /// Takes over from an earlier run of this machine what this one does not know yet: its member and Node, and the claim and lease
    /// under which it joined. Nothing of a cluster that was given up since.
    pub fn recall(&mut self, earlier: Self) {
        if earlier.retired {
            return;
        }
        self.claim_id = self.claim_id.take().or(earlier.claim_id);
        self.ready_claim = self.ready_claim.take().or(earlier.ready_claim);
        self.lease_nonce = self.lease_nonce.take().or(earlier.lease_nonce);
        self.member_id = self.member_id.or(earlier.member_id);
        self.node_uid = self.node_uid.take().or(earlier.node_uid);
        self.upgraded = self.upgraded.or(earlier.upgraded);
        if self.digests.is_empty() {
            self.digests = earlier.digests;
        }
    }

    /// Forgets the machine's member, its Node and its lease.
    pub fn forget_member(&mut self) {
        (self.member_id, self.node_uid, self.lease_nonce) = (None, None, None);
    }

    /// Notes what the record says. Of a cluster that it gives up there is nothing more to say; one that it does not give up is told of
    /// further, for an older version of the record may have come back.
    pub fn notes(&mut self, record: &ClusterRecord) {
        self.ready_claim.take_if(|claim| record.gives_up(claim));
        if matches!(record.state, RecordState::Ready(_)) {
            // The cluster has come back under another claim.
            self.ready_claim.take_if(|claim| record.supersedes(claim));
            self.ready_claim.get_or_insert_with(|| record.claim_id.clone());
        }
    }

    /// Whether the cluster of this claim existed, by what the machine said. It existed as well if it was given up since.
    #[must_use]
    pub fn proves_flip_of(&self, claim: &ClaimId) -> bool {
        self.claims().any(|told| told == claim)
    }

    /// The claims of the clusters of which the machine says that they existed: the one that it saw ready, and the one that it was
    /// a member of.
    fn claims(&self) -> impl Iterator<Item = &ClaimId> {
        self.ready_claim.iter().chain(self.claim_id.iter().filter(|_| self.was_member()))
    }

    /// The first cluster of which the machine says that it existed, and of which neither it nor the record says that it was given
    /// up or restored since. The record's own is none of these.
    #[must_use]
    pub fn unexplained_by(&self, record: &ClusterRecord) -> Option<&ClaimId> {
        // Beside a claim that is being carried out, the member may be of an earlier claim than the one that is registered with it.
        let had_vote = matches!(record.state, RecordState::Retired(_)) && self.member_id.is_some();
        let voted = self.claim_id.iter().filter(|_| had_vote);
        self.claims().chain(voted).find(|claim| !self.retired && !record.explains(claim))
    }

    /// Whether its member was seen to be gone from etcd's list, and it has registered nothing since.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match self.phase {
            RegistrationPhase::Left | RegistrationPhase::Reaped => true,
            RegistrationPhase::Waiting
            | RegistrationPhase::Initializing
            | RegistrationPhase::Joining
            | RegistrationPhase::Joined
            | RegistrationPhase::Leaving
            | RegistrationPhase::Failed
            | RegistrationPhase::Unknown(_) => false,
        }
    }

    /// Whether an API server may run on its machine. One that waits or has failed has one if it was a member before, as after a reboot.
    #[must_use]
    pub fn may_serve(&self) -> bool {
        match self.phase {
            RegistrationPhase::Initializing
            | RegistrationPhase::Joining
            | RegistrationPhase::Joined
            | RegistrationPhase::Leaving
            | RegistrationPhase::Unknown(_) => true,
            RegistrationPhase::Waiting | RegistrationPhase::Failed => self.node_uid.is_some(),
            RegistrationPhase::Left | RegistrationPhase::Reaped => false,
        }
    }

    /// Whether this kubeboot knows what its phase means, or nothing follows from it any more.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.retired || !matches!(self.phase, RegistrationPhase::Unknown(_))
    }

    /// The same registration, of a machine that is gone and has no member.
    #[must_use]
    pub fn ended(&self, now: String) -> Self {
        let phase = if self.is_finished() { self.phase } else { RegistrationPhase::Reaped };
        Self { phase, updated: now, ..self.clone() }
    }

    /// Whether every cluster that the machine may tell of is this record's, or one that it gives up or follows.
    #[must_use]
    pub fn is_explained_by(&self, record: &ClusterRecord) -> bool {
        let voted = self.claim_id.iter().filter(|_| self.member_id.is_some());
        self.claims().chain(voted).all(|claim| record.explains(claim))
    }

    /// Whether only a member registers so.
    fn was_member(&self) -> bool {
        match self.phase {
            RegistrationPhase::Joined => true,
            // A machine whose init was cut off says so, too, when it goes down.
            RegistrationPhase::Leaving
            | RegistrationPhase::Left
            | RegistrationPhase::Reaped
            | RegistrationPhase::Unknown(_) => self.member_id.is_some(),
            RegistrationPhase::Waiting
            | RegistrationPhase::Initializing
            | RegistrationPhase::Joining
            | RegistrationPhase::Failed => false,
        }
    }

    /// Whether there is a cluster that was not given up, as far as the machine said so.
    #[must_use]
    pub fn tells_of_a_cluster(&self) -> bool {
        // Whoever has a phase that nobody here knows may be a member, which is no proof: it is waited for until that is known.
        let had_vote = self.member_id.is_some() || self.is_understood() && self.was_voter();
        !self.retired && (had_vote || self.claims().next().is_some())
    }

    /// The same registration, when the cluster that it tells of was given up; `None` where there is nothing to say: it tells of
    /// none, or of one that this record does not give up.
    #[must_use]
    pub fn given_up_by(&self, record: &ClusterRecord, now: String) -> Option<Self> {
        let given_up = matches!(record.state, RecordState::Retired(_))
            && self.claim_id.iter().chain(&self.ready_claim).all(|claim| record.gives_up(claim));
        (given_up && self.tells_of_a_cluster()).then(|| Self { retired: true, updated: now, ..self.clone() })
    }

    /// Whether the machine ever had a vote in a cluster that was not given up, as far as it said so.
    #[must_use]
    pub fn was_voter(&self) -> bool {
        if self.retired {
            return false;
        }
        match self.phase {
            RegistrationPhase::Joined | RegistrationPhase::Leaving | RegistrationPhase::Unknown(_) => true,
            RegistrationPhase::Waiting
            | RegistrationPhase::Initializing
            | RegistrationPhase::Joining
            | RegistrationPhase::Left
            | RegistrationPhase::Failed
            | RegistrationPhase::Reaped => self.member_id.is_some(),
        }
    }

    /// Whether the machine may have had a vote although it never said so: it began to join, and its member was not seen to be gone since.
    /// What it registered after that may not have been written.
    #[must_use]
    pub fn may_have_voted(&self) -> bool {
        self.was_voter() || !self.retired && !self.is_finished() && self.lease_nonce.is_some()
    }
}

/// The machines that say that there is a cluster which was not given up.
pub fn witnesses<'a>(registrations: impl IntoIterator<Item = &'a Registration>) -> Vec<InstanceId> {
    let witnesses = registrations.into_iter().filter(|registration| registration.tells_of_a_cluster());
    witnesses.map(|registration| registration.instance.clone()).collect()
}

#[cfg(test)]
impl Registration {
    /// For tables that need one and look at little of it: no claim, no member.
    pub(crate) fn sample(instance: InstanceId, phase: RegistrationPhase) -> Self {
        Self {
            schema: SCHEMA,
            provider_id: format!("aws:///eu-central-1a/{instance}"),
            instance,
            phase,
            claim_id: None,
            ready_claim: None,
            lease_nonce: None,
            node_name: "n1".into(),
            node_uid: None,
            addresses: Vec::new(),
            member_id: None,
            versions: Versions::default(),
            waits_for: None,
            retired: false,
            hook: None,
            upgraded: None,
            digests: Default::default(),
            last_error: None,
            since: String::new(),
            updated: String::new(),
            later: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::cluster::Published;
    use crate::model::record::identity::Identity;
    use crate::stored;

    fn registration(phase: RegistrationPhase) -> Registration {
        Registration {
            schema: SCHEMA,
            instance: InstanceId::parse("i-00000001").unwrap(),
            phase,
            claim_id: Some(ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap()),
            ready_claim: None,
            lease_nonce: Some(Nonce::parse("00000000-0000-4000-8000-000000000001").unwrap()),
            node_name: "n1".into(),
            node_uid: Some(Uid::parse("00000000-0000-4000-8000-000000000002").unwrap()),
            provider_id: "aws:///eu-central-1a/i-00000001".into(),
            addresses: vec![IpAddr::from([10, 77, 0, 1]), "fd00::1".parse().unwrap()],
            member_id: Some(MemberId(0xa9_e7a3)),
            versions: Versions { kubeboot: "0.1.0".into(), kubeadm: None, record_schema: Some(1) },
            waits_for: None,
            retired: false,
            hook: None,
            upgraded: None,
            digests: Default::default(),
            last_error: Some("e".into()),
            since: "2026-01-02T03:04:05Z".into(),
            updated: "2026-01-02T03:04:06Z".into(),
            later: Default::default(),
        }
    }

    #[test]
    fn a_written_registration_is_read_back_in_every_phase() {
        use RegistrationPhase::{Failed, Initializing, Joined, Joining, Leaving, Left, Reaped, Waiting};
        for phase in [Waiting, Initializing, Joining, Joined, Leaving, Left, Failed, Reaped] {
            let registration = registration(phase);
            let bytes = registration.to_bytes();
            assert_eq!(Registration::parse(&bytes), Ok(registration));
            let word = format!("\"phase\": \"{}\"", phase.as_str());
            assert!(String::from_utf8(bytes).unwrap().contains(&word), "{word}");
        }
    }

    #[test]
    fn a_registration_is_stored_as_it_was_before_and_a_later_kubeboots_is_read() {
        let least = Registration {
            claim_id: None,
            lease_nonce: None,
            node_uid: None,
            member_id: None,
            last_error: None,
            versions: Versions::default(),
            ..registration(RegistrationPhase::Waiting)
        };
        let most = Registration {
            ready_claim: least.claim_id.clone().or_else(|| registration(RegistrationPhase::Joined).claim_id),
            waits_for: Some("its turn".into()),
            retired: true,
            upgraded: Some(Upgraded { from: Release::new(1, 35, 6), to: Release::new(1, 36, 1) }),
            digests: [("file".to_owned(), "00".to_owned())].into(),
            versions: Versions { kubeadm: Some("v1.36.1".into()), ..registration(RegistrationPhase::Joined).versions },
            ..registration(RegistrationPhase::Joined)
        };
        for (name, written) in [("registration-least.json", &least), ("registration-most.json", &most)] {
            stored::is_as_written(name, &written.to_bytes());
        }
        stored::is_as_written("registration-of-a-later-kubeboot.json", &later(Some(MemberId(7))).to_bytes());
        for (name, bytes) in stored::all("registration-") {
            let read = Registration::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.instance.as_str(), "i-00000001", "{name}");
        }
    }

    #[test]
    fn a_registration_is_bounded_when_it_is_written_and_when_it_is_read() {
        for text in ["x", "\\", "\"", "\n\u{1b}[2J", "\u{202e}", "\u{1f980}"] {
            let long = text.repeat(100_000);
            let (waits_for, last_error) = (Some(long.clone()), Some(long));
            let bytes = Registration { waits_for, last_error, ..registration(RegistrationPhase::Waiting) }.to_bytes();
            assert!(bytes.len() <= LIMIT, "{} bytes of {text:?}", bytes.len());
            let read = Registration::parse(&bytes).unwrap();
            assert!(read.last_error.is_some_and(|error| error.len() > 1000 && error.lines().count() == 1), "{text:?}");
        }
        let mut longer = registration(RegistrationPhase::Waiting).to_bytes();
        longer.resize(LIMIT, b' ');
        assert!(Registration::parse(&longer).is_ok());
        longer.push(b' ');
        assert_eq!(
            Registration::parse(&longer),
            Err("it has 16385 bytes, more than the 16384 of a registration".into())
        );
    }

    /// As a later kubeboot may register.
    fn later(member_id: Option<MemberId>) -> Registration {
        let known = Registration { member_id, ..registration(RegistrationPhase::Joined) };
        let mut json: serde_json::Value = serde_json::from_slice(&known.to_bytes()).unwrap();
        json["phase"] = "hibernating".into();
        json["hook"] = "saving".into();
        json["sleep"] = serde_json::json!({"state": "deep", "since": [1, 2]});
        Registration::parse(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_a_later_kubeboot_writes_stays_where_another_machine_rewrites_it() {
        let found = later(Some(MemberId(1)));
        let gives_up = record(&found.claim_id.clone().unwrap(), RecordState::Retired(None), Vec::new());
        let rewritten = [found.clone(), found.ended("now".into()), found.given_up_by(&gives_up, "now".into()).unwrap()];
        for (again, phase) in rewritten.iter().zip(["hibernating", "reaped", "hibernating"]) {
            let json: serde_json::Value = serde_json::from_slice(&again.to_bytes()).unwrap();
            assert_eq!(
                (&json["phase"], &json["hook"], &json["sleep"]["since"][1]),
                (&phase.into(), &"saving".into(), &2.into()),
                "{json}"
            );
            assert_eq!(Registration::parse(&again.to_bytes()).as_ref(), Ok(again));
        }
        assert!(rewritten[2].retired);
        // What another machine has changed there is seen, though nobody here knows what it means.
        let mut changed = found.clone();
        changed.later.insert("sleep".into(), "light".into());
        assert_ne!(changed, found);
        // A machine's own next run says everything anew.
        let mut own = registration(RegistrationPhase::Waiting);
        own.recall(found);
        assert!(own.later.is_empty());
        // And nothing makes one too long to be read again.
        changed.later.insert("list".into(), vec![0; LIMIT / 3].into());
        assert!(changed.to_bytes().len() <= LIMIT && Registration::parse(&changed.to_bytes()).is_ok());
    }

    #[test]
    fn whoever_has_a_phase_that_nobody_knows_may_be_a_member() {
        let claim = ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
        for (member, proves) in [(None, false), (Some(MemberId(1)), true)] {
            let found = later(member);
            assert!(found.was_voter() && !found.is_finished() && !found.is_understood(), "{found:?}");
            assert_eq!((found.proves_flip_of(&claim), found.tells_of_a_cluster()), (proves, proves), "{found:?}");
            let retired = Registration { retired: true, ..found };
            assert!(!retired.was_voter() && retired.is_understood(), "{retired:?}");
        }
    }

    fn record(claim_id: &ClaimId, state: RecordState, retired_claims: Vec<ClaimId>) -> ClusterRecord {
        ClusterRecord {
            claim_id: claim_id.clone(),
            generation: 1,
            identity: Identity::sample(),
            yielded: Vec::new(),
            retired_claims,
            superseded: Vec::new(),
            state,
        }
    }

    #[test]
    fn only_a_member_proves_that_its_cluster_existed() {
        use RegistrationPhase::{Failed, Initializing, Joined, Joining, Leaving, Left, Reaped, Waiting};
        let claim = ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
        let other = ClaimId::parse("00000000-0000-4000-8000-000000000009").unwrap();
        // (phase, proven with a member ID, without one)
        let rows = [
            (Joined, true, true),
            (Left, true, false),
            (Reaped, true, false),
            (Leaving, true, false),
            (Waiting, false, false),
            (Initializing, false, false),
            (Joining, false, false),
            (Failed, false, false),
        ];
        for (phase, with_member, without) in rows {
            let of = |member_id| Registration { member_id, ..registration(phase) };
            assert_eq!(of(Some(MemberId(1))).proves_flip_of(&claim), with_member, "{phase:?}");
            assert_eq!(of(None).proves_flip_of(&claim), without, "{phase:?}");
            assert!(!of(Some(MemberId(1))).proves_flip_of(&other), "{phase:?}");
            let retired = Registration { retired: true, ..of(Some(MemberId(1))) };
            assert_eq!(retired.proves_flip_of(&claim), with_member, "{phase:?}");
            assert!(!retired.was_voter() && !retired.may_have_voted() && !retired.tells_of_a_cluster(), "{phase:?}");
            let never_joined = Registration { lease_nonce: None, ..of(None) };
            assert_eq!(never_joined.may_have_voted(), never_joined.was_voter(), "{phase:?}");
            let (began_to_join, is_over) = (of(None), matches!(phase, Left | Reaped));
            assert_eq!(began_to_join.may_have_voted(), !is_over, "{phase:?}: the member was not seen to be gone");
        }
    }

    #[test]
    fn what_tells_of_a_cluster_is_finished_when_its_cluster_is_given_up() {
        use RegistrationPhase::{Joined, Joining, Leaving, Left, Reaped, Waiting};
        let own = registration(Joined).claim_id.unwrap();
        let other = ClaimId::parse("00000000-0000-4000-8000-000000000009").unwrap();
        let published = || Published::sample(registration(Joined).instance);
        let retired = |of: &ClaimId, claims: &[&ClaimId]| {
            record(of, RecordState::Retired(None), claims.iter().map(|claim| (*claim).clone()).collect())
        };
        let saw = |claim: &ClaimId| Registration { ready_claim: Some(claim.clone()), ..registration(Waiting) };
        let without = |phase| Registration { member_id: None, ..registration(phase) };
        let rows = [
            (registration(Joined), retired(&own, &[]), true),
            (registration(Joined), retired(&other, &[&own]), true),
            (registration(Joined), retired(&other, &[]), false),
            (registration(Joined), record(&own, RecordState::Ready(published()), Vec::new()), false),
            (
                registration(Joined),
                record(&own, RecordState::Initializing { holder: None, beat: 0, restoring: None }, Vec::new()),
                false,
            ),
            (Registration { claim_id: None, ..registration(Joined) }, retired(&other, &[]), true),
            (Registration { retired: true, ..registration(Joined) }, retired(&own, &[]), false),
            (registration(Waiting), retired(&own, &[]), true),
            (without(Waiting), retired(&own, &[]), false),
            (Registration { member_id: None, ..saw(&own) }, retired(&own, &[]), true),
            (saw(&other), retired(&own, &[]), false),
            (saw(&other), retired(&own, &[&other]), true),
            (without(Joining), retired(&own, &[]), false),
            (without(Leaving), retired(&own, &[]), true),
            (without(Left), retired(&own, &[]), false),
            (without(Reaped), retired(&own, &[]), false),
        ];
        for (found, record, expected) in rows {
            let finished = found.given_up_by(&record, "now".into());
            assert_eq!(finished.is_some(), expected, "{found:?} {record:?}");
            let wanted = Registration { retired: true, updated: "now".into(), ..found };
            assert!(finished.is_none_or(|finished| finished == wanted && !finished.tells_of_a_cluster()));
        }
    }

    #[test]
    fn what_was_seen_ready_is_told_until_it_is_given_up() {
        let own = registration(RegistrationPhase::Joined).claim_id.unwrap();
        let other = ClaimId::parse("00000000-0000-4000-8000-000000000009").unwrap();
        let ready = || RecordState::Ready(Published::sample(registration(RegistrationPhase::Joined).instance));
        let making = || RecordState::Initializing { holder: None, beat: 0, restoring: None };
        let rows = [
            (record(&own, ready(), Vec::new()), Some(&own)),
            (record(&other, making(), Vec::new()), Some(&own)),
            (record(&own, making(), Vec::new()), Some(&own)),
            (record(&other, ready(), vec![own.clone()]), Some(&other)),
            // An older version that has come back.
            (record(&own, ready(), Vec::new()), Some(&other)),
            (record(&own, RecordState::Retired(None), Vec::new()), Some(&other)),
            (record(&own, making(), vec![other.clone()]), None),
            (record(&other, RecordState::Retired(None), Vec::new()), None),
        ];
        let mut told = registration(RegistrationPhase::Waiting);
        for (record, expected) in rows {
            told.notes(&record);
            assert_eq!(told.ready_claim.as_ref(), expected, "{record:?}");
            assert_eq!(expected.is_some_and(|claim| told.proves_flip_of(claim)), expected.is_some());
        }
    }

    #[test]
    fn an_earlier_run_fills_in_only_what_this_one_does_not_know() {
        let earlier = registration(RegistrationPhase::Joined);
        let mut nothing = Registration { claim_id: None, ..registration(RegistrationPhase::Waiting) };
        nothing.forget_member();
        let ids = |of: &Registration| (of.claim_id.clone(), of.lease_nonce.clone(), of.member_id, of.node_uid.clone());
        assert_eq!(ids(&nothing), (None, None, None, None));
        nothing.recall(earlier.clone());
        assert_eq!((ids(&nothing), nothing.phase), (ids(&earlier), RegistrationPhase::Waiting));
        let mut next = Registration { claim_id: None, ..registration(RegistrationPhase::Waiting) };
        next.forget_member();
        next.recall(Registration { retired: true, ..earlier.clone() });
        assert_eq!(ids(&next), (None, None, None, None), "it recalls what was given up");
        let mut newer = registration(RegistrationPhase::Joined);
        newer.claim_id = Some(ClaimId::parse("00000000-0000-4000-8000-000000000003").unwrap());
        newer.lease_nonce = Some(Nonce::parse("00000000-0000-4000-8000-000000000004").unwrap());
        newer.member_id = Some(MemberId(7));
        newer.node_uid = Some(Uid::parse("00000000-0000-4000-8000-000000000005").unwrap());
        let before = ids(&newer);
        newer.recall(earlier);
        assert_eq!(ids(&newer), before);
    }

    #[test]
    fn forgetting_the_member_keeps_the_claim() {
        let mut left = registration(RegistrationPhase::Left);
        left.forget_member();
        assert_eq!((left.member_id, &left.node_uid, &left.lease_nonce), (None, &None, &None));
        assert_eq!(left.claim_id, registration(RegistrationPhase::Left).claim_id);
    }
}
