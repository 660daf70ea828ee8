//! In which order the last voter isolates itself and saves its cluster, and what becomes of it after any interruption.
//!
//! Nothing is remembered: each step follows from what is found on the machine and in the record, so that whoever begins again goes on
//! where another has ended. First nobody may write any more, then the snapshot is taken, and only a snapshot that was read back
//! whole is written into the record. Whoever may have sent that write puts nothing back before it can land no more.
//!
//! Whether the cluster is to be saved at all is the agent's decision: see [`agent`](super::agent).

use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::membership::members::Members;
use std::fmt;

/// What is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveFindings<'a> {
    /// What the record, read now, says of this machine's cluster.
    pub record: RecordFound,
    /// Whether the cluster is still to be saved.
    pub wanted: bool,
    /// The machines that live and cannot read a record that says `saved`.
    pub too_old: &'a [InstanceId],
    /// Whether this machine's API server is gone, its manifest set aside.
    pub is_server_gone: bool,
    /// Whether its etcd hears clients and peers on the loopback alone.
    pub is_etcd_alone: bool,
    /// Its member.
    pub own: MemberId,
    /// etcd's list through the loopback, read linearizably; `None` while it was not asked, or does not answer.
    pub members: Option<&'a Members>,
    /// The snapshot that this run has taken since both were isolated.
    pub snapshot: Option<SnapshotTaken>,
    /// Whether a write of `saved` may have been sent, by the mark on the disk, and what came of it is not known.
    pub may_be_sent: bool,
}

/// What the record says of a cluster that is being saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFound {
    /// It is ready.
    Ready,
    /// The record supersedes its claim: it lives in a snapshot.
    Saved,
    /// Neither, or nobody knows; with the reason.
    Unknown(String),
}

/// A snapshot of the isolated etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotTaken {
    /// etcd's revision before it was taken.
    pub before: u64,
    /// etcd's revision afterwards, read linearizably; `before` where only leases have run out since.
    pub after: u64,
    /// Whether it was read back from the bucket and is whole.
    pub is_verified: bool,
}

/// The next step of a saving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveStep {
    /// Set the API server's manifest aside, and see it gone.
    IsolateApiServer,
    /// Have etcd hear the loopback alone, clients and peers.
    IsolateEtcd,
    /// Ask etcd for its members through the loopback.
    List,
    /// Remove this learner.
    RemoveLearner(MemberId),
    /// Take a snapshot, read it back, and read the revision once more.
    TakeSnapshot,
    /// Write `saved` over the very record that was judged.
    WriteSaved,
    /// See that etcd is gone as well, for good: the machine may go.
    EndForGood,
    /// Stay as it is, and read the record again.
    Hold(String),
    /// Put both manifests back: nothing is saved.
    PutBack {
        /// Why.
        why: NotSaved,
        /// Change the record first, so that a write of `saved` that is under way lands no more.
        fence: bool,
    },
}

/// Why a cluster is not saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSaved {
    /// It is not to be saved any more.
    NotWanted,
    /// Machines live that could not read the record.
    TooOld(Vec<InstanceId>),
    /// Others have a vote.
    NotAlone,
    /// Something was committed although nobody should have been able to.
    WentOn {
        /// The revision before the snapshot.
        before: u64,
        /// The revision after it.
        after: u64,
    },
    /// The snapshot in the bucket is not whole.
    Damaged,
}

/// The next step.
#[must_use]
pub fn next(found: &SaveFindings<'_>) -> SaveStep {
    match &found.record {
        RecordFound::Unknown(why) => return SaveStep::Hold(why.clone()),
        RecordFound::Saved => return SaveStep::EndForGood,
        RecordFound::Ready => {}
    }
    let put_back = |why| SaveStep::PutBack { why, fence: found.may_be_sent };
    if !found.wanted {
        return put_back(NotSaved::NotWanted);
    }
    if !found.too_old.is_empty() {
        return put_back(NotSaved::TooOld(found.too_old.to_vec()));
    }
    if !found.is_server_gone {
        return SaveStep::IsolateApiServer;
    }
    if !found.is_etcd_alone {
        return SaveStep::IsolateEtcd;
    }
    let Some(members) = found.members else { return SaveStep::List };
    if let Some(learner) = members.0.iter().find(|member| member.learner) {
        return SaveStep::RemoveLearner(learner.id);
    }
    if members.0.iter().any(|member| member.id != found.own) {
        return put_back(NotSaved::NotAlone);
    }
    match found.snapshot {
        None => SaveStep::TakeSnapshot,
        Some(SnapshotTaken { is_verified: false, .. }) => put_back(NotSaved::Damaged),
        Some(SnapshotTaken { before, after, .. }) if before != after => put_back(NotSaved::WentOn { before, after }),
        Some(_) => SaveStep::WriteSaved,
    }
}

