//! Whether a cluster may be given up whose record is gone, or has gone back to an older version.
//!
//! Nobody can name such a cluster, so it is told by what is left of it: registrations, the published hash, a delete marker. What
//! must be gone is everybody of whom anything tells, the whole group among them.

use super::refusal::RetireRefusal;
use super::{AskedIn, Responder, RetireDecision, RetireMachine, asked_elsewhere, judge_remains};
use crate::model::membership::later_truth::LaterTruth;
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use std::time::Duration;

/// What the decision depends on.
#[derive(Debug, Clone)]
pub struct LostRecordInput<'a> {
    /// The record that there is; `None` when there is none.
    pub record: Option<&'a ClusterRecord>,
    /// Whether S3 shows a delete marker in its place.
    pub was_deleted: bool,
    /// What the machines said about themselves, as far as it can be read.
    pub registrations: &'a [Registration],
    /// The published discovery hash; `None` where none is.
    pub hash: Option<&'a str>,
    /// Whether the group is known whose machines are among `machines`.
    pub is_group_known: bool,
    /// The account and Region in which EC2 was asked.
    pub asked_in: AskedIn,
    /// Every machine that has registered, that the record names, or that is in the group.
    pub machines: &'a [RetireMachine],
    /// What still answers.
    pub answers: &'a [Responder],
    /// How long EC2 must not know an instance before it counts as gone.
    pub gone_grace: Duration,
}

/// Decides whether the cluster of a lost record may be given up.
#[must_use]
pub fn judge_lost(input: &LostRecordInput<'_>) -> RetireDecision {
    match is_lost(input) {
        Ok(true) => {}
        Ok(false) => return RetireDecision::Already,
        Err(refusal) => return RetireDecision::Refused(vec![refusal]),
    }
    let elsewhere = input
        .record
        .and_then(|record| asked_elsewhere(&input.asked_in, record))
        .or_else(|| registered_elsewhere(input.registrations, &input.asked_in.region));
    if let Some(refusal) = elsewhere {
        return RetireDecision::Refused(vec![refusal]);
    }
    let refusals = if input.is_group_known { Vec::new() } else { vec![RetireRefusal::NoGroup] };
    judge_remains(refusals, input.machines, input.answers, input.gone_grace)
}

/// Whether a record is lost; `false` when the one that is there gives everything up already.
fn is_lost(input: &LostRecordInput<'_>) -> Result<bool, RetireRefusal> {
    let Some(record) = input.record else {
        let tells_of_one = input.was_deleted
            || input.hash.is_some()
            || input.registrations.iter().any(|found| found.claim_id.is_some() || found.ready_claim.is_some());
        return if tells_of_one { Ok(true) } else { Err(RetireRefusal::NothingLost) };
    };
    let went_back = LaterTruth::than(record, input.registrations, input.hash).is_some();
    match &record.state {
        RecordState::Ready(_) | RecordState::Saved(_) | RecordState::Initializing { restoring: Some(_), .. }
            if !went_back =>
        {
            Err(RetireRefusal::RecordReady { cluster_id: record.claim_id.clone() })
        }
        RecordState::Retired(_) => Ok(went_back),
        RecordState::Ready(_) | RecordState::Saved(_) => Ok(true),
        RecordState::Initializing { .. } if went_back => Ok(true),
        RecordState::Initializing { .. } => Err(RetireRefusal::NoCluster { claim_id: record.claim_id.clone() }),
    }
}

