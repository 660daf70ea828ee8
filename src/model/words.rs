//! Tests of the texts for people and of the words for programs. Both are part of the product, so each is fixed here.

use crate::model::leave;
use crate::model::machine::defect::Defect;
use crate::model::machine::group::Lifecycle;
use crate::model::machine::ids::{ClaimId, InstanceId, MemberId};
use crate::model::membership::data::DataNeeded;
use crate::model::membership::later_truth::LaterTruth;
use crate::model::membership::member_name::MemberName;
use crate::model::membership::reaping::{KeepReason, ReapVerdict, RemovalReason};
use crate::model::reap::operator::{OperatorRemoval, ReapRefusal};
use crate::model::reap::remote::RemovalForecast;
use crate::model::restore::fit::SnapshotUnfit;
use crate::model::retire::Responder;
use crate::model::status::{LeavingUnitState, StatusSource};
use crate::model::up::snapshot::ApiServerAt;
use crate::model::up::step::{Over, StandBy, Step, Stop, TakeOver, Wait, Wipe};
use std::net::IpAddr;
use std::time::Duration;

fn id() -> InstanceId {
    InstanceId::parse("i-00000001").unwrap()
}

fn claim() -> ClaimId {
    ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap()
}

#[test]
fn every_step_says_what_it_does_and_why() {
    let wait = Step::Wait;
    let turn = |rank| wait(Wait::Turn { rank, left: Duration::from_secs(3) });
    let silent = MemberName {
        id: MemberId(0xa9),
        name: "n2".into(),
        address: Some(IpAddr::from([10, 77, 0, 2])),
        instance: None,
    };
    let rows = [
        (Step::StandBy(StandBy::NotInGroup), "standing by: Auto Scaling does not list this instance in a group"),
        (
            Step::StandBy(StandBy::Lifecycle(Lifecycle::parse("Standby"))),
            "standing by: this instance is Standby in its group",
        ),
        (
            Step::StandBy(StandBy::Unhealthy),
            "standing by: Auto Scaling holds this instance for unhealthy and will replace it",
        ),
        (
            wait(Wait::Settle { candidates: 2, expected: 3 }),
            "waiting for the group to settle: 2 candidates, 3 expected",
        ),
        (turn(0), "waiting for its turn to claim again"),
        (turn(1), "waiting for the candidate before this one to claim first"),
        (turn(2), "waiting for the 2 candidates before this one to claim first"),
        (wait(Wait::Holder { instance: id() }), "waiting for i-00000001 to initialise"),
        (wait(Wait::Cluster { why: "w".into() }), "waiting for the cluster to answer: w"),
        (wait(Wait::Quorum { answering: 1, voters: 3 }), "waiting for etcd: quorum lost: 1 of 3 answers"),
        (
            wait(Wait::Voters { silent: vec![silent] }),
            "waiting for etcd's voters to answer, which has its quorum: a9 (n2, 10.77.0.2)",
        ),
        (wait(Wait::OwnMember), "waiting for this machine's etcd member to be a started voter"),
        (Step::Wipe(Wipe::AnotherInstances(id())), "wiping this machine: its state was written by i-00000001"),
        (
            Step::Wipe(Wipe::Deposed(claim())),
            "wiping this machine: its claim 6f9619ff-8b86-4011-b42d-00c04fc964ff was followed by another",
        ),
        (Step::Wipe(Wipe::FailedInit), "wiping this machine: its init has failed and nothing was published"),
        (
            Step::Wipe(Wipe::NotListed),
            "wiping this machine: the cluster's member list lacks it, so its data can never be used again",
        ),
        (Step::Claim(Over::Nothing), "claiming: the group is settled and there is no cluster record"),
        (Step::Claim(Over::Retired), "claiming: the group is settled and the cluster record is retired"),
        (Step::Claim(Over::Vacant), "claiming: the last holder has stepped down"),
        (Step::TakeOver(TakeOver::Terminated(id())), "taking the claim over: its holder i-00000001 is terminated"),
        (
            Step::TakeOver(TakeOver::Silent(id(), Duration::from_secs(91))),
            "taking the claim over: its holder i-00000001 has been silent for 1 min 31 s",
        ),
        (Step::Resume, "taking over an earlier claim of this machine, so that its late writes are fenced"),
        (Step::Init, "initialising: this machine holds the claim"),
        (Step::Claim(Over::Saved), "claiming: the group is settled and the cluster is saved, so it is to be restored"),
        (Step::Restore, "restoring: this machine holds the claim, and the snapshot is here"),
        (
            Step::Wipe(Wipe::Superseded(claim())),
            "wiping this machine: the cluster of its claim 6f9619ff-8b86-4011-b42d-00c04fc964ff is restored from a snapshot, and this \
             machine is no member of it; etcd's data, if there is any, is moved aside",
        ),
        (wait(Wait::Snapshot { why: "w".into() }), "waiting for the snapshot from which the cluster is restored: w"),
        (
            wait(Wait::SnapshotUnfit(SnapshotUnfit::Damaged { why: "w".into() })),
            "waiting for another machine to restore the cluster: the record's snapshot cannot be restored: w; choose another one by \
             'kubeboot restore --snapshot KEY', or put its last version back in the bucket",
        ),
        (
            Step::SetAside { claim_id: claim() },
            "this machine's state belongs to the cluster of claim 6f9619ff-8b86-4011-b42d-00c04fc964ff; that cluster lives on from a \
             snapshot, and nobody may start its etcd here again: the data is kept; copy etcd's data folder if it may be needed, and \
             then terminate this machine, or run 'kubeadm reset -f --skip-phases=remove-etcd-member', empty the etcd data directory and \
             remove /var/lib/kubeboot/state.json",
        ),
        (Step::Yield, "stepping down: init has failed too often here"),
        (Step::AcceptGroup, "writing this group into the cluster record, as the operator said"),
        (Step::Rejoin, "joining anew: etcd's data on this machine is gone, and the other voters can remove its member"),
        (Step::Join, "joining: the cluster is ready and this machine is no member"),
        (Step::Keep, "this machine is a voter of the cluster"),
    ];
    for (step, text) in rows {
        assert_eq!(step.to_string(), text);
    }
}