impl fmt::Display for NotSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWanted => f.write_str("the cluster is not to be saved any more"),
            Self::TooOld(instances) => {
                let instances: Vec<&str> = instances.iter().map(InstanceId::as_str).collect();
                write!(
                    f,
                    "{} live with a kubeboot that cannot read the record of a saved cluster: terminate them",
                    instances.join(", ")
                )
            }
            Self::NotAlone => f.write_str("other machines have a vote in etcd"),
            Self::WentOn { before, after } => {
                write!(f, "etcd went on from revision {before} to {after} while it was saved")
            }
            Self::Damaged => f.write_str("the snapshot in the bucket is not the one that was taken"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::membership::members::Member;

    fn members(pattern: &str) -> Members {
        let member = |(n, c): (u64, char)| Member {
            id: MemberId(n),
            name: format!("n{n}"),
            peer_addresses: Vec::new(),
            learner: c == 'l',
            answers: true,
        };
        Members((1..).zip(pattern.chars()).map(member).collect())
    }

    /// Everything is done but the write.
    fn ready(members: &Members) -> SaveFindings<'_> {
        SaveFindings {
            record: RecordFound::Ready,
            wanted: true,
            too_old: &[],
            is_server_gone: true,
            is_etcd_alone: true,
            own: MemberId(1),
            members: Some(members),
            snapshot: Some(SnapshotTaken { before: 7, after: 7, is_verified: true }),
            may_be_sent: false,
        }
    }

    #[test]
    fn each_step_comes_after_the_one_before_it_and_the_record_last() {
        let (alone, with_learner, with_voter) = (members("v"), members("vl"), members("vv"));
        let done = || ready(&alone);
        let taken = |before, after, is_verified| Some(SnapshotTaken { before, after, is_verified });
        let put_back = |why| SaveStep::PutBack { why, fence: false };
        let old = [InstanceId::parse("i-00000001").unwrap()];
        let rows = [
            (done(), SaveStep::WriteSaved),
            (SaveFindings { is_server_gone: false, ..done() }, SaveStep::IsolateApiServer),
            (SaveFindings { is_server_gone: false, is_etcd_alone: false, ..done() }, SaveStep::IsolateApiServer),
            (SaveFindings { is_etcd_alone: false, ..done() }, SaveStep::IsolateEtcd),
            (SaveFindings { members: None, ..done() }, SaveStep::List),
            (SaveFindings { members: Some(&with_learner), ..done() }, SaveStep::RemoveLearner(MemberId(2))),
            (SaveFindings { members: Some(&with_voter), ..done() }, put_back(NotSaved::NotAlone)),
            (SaveFindings { own: MemberId(9), ..done() }, put_back(NotSaved::NotAlone)),
            (SaveFindings { snapshot: None, ..done() }, SaveStep::TakeSnapshot),
            (SaveFindings { snapshot: taken(7, 7, false), ..done() }, put_back(NotSaved::Damaged)),
            (
                SaveFindings { snapshot: taken(7, 8, true), ..done() },
                put_back(NotSaved::WentOn { before: 7, after: 8 }),
            ),
            (SaveFindings { wanted: false, ..done() }, put_back(NotSaved::NotWanted)),
            (SaveFindings { too_old: &old, ..done() }, put_back(NotSaved::TooOld(old.to_vec()))),
        ];
        for (found, expected) in rows {
            assert_eq!(next(&found), expected, "{found:?}");
        }
    }

    #[test]
    fn after_an_interruption_the_record_decides_whether_anything_goes_back() {
        let alone = members("v");
        let whatever = || {
            let flags = || [false, true].into_iter();
            flags().flat_map(move |wanted| flags().flat_map(move |gone| flags().map(move |sent| (wanted, gone, sent))))
        };
        for (wanted, gone, may_be_sent) in whatever() {
            let found = |record| SaveFindings {
                record,
                wanted,
                is_server_gone: gone,
                is_etcd_alone: gone,
                may_be_sent,
                ..ready(&alone)
            };
            assert_eq!(next(&found(RecordFound::Saved)), SaveStep::EndForGood, "nothing goes back any more");
            assert_eq!(next(&found(RecordFound::Unknown("w".into()))), SaveStep::Hold("w".into()));
            match next(&found(RecordFound::Ready)) {
                SaveStep::PutBack { fence, .. } => assert!(!wanted && fence == may_be_sent),
                SaveStep::WriteSaved => assert!(wanted && gone),
                SaveStep::IsolateApiServer => assert!(wanted && !gone),
                step => panic!("{step:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_saved_says_why() {
        let rows = [
            (NotSaved::NotWanted, "not to be saved any more"),
            (NotSaved::TooOld(vec![InstanceId::parse("i-00000001").unwrap()]), "i-00000001 live with"),
            (NotSaved::NotAlone, "other machines have a vote"),
            (NotSaved::WentOn { before: 7, after: 8 }, "from revision 7 to 8"),
            (NotSaved::Damaged, "not the one that was taken"),
        ];
        for (why, text) in rows {
            assert!(why.to_string().contains(text), "{why}");
        }
    }
}
