//! Nodes of machines that are gone.

use super::{Duty, Sight};
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::InstanceId;
use crate::model::membership::instances::Presence;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use std::net::IpAddr;
use std::time::Duration;

/// A Node and its lease must not have changed for so long: as long as Kubernetes waits before it calls a Node not ready.
pub const STALE_AFTER: Duration = Duration::from_secs(40);

/// A Node as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenNode {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its `resourceVersion`: it is deleted only as it was judged.
    pub version: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Its provider ID.
    pub provider_id: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// When its kubelet was last heard of, by its own word, in seconds of the Unix epoch.
    pub heartbeat: Option<u64>,
    /// For how long neither it nor its lease has changed, as this leader saw it.
    pub unchanged: Duration,
}

/// What a Node must still be when it is deleted. Between the look and the deletion a kubelet may have taken the Node up, or another
/// leader may have deleted it and a new machine registered under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preconditions {
    /// The same object.
    pub uid: String,
    /// Unchanged since it was judged.
    pub version: String,
}

impl SeenNode {
    /// What it must still be when it is deleted.
    #[must_use]
    pub fn preconditions(&self) -> Preconditions {
        Preconditions { uid: self.uid.clone(), version: self.version.clone() }
    }

    /// The instance that its provider ID names, if that is in this Region: EC2 is asked in no other.
    #[must_use]
    pub fn instance(&self, region: &str) -> Option<InstanceId> {
        let (zone, instance) = self.provider_id.as_deref()?.strip_prefix("aws:///")?.split_once('/')?;
        zone.starts_with(region).then(|| InstanceId::parse(instance).ok())?
    }

    /// Whether it may be of a machine that is gone, so that EC2 is to be asked.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        !self.ready && self.unchanged >= STALE_AFTER
    }
}

/// The duty to delete this Node, if its machine is gone.
pub(super) fn gone(sight: &Sight, node: &SeenNode) -> Option<Duty> {
    let instance = node.instance(&sight.region)?;
    let is_own = node.name == sight.my_node || instance == sight.me;
    if is_own || !node.is_stale() || sight.registrations.iter().any(|found| is_named_by(sight, node, found)) {
        return None;
    }
    let is_gone = match sight.instances.0.get(&instance) {
        Some(Presence::State(state)) => *state == Ec2State::Terminated,
        Some(Presence::AbsentFor(duration)) => *duration >= sight.rules.gone_grace && !is_reused(sight, node),
        None => false,
    };
    is_gone.then(|| Duty::DeleteNode(node.clone(), instance))
}

/// Whether a machine that is not certainly gone has registered this Node as its own. One that has registered its name alone, and has no
/// member yet, waits for it to go.
fn is_named_by(sight: &Sight, node: &SeenNode, found: &Registration) -> bool {
    let is_at_work = match found.phase {
        RegistrationPhase::Waiting | RegistrationPhase::Failed => false,
        RegistrationPhase::Initializing
        | RegistrationPhase::Joining
        | RegistrationPhase::Joined
        | RegistrationPhase::Leaving
        | RegistrationPhase::Left
        | RegistrationPhase::Reaped
        | RegistrationPhase::Unknown(_) => true,
    };
    let is_its = found.node_uid.as_ref().is_some_and(|uid| uid.as_str() == node.uid)
        || node.provider_id.as_deref() == Some(found.provider_id.as_str())
        || found.node_name == node.name && is_at_work;
    is_its && !sight.is_gone(&found.instance)
}

/// Whether an instance that lives may be the Node's machine, whatever its provider ID says: it has its address, and is not known to have
/// been launched since the Node was last heard of.
fn is_reused(sight: &Sight, node: &SeenNode) -> bool {
    let at_it = sight.live.iter().filter(|(address, _)| node.addresses.contains(address));
    at_it.map(|(_, launched)| launched).any(|launched| match (launched, node.heartbeat) {
        (Some(launched), Some(heartbeat)) => *launched <= heartbeat,
        (None, _) | (_, None) => true,
    })
}
