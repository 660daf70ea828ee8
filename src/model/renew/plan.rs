//! The plan of one machine: which certificates it renews now and what it restarts, or whom it waits for.
//!
//! While there is time, certificates are renewed only while everybody answers: a machine on which that goes wrong must not be the second
//! one that is missing. In the last week, and past the end, nobody is asked: what has ended serves nobody, and whoever holds an ended
//! certificate cannot be answered.

use super::certificate::{Authority, KUBELET_CLIENT, KubeadmCertificate, RestartedProgram};
use crate::model::membership::member_name::MemberName;
use std::fmt;
use std::time::{Duration, SystemTime};

/// With less time left than this, nobody is asked first.
pub const URGENT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A certificate and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    /// Which one.
    pub certificate: KubeadmCertificate,
    /// The moment after which it is no longer valid.
    pub ends: SystemTime,
}

/// Whether everybody answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EveryVoter {
    /// Nobody has asked.
    NotAsked,
    /// Every voter of a certain list answers, or etcd is external.
    Answer,
    /// Somebody does not.
    Missing(MissingAnswer),
}

/// Who does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingAnswer {
    /// These voters are silent.
    Silent(Vec<MemberName>),
    /// There is no certain list, because of this.
    NoList(String),
}

/// Everything a plan depends on.
#[derive(Debug, Clone)]
pub struct RenewInput<'a> {
    /// The time of day: certificates know no other.
    pub now: SystemTime,
    /// How long before its end a certificate is renewed.
    pub renew_before: Duration,
    /// For how long kubeadm makes certificates, where its documents say so.
    pub validity: Option<Duration>,
    /// The certificates on this machine that kubeadm renews.
    pub certificates: &'a [Dated],
    /// The authorities whose keys are on this machine.
    pub keys: &'a [Authority],
    /// When kubelet's client certificate ends, where it has one.
    pub kubelet_ends: Option<SystemTime>,
    /// The programs that run since before their kubeconfig was written.
    pub outdated: &'a [RestartedProgram],
    /// Whether everybody answers.
    pub others: &'a EveryVoter,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewPlan {
    /// What this machine does.
    pub step: RenewStep,
    /// Files that are due and that this machine cannot renew, because the key of their authority is elsewhere.
    pub external: Vec<&'static str>,
}

/// What this machine does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenewStep {
    /// Nothing.
    Nothing,
    /// Ask whether everybody answers, and plan again.
    Ask,
    /// Wait, and change nothing.
    Wait(MissingAnswer),
    /// This, in this order.
    Renew {
        /// Certificates that kubeadm renews.
        certificates: Vec<Dated>,
        /// Whether kubelet gets a new client certificate from the authority.
        kubelet: bool,
        /// Programs that are restarted, one after the other.
        restart: Vec<RestartedProgram>,
        /// Whether nobody was asked, because there is no time left.
        urgent: bool,
    },
}

/// Plans for this machine.
#[must_use]
pub fn plan(input: &RenewInput<'_>) -> RenewPlan {
    let (certificates, elsewhere): (Vec<Dated>, Vec<Dated>) = (input.certificates.iter().copied())
        .filter(|dated| input.is_due(dated.ends))
        .partition(|dated| input.keys.contains(&dated.certificate.authority()));
    let has_ended = input.kubelet_ends.is_some_and(|ends| ends <= input.now);
    let can_sign = input.keys.contains(&Authority::Cluster);
    let kubelet = has_ended && can_sign;
    let mut external: Vec<&str> = elsewhere.iter().map(|dated| dated.certificate.file()).collect();
    external.extend((has_ended && !can_sign).then_some(KUBELET_CLIENT));
    let is_renewed =
        |program: RestartedProgram| certificates.iter().any(|dated| dated.certificate == program.certificate());
    let restart: Vec<RestartedProgram> = RestartedProgram::ALL
        .into_iter()
        .filter(|program| is_renewed(*program) || input.outdated.contains(program))
        .collect();
    if certificates.is_empty() && !kubelet && restart.is_empty() {
        return RenewPlan { step: RenewStep::Nothing, external };
    }
    let urgent = kubelet || certificates.iter().any(|dated| dated.ends <= input.now + URGENT);
    let step = match input.others {
        EveryVoter::NotAsked if !urgent => RenewStep::Ask,
        EveryVoter::Missing(who) if !urgent => RenewStep::Wait(who.clone()),
        EveryVoter::NotAsked | EveryVoter::Answer | EveryVoter::Missing(_) => {
            RenewStep::Renew { certificates, kubelet, restart, urgent }
        }
    };
    RenewPlan { step, external }
}

impl RenewInput<'_> {
    /// How long before its end a certificate is renewed here. One that kubeadm makes for a shorter time is renewed in its last third: with
    /// all of `renew_before` it would be due again at once.
    fn before(&self) -> Duration {
        self.validity.map_or(self.renew_before, |validity| self.renew_before.min(validity / 3))
    }

    fn is_due(&self, ends: SystemTime) -> bool {
        ends <= self.now + self.before()
    }
}

impl fmt::Display for MissingAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(members) => {
                let names: Vec<_> = members.iter().map(ToString::to_string).collect();
                write!(f, "etcd voter {} does not answer", names.join(", "))
            }
            Self::NoList(why) => write!(f, "nobody can tell whether every etcd voter answers: {why}"),
        }
    }
}

#[cfg(test)]
mod tests;
