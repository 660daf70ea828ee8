//! A worker's one decision: from what one look finds to one step. Whatever stopped it before, it comes to the same end.

use super::revive::{GIVEN_UP_GRACE, NodeView, REFUSED_GRACE, restarts_kubelet};
use super::skew::Skew;
use super::snapshot::{
    CheckState, ClusterIdentity, Fetched, LaunchHookState, WorkerLocal, WorkerPolicy, WorkerSnapshot,
};
use super::step::{JoinObject, OtherCluster, WorkerStep, WorkerStop, WorkerWait, WorkerWipe};
use crate::model::joining::{Join, JoinCluster};
use crate::model::machine::ids::InstanceId;

#[cfg(test)]
mod tests;

/// How Auto Scaling's words for machines of a warm pool begin.
const WARMED: &str = "Warmed";
/// The one for a machine that an operator keeps out of service.
const STANDBY: &str = "Standby";

/// The one thing to do next. `identity`: how a published cluster is told from others, for the digest is no business of this function.
#[must_use]
pub fn decide(
    seen: &WorkerSnapshot,
    policy: &WorkerPolicy,
    identity: impl Fn(&JoinCluster) -> ClusterIdentity,
) -> WorkerStep {
    let published = published(&seen.cluster);
    match &seen.local {
        WorkerLocal::OfControlPlane => WorkerStep::Stop(WorkerStop::OfControlPlane),
        WorkerLocal::Unexplained { found } => WorkerStep::Stop(WorkerStop::Unexplained { found: found.clone() }),
        _ if let Some(target) = out_of_service(seen) => WorkerStep::StandBy { target },
        _ if !seen.is_target_known && !has_joined(seen) => WorkerStep::Wait(WorkerWait::Target),
        WorkerLocal::Joining { instance, .. } | WorkerLocal::Joined { instance, .. } if *instance != seen.me => {
            WorkerStep::Wipe(WorkerWipe::OfAnother { instance: instance.clone() })
        }
        WorkerLocal::Joined { cluster, .. } => {
            match published.and_then(|published| difference(cluster, &identity(published))) {
                Some(_) if policy.rejoins => rejoined(seen, policy),
                Some(how) => WorkerStep::Stop(WorkerStop::OtherCluster(how)),
                None => registered(seen),
            }
        }
        WorkerLocal::Joining { cluster, has_credentials, .. } => {
            let other = published.is_some_and(|published| difference(cluster, &identity(published)).is_some());
            match (*has_credentials, other) {
                // Its Node may be there: then it lacks nothing but the word on its own disk.
                (true, false) => half_made(seen),
                (true, true) => WorkerStep::Wipe(WorkerWipe::HalfMade),
                // It may have been a node, with credentials that were put aside: it stays what it is while there is nothing to join by.
                (false, _) => match joinable(seen) {
                    Ok(()) => WorkerStep::Wipe(WorkerWipe::HalfMade),
                    Err(wait) => WorkerStep::Wait(wait),
                },
            }
        }
        WorkerLocal::Fresh => fresh(seen, policy),
    }
}

/// Whether a decision may depend on what is published for machines that join, so that a look reads `join/token.json` and asks kubelet for its
/// version. A node of the published cluster needs neither.
#[must_use]
pub fn needs_token(
    local: &WorkerLocal,
    cluster: &Fetched<JoinCluster>,
    policy: &WorkerPolicy,
    identity: impl Fn(&JoinCluster) -> ClusterIdentity,
) -> bool {
    match (local, published(cluster)) {
        (_, None) | (WorkerLocal::OfControlPlane | WorkerLocal::Unexplained { .. }, _) => false,
        (WorkerLocal::Fresh, _) => true,
        (WorkerLocal::Joining { has_credentials, .. }, _) => !has_credentials,
        (WorkerLocal::Joined { cluster: here, .. }, Some(published)) => {
            policy.rejoins && difference(here, &identity(published)).is_some()
        }
    }
}

/// Whether a decision may depend on the Node of this machine, so that a look asks for it with kubelet's credentials.
#[must_use]
pub fn needs_node(local: &WorkerLocal, me: &InstanceId) -> bool {
    match local {
        WorkerLocal::Joined { instance, .. } => instance == me,
        WorkerLocal::Joining { instance, has_credentials, .. } => instance == me && *has_credentials,
        WorkerLocal::Fresh | WorkerLocal::OfControlPlane | WorkerLocal::Unexplained { .. } => false,
    }
}

/// The cluster that stands below `join/`, where one can be read.
fn published(found: &Fetched<JoinCluster>) -> Option<&JoinCluster> {
    match found {
        Fetched::Read(Ok(Join::Published(cluster))) => Some(cluster),
        Fetched::NotAsked
        | Fetched::Silent { .. }
        | Fetched::Denied
        | Fetched::Absent
        | Fetched::Read(Ok(Join::Blank { .. }) | Err(_)) => None,
    }
}

