//! `kubeboot status` of a worker: what stands below `join/`, what its disk says, and its Node. It looks at what concerns it, and asks nobody
//! for a description.

use crate::exit::Health;
use crate::kubeadm::worker_state::identity;
use crate::layout::{indented, line};
use crate::model::agent::Departure;
use crate::model::joining::{Join, JoinKind};
use crate::model::worker::decide::decide;
use crate::model::worker::revive::NodeView;
use crate::model::worker::snapshot::{Fetched, LaunchHookState, WorkerLocal, WorkerSnapshot};
use crate::model::worker::step::{WorkerStep, WorkerWait};
use crate::node::worker_look::{self, WorkerLooker};
use crate::node::{Facts, departure};
use crate::settings::Settings;
use anyhow::Result;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The shape that this version prints.
const SCHEMA: u32 = 1;
/// How long IMDS may take.
const IMDS_TIMEOUT: Duration = Duration::from_secs(5);

/// The report, as `--json` prints it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct WorkerReport {
    schema: u32,
    at: String,
    role: &'static str,
    place: String,
    instance: String,
    node: String,
    exit_code: u8,
    /// What it is, or what it waits for, in one sentence.
    text: String,
    /// What its disk says.
    disk: String,
    /// What `join/cluster.json` says.
    join_cluster: String,
    /// What an API server says of its Node.
    api_server: String,
    /// Whether kubelet answers; null where it was not asked.
    kubelet_answers: Option<bool>,
    /// Whether the launch hook may wait for this machine.
    launch_hook_due: bool,
    /// Whether the machine goes for good.
    leaving: bool,
}

/// Looks, and judges what was found.
///
/// # Errors
/// As [`WorkerLooker::look`], or no IMDS.
pub(super) async fn look(settings: &Settings, looker: &mut Option<WorkerLooker>) -> Result<(WorkerReport, Health)> {
    let facts = Facts::gather_within(settings.clone(), IMDS_TIMEOUT).await?;
    let kept = match looker.take() {
        Some(kept) => kept,
        None => WorkerLooker::new(&facts.connect().await?.store),
    };
    let policy = worker_look::policy(settings);
    let mut seen = looker.insert(kept).look(&facts).await?;
    let leaving = departure::load(Path::new("/"), &facts.machine.instance);
    let leaving = leaving.map(Departure::keeps_up_away).map_err(|error| format!("{error:#}"));
    let mut step = decide(&seen, &policy, identity);
    if worker_look::asks_for_namesake(&facts, &mut seen, &step).await {
        step = decide(&seen, &policy, identity);
    }
    Ok(report(settings, &seen, &step, &leaving))
}

/// `leaving`: whether the machine goes for good, or why nobody can say.
fn report(
    settings: &Settings,
    seen: &WorkerSnapshot,
    step: &WorkerStep,
    leaving: &Result<bool, String>,
) -> (WorkerReport, Health) {
    let health = health(step, *leaving != Ok(false));
    let text = match (leaving, step) {
        (Err(why), _) => format!("{health}: {why}"),
        (Ok(true), _) => "leaving: this machine is being terminated, or was told to go for good".to_owned(),
        (Ok(false), WorkerStep::Done) => "healthy: this machine is a node of its cluster".to_owned(),
        (Ok(false), step) => format!("{health}: next, 'kubeboot up': {step}"),
    };
    let report = WorkerReport {
        schema: SCHEMA,
        at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        role: settings.role.word(),
        place: format!("s3://{}/{}/", settings.bucket, settings.prefix),
        instance: seen.me.to_string(),
        node: seen.node_name.clone(),
        exit_code: health.number(),
        text,
        disk: disk(&seen.local),
        join_cluster: published(&seen.cluster, |cluster| {
            format!("{} with kube-system {}, {}", cluster.endpoint, cluster.kube_system_uid, cluster.kubernetes_version)
        }),
        // One that has joined nothing is told whether its name is free.
        api_server: node(if seen.node == NodeView::NotAsked { &seen.namesake } else { &seen.node }),
        kubelet_answers: seen.kubelet_answers,
        launch_hook_due: seen.hook == LaunchHookState::Due,
        leaving: *leaving == Ok(true),
    };
    (report, health)
}

/// A worker has no quorum: it serves, or something is missing, or nobody says.
fn health(step: &WorkerStep, leaving: bool) -> Health {
    match step {
        _ if leaving => Health::Degraded,
        WorkerStep::Done => Health::Healthy,
        WorkerStep::Wait(WorkerWait::Target | WorkerWait::Store { .. } | WorkerWait::ApiServer { .. }) => {
            Health::CannotTell
        }
        WorkerStep::StandBy { .. }
        | WorkerStep::Wait(_)
        | WorkerStep::Stop(_)
        | WorkerStep::Wipe(_)
        | WorkerStep::SwitchOffCheck
        | WorkerStep::Join
        | WorkerStep::MarkJoined
        | WorkerStep::RestartKubelet
        | WorkerStep::Uncordon
        | WorkerStep::CompleteHook => Health::Degraded,
    }
}

