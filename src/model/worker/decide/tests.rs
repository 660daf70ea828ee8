//! The table: every state of the disk with everything that `join/`, the API server and the group can say.

use super::*;
use crate::documented::tells_of;
use crate::model::joining::{JoinError, JoinToken};
use crate::model::machine::defect::Defect;
use crate::model::machine::ids::{InstanceId, Uid};
use crate::model::worker::revive::{ForeignMark, REFUSED_GRACE};
use std::time::Duration;

const NOW: u64 = 1_796_000_000;
const PAGE: &str = include_str!("../../../../docs/workers.md");

fn me() -> InstanceId {
    InstanceId::parse("i-00000001").unwrap()
}

/// A digest that is the text itself.
fn identity(cluster: &JoinCluster) -> ClusterIdentity {
    ClusterIdentity { kube_system_uid: cluster.kube_system_uid.clone(), authorities: vec![cluster.ca_pem.clone()] }
}

fn here() -> ClusterIdentity {
    identity(&JoinCluster::sample(3))
}

fn other_uid() -> ClusterIdentity {
    ClusterIdentity { kube_system_uid: Uid::parse("6f9619ff-8b86-4011-b42d-00c04fc964fe").unwrap(), ..here() }
}

fn read<T>(published: T) -> Fetched<T> {
    Fetched::Read(Ok(Join::Published(published)))
}

/// A fresh machine that may join.
fn fresh_machine() -> WorkerSnapshot {
    WorkerSnapshot {
        me: me(),
        node_name: "w1".into(),
        target: Some("InService".into()),
        is_target_known: true,
        local: WorkerLocal::Fresh,
        cluster: read(JoinCluster::sample(3)),
        token: read(JoinToken::sample(3, NOW + 600)),
        now: NOW,
        kubelet: "v1.36.1".into(),
        defects: Vec::new(),
        node: NodeView::NotAsked,
        namesake: NodeView::Missing { lasted: Duration::ZERO },
        is_cordoned: false,
        kubelet_restarted: false,
        kubelet_answers: None,
        pause: None,
        source_dest_check: CheckState::Settled,
        hook: LaunchHookState::Due,
    }
}

fn joining(has_credentials: bool) -> WorkerSnapshot {
    WorkerSnapshot {
        local: WorkerLocal::Joining { instance: me(), cluster: here(), has_credentials },
        ..fresh_machine()
    }
}

fn joined(node: NodeView) -> WorkerSnapshot {
    let local = WorkerLocal::Joined { instance: me(), cluster: here() };
    WorkerSnapshot { local, node, kubelet_answers: Some(true), ..fresh_machine() }
}

fn decided(seen: &WorkerSnapshot) -> WorkerStep {
    decide(seen, &WorkerPolicy::default(), identity)
}

fn mark() -> ForeignMark {
    ForeignMark::ProviderId("aws:///a/i-00000002".into())
}

fn of_other() -> NodeView {
    NodeView::OfAnother { mark: mark() }
}

fn taken() -> WorkerWait {
    WorkerWait::NameTaken { node: "w1".into(), mark: mark() }
}

fn refused() -> NodeView {
    NodeView::Refused { why: "it answered 401".into(), lasted: Duration::ZERO }
}

fn missing(seconds: u64) -> NodeView {
    NodeView::Missing { lasted: Duration::from_secs(seconds) }
}

/// Each of these with each of those.
fn crossed<T: Clone>(
    seen: &[WorkerSnapshot],
    values: &[T],
    put: impl Fn(&mut WorkerSnapshot, T),
) -> Vec<WorkerSnapshot> {
    let pairs = seen.iter().flat_map(|seen| values.iter().map(move |value| (seen.clone(), value.clone())));
    let with = |(mut seen, value)| {
        put(&mut seen, value);
        seen
    };
    pairs.map(with).collect()
}

