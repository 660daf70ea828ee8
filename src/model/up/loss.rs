//! What an operator must know when the quorum, or everything, is lost: who is gone since when, where record and keys are,
//! and what to do.

use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::membership::instances::{Instances, Presence};
use crate::model::membership::members::{Member, Members, quorum};
use crate::model::membership::reaping::owners;
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::{ClusterRecord, Published};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// What is known.
#[derive(Debug, Clone)]
pub struct LossInput<'a> {
    /// The record of the cluster.
    pub record: &'a ClusterRecord,
    /// Its published facts.
    pub published: &'a Published,
    /// Where the record is, and the key bundle, as URLs.
    pub places: (&'a str, &'a str),
    /// The members, as far as any of them remembers; `None` when none answers.
    pub members: Option<&'a Members>,
    /// What the machines said about themselves.
    pub registrations: &'a [Registration],
    /// EC2's word on them.
    pub instances: &'a Instances,
    /// When EC2 last changed their state, in EC2's words.
    pub since: &'a BTreeMap<InstanceId, String>,
    /// This machine.
    pub me: &'a InstanceId,
    /// Whether nothing of a member lies on this machine's disk.
    pub fresh_here: bool,
}

/// The whole report, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossReport {
    voters: Vec<Voter>,
    /// Where nobody remembers the members: those that began to join and may have had a vote before they could say so.
    newcomers: Vec<Voter>,
    cluster_id: String,
    kube_system_uid: String,
    record: String,
    pki: String,
}

/// One machine that had a vote.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Voter {
    instance: Option<InstanceId>,
    member: Option<MemberId>,
    address: Option<IpAddr>,
    answers: bool,
    ec2: Option<Presence>,
    since: Option<String>,
    /// When it last wrote about itself, by its own clock.
    heard: Option<String>,
    disk: Disk,
}

/// What is known of the data that a voter votes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    /// Nothing says that it is gone.
    Kept,
    /// The registration of the machine names no member: its disk may be a new one.
    Doubtful,
    /// This machine, on whose disk nothing of a member lies.
    FreshHere,
}

impl LossReport {
    /// Puts together what is known. Without a list, those count that said they had a vote in this very cluster.
    #[must_use]
    pub fn of(scene: &LossInput<'_>) -> Self {
        let mut voters: Vec<Voter> = match scene.members {
            Some(members) => members.voters().map(|member| listed(scene, member)).collect(),
            None => remembered(scene),
        };
        voters.sort_by_key(|voter| (voter.disk != Disk::FreshHere, voter.answers, voter.instance.clone()));
        let newcomers = if scene.members.is_some() { Vec::new() } else { newcomers(scene) };
        Self {
            voters,
            newcomers,
            cluster_id: scene.record.claim_id.to_string(),
            kube_system_uid: scene.published.kube_system_uid.to_string(),
            record: scene.places.0.to_owned(),
            pki: scene.places.1.to_owned(),
        }
    }

    fn answering(&self) -> usize {
        self.voters.iter().filter(|voter| voter.answers).count()
    }

    /// Those that may come back by themselves, or be brought back, with their data.
    fn may_return(&self) -> Vec<&Voter> {
        self.voters.iter().filter(|voter| !voter.answers && !voter.is_gone() && voter.disk != Disk::FreshHere).collect()
    }
}

/// A voter by etcd's list.
fn listed(scene: &LossInput<'_>, member: &Member) -> Voter {
    let owner = owners(scene.registrations.iter(), member).into_iter().next();
    Voter {
        member: Some(member.id),
        address: member.peer_addresses.first().copied(),
        answers: member.answers,
        ..voter(scene, owner.map(|owner| &owner.instance), owner)
    }
}

/// What the machines of this cluster said.
fn said<'a>(scene: &'a LossInput<'_>) -> impl Iterator<Item = &'a Registration> {
    scene.registrations.iter().filter(|found| found.claim_id.as_ref() == Some(&scene.record.claim_id))
}