fn disk(local: &WorkerLocal) -> String {
    match local {
        WorkerLocal::Fresh => "nothing of a node".to_owned(),
        WorkerLocal::Joining { instance, cluster, .. } => {
            format!("{instance} has begun to join the cluster with kube-system {}", cluster.kube_system_uid)
        }
        WorkerLocal::Joined { instance, cluster } => {
            format!("{instance} has joined the cluster with kube-system {}", cluster.kube_system_uid)
        }
        WorkerLocal::OfControlPlane => "a node of a control plane".to_owned(),
        WorkerLocal::Unexplained { found } => format!("not kubeboot's: {}", found.join(", ")),
    }
}

fn published<T: JoinKind>(found: &Fetched<T>, read: impl FnOnce(&T) -> String) -> String {
    match found {
        Fetched::NotAsked => "not asked".to_owned(),
        Fetched::Silent { why } => format!("unknown: {why}"),
        Fetched::Denied => "S3 does not let this machine read it, or it is not there".to_owned(),
        Fetched::Absent => "not there".to_owned(),
        Fetched::Read(Ok(Join::Published(published))) => read(published),
        Fetched::Read(Ok(Join::Blank { .. })) => "blank: its cluster was given up".to_owned(),
        Fetched::Read(Err(why)) => why.to_string(),
    }
}

fn node(node: &NodeView) -> String {
    match node {
        NodeView::NotAsked => "not asked: this machine is no node".to_owned(),
        NodeView::Silent { why } => format!("unknown: {why}"),
        NodeView::OtherAuthority => "unknown: whoever answers at the endpoint is of another cluster".to_owned(),
        NodeView::Refused { why, .. } => format!("it takes no credentials of this machine: {why}"),
        NodeView::Missing { .. } => "there is no such Node".to_owned(),
        NodeView::Mine => "the Node is this machine's".to_owned(),
        NodeView::OfAnother { mark } => format!("the Node is another machine's: it has {mark}"),
        NodeView::Unnamed => "the Node has no provider ID yet".to_owned(),
    }
}

/// The page for people.
pub(super) fn page(report: &WorkerReport) -> String {
    let kubelet = match report.kubelet_answers {
        Some(true) => "answers",
        Some(false) => "does not answer",
        None => "not asked",
    };
    let mut page = vec![line(&report.text), String::new()];
    for (mark, text) in [
        ("machine            ", format!("{}, worker, Node {}", report.instance, report.node)),
        ("disk               ", report.disk.clone()),
        ("join/cluster.json  ", report.join_cluster.clone()),
        ("API server         ", report.api_server.clone()),
        ("kubelet            ", kubelet.to_owned()),
    ] {
        page.extend(indented(mark, &text));
    }
    page.push(String::new());
    page.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documented::{names, paths};
    use crate::model::joining::JoinError;
    use crate::model::worker::revive::ForeignMark;

    #[test]
    fn a_worker_is_healthy_only_as_a_node_that_stays() {
        let wait = |what| WorkerStep::Wait(what);
        let rows = [
            (WorkerStep::Done, false, Health::Healthy),
            (WorkerStep::Done, true, Health::Degraded),
            (WorkerStep::CompleteHook, false, Health::Degraded),
            (wait(WorkerWait::Kubelet), false, Health::Degraded),
            (wait(WorkerWait::ApiServer { why: "refused".into() }), false, Health::CannotTell),
            (wait(WorkerWait::ApiServer { why: "refused".into() }), true, Health::Degraded),
        ];
        for (step, leaving, expected) in rows {
            assert_eq!(health(&step, leaving), expected, "{step}");
        }
    }

    #[test]
    fn every_field_is_documented_and_the_page_is_the_one_that_is_shown() {
        let uid = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
        let report = WorkerReport {
            schema: SCHEMA,
            at: "2026-01-02T03:04:05Z".into(),
            role: "worker",
            place: "s3://my-clusters/demo/".into(),
            instance: "i-0a1b2c3d4e5f60721".into(),
            node: "ip-10-0-2-57.eu-central-1.compute.internal".into(),
            exit_code: 0,
            text: "healthy: this machine is a node of its cluster".into(),
            disk: format!("i-0a1b2c3d4e5f60721 has joined the cluster with kube-system {uid}"),
            join_cluster: format!("api.demo.internal:6443 with kube-system {uid}, v1.36.1"),
            api_server: node(&NodeView::Mine),
            kubelet_answers: Some(true),
            launch_hook_due: false,
            leaving: false,
        };
        let document = include_str!("../../docs/workers.md");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(paths(&json), names(document, "Looking"));
        let shown = page(&report);
        assert!(document.contains(&format!("```text\n{shown}```")), "{shown}");
    }

    #[test]
    fn a_hostile_text_commands_no_terminal() {
        let told = node(&NodeView::OfAnother { mark: ForeignMark::ProviderId("aws:///\u{1b}[31m".into()) });
        assert!(!told.contains('\u{1b}'), "{told:?}");
        let poisoned: Fetched<crate::model::joining::JoinCluster> = Fetched::Read(Err(JoinError::Malformed("x")));
        assert_eq!(published(&poisoned, |_| String::new()), "it is none of kubeboot's: x");
    }
}