/// The state that the group wants, where that is none in which a machine serves. A node that an operator keeps out of service stays what it
/// is; one that is back in a warm pool must not answer the hook that waits for it when it leaves that.
fn out_of_service(seen: &WorkerSnapshot) -> Option<String> {
    let target = seen.target.as_ref()?;
    let is_kept_out = target.starts_with(WARMED) || (target.starts_with(STANDBY) && !has_joined(seen));
    is_kept_out.then(|| target.clone())
}

/// Whether this very machine is a node of a cluster.
fn has_joined(seen: &WorkerSnapshot) -> bool {
    matches!(&seen.local, WorkerLocal::Joined { instance, .. } if *instance == seen.me)
}

/// In what a published cluster differs from the one on the disk.
#[must_use]
pub fn difference(here: &ClusterIdentity, published: &ClusterIdentity) -> Option<OtherCluster> {
    if here.kube_system_uid != published.kube_system_uid {
        return Some(OtherCluster::Uid);
    }
    // While an authority is replaced there are two, and a cluster shows one of them or both.
    let shares_one = here.authorities.iter().any(|own| published.authorities.contains(own));
    (!shares_one).then_some(OtherCluster::Authority)
}

/// A machine that is to leave its cluster for another one: it stays what it is until it lacks nothing to join that one.
fn rejoined(seen: &WorkerSnapshot, policy: &WorkerPolicy) -> WorkerStep {
    match fresh(seen, policy) {
        WorkerStep::Join => WorkerStep::Wipe(WorkerWipe::Rejoin),
        other => other,
    }
}

/// A machine on which nothing of a node is.
fn fresh(seen: &WorkerSnapshot, policy: &WorkerPolicy) -> WorkerStep {
    let cluster = match readable(&seen.cluster, JoinObject::Cluster) {
        Ok(cluster) => cluster,
        Err(wait) => return WorkerStep::Wait(wait),
    };
    if let Some(set) = policy.endpoint.as_ref().filter(|set| !set.eq_ignore_ascii_case(&cluster.endpoint)) {
        let published = cluster.endpoint.clone();
        return WorkerStep::Stop(WorkerStop::OtherEndpoint { set: set.clone(), published });
    }
    match Skew::of(&seen.kubelet, &cluster.oldest_api_server, &cluster.kubernetes_version) {
        Skew::Fits => {}
        Skew::Newer => {
            let (kubelet, oldest) = (seen.kubelet.clone(), cluster.oldest_api_server.clone());
            return WorkerStep::Wait(WorkerWait::OlderApiServer { kubelet, oldest });
        }
        Skew::TooOld => {
            let (kubelet, cluster) = (seen.kubelet.clone(), cluster.kubernetes_version.clone());
            return WorkerStep::Stop(WorkerStop::OldKubelet { kubelet, cluster });
        }
    }
    let token = match readable(&seen.token, JoinObject::Token) {
        Ok(token) => token,
        Err(wait) => return WorkerStep::Wait(wait),
    };
    if token.generation != cluster.generation {
        let (cluster, token) = (cluster.generation, token.generation);
        return WorkerStep::Wait(WorkerWait::Generations { cluster, token });
    }
    if token.expires <= seen.now {
        return WorkerStep::Wait(WorkerWait::TokenEnded { at: token.expires });
    }
    if !seen.defects.is_empty() {
        return WorkerStep::Wait(WorkerWait::Unfit(seen.defects.clone()));
    }
    match (seen.source_dest_check, seen.pause) {
        (CheckState::Due, _) => WorkerStep::SwitchOffCheck,
        (CheckState::Settled, Some(left)) => WorkerStep::Wait(WorkerWait::Pause { left }),
        (CheckState::Settled, None) => named(seen),
    }
}

/// A machine that lacks nothing: it joins unless its name is taken. With a Node of another machine kubelet would adopt that one for ever, for nobody deletes a Node that is kept alive.
fn named(seen: &WorkerSnapshot) -> WorkerStep {
    match &seen.namesake {
        NodeView::OfAnother { mark } => {
            WorkerStep::Wait(WorkerWait::NameTaken { node: seen.node_name.clone(), mark: mark.clone() })
        }
        NodeView::Silent { why } => WorkerStep::Wait(WorkerWait::ApiServer { why: why.clone() }),
        NodeView::OtherAuthority => WorkerStep::Wait(WorkerWait::OtherAuthority),
        NodeView::Refused { why, .. } => WorkerStep::Wait(WorkerWait::TokenRefused { why: why.clone() }),
        NodeView::NotAsked | NodeView::Missing { .. } | NodeView::Mine | NodeView::Unnamed => WorkerStep::Join,
    }
}

