//! The shell around the model: everything one `up` holds while it loops.

use super::wait_log::WaitLog;
use super::{StepOutcome, UpOptions};
use crate::aws::hook::Hook;
use crate::aws::store::Store;
use crate::bucket::{Held, Watch, keys};
use crate::exit::Exit;
use crate::host::files;
use crate::host::lock::Lock;
use crate::host::systemd::notify;
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::wipe;
use crate::model::machine::ids::ClaimId;
use crate::model::record::cluster::ClusterRecord;
use crate::model::up::snapshot::Policy;
use crate::model::up::step::{Step, Wipe};
use crate::node::Facts;
use crate::node::credentials::{Credentials, FOLDER};
use crate::node::group::GroupWatch;
use crate::node::lease::Queue;
use crate::node::leaving_unit::LeavingUnit;
use crate::node::registrar::Registrar;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// Everything one `up` holds.
pub struct Shell {
    /// Who this machine is.
    pub facts: Facts,
    pub(super) store: Store,
    pub(super) group: GroupWatch,
    pub(super) record: Watch,
    pub(super) lease: Queue,
    pub(super) registrar: Registrar,
    pub(super) hook: Option<Hook>,
    pub(super) heartbeat: Option<Instant>,
    pub(super) kubeadm: Kubeadm,
    /// Whether this process has seen that the bucket honours conditional writes.
    pub(super) conditions_count: bool,
    /// The claim this process has written and not lost.
    pub(super) claim: Option<Held<ClusterRecord>>,
    pub(super) failed_inits: u32,
    /// Where credentials are made.
    pub(super) credentials_folder: PathBuf,
    /// Credentials for the cluster of this claim.
    pub(super) credentials: Option<(ClaimId, Credentials)>,
    /// The record's claim, as last read, for registrations.
    pub(super) following: Option<ClaimId>,
    pub(super) probe: super::observe::Probe,
    /// Whether versions and documents were compared with the cluster.
    pub(super) compared: bool,
    /// What kubeadm last failed with in this run.
    pub(super) kubeadm_failed: Option<String>,
    pub(super) leaving_unit: LeavingUnit,
    policy: Policy,
    told: WaitLog,
    announced: Option<Step>,
}

impl Shell {
    /// Connects to AWS.
    ///
    /// # Errors
    /// A proxy variable that is no URL.
    pub async fn new(facts: Facts, lock: Option<&Lock>, options: UpOptions) -> Result<Self> {
        let settings = &facts.settings;
        let (sdk, store) = facts.connect().await?;
        let policy = Policy {
            expected_size: settings.expected_size,
            settle_timeout: settings.settle_timeout,
            claim_stagger: settings.claim_stagger,
            claim_ttl: settings.claim_ttl,
            init_attempts: settings.init_attempts,
            gone_grace: settings.gone_grace,
            accept_group: options.accept_group,
        };
        Ok(Self {
            group: GroupWatch::new(&sdk, facts.machine.instance.clone(), settings.group.clone()),
            record: Watch::new(store.clone(), keys::RECORD),
            lease: Queue::new(store.clone(), facts.machine.instance.clone(), settings.lease_ttl),
            registrar: Registrar::load(store.clone(), &facts).await,
            hook: settings.launch_hook.clone().map(|name| Hook::new(&sdk, name, facts.machine.instance.clone())),
            heartbeat: None,
            conditions_count: false,
            claim: None,
            failed_inits: 0,
            credentials_folder: Path::new(FOLDER).join("credentials"),
            credentials: None,
            following: None,
            probe: super::observe::Probe::default(),
            compared: false,
            kubeadm_failed: None,
            leaving_unit: LeavingUnit::default(),
            told: WaitLog::default(),
            announced: None,
            store,
            kubeadm: lock.map_or_else(Kubeadm::read_only, Kubeadm::new),
            policy,
            facts,
        })
    }

    /// What decisions depend on beside what is seen.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// One line in the log for every change of mind; waits are told by [`Shell::waits`].
    pub fn announce(&mut self, step: &Step) {
        let is_wait = matches!(step, Step::Wait(_) | Step::StandBy(_) | Step::Join | Step::Keep);
        if !is_wait && self.announced.as_ref() != Some(step) {
            tracing::info!(step = step.name(), "{step}");
            notify::status(&step.to_string());
        }
        if !is_wait {
            self.told.forget();
        }
        self.announced = Some(step.clone());
    }

    /// Tells what is waited for, in the log, to systemd and to the others.
    pub async fn waits(&mut self, reason: &str) {
        if self.told.tell(reason) {
            self.registrar.waiting(self.following.as_ref(), reason).await;
        }
    }

    /// The last words of an `up` that ends with an error.
    pub async fn give_up(&mut self, error: &anyhow::Error) {
        self.registrar.gave_up(&format!("{error:#}")).await;
    }

    /// Removes what was needed only while `up` worked: credentials above all.
    pub fn tidy(&self) {
        let folder = &self.credentials_folder;
        if folder.exists()
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            tracing::warn!("failed to remove '{}': {error}", folder.display());
        }
        for name in ["kubeadm-join.yaml", "hosts"] {
            if let Err(error) = files::remove(&Path::new(FOLDER).join(name)) {
                tracing::warn!("{error:#}");
            }
        }
    }

    /// Wipes this machine, for a reason that makes it lawful. A held claim goes on beating meanwhile.
    pub(super) async fn wipe(&mut self, why: &Wipe) -> Result<StepOutcome> {
        tracing::warn!(reason = %why, "wiping what kubeadm left on this machine");
        let documents = &self.facts.documents;
        let wiped = wipe::wipe(&self.kubeadm, documents.data_dir(), documents.cri_socket());
        match &mut self.claim {
            Some(claim) => match claim.while_holding(wiped).await {
                Ok(result) => result.context(Exit::Kubeadm)?,
                Err(lost) => self.lost(&lost),
            },
            None => wiped.await.context(Exit::Kubeadm)?,
        }
        self.credentials = None;
        self.registrar.no_member();
        Ok(StepOutcome::Again)
    }
}
