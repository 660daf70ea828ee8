//! Carrying duties out.

use super::Scene;
use super::leadership::hand_over;
use super::look::{Eyes, Look, reaper};
use crate::aws::hook::{HookResult, Transition};
use crate::bucket::registrations;
use crate::host::lock::{self, Lock};
use crate::kube::{Client, Deleted};
use crate::model::agent::duties::{Duty, decide};
use crate::model::machine::ids::{InstanceId, Nonce};
use crate::node::lease::release;
use crate::node::registrar::rfc3339;
use anyhow::{Context, Result, anyhow, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long one attempt to get this machine's lock takes. Whoever has it goes first.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one attempt to get the membership lease takes, in which `up` waits for this machine's lock. A holder that is dead is seen to
/// be so over several attempts.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long all that is done under the lease may take.
const WORK_TIMEOUT: Duration = Duration::from_secs(90);
/// How many duties are done under one holding of the lease.
const MOST_DUTIES: usize = 8;

/// A duty that does not change etcd's membership.
pub(super) async fn by_itself(scene: &Scene, look: &Look, duty: &Duty) -> Result<()> {
    match duty {
        Duty::DeleteNode(node, _) => {
            let address = SocketAddr::new(scene.facts.node.address, scene.facts.api_port());
            let client = Client::new(&look.credentials.kubeconfig, address)?;
            match client.delete_seen_node(node).await? {
                Deleted::Done => tracing::warn!(node = node.name, uid = node.uid, "{duty}"),
                Deleted::NotThere | Deleted::AnotherOne => {
                    tracing::info!(node = node.name, "the Node is not the one that was judged any more, and stays");
                }
            }
        }
        Duty::Replace(instance) => {
            scene.session.set_unhealthy(instance).await?;
            tracing::warn!(%instance, "{duty}");
        }
        Duty::Reap(..) | Duty::TakeOut(..) | Duty::CompleteHook(_) => bail!("it is done under the membership lease"),
    }
    Ok(())
}

/// Does all duties that change etcd's membership, each judged by a look of its own.
pub(super) async fn under_the_lease(scene: &Scene, eyes: &mut Eyes<'_>, over: &watch::Receiver<bool>) -> Result<()> {
    let waits = |why: &str| tracing::info!("waiting: {why}");
    let _lock = Lock::acquire(Path::new(lock::PATH), super::super::COMMAND, LOCK_TIMEOUT, waits).await?;
    let instances = eyes.instances();
    let taken = eyes.queue.take_within("reap", &instances, QUEUE_TIMEOUT, waits).await?;
    let (mut held, nonce) = taken.map_err(|reason| anyhow!("it waits for {reason}"))?;
    tracing::info!(lease = %nonce, "this machine holds the membership lease");
    let mut over = over.clone();
    let work = async {
        tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => Err(anyhow!("this machine takes part no longer")),
            done = timeout(WORK_TIMEOUT, all(scene, eyes, &nonce)) => done.context("it took too long")?,
        }
    };
    let done = held.while_holding(work).await;
    release(*held).await;
    done.context("the membership lease was lost")?
}

/// One that fails keeps no other from being done; the first failure is the one that is told.
async fn all(scene: &Scene, eyes: &mut Eyes<'_>, nonce: &Nonce) -> Result<()> {
    let (mut failed, mut first) = (Vec::new(), None);
    for _ in 0..MOST_DUTIES {
        // Whoever held the lease before may have changed everything, and so has the duty before.
        let look = eyes.look(true, Some(nonce)).await?;
        let decided = decide(&look.sight);
        let Some(duty) = next(&decided.duties, &failed) else { break };
        // `up` and `reset` go first: what is left is judged anew afterwards.
        if Lock::is_wanted(Path::new(lock::PATH)) {
            tracing::info!("another kubeboot wants this machine's lock, so what is left is done later");
            break;
        }
        if let Err(error) = one(scene, &look, duty, nonce).await {
            tracing::warn!("a duty has failed, and is tried again later: {error:#}");
            failed.push(duty.clone());
            first = first.or(Some(error));
        }
    }
    first.map_or(Ok(()), Err)
}

/// The first duty under the lease that has not failed yet.
fn next<'a>(duties: &'a [Duty], failed: &[Duty]) -> Option<&'a Duty> {
    duties.iter().find(|duty| duty.wants_lease() && !failed.contains(duty))
}

async fn one(scene: &Scene, look: &Look, duty: &Duty, nonce: &Nonce) -> Result<()> {
    let members = look.sight.members.as_ref().context("there is no list of members")?;
    let all = &look.sight.registrations;
    let reaper = reaper(scene, &look.credentials, &look.view, nonce)?;
    match duty {
        Duty::Reap(member, why) => reaper.reap_member(members, member, why, all).await.map(drop),
        Duty::TakeOut(member, instance) => {
            hand_over(reaper.access, members, member.id, all).await;
            reaper.remove(members, member.id).await?;
            tracing::warn!(member = %member.id, %instance, "{duty}");
            // Its Node goes when EC2 says that the machine has ended: it may still run for hours. Its registration, whose rest is the sign
            // of a dead agent, is marked when its hook is completed.
            if !waits_for_hook(look, instance) {
                mark(scene, look, instance).await;
            }
            Ok(())
        }
        Duty::CompleteHook(instance) => complete_hook(scene, look, duty, instance).await,
        Duty::DeleteNode(..) | Duty::Replace(_) => bail!("it is done without the membership lease"),
    }
}

async fn complete_hook(scene: &Scene, look: &Look, duty: &Duty, instance: &InstanceId) -> Result<()> {
    let name = scene.facts.settings.terminate_hook.clone().context("the settings name no terminate hook")?;
    let group = look.sight.group.as_ref().context("the group is not known")?;
    let hook = scene.session.hook(Transition::Terminate, name, instance.clone());
    hook.complete(&group.name, HookResult::Continue).await?;
    tracing::warn!(%instance, "{duty}");
    mark(scene, look, instance).await;
    Ok(())
}

fn waits_for_hook(look: &Look, instance: &InstanceId) -> bool {
    let machine = look.sight.group.as_ref().and_then(|group| group.member(instance));
    look.sight.rules.has_hook && machine.is_some_and(|machine| machine.lifecycle.waits_to_end())
}

/// Marks the registration of a machine whose member is gone, as far as it has not changed.
async fn mark(scene: &Scene, look: &Look, instance: &InstanceId) {
    let Some(found) = look.sight.registrations.iter().find(|found| found.instance == *instance) else { return };
    if found.is_finished() {
        return;
    }
    if let Err(error) = registrations::mark_reaped(&scene.session.store, found, rfc3339()).await {
        tracing::warn!("failed to mark a registration as reaped: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duty_that_has_failed_keeps_no_other_from_being_done() -> Result<()> {
        let id = |n: u8| InstanceId::parse(format!("i-0000000{n}")).map_err(anyhow::Error::msg);
        let (first, other) = (Duty::CompleteHook(id(1)?), Duty::CompleteHook(id(2)?));
        let duties = [Duty::Replace(id(3)?), first.clone(), other.clone()];
        assert_eq!(next(&duties, &[]), Some(&first));
        assert_eq!(next(&duties, std::slice::from_ref(&first)), Some(&other));
        assert_eq!(next(&duties, &[first, other]), None);
        Ok(())
    }
}
