//! Whether a cluster may be retired: given up on purpose, so that the next machines make a new one.
//!
//! It may be only if nothing of it can go on serving: EC2 says that every machine that ever registered is gone for good, and
//! nothing answers. A machine that boots meanwhile is not harmed, whenever the record is flipped: it reads `ready` and finds no
//! voter to join, or it reads `retired` and claims over exactly that version of the record.
//!
//! Here belongs the decision and its refusals. Writing the record does not belong here: see [`record`](super::record).
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the decision |
//! | `responder.rs` | what still answers, and what to do about it |

mod responder;

pub use responder::{Responder, ServedCluster};

use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::membership::instances::Presence;
use crate::model::membership::registration::RegistrationPhase;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use std::fmt;
use std::time::Duration;

/// What the decision depends on.
#[derive(Debug, Clone)]
pub struct RetireInput<'a> {
    /// The cluster that the operator means, by its ID: the claim that made it.
    pub cluster_id: &'a ClaimId,
    /// The record; `None` when there is none.
    pub record: Option<&'a ClusterRecord>,
    /// The account and Region in which EC2 was asked.
    pub asked_in: AskedIn,
    /// Every machine that has registered, and the one that initialised.
    pub machines: &'a [RetireMachine],
    /// What still answers.
    pub answers: &'a [Responder],
    /// How long EC2 must not know an instance before it counts as gone.
    pub gone_grace: Duration,
}

/// An account and Region in which EC2 was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedIn {
    /// AWS account.
    pub account: String,
    /// AWS Region.
    pub region: String,
}

/// A machine of the cluster that is to be retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetireMachine {
    /// Its ID.
    pub instance: InstanceId,
    /// The phase of its registration, if that can be read.
    pub last_phase: Option<RegistrationPhase>,
    /// What EC2 says of it; `None` when EC2 was not asked.
    pub ec2: Option<Presence>,
    /// Whether it is this machine, and its disk holds nothing of a control plane.
    pub is_here_and_fresh: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetireDecision {
    /// Nothing: it is retired already.
    Already,
    /// The record may be flipped to `retired`.
    Allowed,
    /// These machines are missing in EC2's answers, but not yet for `gone_grace`.
    Wait {
        /// Which.
        absent: Vec<InstanceId>,
        /// How long to wait.
        left: Duration,
    },
    /// The record must not be flipped.
    Refused(Vec<RetireRefusal>),
}

/// Why a cluster may not be retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetireRefusal {
    /// There is no record.
    NoRecord,
    /// There is a claim and no cluster yet.
    NoCluster {
        /// The claim.
        claim_id: ClaimId,
    },
    /// The record is another cluster's.
    OtherCluster {
        /// The record's cluster.
        cluster_id: ClaimId,
    },
    /// EC2 was asked in another account or Region, where the machines of this cluster cannot be seen.
    AskedElsewhere {
        /// What differs.
        field: &'static str,
        /// What the record says.
        record: String,
        /// The account or Region that was asked.
        here: String,
    },
    /// A machine is not gone for good.
    Lives {
        /// Which.
        instance: InstanceId,
        /// EC2's state of it.
        ec2: String,
    },
    /// EC2 did not answer.
    NotKnown {
        /// The machine.
        instance: InstanceId,
    },
    /// Something answers.
    Answers(Responder),
}

/// Decides whether the cluster may be retired.
#[must_use]
pub fn judge(input: &RetireInput<'_>) -> RetireDecision {
    let record = match named_record(input) {
        Ok(record) => record,
        Err(refusal) => return RetireDecision::Refused(vec![refusal]),
    };
    if matches!(record.state, RecordState::Retired(_)) {
        return RetireDecision::Already;
    }
    if let Some(refusal) = asked_elsewhere(input, record) {
        return RetireDecision::Refused(vec![refusal]);
    }
    let mut refusals: Vec<RetireRefusal> = input.machines.iter().filter_map(not_gone).collect();
    refusals.extend(input.answers.iter().cloned().map(RetireRefusal::Answers));
    if !refusals.is_empty() {
        return RetireDecision::Refused(refusals);
    }
    let absent: Vec<(&InstanceId, Duration)> =
        input.machines.iter().filter_map(|machine| grace_left(machine, input.gone_grace)).collect();
    match absent.iter().map(|(_, left)| *left).max() {
        Some(left) => {
            RetireDecision::Wait { absent: absent.into_iter().map(|(instance, _)| instance.clone()).collect(), left }
        }
        None => RetireDecision::Allowed,
    }
}

