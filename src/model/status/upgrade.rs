//! How far an upgrade of Kubernetes has come.

use super::input::{Etcd, StatusInput};
use super::machines::{StatusMachine, machines};
use super::reason::StatusReason;
use crate::model::upgrade::{MachineVersions, UpgradeProgress, upgrade_progress};
use crate::model::version::Release;

/// The versions on the machines that count, each with that of its etcd.
#[must_use]
pub fn versions(input: &StatusInput) -> Vec<(MachineVersions, Option<Release>)> {
    let is_external = matches!(input.etcd, Ok(Etcd::External));
    let counts = |machine: &&StatusMachine<'_>| match is_external {
        true => machine.is_live_candidate(),
        false => machine.member.is_some(),
    };
    let etcd = |machine: &StatusMachine<'_>| Release::parse(&machine.report?.version);
    machines(input).iter().filter(counts).map(|machine| (of(machine), etcd(machine))).collect()
}

/// What is known of it: by the machines that are members, and with external etcd by those of the group.
#[must_use]
pub fn upgrade(input: &StatusInput) -> Option<UpgradeProgress> {
    let known = input.upgrade.as_ref().ok()?.as_ref()?;
    upgrade_progress(known, versions(input).into_iter().map(|(machine, _)| machine).collect())
}

fn of(machine: &StatusMachine<'_>) -> MachineVersions {
    let server = machine.api_server;
    let node = server.and_then(|server| server.node.as_ref().ok()?.as_ref());
    MachineVersions {
        name: machine.instance.to_string(),
        api_server: server.and_then(|server| Release::parse(server.version.as_deref()?)),
        kubelet: node.and_then(|node| Release::parse(node.kubelet_version.as_deref()?)),
    }
}

/// Whether what is left of an upgrade has failed.
pub(super) fn reason(input: &StatusInput) -> Option<StatusReason> {
    let progress = upgrade(input)?;
    let failed = progress.failure()?;
    Some(StatusReason::UpgradeRest {
        to: progress.to,
        attempts: failed.attempts,
        why: failed.error.clone().unwrap_or_default(),
    })
}