#[test]
fn a_wait_for_what_may_be_lost_says_what_leads_out() {
    let rows = [
        (
            Wait::Record,
            "waiting for the cluster record control-plane/cluster.json to come back: it is gone, and S3 may take 15 minutes to show an \
             object after versioning was enabled",
        ),
        (
            Wait::ApiServers,
            "waiting for an answer of the endpoint and of the group's machines: is there a cluster already?",
        ),
        (
            Wait::Unfit {
                defects: vec![Defect::new("no runtime", "start it"), Defect::new("swap is on", "swapoff -a")],
            },
            "waiting for this machine to be mended, before which it neither claims nor joins: no runtime: start it; swap is on: \
             swapoff -a",
        ),
        (
            Wait::DataGone { why: "w".into() },
            "waiting for etcd's data, which is gone from this machine, or for the other voters, which could remove its member: w; mount \
             the volume if there is one, or bring back the other voters",
        ),
        (
            Wait::Registrations { instances: vec![id()] },
            "waiting for the registrations control-plane/nodes/ of i-00000001 to say something: they may tell of a cluster; if a newer \
             kubeboot wrote them, install it here; if they were damaged, restore their last versions, or delete them if those machines \
             are no members of a cluster",
        ),
        (
            Wait::ForeignData { owner: id(), why: "w".into() },
            "waiting for etcd's member list, by which the data of i-00000001 on this disk can be judged: w; if this disk belongs to \
             i-00000001, attach it there",
        ),
        (
            Wait::DataOfAnother { found: MemberId(0xa9), own: MemberId(0xb1), why: "w".into() },
            "waiting for the data of member b1, which this machine is: on this disk lies etcd's data of member a9, so neither starts \
             here, and the other voters cannot be asked: w; attach each disk where it belongs, and delete nothing: it may be the \
             last copy",
        ),
    ];
    for (wait, text) in rows {
        assert_eq!(Step::Wait(wait).to_string(), text);
    }
}