/// The record, if it is that of the cluster that the operator names.
fn named_record<'a>(input: &RetireInput<'a>) -> Result<&'a ClusterRecord, RetireRefusal> {
    let record = input.record.ok_or(RetireRefusal::NoRecord)?;
    match &record.state {
        RecordState::Initializing { .. } => Err(RetireRefusal::NoCluster { claim_id: record.claim_id.clone() }),
        RecordState::Ready(_) | RecordState::Retired(_) if record.claim_id != *input.cluster_id => {
            Err(RetireRefusal::OtherCluster { cluster_id: record.claim_id.clone() })
        }
        RecordState::Ready(_) | RecordState::Retired(_) => Ok(record),
    }
}

fn asked_elsewhere(input: &RetireInput<'_>, record: &ClusterRecord) -> Option<RetireRefusal> {
    let (identity, here) = (&record.identity, &input.asked_in);
    let differs = |field, record: &str, here: &str| {
        (record != here).then(|| RetireRefusal::AskedElsewhere {
            field,
            record: record.to_owned(),
            here: here.to_owned(),
        })
    };
    differs("account", &identity.account, &here.account).or_else(|| differs("region", &identity.region, &here.region))
}

/// Refuses a machine that is not gone. One that is stopped counts, because it can be started again.
fn not_gone(machine: &RetireMachine) -> Option<RetireRefusal> {
    let instance = machine.instance.clone();
    match &machine.ec2 {
        // Its disk was examined and is empty, so it holds no vote, although EC2 shows it as running.
        _ if machine.is_here_and_fresh => None,
        Some(Presence::State(state)) if state.is_final() => None,
        Some(Presence::State(state)) => Some(RetireRefusal::Lives { instance, ec2: state.to_string() }),
        Some(Presence::AbsentFor(_)) => None,
        None => Some(RetireRefusal::NotKnown { instance }),
    }
}

/// How long the machine must still be missing in EC2's answers before it counts as gone.
fn grace_left(machine: &RetireMachine, grace: Duration) -> Option<(&InstanceId, Duration)> {
    match &machine.ec2 {
        Some(Presence::AbsentFor(absent)) => {
            grace.checked_sub(*absent).filter(|left| !left.is_zero()).map(|left| (&machine.instance, left))
        }
        Some(Presence::State(_)) | None => None,
    }
}

impl RetireRefusal {
    /// A code for programs. It stays the same when the text changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRecord => "no-record",
            Self::NoCluster { .. } => "no-cluster",
            Self::OtherCluster { .. } => "other-cluster",
            Self::AskedElsewhere { .. } => "asked-elsewhere",
            Self::Lives { .. } => "lives",
            Self::NotKnown { .. } => "not-known",
            Self::Answers(_) => "answers",
        }
    }

    /// Whether the remedy is to change a setting or an argument.
    #[must_use]
    pub fn is_about_usage(&self) -> bool {
        match self {
            Self::NoRecord | Self::OtherCluster { .. } | Self::AskedElsewhere { .. } => true,
            Self::NoCluster { .. } | Self::Lives { .. } | Self::NotKnown { .. } | Self::Answers(_) => false,
        }
    }
}