#[test]
fn whatever_a_decision_depends_on_is_asked_for() {
    let other = InstanceId::parse("i-00000002").unwrap();
    let mut locals = vec![WorkerLocal::Fresh, WorkerLocal::OfControlPlane];
    locals.push(WorkerLocal::Unexplained { found: vec!["a file".into()] });
    for (instance, cluster) in [(me(), here()), (me(), other_uid()), (other, here())] {
        for has_credentials in [false, true] {
            let (instance, cluster) = (instance.clone(), cluster.clone());
            locals.push(WorkerLocal::Joining { instance, cluster, has_credentials });
        }
        locals.push(WorkerLocal::Joined { instance, cluster });
    }
    let clusters = [read(JoinCluster::sample(3)), Fetched::Absent, Fetched::Denied];
    let tokens = [read(JoinToken::sample(3, NOW + 600)), read(JoinToken::sample(3, NOW - 1)), Fetched::Absent];
    let nodes = [NodeView::Mine, NodeView::Unnamed, missing(0), missing(86_400), refused(), of_other()];
    let seen = crossed(&[fresh_machine()], &locals, |seen, local| seen.local = local);
    let seen = crossed(&seen, &clusters, |seen, cluster| seen.cluster = cluster);
    let (mut tokens_left_out, mut nodes_left_out) = (0, 0);
    for rejoins in [false, true] {
        let policy = WorkerPolicy { rejoins, ..WorkerPolicy::default() };
        for seen in &seen {
            let asks_token = needs_token(&seen.local, &seen.cluster, &policy, identity);
            let asks_node = needs_node(&seen.local, &seen.me);
            let all = crossed(std::slice::from_ref(seen), &tokens, |seen, token| seen.token = token);
            for full in crossed(&all, &nodes, |seen, node| seen.node = node) {
                let mut found = full.clone();
                if !asks_token {
                    (found.token, found.kubelet) = (Fetched::NotAsked, String::new());
                    tokens_left_out += 1;
                }
                if !asks_node {
                    found.node = NodeView::NotAsked;
                    nodes_left_out += 1;
                }
                let (with, without) = (decide(&full, &policy, identity), decide(&found, &policy, identity));
                assert_eq!(with, without, "{full:?}");
            }
        }
    }
    assert!(tokens_left_out > 0 && nodes_left_out > 0);
}

#[test]
fn a_fresh_machine_joins_once_everything_is_there() {
    let wait = WorkerStep::Wait;
    let (cluster, token) = (JoinObject::Cluster, JoinObject::Token);
    let silent = || "timed out".to_owned();
    let malformed = || JoinError::Malformed("its CA is none");
    let is = fresh_machine;
    let defect = || vec![Defect::new("no runtime", "install one")];
    let rows = [
        (is(), WorkerStep::Join),
        (WorkerSnapshot { target: None, ..is() }, WorkerStep::Join),
        // join/cluster.json.
        (WorkerSnapshot { cluster: Fetched::Absent, ..is() }, wait(WorkerWait::Absent(cluster))),
        (WorkerSnapshot { cluster: Fetched::Denied, ..is() }, wait(WorkerWait::Denied(cluster))),
        (
            WorkerSnapshot { cluster: Fetched::Silent { why: silent() }, ..is() },
            wait(WorkerWait::Store { object: cluster, why: silent() }),
        ),
        (
            WorkerSnapshot { cluster: Fetched::Read(Ok(Join::Blank { generation: 3 })), ..is() },
            wait(WorkerWait::Blank(cluster)),
        ),
        (
            WorkerSnapshot { cluster: Fetched::Read(Err(JoinError::TooLarge(70_000))), ..is() },
            wait(WorkerWait::Unreadable { object: cluster, why: JoinError::TooLarge(70_000) }),
        ),
        (
            WorkerSnapshot { cluster: Fetched::Read(Err(malformed())), ..is() },
            wait(WorkerWait::Unreadable { object: cluster, why: malformed() }),
        ),
        // join/token.json.
        (WorkerSnapshot { token: Fetched::Absent, ..is() }, wait(WorkerWait::Absent(token))),
        (WorkerSnapshot { token: Fetched::NotAsked, ..is() }, wait(WorkerWait::Absent(token))),
        (WorkerSnapshot { token: Fetched::Denied, ..is() }, wait(WorkerWait::Denied(token))),
        (
            WorkerSnapshot { token: Fetched::Read(Ok(Join::Blank { generation: 3 })), ..is() },
            wait(WorkerWait::Blank(token)),
        ),
        (
            WorkerSnapshot { token: read(JoinToken::sample(2, NOW + 600)), ..is() },
            wait(WorkerWait::Generations { cluster: 3, token: 2 }),
        ),
        (
            WorkerSnapshot { token: read(JoinToken::sample(4, NOW + 600)), ..is() },
            wait(WorkerWait::Generations { cluster: 3, token: 4 }),
        ),
        (
            WorkerSnapshot { token: read(JoinToken::sample(3, NOW - 60)), ..is() },
            wait(WorkerWait::TokenEnded { at: NOW - 60 }),
        ),
        (WorkerSnapshot { token: read(JoinToken::sample(3, NOW)), ..is() }, wait(WorkerWait::TokenEnded { at: NOW })),
        // This machine.
        (
            WorkerSnapshot { kubelet: "v1.37.0".into(), token: Fetched::Absent, ..is() },
            wait(WorkerWait::OlderApiServer { kubelet: "v1.37.0".into(), oldest: "v1.36.1".into() }),
        ),
        (
            WorkerSnapshot { kubelet: "v1.32.0".into(), ..is() },
            WorkerStep::Stop(WorkerStop::OldKubelet { kubelet: "v1.32.0".into(), cluster: "v1.36.1".into() }),
        ),
        (WorkerSnapshot { defects: defect(), ..is() }, wait(WorkerWait::Unfit(defect()))),
        (WorkerSnapshot { source_dest_check: CheckState::Due, ..is() }, WorkerStep::SwitchOffCheck),
        (
            WorkerSnapshot { pause: Some(Duration::from_secs(4)), ..is() },
            wait(WorkerWait::Pause { left: Duration::from_secs(4) }),
        ),
        // Its name.
        (WorkerSnapshot { namesake: NodeView::NotAsked, ..is() }, WorkerStep::Join),
        (WorkerSnapshot { namesake: NodeView::Mine, ..is() }, WorkerStep::Join),
        (WorkerSnapshot { namesake: of_other(), ..is() }, wait(taken())),
        (
            WorkerSnapshot { namesake: refused(), ..is() },
            wait(WorkerWait::TokenRefused { why: "it answered 401".into() }),
        ),
        (WorkerSnapshot { namesake: NodeView::OtherAuthority, ..is() }, wait(WorkerWait::OtherAuthority)),
        (
            WorkerSnapshot { namesake: NodeView::Silent { why: silent() }, ..is() },
            wait(WorkerWait::ApiServer { why: silent() }),
        ),
        (
            WorkerSnapshot { target: Some("Warmed:Stopped".into()), ..is() },
            WorkerStep::StandBy { target: "Warmed:Stopped".into() },
        ),
        (WorkerSnapshot { target: Some("Standby".into()), ..is() }, WorkerStep::StandBy { target: "Standby".into() }),
    ];
    for (seen, expected) in rows {
        assert_eq!(decided(&seen), expected, "{seen:?}");
    }
}

