//! A report taken apart into facts that can be compared one by one.

use super::super::report::{Node, Record, ReportedSource, StatusReport};
use super::super::text::{
    answer, api_server, etcd_in_words, group_in_words, in_words, kubelet, lease_in_words, place, says,
};
use std::collections::{BTreeMap, BTreeSet};

/// Of a machine whose registration cannot be read.
pub(super) const UNREAD: &str = "what it says cannot be read";

/// What a fact is about, in the order of the page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// An address of the endpoint.
    Endpoint(String),
    /// The control plane.
    ControlPlane,
    /// A member of etcd whose machine is not known.
    Member(String),
    /// The machine on which `status` runs.
    Here,
    /// A machine.
    Machine(String),
}

impl Subject {
    /// Whether it may be there in one look and not in the next.
    pub(super) fn comes_and_goes(&self) -> bool {
        match self {
            Self::Endpoint(_) | Self::Member(_) | Self::Machine(_) => true,
            Self::ControlPlane | Self::Here => false,
        }
    }
}

/// What is known of it, in the order of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    There,
    Record,
    Ec2,
    Group,
    Unread,
    Says,
    WaitsFor,
    LastError,
    Etcd,
    Upgrade,
    Lease,
    ApiServer,
    Kubelet,
    State,
    LeavingUnit,
}

impl Fact {
    /// Who says it. If one of them says nothing, it is not known.
    pub(super) fn sources(self, subject: &Subject) -> &'static [FactSource] {
        match self {
            Self::There => match subject {
                Subject::Endpoint(_) => &[FactSource::Endpoint],
                Subject::Member(_) => &[FactSource::Etcd],
                Subject::Machine(_) => &[FactSource::Registrations, FactSource::Group, FactSource::Record],
                Subject::ControlPlane | Subject::Here => &[],
            },
            Self::Record => &[FactSource::Record],
            Self::Group => &[FactSource::Group],
            Self::Lease => &[FactSource::Lease],
            Self::Upgrade => &[FactSource::ApiServers, FactSource::Upgrade],
            Self::State | Self::LeavingUnit => &[FactSource::Disk],
            Self::Ec2 => &[FactSource::Ec2],
            Self::Unread | Self::Says | Self::WaitsFor | Self::LastError => &[FactSource::Registrations],
            Self::Etcd => &[FactSource::Etcd],
            // Only of a member is it told that its API server is not ready.
            Self::ApiServer | Self::Kubelet => &[FactSource::ApiServers, FactSource::Etcd],
        }
    }

    /// Whether the machine's own registration says it.
    pub(super) fn is_said_by_the_machine(self) -> bool {
        matches!(self, Self::Says | Self::WaitsFor | Self::LastError)
    }
}

/// Who says something, in the order in which they are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FactSource {
    Endpoint,
    Record,
    Hash,
    Registrations,
    Lease,
    Group,
    Ec2,
    Etcd,
    ApiServers,
    Upgrade,
    Disk,
    Certificates,
}

impl FactSource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "the endpoint's name",
            Self::Record => "the cluster record",
            Self::Hash => "the published discovery hash",
            Self::Registrations => "the registrations",
            Self::Lease => "the membership lease",
            Self::Group => "the group",
            Self::Ec2 => "EC2",
            Self::Etcd => "etcd",
            Self::ApiServers => "the API servers",
            Self::Upgrade => "the cluster's version",
            Self::Disk => "this machine's state",
            Self::Certificates => "this machine's certificates",
        }
    }
}

/// The sources that said nothing, and why.
pub(super) fn silent(report: &StatusReport) -> BTreeMap<FactSource, String> {
    let of_nodes = |read: fn(&Node) -> Option<&str>| report.nodes.iter().find_map(read);
    let all = [
        (FactSource::Endpoint, why(&report.endpoint_answers)),
        (FactSource::Record, why(&report.record)),
        (FactSource::Hash, why(&report.discovery_hash)),
        (FactSource::Registrations, why(&report.registrations)),
        (FactSource::Lease, why(&report.lease)),
        (FactSource::Group, why(&report.group)),
        (FactSource::Ec2, of_nodes(|node| why(&node.ec2))),
        (FactSource::Etcd, why(&report.etcd)),
        (FactSource::ApiServers, of_nodes(|node| why(&node.api_server))),
        (FactSource::Upgrade, why(&report.upgrade)),
        (FactSource::Disk, why(&report.here.state).or_else(|| why(&report.here.leaving_unit))),
        (FactSource::Certificates, why(&report.here.certificates)),
    ];
    all.into_iter().filter_map(|(source, why)| Some((source, why?.to_owned()))).collect()
}