#[test]
fn a_stop_says_what_was_found_and_every_way_out() {
    let other = InstanceId::parse("i-00000002").unwrap();
    let gone = |witnesses| Stop::RecordGone { witnesses };
    let foreign = |needed| Stop::ForeignData { owner: id(), needed };
    let endpoint = ApiServerAt { instance: None, address: "api:6443".into() };
    let machine = ApiServerAt { instance: Some(id()), address: "10.77.0.1:6443".into() };
    let (instance, claim_id) = (id(), claim());
    let registration = LaterTruth::Registration { instance, claim_id };
    let (lost, back) =
        ("run 'kubeboot retire --lost-record'", "an older version of the cluster record has come back: ");
    let member = MemberId(0xa9);
    // The beginning, and what must follow.
    let rows: [(Stop, &str, &[&str]); 10] = [
        (
            gone(vec![]),
            "the cluster record control-plane/cluster.json is gone: if 'bucket' and 'prefix' are right, ",
            &["restore its last version", lost],
        ),
        (
            gone(vec![id(), other]),
            "the cluster record control-plane/cluster.json is gone, though i-00000001, i-00000002 registered under this prefix that there is a cluster: ",
            &["restore its last version", lost],
        ),
        (
            Stop::RecordWentBack(registration),
            back,
            &[
                "i-00000001 registered that there is a cluster of claim 6f9619ff-8b86-4011-b42d-00c04fc964ff; ",
                "restore its last version",
                lost,
            ],
        ),
        (
            Stop::RecordWentBack(LaterTruth::Hash),
            back,
            &["a discovery hash is published that is not of the record's cluster; ", "restore its last version", lost],
        ),
        (
            Stop::ClusterAnswers { at: vec![endpoint, machine] },
            "there is a cluster already, and this record is not its: an API server answers at the endpoint api:6443, i-00000001 \
             (10.77.0.1:6443). ",
            &[
                "correct 'bucket' and 'prefix', or restore its record's last version",
                "correct 'endpoint'",
                "if it is to be given up, stop it first",
            ],
        ),
        (
            foreign(None),
            "the data of etcd on this disk was written by i-00000001, and there is no cluster to ask whether it is needed: ",
            &["attach this disk to i-00000001", "terminate this machine, or empty etcd's data directory here"],
        ),
        (
            foreign(Some(DataNeeded::ListedHere(member))),
            "the data of etcd on this disk was written by i-00000001, and etcd lists member a9 at this machine's address: ",
            &["attach this disk to i-00000001", "if the data may be lost"],
        ),
        (
            Stop::DataNeeded(DataNeeded::OfMember(member)),
            "etcd does not list this machine, yet the data is that of etcd member a9, which is listed and does not answer elsewhere: ",
            &["attach the disk to the machine that it belongs to", "if the data may be lost"],
        ),
        (
            Stop::DataNeeded(DataNeeded::Unreadable { why: "w".into() }),
            "etcd does not list this machine, yet nobody can tell whose data it is: w: ",
            &["terminate this machine, or empty etcd's data directory here"],
        ),
        (
            Stop::DataOfAnother { found: member, listed: MemberId(0xb1) },
            "the data of etcd on this disk is that of member a9, and etcd lists member b1 at this machine's address: ",
            &[
                "attach this data to the machine of member a9 if it needs it, and the disk that this machine had here",
                "empty etcd's data directory here, and 'kubeboot up' has member b1 removed",
            ],
        ),
    ];
    for (stop, begins, says) in rows {
        assert!(!stop.is_about_settings(), "{stop}");
        let text = Step::Stop(stop).to_string();
        let rest = text.strip_prefix(begins).unwrap_or_else(|| panic!("it does not begin with '{begins}': {text}"));
        assert!(says.iter().all(|says| rest.contains(says)), "{text}");
    }
}

#[test]
fn only_what_may_be_lost_needs_an_operator_when_time_is_up() {
    let rows = [
        (Wait::Settle { candidates: 2, expected: 3 }, false),
        (Wait::Turn { rank: 1, left: Duration::ZERO }, false),
        (Wait::Holder { instance: id() }, false),
        (Wait::Cluster { why: String::new() }, false),
        (Wait::Voters { silent: Vec::new() }, false),
        (Wait::Quorum { answering: 1, voters: 3 }, true),
        (Wait::OwnMember, false),
        (Wait::Record, true),
        (Wait::ApiServers, false),
        (Wait::Unfit { defects: Vec::new() }, true),
        (Wait::Registrations { instances: vec![id()] }, true),
        (Wait::DataGone { why: String::new() }, true),
        (Wait::DataOfAnother { found: MemberId(1), own: MemberId(2), why: String::new() }, true),
        (Wait::ForeignData { owner: id(), why: String::new() }, true),
    ];
    for (wait, expected) in rows {
        assert_eq!(wait.needs_operator_at_deadline(), expected, "{wait}");
    }
}