#[test]
fn an_attempt_that_was_cut_off_goes_on_or_begins_anew() {
    let begun = |node| WorkerSnapshot { node, ..joining(true) };
    let rows = [
        (joining(false), WorkerStep::Wipe(WorkerWipe::HalfMade)),
        // kubelet has its credentials: the Node may be there.
        (begun(NodeView::Mine), WorkerStep::MarkJoined),
        (begun(NodeView::NotAsked), WorkerStep::Wipe(WorkerWipe::HalfMade)),
        (begun(missing(5)), WorkerStep::Wait(WorkerWait::Registration { node: "w1".into(), restarted: false })),
        (begun(missing(120)), WorkerStep::RestartKubelet),
        // Its request was refused, or its token taken back: nothing of it comes to an end any more.
        (begun(refused()), WorkerStep::Wait(WorkerWait::Credentials { why: "it answered 401".into() })),
        (
            begun(NodeView::Refused { why: "it answered 401".into(), lasted: REFUSED_GRACE }),
            WorkerStep::Wipe(WorkerWipe::HalfMade),
        ),
        // Its kubelet would keep the Node of a machine that is gone alive for ever.
        (begun(of_other()), WorkerStep::Wipe(WorkerWipe::HalfMade)),
        (
            WorkerSnapshot { kubelet_restarted: true, ..begun(missing(299)) },
            WorkerStep::Wait(WorkerWait::Registration { node: "w1".into(), restarted: true }),
        ),
        (WorkerSnapshot { kubelet_restarted: true, ..begun(missing(300)) }, WorkerStep::Wipe(WorkerWipe::HalfMade)),
        (
            begun(NodeView::Silent { why: "refused".into() }),
            WorkerStep::Wait(WorkerWait::ApiServer { why: "refused".into() }),
        ),
        // Its cluster was given up meanwhile.
        (
            WorkerSnapshot {
                local: WorkerLocal::Joining { instance: me(), cluster: other_uid(), has_credentials: true },
                ..begun(NodeView::Mine)
            },
            WorkerStep::Wipe(WorkerWipe::HalfMade),
        ),
        // join/ says nothing more: what was begun comes to its end.
        (WorkerSnapshot { cluster: Fetched::Absent, ..begun(NodeView::Mine) }, WorkerStep::MarkJoined),
        (
            WorkerSnapshot { target: Some("Warmed:Running".into()), ..begun(NodeView::Mine) },
            WorkerStep::StandBy { target: "Warmed:Running".into() },
        ),
    ];
    for (seen, expected) in rows {
        assert_eq!(decided(&seen), expected, "{seen:?}");
    }
}

