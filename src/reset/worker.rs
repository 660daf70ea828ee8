//! `kubeboot reset` of a worker. One that goes down has nothing to leave: its agent drains it, and the leader deletes its Node. By hand it
//! is drained, as long as `drain_timeout` allows, and wiped, so that it can join again.

use super::{keep_up_out, stayed};
use crate::exit::{Exit, Leaving};
use crate::host::confirm::confirm;
use crate::host::lock::{self, Lock};
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::wipe::{self, MemberData};
use crate::kubeadm::worker_state::{self, KUBELET_CONF, WorkerMarker};
use crate::layout::{say, tell};
use crate::model::agent::{Ending, HookView};
use crate::model::duration::in_words;
use crate::model::worker::leave::{WorkerGoes, WorkerLeaveStep, WorkerLeaving, decide};
use crate::model::worker::revive::NodeView;
use crate::model::worker::snapshot::WorkerLocal;
use crate::model::worker::step::WorkerStop;
use crate::node::draining::Draining;
use crate::node::facts::read_documents;
use crate::node::worker_node::WorkerNode;
use crate::node::{Facts, departure};
use crate::reset::ResetOptions;
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long IMDS may take: a person waits.
const IMDS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the lock of another run may take, which is ended.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks at the pods.
const INTERVAL: Duration = Duration::from_secs(2);

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in.
pub(super) async fn run(settings: Settings, options: ResetOptions) -> Result<Leaving> {
    if !options.now {
        must_be_no_control_plane(&settings)?;
        let why =
            "a worker leaves nothing behind that must be removed; its agent drains it, and the leader deletes its Node";
        if options.dry_run {
            say(&format!("plan: stay: {why}"));
        }
        return Ok(stayed(why));
    }
    let documents = read_documents(settings.kubeadm_config.as_deref()).context(Exit::Usage)?;
    let local = local(documents.data_dir())?;
    let plan = plan(&settings);
    if options.dry_run {
        say("plan:");
        plan.iter().for_each(|step| say(&format!("  {step}")));
        return Ok(Leaving::Left);
    }
    if local == WorkerLocal::Fresh {
        departure::remove(Path::new("/")).context(Exit::Operator)?;
        return Ok(stayed("this machine is a node of no cluster"));
    }
    if !options.yes {
        tell("This takes this worker out of its cluster:");
        plan.iter().for_each(|step| tell(&format!("  {step}")));
        confirm(false).await?;
    }
    let facts = Facts::gather_within(settings, IMDS_TIMEOUT).await?;
    let others = |holder: &str| !holder.starts_with("kubeboot reset");
    let log = |reason: &str| tracing::info!("waiting: {reason}");
    let lock =
        Lock::acquire_preempting(Path::new(lock::PATH), "kubeboot reset --now", LOCK_TIMEOUT, others, log).await?;
    keep_up_out().await;
    // Whoever held the lock until now may have left another state.
    if self::local(facts.documents.data_dir())? == WorkerLocal::Fresh {
        departure::remove(Path::new("/")).context(Exit::Operator)?;
        return Ok(stayed("this machine is a node of no cluster"));
    }
    drain(&facts).await;
    wipe_here(&facts, &lock).await?;
    tracing::info!(
        "this machine is fresh: 'kubeboot up' makes it join again; if it is not to, 'kubectl delete node {}' removes its Node, which a \
         kubelet may not",
        facts.node_name
    );
    Ok(Leaving::Left)
}

/// That this machine may go down without leaving anything: one of a control plane takes a voter with it, whatever its role says, and perhaps the
/// last copy of the cluster.
fn must_be_no_control_plane(settings: &Settings) -> Result<()> {
    // Documents that cannot be read name no folder: kubeadm's own is looked at all the same.
    let documents = read_documents(settings.kubeadm_config.as_deref());
    let data_dir = documents.as_ref().ok().and_then(|documents| documents.data_dir());
    if worker_state::has_control_plane(Path::new("/"), data_dir).context(Exit::Operator)? {
        return Err(anyhow!("{}", WorkerStop::OfControlPlane).context(Exit::Operator));
    }
    Ok(())
}

/// What this machine's disk says. Nothing of a control plane is ever wiped as a worker's. `data_dir`: where the documents have etcd's data.
fn local(data_dir: Option<&Path>) -> Result<WorkerLocal> {
    let root = Path::new("/");
    let local = worker_state::observe(root).context(Exit::Operator)?;
    if local == WorkerLocal::OfControlPlane
        || worker_state::has_control_plane(root, data_dir).context(Exit::Operator)?
    {
        return Err(anyhow!("{}", WorkerStop::OfControlPlane).context(Exit::Operator));
    }
    Ok(local)
}

/// What is going to be done, for people.
fn plan(settings: &Settings) -> [String; 2] {
    let drain = in_words(settings.drain_timeout);
    [
        format!(
            "drain: close its Node for new pods and evict those that are there, for at most {drain} ('drain_timeout')"
        ),
        "wipe: remove what kubeadm has left here".to_owned(),
    ]
}

/// Drains the machine. What stands in the way is said, and after `drain_timeout` it goes all the same.
async fn drain(facts: &Facts) {
    let (mut draining, begun, mut said) = (Draining::default(), Instant::now(), String::new());
    let mut node = WorkerNode::default();
    loop {
        let has_credentials = Path::new(KUBELET_CONF).exists();
        let seen = WorkerLeaving {
            ending: Some(Ending {
                source: "kubeboot reset --now".to_owned(),
                known_for: begun.elapsed(),
                retained: false,
                left: None,
            }),
            hook: HookView::Unnamed,
            hook_lasts: None,
            // Else nothing here had begun.
            of_control_plane: false,
            drain_timeout: facts.settings.drain_timeout,
            has_credentials,
            node: if has_credentials { node.look(facts).await } else { NodeView::NotAsked },
            // It comes back: nothing keeps `up` away from it.
            is_marked: true,
            is_cordoned: draining.is_cordoned,
            pods: draining.pods(facts).await,
        };
        let step = decide(&seen);
        let words = step.to_string();
        if words != said {
            tracing::info!("{words}");
            said = words;
        }
        let done = match &step {
            WorkerLeaveStep::Cordon => draining.cordon(facts).await,
            WorkerLeaveStep::Evict(pods) => draining.evict(facts, pods).await,
            WorkerLeaveStep::Rest(
                WorkerGoes::NoNode | WorkerGoes::NoCredentials | WorkerGoes::Drained | WorkerGoes::TimeUp { .. },
            ) => return,
            WorkerLeaveStep::Watch | WorkerLeaveStep::Mark | WorkerLeaveStep::Hold(_) | WorkerLeaveStep::Answer(_) => {
                Ok(())
            }
        };
        match done {
            Err(error) => tracing::warn!("{error:#}"),
            Ok(()) if step == WorkerLeaveStep::Cordon => continue,
            Ok(()) => {}
        }
        sleep(INTERVAL).await;
    }
}

/// Wipes the machine: the marker of this worker goes last but one, that of leaving last.
async fn wipe_here(facts: &Facts, lock: &Lock) -> Result<()> {
    let root = Path::new("/");
    let socket = facts.documents.cri_socket();
    wipe::wipe(&Kubeadm::new(lock), None, socket, MemberData::Removed).await.context(Exit::Kubeadm)?;
    WorkerMarker::remove(root).context(Exit::Operator)?;
    departure::remove(root).context(Exit::Operator)
}