#[test]
fn every_verdict_of_the_reaper_has_its_code_and_its_reason() {
    let rows = [
        (ReapVerdict::Keep(KeepReason::Answers), "answers", "kept: it answers"),
        (ReapVerdict::Keep(KeepReason::Own), "own", "kept: it is this machine's own"),
        (
            ReapVerdict::Keep(KeepReason::Unexplained),
            "unexplained",
            "kept: no registration explains it, an operator must decide",
        ),
        (
            ReapVerdict::Keep(KeepReason::NotGone(id())),
            "not-gone",
            "kept: its machine i-00000001 is not certainly gone",
        ),
        (
            ReapVerdict::Keep(KeepReason::AddressLives(id())),
            "address-lives",
            "kept: the running instance i-00000001 has its address",
        ),
        (
            ReapVerdict::Keep(KeepReason::Quorum),
            "quorum",
            "kept: without it fewer voters would answer than the quorum needs",
        ),
        (ReapVerdict::Remove(RemovalReason::Gone(id())), "gone", "removed: its machine i-00000001 is gone"),
        (ReapVerdict::Remove(RemovalReason::GivenUp(id())), "given-up", "removed: the join of i-00000001 was given up"),
    ];
    for (verdict, code, text) in rows {
        assert_eq!((verdict.code(), verdict.to_string().as_str()), (code, text));
    }
}

#[test]
fn every_step_of_leaving_says_what_it_does() {
    use leave::LeaveStep;
    let member = MemberId(0xa9);
    let rows = [
        (LeaveStep::Lease, "lease", "queue for the membership lease for a few seconds, and go on without it"),
        (LeaveStep::RegisterLeaving, "register-leaving", "register as leaving"),
        (
            LeaveStep::Reap(member, RemovalReason::Gone(id())),
            "reap",
            "remove etcd member a9, which blocks the removal of this machine's own: its machine i-00000001 is gone",
        ),
        (
            LeaveStep::RemoveOwn(member),
            "remove-member",
            "remove this machine's etcd member a9 through another one, and verify there that it is gone",
        ),
        (
            LeaveStep::MoveLeader(member),
            "move-leader",
            "have etcd member a9 lead in place of this machine's own, and go on without it",
        ),
        (
            LeaveStep::RemoveOwnWhenPossible(leave::plan::Blocked::Unknown("w".into())),
            "remove-member",
            "remove this machine's etcd member as soon as that is possible: the etcd members are not known: w",
        ),
        (
            LeaveStep::RemoveOwnWhenPossible(leave::plan::Blocked::Silent(vec![member, MemberId(0xb0)])),
            "remove-member",
            "remove this machine's etcd member as soon as that is possible: without it too few voters would answer: a9, b0 does not, \
             and its machine is not certainly gone",
        ),
        (
            LeaveStep::RemoveOwnWhenPossible(leave::plan::Blocked::NoQuorum { answering: 1, voters: 3 }),
            "remove-member",
            "remove this machine's etcd member as soon as that is possible: quorum lost: 1 of 3 answers",
        ),
        (LeaveStep::DeleteNode, "delete-node", "delete this machine's Node by its UID"),
        (LeaveStep::RegisterLeft, "register-left", "register as left, if the member is gone"),
        (LeaveStep::Wipe, "wipe", "wipe what kubeadm left on this machine, if the member is gone"),
    ];
    for (step, name, text) in rows {
        assert_eq!((step.name(), step.to_string().as_str()), (name, text));
    }
}

#[test]
fn data_that_stays_says_why_and_what_to_do() {
    use leave::wiping::KeepData;
    let rows = [
        (KeepData::NoRecord, "there is no cluster record: restore its last version first"),
        (
            KeepData::NotReady,
            "the record says that the cluster is still being initialised: run 'kubeboot up', which cleans up",
        ),
        (KeepData::OtherClaim, "its state belongs to another claim than the cluster record's: an operator must decide"),
        (KeepData::NotOurs, "this machine's disk holds no state of its own"),
    ];
    for (why, text) in rows {
        assert_eq!(why.to_string(), text);
    }
}

#[test]
fn every_forecast_has_its_code_and_its_text() {
    let rows = [
        (
            RemovalForecast::Goes,
            "goes",
            "its member would be removed if etcd lists it, it does not answer and the quorum allows it",
        ),
        (
            RemovalForecast::GoesLater,
            "goes-later",
            "its member would be removed likewise once EC2 has not known the machine for gone_grace",
        ),
        (
            RemovalForecast::Stopped,
            "stopped",
            "its member would be removed likewise unless the group has the machine in Standby",
        ),
        (RemovalForecast::Stays, "stays", "its member would be kept"),
    ];
    for (forecast, code, text) in rows {
        assert_eq!((forecast.code(), forecast.to_string().as_str()), (code, text));
    }
}