#[test]
fn a_node_of_a_cluster_has_nothing_to_do_but_to_be_seen() {
    let mine = || joined(NodeView::Mine);
    let done = || WorkerSnapshot { hook: LaunchHookState::Settled, ..mine() };
    let blank = || Fetched::Read(Ok(Join::Blank { generation: 4 }));
    let back = |target: &str| WorkerSnapshot { target: Some(target.to_owned()), ..mine() };
    let stands_by = |target: &str| WorkerStep::StandBy { target: target.to_owned() };
    let rows = [
        (mine(), WorkerStep::CompleteHook),
        (done(), WorkerStep::Done),
        (WorkerSnapshot { kubelet_answers: Some(false), ..mine() }, WorkerStep::Wait(WorkerWait::Kubelet)),
        // It was drained by hand, and has joined again.
        (WorkerSnapshot { is_cordoned: true, ..mine() }, WorkerStep::Uncordon),
        (WorkerSnapshot { is_cordoned: true, ..done() }, WorkerStep::Uncordon),
        (WorkerSnapshot { source_dest_check: CheckState::Due, ..done() }, WorkerStep::SwitchOffCheck),
        // What join/ says, or does not say, is no business of one that has joined, as long as it names no other cluster.
        (WorkerSnapshot { cluster: Fetched::Absent, token: Fetched::NotAsked, ..done() }, WorkerStep::Done),
        (WorkerSnapshot { cluster: Fetched::Denied, ..done() }, WorkerStep::Done),
        (WorkerSnapshot { cluster: blank(), ..done() }, WorkerStep::Done),
        (WorkerSnapshot { cluster: Fetched::Read(Err(JoinError::Malformed("x"))), ..done() }, WorkerStep::Done),
        // A restored cluster has a new claim and a higher generation, and the same UID and authority.
        (WorkerSnapshot { cluster: read(JoinCluster::sample(9)), ..done() }, WorkerStep::Done),
        (WorkerSnapshot { kubelet: "v1.39.0".into(), ..done() }, WorkerStep::Done),
        (WorkerSnapshot { target: Some("Standby".into()), ..done() }, WorkerStep::Done),
        // It is back in a warm pool: its launch hook is that of the time when it leaves the pool.
        (back("Warmed:Stopped"), stands_by("Warmed:Stopped")),
        (back("Warmed:Running"), stands_by("Warmed:Running")),
        (back("Warmed:Terminated"), stands_by("Warmed:Terminated")),
        (WorkerSnapshot { hook: LaunchHookState::Settled, ..back("Warmed:Running") }, stands_by("Warmed:Running")),
        (back("Standby"), WorkerStep::CompleteHook),
        (back("InService"), WorkerStep::CompleteHook),
        (WorkerSnapshot { is_target_known: false, ..mine() }, WorkerStep::Wait(WorkerWait::Target)),
        (WorkerSnapshot { is_target_known: false, ..done() }, WorkerStep::Done),
        // Its Node.
        (joined(missing(119)), WorkerStep::Wait(WorkerWait::Registration { node: "w1".into(), restarted: false })),
        (joined(missing(120)), WorkerStep::RestartKubelet),
        (
            WorkerSnapshot { kubelet_restarted: true, ..joined(missing(500)) },
            WorkerStep::Wait(WorkerWait::Registration { node: "w1".into(), restarted: true }),
        ),
        (joined(of_other()), WorkerStep::Wait(WorkerWait::NodeTaken { node: "w1".into(), mark: mark() })),
        (joined(NodeView::Unnamed), WorkerStep::Wait(WorkerWait::ProviderId { node: "w1".into() })),
        (
            joined(NodeView::Silent { why: "refused".into() }),
            WorkerStep::Wait(WorkerWait::ApiServer { why: "refused".into() }),
        ),
        // Nobody wipes one that has joined on a 401.
        (joined(refused()), WorkerStep::Wait(WorkerWait::Credentials { why: "it answered 401".into() })),
    ];
    for (seen, expected) in rows {
        assert_eq!(decided(&seen), expected, "{seen:?}");
    }
}