/// The machines whose own registration could not be read.
pub(super) fn unread(report: &StatusReport) -> BTreeSet<Subject> {
    let unread = report.nodes.iter().filter(|node| why(&node.registration).is_some());
    unread.map(|node| Subject::Machine(node.instance.clone())).collect()
}

/// Everything that is known.
pub(super) fn all(report: &StatusReport) -> BTreeMap<(Subject, Fact), String> {
    let mut facts = BTreeMap::new();
    let mut add = |subject: &Subject, fact, value: Option<String>| {
        facts.extend(value.map(|value| ((subject.clone(), fact), value)));
    };
    for at in known(&report.endpoint_answers).into_iter().flatten() {
        add(&Subject::Endpoint(at.address.clone()), Fact::There, Some(answer(at)));
    }
    let all = Subject::ControlPlane;
    add(&all, Fact::Record, known(&report.record).map(|record| record_in_words(record.as_ref())));
    add(&all, Fact::Group, known(&report.group).map(|group| group_in_words(group.as_ref())));
    add(&all, Fact::Etcd, known(&report.etcd).map(etcd_in_words));
    add(&all, Fact::Lease, known(&report.lease).map(|lease| lease_in_words(lease.as_ref())));
    add(&all, Fact::Upgrade, known(&report.upgrade).and_then(Option::as_ref).map(|found| found.text.clone()));
    for member in known(&report.etcd).into_iter().flat_map(|etcd| &etcd.without_machine) {
        let told = format!("{} at {}", in_words(member), member.addresses.join(", "));
        add(&Subject::Member(member.id.clone()), Fact::There, Some(told));
    }
    add(&Subject::Here, Fact::State, known(&report.here.state).map(|state| state.stage.to_owned()));
    add(&Subject::Here, Fact::LeavingUnit, known(&report.here.leaving_unit).cloned());
    for node in &report.nodes {
        let machine = Subject::Machine(node.instance.clone());
        of_machine(node).into_iter().for_each(|(fact, value)| add(&machine, fact, value));
    }
    facts
}

fn of_machine(node: &Node) -> [(Fact, Option<String>); 10] {
    let registration = known(&node.registration).and_then(Option::as_ref);
    let server = Some(api_server(node)).filter(|words| ["ready", "not ready"].contains(words));
    [
        (Fact::There, Some(node.addresses.first().cloned().unwrap_or_default())),
        (Fact::Ec2, known(&node.ec2).cloned()),
        (Fact::Group, known(&node.group).and_then(Option::as_ref).map(place)),
        (Fact::Unread, why(&node.registration).map(|_| UNREAD.to_owned())),
        (Fact::Says, registration.map(|registration| says(node, registration))),
        (Fact::WaitsFor, registration.and_then(|says| says.waits_for.clone())),
        (Fact::LastError, registration.and_then(|says| says.last_error.clone())),
        (Fact::Etcd, known(&node.member).and_then(Option::as_ref).map(|member| in_words(member).to_owned())),
        (Fact::ApiServer, server.map(str::to_owned)),
        (Fact::Kubelet, node.kubelet.as_ref().map(|found| kubelet(found).to_owned())),
    ]
}

fn record_in_words(record: Option<&Record>) -> String {
    let Some(record) = record else { return "none".to_owned() };
    let claim = match record.cluster {
        Some(_) => format!("{}, cluster ID {}", record.phase, record.claim_id),
        None => format!("{}, claim number {}", record.phase, record.generation),
    };
    match &record.holder {
        Some(holder) => format!("{claim}, held by {holder}"),
        None => claim,
    }
}

fn known<T>(source: &ReportedSource<T>) -> Option<&T> {
    match source {
        ReportedSource::Known(found) => Some(found),
        ReportedSource::Unknown { .. } => None,
    }
}

fn why<T>(source: &ReportedSource<T>) -> Option<&str> {
    match source {
        ReportedSource::Known(_) => None,
        ReportedSource::Unknown { unknown } => Some(unknown),
    }
}