#[test]
fn a_member_that_an_operator_names_is_removed_or_refused_with_a_remedy() {
    let rows = [
        (OperatorRemoval::Unexplained, "by-hand", "no registration explains it, and an operator has decided"),
        (OperatorRemoval::ByRule(RemovalReason::Gone(id())), "gone", "its machine i-00000001 is gone"),
    ];
    for (allowed, code, text) in rows {
        assert_eq!((allowed.code(), allowed.to_string().as_str()), (code, text));
    }
    // The reason, and what to do.
    let rows = [
        (ReapRefusal::Answers, "it answers, so its machine runs: ", "run 'kubeboot up' on that machine"),
        (ReapRefusal::Own, "it is this machine's own: ", "'kubeboot up' removes it"),
        (ReapRefusal::NotGone(id()), "its machine i-00000001 is not certainly gone: ", "or terminate it"),
        (ReapRefusal::AddressHere, "this machine has its address: ", "run 'kubeboot up' here"),
        (
            ReapRefusal::AddressLives(id()),
            "the running instance i-00000001 has its address: ",
            "run 'kubeboot up' there",
        ),
        (
            ReapRefusal::Quorum { answering: 1, rest: 2 },
            "without it 1 of 2 voters would answer, ",
            "bring back another voter first",
        ),
    ];
    for (refusal, what, remedy) in rows {
        let text = refusal.to_string();
        assert!(text.starts_with(what) && text.contains(remedy), "{text}");
    }
}

#[test]
fn a_refused_retirement_says_why_and_whether_an_argument_is_wrong() {
    use crate::model::retire::RetireRefusal;
    let asked = |field| RetireRefusal::AskedElsewhere { field, record: "1".into(), here: "2".into() };
    let rows = [
        (RetireRefusal::NoRecord, "no-record", true, "correct 'bucket' and 'prefix'"),
        (RetireRefusal::NoCluster { claim_id: claim() }, "no-cluster", false, "there is nothing to retire"),
        (RetireRefusal::OtherCluster { cluster_id: claim() }, "other-cluster", true, "correct --cluster-id"),
        (asked("account"), "asked-elsewhere", true, "has account '1', AWS was asked in account '2'"),
        (RetireRefusal::NothingLost, "nothing-lost", true, "nothing under this prefix"),
        (RetireRefusal::NotKnown { instance: id() }, "not-known", false, "whether i-00000001 is gone"),
    ];
    for (refusal, code, usage, says) in rows {
        assert_eq!((refusal.code(), refusal.is_about_usage()), (code, usage));
        assert!(refusal.to_string().contains(says), "{refusal}");
    }
    let machine = Responder::Machine { instance: id(), address: [10, 77, 0, 1].into(), port: 2379 };
    let refusal = RetireRefusal::Answers(machine);
    assert_eq!((refusal.code(), refusal.is_about_usage()), ("answers", false));
    assert_eq!(
        refusal.to_string(),
        "i-00000001 accepts connections at port 2379 of 10.77.0.1: the cluster may still serve: terminate the machine, or stop kubelet and \
         etcd there"
    );
}

#[test]
fn status_names_its_sources_and_members() {
    let rows = [
        (StatusSource::Record, "the cluster record"),
        (StatusSource::Etcd, "etcd"),
        (StatusSource::ApiServers, "the API servers"),
        (StatusSource::Group, "the group"),
        (StatusSource::Ec2, "EC2"),
        (StatusSource::Registrations, "the registrations"),
        (StatusSource::Hash, "the published discovery hash"),
        (StatusSource::Certificates, "this machine's certificates"),
    ];
    for (source, text) in rows {
        assert_eq!(source.to_string(), text);
    }
    let units = [LeavingUnitState::Armed, LeavingUnitState::NotArmed, LeavingUnitState::NotInstalled];
    assert_eq!(units.map(|unit| unit.to_string()), ["armed", "not armed", "not installed"]);
    let (member, address) = (MemberId(0xa9), Some([10, 77, 0, 1].into()));
    let named = |name: &str, address, instance| MemberName { id: member, name: name.into(), address, instance };
    let rows = [
        (named("n1", address, Some(id())), "a9 of i-00000001 (10.77.0.1)"),
        (named("n1", None, Some(id())), "a9 of i-00000001"),
        (named("n1", address, None), "a9 (n1, 10.77.0.1)"),
        (named("n1", None, None), "a9 (n1)"),
        (named("", address, None), "a9 (10.77.0.1)"),
        (named("", None, None), "a9"),
    ];
    for (named, text) in rows {
        assert_eq!(named.to_string(), text);
    }
}