#[test]
fn another_cluster_stops_it_unless_the_settings_have_it_rejoin() {
    let of =
        |cluster| WorkerSnapshot { local: WorkerLocal::Joined { instance: me(), cluster }, ..joined(NodeView::Mine) };
    let other_ca = || ClusterIdentity { authorities: vec!["another".into()], ..here() };
    // While an authority is replaced, one of two is enough.
    let both = ClusterIdentity { authorities: [vec!["another".into()], here().authorities].concat(), ..here() };
    assert_eq!(decided(&of(both)), decided(&of(here())));
    for (cluster, how) in [(other_uid(), OtherCluster::Uid), (other_ca(), OtherCluster::Authority)] {
        let seen = of(cluster);
        assert_eq!(decided(&seen), WorkerStep::Stop(WorkerStop::OtherCluster(how)));
        let rejoins = WorkerPolicy { rejoins: true, ..WorkerPolicy::default() };
        assert_eq!(decide(&seen, &rejoins, identity), WorkerStep::Wipe(WorkerWipe::Rejoin));
        // It stays what it is as long as it could not join.
        let silent = || NodeView::Silent { why: "refused".into() };
        let rows = [
            (
                WorkerSnapshot { token: Fetched::Absent, ..seen.clone() },
                WorkerStep::Wait(WorkerWait::Absent(JoinObject::Token)),
            ),
            (
                WorkerSnapshot { kubelet: "v1.32.0".into(), ..seen.clone() },
                WorkerStep::Stop(WorkerStop::OldKubelet { kubelet: "v1.32.0".into(), cluster: "v1.36.1".into() }),
            ),
            (WorkerSnapshot { namesake: of_other(), ..seen.clone() }, WorkerStep::Wait(taken())),
            // What its own cluster says of its Node is no matter.
            (WorkerSnapshot { node: silent(), ..seen.clone() }, WorkerStep::Wipe(WorkerWipe::Rejoin)),
        ];
        for (seen, expected) in rows {
            assert_eq!(decide(&seen, &rejoins, identity), expected, "{seen:?}");
        }
        // Nothing is wiped on what cannot be read.
        let seen = WorkerSnapshot { cluster: Fetched::Absent, hook: LaunchHookState::Settled, ..seen };
        assert_eq!(decide(&seen, &rejoins, identity), WorkerStep::Done);
    }
}

#[test]
fn a_disk_of_another_machine_is_wiped_and_one_that_nobody_explains_is_not() {
    let other = || InstanceId::parse("i-00000002").unwrap();
    let of_other = || WorkerStep::Wipe(WorkerWipe::OfAnother { instance: other() });
    let found = || vec!["/etc/kubernetes/kubelet.conf".to_owned()];
    let rows = [
        (WorkerLocal::Joined { instance: other(), cluster: here() }, of_other()),
        (WorkerLocal::Joining { instance: other(), cluster: other_uid(), has_credentials: true }, of_other()),
        (WorkerLocal::OfControlPlane, WorkerStep::Stop(WorkerStop::OfControlPlane)),
        (WorkerLocal::Unexplained { found: found() }, WorkerStep::Stop(WorkerStop::Unexplained { found: found() })),
    ];
    for (local, expected) in rows {
        let seen = WorkerSnapshot { local, ..joined(NodeView::Mine) };
        assert_eq!(decided(&seen), expected, "{seen:?}");
    }
    // IMDS has not answered yet: the machine may be one of a warm pool.
    let unknown = |local| WorkerSnapshot { local, target: None, is_target_known: false, ..joined(NodeView::Mine) };
    for local in [WorkerLocal::Fresh, joining(false).local, WorkerLocal::Joined { instance: other(), cluster: here() }]
    {
        assert_eq!(decided(&unknown(local)), WorkerStep::Wait(WorkerWait::Target));
    }
    assert_eq!(decided(&unknown(joined(NodeView::Mine).local)), WorkerStep::Wait(WorkerWait::Target));
    let warmed = WorkerSnapshot {
        local: WorkerLocal::Joined { instance: other(), cluster: here() },
        target: Some("Warmed:Stopped".into()),
        ..fresh_machine()
    };
    assert!(matches!(decided(&warmed), WorkerStep::StandBy { .. }), "nothing is touched before it serves");
}