/// Others that began to join, never said that they were voters, and are not gone. This machine knows its own disk.
fn newcomers(scene: &LossInput<'_>) -> Vec<Voter> {
    let unsaid =
        said(scene).filter(|found| found.may_have_voted() && !found.was_voter() && found.instance != *scene.me);
    unsaid.map(|found| voter(scene, Some(&found.instance), Some(found))).filter(|voter| !voter.is_gone()).collect()
}

/// Those of this cluster that said they were voters, and the one that initialised.
fn remembered(scene: &LossInput<'_>) -> Vec<Voter> {
    let said = said(scene).filter(|found| found.was_voter());
    let mut all: Vec<Voter> = said.map(|found| voter(scene, Some(&found.instance), Some(found))).collect();
    let first = &scene.published.initialised_by;
    if all.iter().all(|voter| voter.instance.as_ref() != Some(first)) {
        all.push(voter(scene, Some(first), None));
    }
    all
}

fn voter(scene: &LossInput<'_>, instance: Option<&InstanceId>, says: Option<&Registration>) -> Voter {
    let disk = match says {
        _ if scene.fresh_here && instance == Some(scene.me) => Disk::FreshHere,
        Some(says) if says.member_id.is_none() => Disk::Doubtful,
        Some(_) | None => Disk::Kept,
    };
    Voter {
        disk,
        instance: instance.cloned(),
        member: says.and_then(|says| says.member_id),
        address: says.and_then(|says| says.addresses.first().copied()),
        answers: false,
        ec2: instance.and_then(|instance| scene.instances.0.get(instance).cloned()),
        since: instance.and_then(|instance| scene.since.get(instance).cloned()),
        heard: says.map(|says| says.updated.clone()).filter(|heard| !heard.is_empty()),
    }
}

impl Voter {
    fn is_gone(&self) -> bool {
        match &self.ec2 {
            Some(Presence::State(state)) => state.is_final(),
            Some(Presence::AbsentFor(_)) => true,
            None => false,
        }
    }

    /// What an operator can do about it while it is not gone.
    fn remedy(&self) -> &'static str {
        if self.disk == Disk::Doubtful {
            return "its registration names no member any more: see whether etcd's data is still on its disk";
        }
        match &self.ec2 {
            Some(Presence::State(Ec2State::Stopped | Ec2State::Stopping)) => "start it",
            Some(Presence::State(_)) | None => "see its kubelet and etcd",
            Some(Presence::AbsentFor(_)) => "see whether it is there",
        }
    }
}

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instance {
            Some(instance) => write!(f, "{instance}")?,
            None => f.write_str("a machine that no registration names")?,
        }
        if let Some(member) = self.member {
            write!(f, ", etcd member {member}")?;
        }
        if let Some(address) = self.address {
            write!(f, " at {address}")?;
        }
        if self.answers {
            return f.write_str(": answers");
        }
        if self.disk == Disk::FreshHere {
            return f.write_str(": this machine, whose disk is fresh: it cannot bring its vote back, and joins anew when the others have a quorum");
        }
        match &self.ec2 {
            Some(Presence::State(state)) => write!(f, ": EC2 says {state}")?,
            Some(Presence::AbsentFor(_)) => f.write_str(": EC2 does not know it any more")?,
            None => f.write_str(": EC2 was not asked")?,
        }
        if let Some(since) = &self.since {
            write!(f, " since {since}")?;
        }
        match &self.heard {
            Some(heard) => write!(f, "; it last wrote about itself at {heard}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LossReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the voters:")?;
        for voter in &self.voters {
            writeln!(f, "- {voter}")?;
        }
        for newcomer in &self.newcomers {
            writeln!(f, "- {newcomer}; it began to join, and may have had a vote before it could say so")?;
        }
        writeln!(
            f,
            "the record: {} (cluster ID {}, kube-system {})",
            self.record, self.cluster_id, self.kube_system_uid
        )?;
        writeln!(f, "the keys: {}", self.pki)?;
        self.what_to_do(f)
    }
}

