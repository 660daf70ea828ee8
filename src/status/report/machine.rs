//! One machine, with all that is known of it.

use super::ReportedSource;
use crate::model::membership::members;
use crate::model::membership::registration::Registration;
use crate::model::status::{self, Ec2Answer, Etcd, MemberStatus, NodeStatus, StatusInput, StatusMachine, is_explained};
use serde::Serialize;

/// One machine.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Node {
    pub(in crate::status) instance: String,
    pub(in crate::status) here: bool,
    pub(in crate::status) addresses: Vec<String>,
    pub(in crate::status) ec2: ReportedSource<String>,
    pub(in crate::status) gone: bool,
    pub(in crate::status) zone: Option<String>,
    pub(in crate::status) group: ReportedSource<Option<Place>>,
    pub(in crate::status) registration: ReportedSource<Option<Says>>,
    pub(in crate::status) member: ReportedSource<Option<Member>>,
    pub(in crate::status) api_server: ReportedSource<Option<ApiServer>>,
    pub(in crate::status) kubelet: Option<Kubelet>,
}

/// Its place in the group.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Place {
    pub(in crate::status) lifecycle: String,
    pub(in crate::status) healthy: bool,
}

/// What it says about itself.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Says {
    pub(in crate::status) phase: String,
    pub(in crate::status) since: String,
    pub(in crate::status) updated: String,
    pub(in crate::status) waits_for: Option<String>,
    pub(in crate::status) last_error: Option<String>,
    claim_id: Option<String>,
    node_name: String,
    member_id: Option<String>,
    pub(in crate::status) kubeboot: String,
    pub(in crate::status) kubeadm: Option<String>,
}

/// Its etcd member.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Member {
    pub(in crate::status) id: String,
    pub(in crate::status) name: String,
    pub(in crate::status) addresses: Vec<String>,
    pub(in crate::status) voter: bool,
    pub(in crate::status) started: bool,
    pub(in crate::status) answers: bool,
    pub(in crate::status) answers_as: Option<String>,
    explained: bool,
    pub(in crate::status) version: Option<String>,
    errors: Vec<String>,
}

/// Its API server.
#[derive(Debug, Serialize)]
pub(in crate::status) struct ApiServer {
    pub(in crate::status) ready: bool,
    why_not: Option<String>,
    kube_system_uid: ReportedSource<String>,
    pub(in crate::status) version: Option<String>,
}

/// Its kubelet, as its Node object has it.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Kubelet {
    pub(in crate::status) ready: bool,
    pub(in crate::status) version: Option<String>,
    provider_id: Option<String>,
    marked: bool,
    taints: Vec<String>,
}

impl Kubelet {
    fn new(node: &NodeStatus) -> Self {
        Self {
            ready: node.ready,
            version: node.kubelet_version.clone(),
            provider_id: node.provider_id.clone(),
            marked: node.marks.has_role(),
            taints: node.marks.taints.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Node {
    pub(super) fn new(machine: &StatusMachine<'_>, all: &[StatusMachine<'_>], input: &StatusInput) -> Self {
        let gone = machine.is_past(input.leaves_out_only_what_is_gone());
        let node = machine.api_server.and_then(|server| server.node.as_ref().ok()?.as_ref());
        Self {
            instance: machine.instance.to_string(),
            here: input.here.instance() == Some(machine.instance),
            addresses: machine.addresses().iter().map(ToString::to_string).collect(),
            ec2: ReportedSource::of(&input.ec2, |_| ec2(machine.ec2)),
            gone,
            zone: input.zones.get(machine.instance).cloned(),
            group: ReportedSource::of(&input.group, |_| {
                machine.group.map(|member| Place { lifecycle: member.lifecycle.to_string(), healthy: member.healthy })
            }),
            registration: match machine.registration {
                Some(registration) => ReportedSource::of(registration, |says| Some(Says::new(says, gone))),
                None => ReportedSource::of(&input.registrations, |_| None),
            },
            member: match &input.etcd {
                Err(why) | Ok(Etcd::Silent { why, .. }) => ReportedSource::unknown(why),
                Ok(Etcd::External) => ReportedSource::Known(None),
                Ok(Etcd::Stacked { .. }) => ReportedSource::Known(machine.member.map(|member| Member {
                    answers_as: machine.answers_as.map(|id| id.to_string()),
                    ..Member::new(member, machine.report, all)
                })),
            },
            api_server: ReportedSource::of(&input.api_servers, |_| machine.api_server.map(ApiServer::new)),
            kubelet: node.map(Kubelet::new),
        }
    }
}

/// EC2's state, or what it means that there is none.
fn ec2(ec2: Ec2Answer<'_>) -> String {
    match ec2 {
        Ec2Answer::State(state) => state.to_string(),
        Ec2Answer::Absent | Ec2Answer::Unknown => "absent".to_owned(),
    }
}

impl Says {
    /// A machine that is gone waits for nothing, whatever it said last.
    fn new(says: &Registration, gone: bool) -> Self {
        Self {
            phase: says.phase.as_str().to_owned(),
            since: says.since.clone(),
            updated: says.updated.clone(),
            waits_for: says.waits_for.clone().filter(|_| !gone),
            last_error: says.last_error.clone(),
            claim_id: says.claim_id.as_ref().map(ToString::to_string),
            node_name: says.node_name.clone(),
            member_id: says.member_id.map(|id| id.to_string()),
            kubeboot: says.versions.kubeboot.clone(),
            kubeadm: says.versions.kubeadm.clone(),
        }
    }
}

impl Member {
    pub(super) fn new(member: &members::Member, report: Option<&MemberStatus>, machines: &[StatusMachine<'_>]) -> Self {
        Self {
            id: member.id.to_string(),
            name: member.name.clone(),
            addresses: member.peer_addresses.iter().map(ToString::to_string).collect(),
            voter: !member.learner,
            started: member.is_started(),
            answers: member.answers,
            answers_as: None,
            explained: is_explained(member, machines),
            version: report.map(|report| report.version.clone()),
            errors: report.map(|report| report.errors.clone()).unwrap_or_default(),
        }
    }
}

impl ApiServer {
    fn new(server: &status::ApiServer) -> Self {
        Self {
            ready: server.ready.is_ok(),
            why_not: server.ready.as_ref().err().cloned(),
            kube_system_uid: ReportedSource::of(&server.kube_system_uid, ToString::to_string),
            version: server.version.clone(),
        }
    }
}