#[test]
fn an_endpoint_in_the_settings_must_be_the_published_one() {
    let with = |endpoint: &str| WorkerPolicy { endpoint: Some(endpoint.to_owned()), rejoins: false };
    assert_eq!(decide(&fresh_machine(), &with("API.lab.internal:6443"), identity), WorkerStep::Join);
    let other = decide(&fresh_machine(), &with("api.other:6443"), identity);
    let (set, published) = ("api.other:6443".to_owned(), "api.lab.internal:6443".to_owned());
    assert_eq!(other, WorkerStep::Stop(WorkerStop::OtherEndpoint { set, published }));
}

/// Whatever comes in which order, the machine ends as a node with its hook answered: every step is carried out as the rim does it, or cut
/// off in its middle.
#[test]
fn it_converges_wherever_it_is_cut_off() {
    for cut_at in 0..12 {
        let mut seen = WorkerSnapshot { source_dest_check: CheckState::Due, is_cordoned: true, ..fresh_machine() };
        let mut steps = Vec::new();
        for pass in 0..40 {
            let step = decided(&seen);
            steps.push(step.name());
            let cut = pass == cut_at;
            match step {
                WorkerStep::Done => break,
                WorkerStep::SwitchOffCheck => seen.source_dest_check = CheckState::Settled,
                // Cut off before kubelet has its credentials.
                WorkerStep::Join if cut => seen.local = joining(false).local,
                WorkerStep::Join => {
                    seen.local = joining(true).local;
                    seen.node = missing(0);
                }
                WorkerStep::Wipe(_) if cut => {}
                WorkerStep::Wipe(_) => (seen.local, seen.node) = (WorkerLocal::Fresh, NodeView::NotAsked),
                WorkerStep::Wait(WorkerWait::Registration { .. }) => {
                    seen.node = if cut { missing(120) } else { NodeView::Mine };
                }
                WorkerStep::RestartKubelet => seen.kubelet_restarted = true,
                WorkerStep::MarkJoined if cut => {}
                WorkerStep::MarkJoined => {
                    seen.local = joined(NodeView::Mine).local;
                    seen.kubelet_answers = Some(true);
                }
                WorkerStep::Uncordon if cut => {}
                WorkerStep::Uncordon => seen.is_cordoned = false,
                WorkerStep::CompleteHook if cut => {}
                WorkerStep::CompleteHook => seen.hook = LaunchHookState::Settled,
                WorkerStep::StandBy { .. } | WorkerStep::Wait(_) | WorkerStep::Stop(_) => panic!("{steps:?}: {step}"),
            }
        }
        assert_eq!(steps.last(), Some(&"done"), "cut at {cut_at}: {steps:?}");
    }
}

/// What a machine may wait for until somebody does something.
fn lasting() -> [WorkerWait; 3] {
    [
        WorkerWait::Credentials { why: "it answered 401".into() },
        WorkerWait::Registration { node: "w1".into(), restarted: true },
        WorkerWait::NodeTaken { node: "w1".into(), mark: mark() },
    ]
}

/// Everything that is waited for.
fn waits() -> Vec<WorkerWait> {
    let (object, node) = (JoinObject::Token, || "w1".to_owned());
    let newer = JoinError::NewerSchema { found: 2, generation: None };
    let others = [
        WorkerWait::Target,
        WorkerWait::Store { object, why: "x".into() },
        WorkerWait::Denied(object),
        WorkerWait::Absent(object),
        WorkerWait::Blank(object),
        WorkerWait::Unreadable { object, why: JoinError::TooLarge(1) },
        WorkerWait::Unreadable { object, why: newer },
        WorkerWait::Generations { cluster: 2, token: 1 },
        WorkerWait::TokenEnded { at: NOW },
        WorkerWait::OlderApiServer { kubelet: "v1.37.0".into(), oldest: "v1.36.1".into() },
        WorkerWait::Unfit(vec![Defect::new("kubelet is not installed", "install it")]),
        WorkerWait::Pause { left: Duration::from_secs(8) },
        WorkerWait::ApiServer { why: "refused".into() },
        WorkerWait::OtherAuthority,
        WorkerWait::TokenRefused { why: "it answered 401".into() },
        WorkerWait::Registration { node: node(), restarted: false },
        WorkerWait::NameTaken { node: node(), mark: ForeignMark::ProviderId("aws:///a/i-00000002\n".into()) },
        WorkerWait::NameTaken { node: node(), mark: ForeignMark::Address([10, 0, 2, 12].into()) },
        WorkerWait::ProviderId { node: node() },
        WorkerWait::Kubelet,
    ];
    others.into_iter().chain(lasting()).collect()
}