/// What an object says that can be acted on.
///
/// # Errors
/// What is waited for instead.
pub fn readable<T>(found: &Fetched<T>, object: JoinObject) -> Result<&T, WorkerWait> {
    match found {
        Fetched::Read(Ok(Join::Published(published))) => Ok(published),
        Fetched::Read(Ok(Join::Blank { .. })) => Err(WorkerWait::Blank(object)),
        Fetched::Read(Err(why)) => Err(WorkerWait::Unreadable { object, why: why.clone() }),
        Fetched::Absent | Fetched::NotAsked => Err(WorkerWait::Absent(object)),
        Fetched::Denied => Err(WorkerWait::Denied(object)),
        Fetched::Silent { why } => Err(WorkerWait::Store { object, why: why.clone() }),
    }
}

/// That both objects can be read by which a machine joins.
fn joinable(seen: &WorkerSnapshot) -> Result<(), WorkerWait> {
    readable(&seen.cluster, JoinObject::Cluster)?;
    readable(&seen.token, JoinObject::Token).map(drop)
}

/// A machine whose kubelet has credentials, and whose Node nobody has seen yet.
fn half_made(seen: &WorkerSnapshot) -> WorkerStep {
    match &seen.node {
        NodeView::Mine => WorkerStep::MarkJoined,
        // The credentials may be of a token that was taken back: whatever they are worth, a new attempt needs nothing of them. One refusal
        // may be that of one API server.
        NodeView::NotAsked => WorkerStep::Wipe(WorkerWipe::HalfMade),
        NodeView::Refused { lasted, .. } if *lasted >= REFUSED_GRACE => WorkerStep::Wipe(WorkerWipe::HalfMade),
        // Its kubelet keeps another machine's Node alive. Without it that goes, and this one waits for that.
        NodeView::OfAnother { .. } => WorkerStep::Wipe(WorkerWipe::HalfMade),
        NodeView::Missing { lasted } if seen.kubelet_restarted && *lasted >= GIVEN_UP_GRACE => {
            WorkerStep::Wipe(WorkerWipe::HalfMade)
        }
        NodeView::Silent { .. }
        | NodeView::OtherAuthority
        | NodeView::Refused { .. }
        | NodeView::Missing { .. }
        | NodeView::Unnamed => registered(seen),
    }
}

/// What is waited for until the Node of this machine, which has joined and has this name, is there; `None` once it is. `restarted`: kubelet
/// was, for it.
#[must_use]
pub fn awaited(node: &NodeView, name: &str, restarted: bool) -> Option<WorkerWait> {
    let node_name = name.to_owned();
    match node {
        NodeView::Mine => None,
        NodeView::NotAsked => {
            let why = "this machine has no /etc/kubernetes/kubelet.conf that can be used".to_owned();
            Some(WorkerWait::ApiServer { why })
        }
        NodeView::Silent { why } => Some(WorkerWait::ApiServer { why: why.clone() }),
        NodeView::OtherAuthority => Some(WorkerWait::OtherAuthority),
        NodeView::Refused { why, .. } => Some(WorkerWait::Credentials { why: why.clone() }),
        NodeView::Unnamed => Some(WorkerWait::ProviderId { node: node_name }),
        NodeView::OfAnother { mark } => Some(WorkerWait::NodeTaken { node: node_name, mark: mark.clone() }),
        NodeView::Missing { .. } => Some(WorkerWait::Registration { node: node_name, restarted }),
    }
}

/// A machine that has joined: its Node is to be there, and kubelet to answer.
fn registered(seen: &WorkerSnapshot) -> WorkerStep {
    if restarts_kubelet(&seen.node, seen.kubelet_restarted, false) {
        return WorkerStep::RestartKubelet;
    }
    if let Some(wait) = awaited(&seen.node, &seen.node_name, seen.kubelet_restarted) {
        return WorkerStep::Wait(wait);
    }
    if seen.source_dest_check == CheckState::Due {
        return WorkerStep::SwitchOffCheck;
    }
    match (seen.kubelet_answers, seen.hook) {
        (Some(false), _) => WorkerStep::Wait(WorkerWait::Kubelet),
        (Some(true) | None, _) if seen.is_cordoned => WorkerStep::Uncordon,
        // It may wait for a machine that enters a warm pool.
        (Some(true) | None, LaunchHookState::Due) if !seen.is_target_known => WorkerStep::Wait(WorkerWait::Target),
        (Some(true) | None, LaunchHookState::Due) => WorkerStep::CompleteHook,
        (Some(true) | None, LaunchHookState::Settled) => WorkerStep::Done,
    }
}