/// A machine that registered from a zone of another Region: EC2 in this one says nothing of it.
fn registered_elsewhere(registrations: &[Registration], region: &str) -> Option<RetireRefusal> {
    registrations.iter().find_map(|registration| {
        let zone = registration.provider_id.strip_prefix("aws:///")?.split('/').next()?;
        (!zone.starts_with(region)).then(|| RetireRefusal::RegisteredElsewhere {
            instance: registration.instance.clone(),
            zone: zone.to_owned(),
            here: region.to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::group::Ec2State;
    use crate::model::machine::ids::{ClaimId, InstanceId, MemberId};
    use crate::model::membership::instances::Presence;
    use crate::model::membership::registration::RegistrationPhase;
    use crate::model::record::cluster::Published;
    use crate::model::record::identity::Identity;
    use crate::model::record::saved::Saved;
    use crate::model::retire::KnownBy;

    fn id(n: u8) -> InstanceId {
        InstanceId::parse(format!("i-0000000{n}")).unwrap()
    }

    fn claim(n: u8) -> ClaimId {
        ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
    }

    /// A record at claim 1.
    fn record(state: RecordState) -> ClusterRecord {
        let (claim_id, identity) = (claim(1), Identity::sample());
        ClusterRecord {
            claim_id,
            generation: 3,
            identity,
            yielded: Vec::new(),
            retired_claims: Vec::new(),
            superseded: Vec::new(),
            state,
        }
    }

    fn registration(n: u8, phase: RegistrationPhase, follows: u8) -> Registration {
        Registration { claim_id: Some(claim(follows)), ..Registration::sample(id(n), phase) }
    }

    fn joined(n: u8, follows: u8) -> Registration {
        Registration { member_id: Some(MemberId(7)), ..registration(n, RegistrationPhase::Joined, follows) }
    }

    fn machine(n: u8, known_by: KnownBy, ec2: Ec2State) -> RetireMachine {
        RetireMachine {
            instance: id(n),
            known_by,
            last_phase: Some(RegistrationPhase::Joined).filter(|_| known_by == KnownBy::Registration),
            ec2: Some(Presence::State(ec2)),
            is_here_and_fresh: false,
        }
    }

    /// There is no record.
    fn of<'a>(registrations: &'a [Registration], machines: &'a [RetireMachine]) -> LostRecordInput<'a> {
        LostRecordInput {
            record: None,
            was_deleted: false,
            registrations,
            hash: None,
            is_group_known: true,
            asked_in: AskedIn { account: "123456789012".into(), region: "eu-central-1".into() },
            machines,
            answers: &[],
            gone_grace: Duration::from_secs(300),
        }
    }

    fn refused(refusal: RetireRefusal) -> RetireDecision {
        RetireDecision::Refused(vec![refusal])
    }

    #[test]
    fn a_record_is_lost_that_is_gone_or_behind_what_is_left_of_its_cluster() {
        let ready = record(RecordState::Ready(Published::sample(id(1))));
        let making = record(RecordState::Initializing { holder: None, beat: 4, restoring: None });
        let retired = record(RecordState::Retired(Published::sample(id(1)).into()));
        let saved = record(RecordState::Saved(Saved::sample(id(1))));
        let named = ClusterRecord { retired_claims: vec![claim(2)], ..record(RecordState::Retired(None)) };
        let no_cluster = refused(RetireRefusal::NoCluster { claim_id: claim(1) });
        let is_ready = refused(RetireRefusal::RecordReady { cluster_id: claim(1) });
        let nothing = refused(RetireRefusal::NothingLost);
        let waiting = || vec![registration(1, RegistrationPhase::Waiting, 1)];
        let silent = || vec![Registration { claim_id: None, ..registration(1, RegistrationPhase::Waiting, 1) }];
        let saw_ready = || vec![Registration { ready_claim: Some(claim(1)), ..silent().remove(0) }];
        let (here, allowed, already) = (Some("sha256:01"), RetireDecision::Allowed, RetireDecision::Already);
        // (record, delete marker, registrations, hash, decision)
        let rows = [
            (None, false, vec![joined(1, 1)], None, allowed.clone()),
            (None, false, waiting(), None, allowed.clone()),
            (None, true, vec![], None, allowed.clone()),
            (None, false, vec![], here, allowed.clone()),
            (None, false, vec![], None, nothing.clone()),
            (None, false, silent(), None, nothing),
            (None, false, saw_ready(), None, allowed.clone()),
            (Some(&making), false, vec![joined(1, 1)], None, allowed.clone()),
            (Some(&making), false, vec![], here, allowed.clone()),
            (Some(&making), false, waiting(), None, no_cluster),
            (Some(&making), false, vec![joined(1, 2)], None, allowed.clone()),
            (Some(&saved), false, vec![joined(1, 1)], Some("sha256:00"), is_ready.clone()),
            (Some(&saved), false, vec![joined(1, 2)], None, allowed.clone()),
            (Some(&saved), false, vec![joined(1, 1)], here, allowed.clone()),
            (Some(&retired), false, vec![joined(1, 2)], None, allowed.clone()),
            (Some(&retired), false, vec![], here, allowed.clone()),
            (Some(&retired), false, vec![joined(1, 1)], Some("sha256:00"), already.clone()),
            (Some(&named), false, vec![joined(1, 2)], here, already),
            (Some(&ready), false, vec![joined(1, 1)], here, is_ready),
            (Some(&ready), false, vec![joined(1, 2)], here, allowed),
        ];
        for (record, was_deleted, registrations, hash, expected) in rows {
            let gone = [machine(1, KnownBy::Registration, Ec2State::Terminated)];
            let input = LostRecordInput { record, was_deleted, registrations: &registrations, hash, ..of(&[], &gone) };
            assert_eq!(judge_lost(&input), expected, "{input:?}");
        }
    }

    #[test]
    fn everybody_who_is_known_must_be_gone_and_nothing_may_answer() {
        let lives = |n, known_by, says| {
            refused(RetireRefusal::Lives { instance: id(n), known_by, says, ec2: "running".into() })
        };
        let (joined, group) = (Some(RegistrationPhase::Joined), KnownBy::Group);
        let voters = [self::joined(1, 1)];
        let running = |n, known_by| machine(n, known_by, Ec2State::Running);
        let absent = RetireMachine { ec2: Some(Presence::AbsentFor(Duration::ZERO)), ..running(9, group) };
        let wait = RetireDecision::Wait { absent: vec![id(9)], left: Duration::from_secs(300) };
        let rows = [
            (machine(1, KnownBy::Registration, Ec2State::Terminated), RetireDecision::Allowed),
            (running(1, KnownBy::Registration), lives(1, KnownBy::Registration, joined)),
            (running(9, group), lives(9, group, None)),
            (RetireMachine { is_here_and_fresh: true, ..running(9, group) }, RetireDecision::Allowed),
            (absent, wait),
        ];
        for (machine, expected) in rows {
            assert_eq!(judge_lost(&of(&voters, std::slice::from_ref(&machine))), expected, "{machine:?}");
        }
        let answers = [Responder::ApiServer { instance: None, address: "api:6443".into() }];
        let answer = refused(RetireRefusal::Answers(answers[0].clone()));
        assert_eq!(judge_lost(&LostRecordInput { answers: &answers, ..of(&voters, &[]) }), answer);
        let unnamed = LostRecordInput { is_group_known: false, ..of(&voters, &[]) };
        assert_eq!(judge_lost(&unnamed), refused(RetireRefusal::NoGroup));
    }

    #[test]
    fn ec2_is_asked_where_the_machines_are() {
        let voters = [joined(1, 1)];
        let asked_in = |account: &str, region: &str| AskedIn { account: account.into(), region: region.into() };
        let (zone, here) = ("eu-central-1a".into(), "us-east-1".into());
        let elsewhere = RetireRefusal::RegisteredElsewhere { instance: id(1), zone, here };
        let input = LostRecordInput { asked_in: asked_in("123456789012", "us-east-1"), ..of(&voters, &[]) };
        assert_eq!(judge_lost(&input), refused(elsewhere));
        let making = record(RecordState::Initializing { holder: None, beat: 4, restoring: None });
        let (field, record) = ("account", "123456789012".into());
        let other_account = RetireRefusal::AskedElsewhere { field, record, here: "2".into() };
        let input =
            LostRecordInput { record: Some(&making), asked_in: asked_in("2", "eu-central-1"), ..of(&voters, &[]) };
        assert_eq!(judge_lost(&input), refused(other_account));
    }

    #[test]
    fn a_refusal_says_what_leads_out() {
        let rows = [
            (
                RetireRefusal::NothingLost,
                "nothing-lost",
                true,
                "there is nothing to retire, and 'kubeboot up' makes a cluster",
            ),
            (
                RetireRefusal::RecordReady { cluster_id: claim(1) },
                "record-ready",
                true,
                "retired by --cluster-id 00000000-0000-4000-8000-000000000001",
            ),
            (RetireRefusal::NoGroup, "no-group", true, "name it by the setting 'group' (--group NAME)"),
            (
                RetireRefusal::RegisteredElsewhere { instance: id(1), zone: "z".into(), here: "r".into() },
                "asked-elsewhere",
                true,
                "i-00000001 registered from the zone 'z', AWS was asked in region 'r'",
            ),
            (
                RetireRefusal::Lives {
                    instance: id(1),
                    known_by: KnownBy::Registration,
                    says: Some(RegistrationPhase::Joined),
                    ec2: "running".into(),
                },
                "lives",
                false,
                "i-00000001 has registered as 'joined' and is running: terminate it",
            ),
            (
                RetireRefusal::Lives { instance: id(2), known_by: KnownBy::Group, says: None, ec2: "stopped".into() },
                "lives",
                false,
                "i-00000002 is in the group and is stopped: terminate it",
            ),
            (
                RetireRefusal::Answers(Responder::ApiServer { instance: None, address: "api:6443".into() }),
                "answers",
                false,
                "an API server answers at the endpoint api:6443: terminate its machine",
            ),
            (
                RetireRefusal::Answers(Responder::ApiServer { instance: Some(id(3)), address: "10.0.0.3:6443".into() }),
                "answers",
                false,
                "an API server answers at i-00000003 (10.0.0.3:6443): terminate its machine",
            ),
        ];
        for (refusal, code, is_about_usage, says) in rows {
            assert_eq!((refusal.code(), refusal.is_about_usage()), (code, is_about_usage));
            assert!(refusal.to_string().contains(says), "{refusal}");
        }
    }
}