/// Everything that an operator must decide.
fn stops() -> [WorkerStop; 6] {
    [
        WorkerStop::OfControlPlane,
        WorkerStop::Unexplained { found: vec!["/etc/kubernetes/kubelet.conf".into()] },
        WorkerStop::OtherCluster(OtherCluster::Uid),
        WorkerStop::OtherCluster(OtherCluster::Authority),
        WorkerStop::OtherEndpoint { set: "a:1".into(), published: "b:1".into() },
        WorkerStop::OldKubelet { kubelet: "v1.32.0".into(), cluster: "v1.36.1".into() },
    ]
}

#[test]
fn every_wait_and_stop_is_a_sentence_of_its_own() {
    for wait in &lasting() {
        assert!(wait.to_string().contains("kubeboot reset --now"), "{wait}");
    }
    let (waits, stops) = (waits(), stops());
    let said: std::collections::BTreeSet<String> = waits.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), waits.len());
    assert!(said.iter().all(|said| said.lines().count() == 1), "{said:?}");
    let ways_out = ["correct", "kubeboot reset --now", "replace", "install", "remove"];
    for stop in stops {
        let said = stop.to_string();
        assert!(ways_out.iter().any(|way| said.contains(way)), "{said}");
    }
}

#[test]
fn every_wait_and_stop_has_a_row_on_the_page() {
    let (waits, stops) = (waits(), stops());
    tells_of(PAGE, "What it waits for", &waits.iter().map(ToString::to_string).collect::<Vec<_>>());
    tells_of(PAGE, "What stops it", &stops.iter().map(ToString::to_string).collect::<Vec<_>>());
}

#[test]
fn what_a_newer_kubeboot_has_written_is_laid_to_nobody_else() {
    let newer = JoinError::NewerSchema { found: 2, generation: None };
    let said = WorkerWait::Unreadable { object: JoinObject::Token, why: newer }.to_string();
    assert!(said.contains("install") && !said.contains("who may write"), "{said}");
}

#[test]
fn a_launch_hook_is_kept_alive_only_while_something_goes_on_here() {
    let rows = [
        (WorkerStep::Join, true),
        (WorkerStep::Wipe(WorkerWipe::HalfMade), true),
        (WorkerStep::Wait(WorkerWait::Kubelet), true),
        (WorkerStep::CompleteHook, true),
        (WorkerStep::Stop(WorkerStop::OfControlPlane), false),
        (WorkerStep::StandBy { target: "Warmed:Stopped".into() }, false),
        (WorkerStep::Done, false),
    ];
    for (step, expected) in rows {
        assert_eq!(step.keeps_hook_alive(), expected, "{step}");
    }
    let targets =
        [("Warmed:Stopped", true), ("Warmed:Running", true), ("Warmed:Terminated", false), ("Standby", false)];
    for (target, expected) in targets {
        assert_eq!(WorkerStep::StandBy { target: target.into() }.enters_pool(), expected, "{target}");
    }
    assert!(!WorkerStep::CompleteHook.enters_pool());
}

#[test]
fn a_reason_stays_the_same_while_nothing_but_time_changes() {
    let later = |seen: &WorkerSnapshot, seconds| WorkerSnapshot {
        now: seen.now + seconds,
        pause: seen.pause.map(|left| left.saturating_sub(Duration::from_secs(seconds))),
        node: match &seen.node {
            NodeView::Missing { lasted } => NodeView::Missing { lasted: *lasted + Duration::from_secs(seconds) },
            other => other.clone(),
        },
        ..seen.clone()
    };
    let rows = [
        WorkerSnapshot { token: read(JoinToken::sample(3, NOW - 60)), ..fresh_machine() },
        WorkerSnapshot { pause: Some(Duration::from_secs(30)), ..fresh_machine() },
        joined(missing(5)),
    ];
    for seen in rows {
        assert_eq!(decided(&seen).to_string(), decided(&later(&seen, 7)).to_string());
    }
}