impl fmt::Display for RetireRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord => f.write_str("there is no cluster record: correct 'bucket' and 'prefix'"),
            Self::NoCluster { claim_id } => write!(
                f,
                "the record holds claim {claim_id} and no cluster yet, so there is nothing to retire: a claim whose holder is gone is taken \
                 over by the next machine"
            ),
            Self::OtherCluster { cluster_id } => write!(
                f,
                "the record is that of the cluster {cluster_id}: correct --cluster-id, or 'bucket' and 'prefix'; 'kubeboot status' shows the \
                 record"
            ),
            Self::AskedElsewhere { field, record, here } => write!(
                f,
                "the cluster record has {field} '{record}', AWS was asked in {field} '{here}', where the cluster's machines cannot be seen: \
                 correct the setting 'region' or the credentials"
            ),
            Self::Lives { instance, ec2 } => write!(
                f,
                "{instance} has registered and is {ec2}: terminate it (desired capacity 0 keeps the group from launching another one)"
            ),
            Self::NotKnown { instance } => {
                write!(f, "EC2 did not say whether {instance}, which has registered, is gone: try again")
            }
            Self::Answers(answer) => write!(f, "{answer}: {}", answer.remedy()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::group::Ec2State;
    use crate::model::machine::ids::BootId;
    use crate::model::record::cluster::{Holder, Published};
    use crate::model::record::identity::Identity;

    const GRACE: Duration = Duration::from_secs(300);

    fn id(n: u8) -> InstanceId {
        InstanceId::parse(format!("i-0000000{n}")).unwrap()
    }

    fn claim(n: u8) -> ClaimId {
        ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
    }

    fn record(state: RecordState) -> ClusterRecord {
        let (claim_id, identity) = (claim(1), Identity::sample());
        ClusterRecord { claim_id, generation: 1, identity, yielded: Vec::new(), state }
    }

    fn published() -> Published {
        Published::sample(id(1))
    }

    fn asked_in(account: &str, region: &str) -> AskedIn {
        AskedIn { account: account.into(), region: region.into() }
    }

    /// The decision for cluster 1, with the right ID, account and Region.
    fn judged(state: RecordState, machines: &[RetireMachine], answers: &[Responder]) -> RetireDecision {
        judge(&RetireInput {
            cluster_id: &claim(1),
            record: Some(&record(state)),
            asked_in: asked_in("123456789012", "eu-central-1"),
            machines,
            answers,
            gone_grace: GRACE,
        })
    }

    fn machine(n: u8, ec2: Option<Presence>) -> RetireMachine {
        RetireMachine { instance: id(n), last_phase: Some(RegistrationPhase::Joined), ec2, is_here_and_fresh: false }
    }

    fn state(state: Ec2State) -> Option<Presence> {
        Some(Presence::State(state))
    }

    #[test]
    fn every_machine_must_be_gone_for_good() {
        let lives =
            |ec2: &str| RetireDecision::Refused(vec![RetireRefusal::Lives { instance: id(1), ec2: ec2.into() }]);
        let wait = |left| RetireDecision::Wait { absent: vec![id(1)], left: Duration::from_secs(left) };
        let absent = |secs| Some(Presence::AbsentFor(Duration::from_secs(secs)));
        let rows = [
            (state(Ec2State::Terminated), RetireDecision::Allowed),
            (state(Ec2State::ShuttingDown), RetireDecision::Allowed),
            (state(Ec2State::Running), lives("running")),
            (state(Ec2State::Pending), lives("pending")),
            (state(Ec2State::Stopping), lives("stopping")),
            (state(Ec2State::Stopped), lives("stopped")),
            (state(Ec2State::Other("new".into())), lives("new")),
            (absent(0), wait(300)),
            (absent(299), wait(1)),
            (absent(300), RetireDecision::Allowed),
            (None, RetireDecision::Refused(vec![RetireRefusal::NotKnown { instance: id(1) }])),
        ];
        for (ec2, expected) in rows {
            let machines = [machine(1, ec2.clone()), machine(2, state(Ec2State::Terminated))];
            assert_eq!(judged(RecordState::Ready(published()), &machines, &[]), expected, "{ec2:?}");
        }
    }

    #[test]
    fn the_longest_grace_is_waited_for_unless_a_machine_runs() {
        let absent = |n, secs| machine(n, Some(Presence::AbsentFor(Duration::from_secs(secs))));
        let two = [absent(1, 100), absent(2, 200), absent(3, 300)];
        let expected = RetireDecision::Wait { absent: vec![id(1), id(2)], left: Duration::from_secs(200) };
        assert_eq!(judged(RecordState::Ready(published()), &two, &[]), expected);
        let lives = [absent(1, 100), machine(2, state(Ec2State::Running))];
        let verdict = judged(RecordState::Ready(published()), &lives, &[]);
        assert_eq!(
            verdict,
            RetireDecision::Refused(vec![RetireRefusal::Lives { instance: id(2), ec2: "running".into() }])
        );
    }

    #[test]
    fn whatever_answers_prevents_it_whatever_ec2_says() {
        let endpoint = |serves| Responder::Endpoint { endpoint: "api:6443".into(), address: None, status: 200, serves };
        let another = endpoint(ServedCluster::AnotherCa { hashes: vec!["sha256:01".into()] });
        let listens = Responder::Machine { instance: id(2), address: "10.0.0.2".parse().unwrap(), port: 2379 };
        for answer in [endpoint(ServedCluster::ThisCa), another, endpoint(ServedCluster::Unknown), listens] {
            let gone = [machine(1, state(Ec2State::Terminated))];
            let verdict = judged(RecordState::Ready(published()), &gone, std::slice::from_ref(&answer));
            assert_eq!(verdict, RetireDecision::Refused(vec![RetireRefusal::Answers(answer)]));
        }
    }

    #[test]
    fn this_machine_is_judged_by_its_disk() {
        let here = RetireMachine { is_here_and_fresh: true, ..machine(9, state(Ec2State::Running)) };
        let gone = machine(1, state(Ec2State::Terminated));
        assert_eq!(
            judged(RecordState::Ready(published()), &[gone.clone(), here.clone()], &[]),
            RetireDecision::Allowed
        );
        let not_fresh = RetireMachine { is_here_and_fresh: false, ..here };
        let verdict = judged(RecordState::Ready(published()), &[gone, not_fresh], &[]);
        assert_eq!(
            verdict,
            RetireDecision::Refused(vec![RetireRefusal::Lives { instance: id(9), ec2: "running".into() }])
        );
    }

    #[test]
    fn only_the_named_cluster_is_retired_and_only_from_its_account_and_region() {
        let boot = BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
        let holder = Some(Holder { instance: id(1), boot });
        let refused = |refusal| RetireDecision::Refused(vec![refusal]);
        let elsewhere = |field, record: &str, here: &str| {
            refused(RetireRefusal::AskedElsewhere { field, record: record.into(), here: here.into() })
        };
        let (account, region) = ("123456789012", "eu-central-1");
        let here = || asked_in(account, region);
        let ready = || Some(record(RecordState::Ready(published())));
        let retired = || Some(record(RecordState::Retired(published().into())));
        let initializing = Some(record(RecordState::Initializing { holder, beat: 3 }));
        let rows = [
            (None, 1, here(), refused(RetireRefusal::NoRecord)),
            (initializing, 1, here(), refused(RetireRefusal::NoCluster { claim_id: claim(1) })),
            (ready(), 2, here(), refused(RetireRefusal::OtherCluster { cluster_id: claim(1) })),
            (retired(), 2, here(), refused(RetireRefusal::OtherCluster { cluster_id: claim(1) })),
            (retired(), 1, here(), RetireDecision::Already),
            (ready(), 1, here(), RetireDecision::Allowed),
            (ready(), 1, asked_in("2", region), elsewhere("account", account, "2")),
            (ready(), 1, asked_in(account, "us-east-1"), elsewhere("region", region, "us-east-1")),
        ];
        for (record, named, asked_in, expected) in rows {
            let input = RetireInput {
                cluster_id: &claim(named),
                record: record.as_ref(),
                asked_in,
                machines: &[machine(1, state(Ec2State::Terminated))],
                answers: &[],
                gone_grace: GRACE,
            };
            assert_eq!(judge(&input), expected, "{input:?}");
        }
    }

    /// The record as S3 holds it, changed under If-Match only: its body, and how often it was written.
    #[derive(Clone)]
    struct Cell(ClusterRecord, u32);

    impl Cell {
        fn replace(&mut self, next: Option<ClusterRecord>, read: u32) -> bool {
            let lands = next.is_some() && read == self.1;
            if let (Some(next), true) = (next, lands) {
                *self = Self(next, self.1 + 1);
            }
            lands
        }
    }

    /// `R` reads for the retirement, `W` writes it; `r` reads for a machine that boots, `c` claims by that, `f` flips.
    fn played(order: &str) -> Cell {
        use crate::model::record::claim::{claimed, flipped, retired};
        let holder = Holder { instance: id(5), boot: BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap() };
        let mut cell = Cell(record(RecordState::Ready(published())), 0);
        let (mut ours, mut theirs) = (cell.clone(), cell.clone());
        for step in order.chars() {
            match step {
                'R' => ours = cell.clone(),
                'W' => _ = cell.replace(retired(&ours.0), ours.1),
                'r' => theirs = cell.clone(),
                'c' if matches!(theirs.0.state, RecordState::Retired(_)) => {
                    let next = claimed(Some(&theirs.0), claim(5), holder.clone(), theirs.0.identity.clone());
                    _ = cell.replace(Some(next), theirs.1);
                    theirs = cell.clone();
                }
                'f' if theirs.0.claim_id == claim(5) => _ = cell.replace(flipped(&theirs.0, published()), theirs.1),
                _ => {}
            }
        }
        cell
    }

    #[test]
    fn a_machine_that_boots_meanwhile_is_harmed_in_no_order() {
        let (ready, retired) = (RecordState::Ready(published()), RecordState::Retired(published().into()));
        let rows = [
            ("RrcfW", 1, &retired), // It read `ready`, and claims nothing.
            ("rRWcf", 1, &retired), // The same, with the record changed meanwhile.
            ("RWrcf", 5, &ready),   // It read `retired`, and makes the next cluster.
            ("RWrRWcf", 5, &ready), // A second retirement of the retired changes nothing.
            ("RWrcRWf", 5, &ready), // Nor does one that comes while the next claim is held.
            ("RRWrcfW", 5, &ready), // A late write of the first retirement does not land on the next cluster.
        ];
        for (order, claim_id, state) in rows {
            let Cell(record, _) = played(order);
            assert_eq!((&record.claim_id, &record.state), (&claim(claim_id), state), "{order}");
        }
    }
}