impl LossReport {
    fn what_to_do(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (back, wanted) = (self.may_return(), quorum(self.voters.len()));
        let retire = format!("'kubeboot retire --cluster-id {}'", self.cluster_id);
        if self.answering() + back.len() >= wanted {
            let missing = wanted.saturating_sub(self.answering());
            writeln!(
                f,
                "what to do: bring back {missing} of these, wiping none of them; then everything goes on by itself:"
            )?;
            for voter in back {
                let name = voter.instance.as_ref().map_or("the machine without a name", InstanceId::as_str);
                writeln!(f, "- {name}: {}", voter.remedy())?;
            }
            return Ok(());
        }
        let has_data = |voter: &&Voter| !voter.is_gone() && voter.disk != Disk::FreshHere;
        let kept = instances(self.voters.iter().filter(has_data));
        let newcomers = instances(self.newcomers.iter());
        if !kept.is_empty() {
            return writeln!(
                f,
                "what to do: too few voters can come back for a quorum. The data is on {}: keep it before anything else, by \
                 'kubeboot snapshot save --unconfirmed' there, once the machine runs. Then terminate {}, and have the snapshot that \
                 this has printed restored by 'kubeboot restore --snapshot' on a new machine of the group, or give the cluster up: \
                 {retire}",
                kept.join(", "),
                [kept.clone(), newcomers].concat().join(", ")
            );
        }
        f.write_str(
            "what to do: no machine is left that has the data, and kubeboot never initialises over a ready record. ",
        )?;
        if !newcomers.is_empty() {
            write!(f, "While {} may have had a vote, nothing is restored: terminate it. ", newcomers.join(" or "))?;
        }
        writeln!(
            f,
            "With a snapshot of etcd, have it restored by 'kubeboot restore --latest' on a machine of the group, which says before it \
             asks what would be lost; without one, give the cluster up: {retire}"
        )
    }
}

