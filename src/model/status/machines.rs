//! Every machine that any source mentions, with all that is known of it.

use super::input::{ApiServer, Etcd, Known, MemberStatus, StatusInput};
use crate::model::machine::group::{Ec2State, GroupMember};
use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::machine::local::Local;
use crate::model::membership::members::Member;
use crate::model::membership::reaping::owners;
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::RecordState;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMachine<'a> {
    /// Its instance ID.
    pub instance: &'a InstanceId,
    /// Its own addresses, if it is this machine.
    pub own_addresses: &'a [IpAddr],
    /// Its place in the group, if it has one.
    pub group: Option<&'a GroupMember>,
    /// What EC2 says of it.
    pub ec2: Ec2Answer<'a>,
    /// Its registration; `None` when there is none or the registrations are not known.
    pub registration: Option<&'a Known<Registration>>,
    /// Its etcd member.
    pub member: Option<&'a Member>,
    /// What that member reports of itself.
    pub report: Option<&'a MemberStatus>,
    /// The member as which etcd at that member's address answers, where it is another one: it runs that one's data.
    pub answers_as: Option<MemberId>,
    /// Its API server.
    pub api_server: Option<&'a ApiServer>,
}

/// What EC2 says of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ec2Answer<'a> {
    /// EC2 was not asked or did not answer.
    Unknown,
    /// It is missing in EC2's answer: gone for an hour or more, or of another account or Region.
    Absent,
    /// Its state.
    State(&'a Ec2State),
}

impl StatusMachine<'_> {
    /// Its registration, if that could be read.
    #[must_use]
    pub fn registered(&self) -> Option<&Registration> {
        self.registration.and_then(|registration| registration.as_ref().ok())
    }

    /// Private addresses: the machine's own knowledge, or else EC2's, or else its registration's; the primary one first.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        let by_ec2 = self.group.map(|member| member.addresses.as_slice());
        let by_itself = self.registered().map(|says| says.addresses.as_slice());
        let all = [Some(self.own_addresses), by_ec2, by_itself].into_iter().flatten();
        all.into_iter().find(|addresses| !addresses.is_empty()).unwrap_or_default()
    }

    /// Whether EC2 says that it is terminated or shutting down.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.ec2, Ec2Answer::State(state) if state.is_final())
    }

    /// Whether it will never do anything again: EC2 says that it is terminated or shutting down, or does not know it (any more) in an
    /// answer that is `credible`, which leaves out only what is gone.
    #[must_use]
    pub fn is_past(&self, credible: bool) -> bool {
        self.is_gone() || (credible && self.ec2 == Ec2Answer::Absent)
    }

    /// Whether it is worth asking: registrations outlive their machines, and whoever is gone takes a time-out to say nothing.
    /// `credible`: EC2's answer leaves out only what is gone.
    #[must_use]
    pub fn may_answer(&self, credible: bool) -> bool {
        let has_left = self.registered().is_some_and(Registration::is_finished);
        match self.ec2 {
            Ec2Answer::State(state) => !state.is_final(),
            Ec2Answer::Absent => !credible && !has_left,
            Ec2Answer::Unknown => !has_left,
        }
    }

    /// Whether it is a candidate of the group, and not gone.
    #[must_use]
    pub fn is_live_candidate(&self) -> bool {
        self.group.is_some_and(GroupMember::is_candidate) && !self.is_gone()
    }
}

/// All machines: first the group's, then the others, each by instance ID.
#[must_use]
pub fn machines(input: &StatusInput) -> Vec<StatusMachine<'_>> {
    let mut all: Vec<StatusMachine<'_>> =
        mentioned(input).into_iter().map(|instance| machine(input, instance)).collect();
    all.sort_by_key(|machine| (machine.group.is_none(), machine.instance));
    if let Ok(Etcd::Stacked { members, reports, .. }) = &input.etcd {
        for member in &members.0 {
            if let Some(at) = owner(member, &all) {
                (all[at].member, all[at].report) = (Some(member), reports.get(&member.id));
                all[at].answers_as = answers_as(member, reports);
            }
        }
    }
    all
}

/// The other member as which etcd at this member's address answers. A member that answers itself may have had another's address.
fn answers_as(member: &Member, reports: &BTreeMap<MemberId, MemberStatus>) -> Option<MemberId> {
    let is_here = |report: &MemberStatus| report.at.is_some_and(|at| member.is_at(&[at]));
    let found = reports.iter().find(|(id, report)| **id != member.id && is_here(report)).map(|(id, _)| *id);
    found.filter(|_| !member.answers && member.is_started())
}

/// Every instance that the group, a registration or the record mentions, and this machine if it holds a control plane.
fn mentioned(input: &StatusInput) -> BTreeSet<&InstanceId> {
    let members = input.group.iter().flatten().flat_map(|group| &group.members).map(|member| &member.instance);
    let registered = input.registrations.iter().flat_map(|all| all.keys());
    let recorded = input.record.iter().flatten().filter_map(|record| match &record.state {
        RecordState::Initializing { holder, .. } => holder.as_ref().map(|holder| &holder.instance),
        RecordState::Ready(published) => Some(&published.initialised_by),
        RecordState::Saved(_) | RecordState::Retired(_) => None,
    });
    let holds_one = matches!(&input.here.local, Ok(Local::Made { .. } | Local::HalfMade { .. }));
    let here = input.here.instance().filter(|_| holds_one);
    members.chain(registered).chain(recorded).chain(here).collect()
}

fn machine<'a>(input: &'a StatusInput, instance: &'a InstanceId) -> StatusMachine<'a> {
    StatusMachine {
        instance,
        own_addresses: if input.here.instance() == Some(instance) { &input.here.addresses } else { &[] },
        group: input.group.as_ref().ok().and_then(|group| group.as_ref()?.member(instance)),
        ec2: match &input.ec2 {
            Ok(states) => states.get(instance).map_or(Ec2Answer::Absent, Ec2Answer::State),
            Err(_) => Ec2Answer::Unknown,
        },
        registration: input.registrations.as_ref().ok().and_then(|all| all.get(instance)),
        member: None,
        report: None,
        answers_as: None,
        api_server: input.api_servers.as_ref().ok().and_then(|all| all.get(instance)),
    }
}

/// The machine of this member: by its registration, or else the one that has its address now, or else one that had it. The
/// registration comes first because addresses are reused.
fn owner(member: &Member, machines: &[StatusMachine<'_>]) -> Option<usize> {
    let registered = registrations(member, machines).first().map(|says| &says.instance);
    let has_address = |machine: &StatusMachine<'_>| !machine.is_gone() && member.is_at(machine.addresses());
    let had_address = |machine: &StatusMachine<'_>| member.is_at(machine.addresses());
    machines
        .iter()
        .position(|machine| registered == Some(machine.instance))
        .or_else(|| machines.iter().position(has_address))
        .or_else(|| machines.iter().position(had_address))
}

/// Whether a registration leads to this member, by the rule of reaping. No machine removes a member that none leads to.
#[must_use]
pub fn is_explained(member: &Member, machines: &[StatusMachine<'_>]) -> bool {
    !registrations(member, machines).is_empty()
}

fn registrations<'a>(member: &Member, machines: &'a [StatusMachine<'_>]) -> Vec<&'a Registration> {
    owners(machines.iter().filter_map(StatusMachine::registered), member)
}