fn instances<'a>(voters: impl Iterator<Item = &'a Voter>) -> Vec<&'a str> {
    voters.filter_map(|voter| voter.instance.as_ref()).map(InstanceId::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::{ClaimId, Nonce};
    use crate::model::membership::registration::{RegistrationPhase, SCHEMA, Versions};
    use crate::model::record::cluster::RecordState;
    use crate::model::record::identity::Identity;
    use std::time::Duration;

    const UUID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
    const EARLIER: &str = "00000000-8b86-4011-b42d-00c04fc964ff";

    fn id(n: u8) -> InstanceId {
        InstanceId::parse(format!("i-0000000{n}")).unwrap()
    }

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 77, 0, n])
    }

    fn registered(n: u8, claim: &str) -> Registration {
        Registration {
            schema: SCHEMA,
            instance: id(n),
            phase: RegistrationPhase::Joined,
            claim_id: Some(ClaimId::parse(claim).unwrap()),
            ready_claim: None,
            lease_nonce: None,
            node_name: format!("n{n}"),
            node_uid: None,
            provider_id: String::new(),
            addresses: vec![address(n)],
            member_id: Some(MemberId(n.into())),
            versions: Versions::default(),
            waits_for: None,
            retired: false,
            hook: None,
            upgraded: None,
            digests: Default::default(),
            last_error: None,
            since: String::new(),
            updated: format!("2026-01-02T03:04:0{n}Z"),
            later: Default::default(),
        }
    }

    fn voter(n: u8, answers: bool) -> Member {
        Member {
            id: MemberId(n.into()),
            name: format!("n{n}"),
            peer_addresses: vec![address(n)],
            learner: false,
            answers,
        }
    }

    /// What is told of a cluster whose machines 1 to 3 registered, and machine 4 of an earlier one.
    fn told(members: Option<Members>, words: &[(u8, Presence)]) -> String {
        told_of_one_made_by(1, members, words)
    }

    fn told_of_one_made_by(first: u8, members: Option<Members>, words: &[(u8, Presence)]) -> String {
        let registrations = [registered(1, UUID), registered(2, UUID), registered(3, UUID), registered(4, EARLIER)];
        told_at((9, false), &registrations, first, members, words)
    }

    /// What is told on a machine, with whether its disk is fresh.
    fn told_at(
        (me, fresh_here): (u8, bool),
        registrations: &[Registration],
        first: u8,
        members: Option<Members>,
        words: &[(u8, Presence)],
    ) -> String {
        let (published, identity) = (Published::sample(id(first)), Identity::sample());
        let state = RecordState::Ready(published.clone());
        let claim_id = ClaimId::parse(UUID).unwrap();
        LossReport::of(&LossInput {
            record: &ClusterRecord {
                claim_id,
                generation: 1,
                identity,
                yielded: Vec::new(),
                retired_claims: Vec::new(),
                superseded: Vec::new(),
                state,
            },
            published: &published,
            places: ("s3://b/p/record", "s3://b/p/keys"),
            members: members.as_ref(),
            registrations,
            instances: &Instances(words.iter().map(|(n, word)| (id(*n), word.clone())).collect()),
            since: &[(id(2), "2026-01-02 03:00:00 GMT".to_owned())].into(),
            me: &id(me),
            fresh_here,
        })
        .to_string()
    }

    fn state(state: Ec2State) -> Presence {
        Presence::State(state)
    }

    #[test]
    fn who_is_gone_since_when_and_where_everything_is() {
        let members = Members(vec![voter(1, true), voter(2, false), voter(3, false)]);
        let words = [(2, state(Ec2State::Terminated)), (3, state(Ec2State::Running))];
        let told = told(Some(members), &words);
        for line in [
            "- i-00000002, etcd member 2 at 10.77.0.2: EC2 says terminated since 2026-01-02 03:00:00 GMT; it last wrote about itself at 2026-01-02T03:04:02Z\n",
            "- i-00000003, etcd member 3 at 10.77.0.3: EC2 says running; it last wrote about itself at 2026-01-02T03:04:03Z\n",
            "- i-00000001, etcd member 1 at 10.77.0.1: answers\n",
            "the record: s3://b/p/record (cluster ID 6f9619ff-8b86-4011-b42d-00c04fc964ff, kube-system 6f96",
            "the keys: s3://b/p/keys\n",
            "bring back 1 of these, wiping none of them",
            "- i-00000003: see its kubelet and etcd\n",
        ] {
            assert!(told.contains(line), "{line}\nis not in\n{told}");
        }
        assert!(!told.contains("retire"), "{told}");
    }

    #[test]
    fn what_to_do_depends_on_who_may_come_back() {
        let members = || Some(Members(vec![voter(1, true), voter(2, false), voter(3, false)]));
        let (gone, absent) = (state(Ec2State::Terminated), Presence::AbsentFor(Duration::from_secs(1)));
        let stopped = state(Ec2State::Stopped);
        let rows = [
            (members(), vec![(2, stopped.clone()), (3, gone.clone())], "- i-00000002: start it"),
            (members(), vec![(2, gone.clone()), (3, absent.clone())], "The data is on i-00000001"),
            (None, vec![(1, gone.clone()), (2, absent), (3, gone.clone())], "no machine is left that has the data"),
            (None, vec![(1, stopped.clone()), (2, gone.clone()), (3, gone)], "The data is on i-00000001"),
            (None, vec![(1, stopped.clone()), (2, stopped)], "bring back 2 of these"),
        ];
        for (members, words, expected) in rows {
            let told = told(members, &words);
            assert!(told.contains(expected), "{words:?}: {expected}\nis not in\n{told}");
        }
    }

    #[test]
    fn who_may_have_had_a_vote_is_to_be_terminated_before_anything_is_restored() {
        let gone = |n| (n, state(Ec2State::Terminated));
        let began = |n| Registration {
            phase: RegistrationPhase::Joining,
            member_id: None,
            lease_nonce: Some(Nonce::parse("00000000-0000-4000-8000-000000000001").unwrap()),
            ..registered(n, UUID)
        };
        let registrations = [registered(1, UUID), began(2), began(3), began(5)];
        // Machine 2 is gone, and machine 5 is this one.
        let words = [gone(1), gone(2), (3, state(Ec2State::Running)), (5, state(Ec2State::Running))];
        let told = told_at((5, true), &registrations, 1, None, &words);
        for line in [
            "- i-00000003 at 10.77.0.3: EC2 says running; it last wrote about itself at 2026-01-02T03:04:03Z; it began to join, and may",
            "While i-00000003 may have had a vote, nothing is restored: terminate it. With a snapshot",
            "'kubeboot restore --latest'",
        ] {
            assert!(told.contains(line), "{line}\nis not in\n{told}");
        }
        assert!(!told.contains("- i-00000002") && !told.contains("- i-00000005"), "{told}");
        // With data left, both are ended before the restore.
        let words = [(1, state(Ec2State::Running)), (3, state(Ec2State::Running)), gone(2), gone(4)];
        let registrations = [registered(1, UUID), registered(4, UUID), registered(2, UUID), began(3)];
        let told = told_at((5, true), &registrations, 1, None, &words);
        assert!(told.contains("The data is on i-00000001: keep it"), "{told}");
        assert!(told.contains("Then terminate i-00000001, i-00000003, and have the snapshot"), "{told}");
        // Where etcd's own list is known, a vote is no guess.
        let members = Members(vec![voter(1, true), voter(2, false)]);
        assert!(!told_at((5, true), &registrations, 1, Some(members), &words).contains("began to join"));
    }

    #[test]
    fn a_machine_with_a_fresh_disk_is_not_to_be_brought_back_and_names_itself_first() {
        let members = || Some(Members(vec![voter(1, false), voter(2, false), voter(3, true)]));
        let running = [(1, state(Ec2State::Running)), (2, state(Ec2State::Running))];
        let without_member = |n| Registration { member_id: None, ..registered(n, UUID) };
        let registrations = [registered(1, UUID), without_member(2), registered(3, UUID)];
        let here = |fresh| told_at((1, fresh), &registrations, 1, members(), &running);

        let fresh = here(true);
        assert!(
            fresh.starts_with(
                "the voters:\n- i-00000001, etcd member 1 at 10.77.0.1: this machine, whose disk is fresh"
            ),
            "{fresh}"
        );
        assert!(fresh.contains("bring back 1 of these") && !fresh.contains("- i-00000001: "), "{fresh}");
        let doubtful = "- i-00000002: its registration names no member any more: see whether etcd's data";
        assert!(fresh.contains(doubtful), "{fresh}");
        assert!(here(false).contains("- i-00000001: see its kubelet and etcd"), "{}", here(false));
        // The only other one is gone: the data is not here.
        let gone = [(2, state(Ec2State::Terminated))];
        let told = told_at((1, true), &registrations, 1, members(), &gone);
        assert!(told.contains("The data is on i-00000003:"), "{told}");
    }

    #[test]
    fn machines_of_an_earlier_cluster_are_not_counted() {
        assert!(!told(None, &[]).contains("i-00000004"));
    }

    #[test]
    fn a_member_that_nobody_registered_is_told_as_etcd_lists_it() {
        let told = told(Some(Members(vec![voter(1, true), voter(5, false)])), &[]);
        let line = "- a machine that no registration names, etcd member 5 at 10.77.0.5: EC2 was not asked\n";
        assert!(told.contains(line), "{told}");
    }

    #[test]
    fn who_initialised_is_remembered_once_with_or_without_a_registration() {
        for (first, voters) in [(1, 3), (5, 4)] {
            let told = told_of_one_made_by(first, None, &[]);
            let lines = told.lines().filter(|line| line.ends_with("EC2 was not asked") || line.contains("wrote about"));
            assert_eq!(lines.count(), voters, "{told}");
            assert!(told.contains(&format!("- i-0000000{first}")), "{told}");
        }
    }
}
