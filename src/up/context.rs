//! The context of one `up`: everything it holds while it loops.

use super::failed_attempt::another_wipe;
use super::hook::LaunchHook;
use super::membership::Membership;
use super::own_node::OwnNode;
use super::prefetch::Prefetch;
use super::record::RecordHold;
use super::reporting::Reporting;
use super::saved_snapshot::SavedSnapshot;
use super::source_dest_check::SourceDestCheck;
use super::{StepOutcome, UpOptions};
use crate::aws::store::Store;
use crate::bucket::Roll;
use crate::exit::Exit;
use crate::guard::ManifestsAside;
use crate::host::lock::Lock;
use crate::host::short_lived::ShortLived;
use crate::kubeadm::data_dir::has_harmless_folder;
use crate::kubeadm::manifests;
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::state;
use crate::kubeadm::wipe::{self, MemberData};
use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::local::Local;
use crate::model::up::give_up::may_be_given_up;
use crate::model::up::snapshot::Policy;
use crate::model::up::step::Wipe;
use crate::node::Facts;
use crate::node::credentials::UP;
use crate::node::fitness::Fitness;
use crate::node::group::GroupWatch;
use crate::node::registrar::Registrar;
use crate::settings::HookOnFailure;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// A record that is gone is waited for so long. For up to 15 minutes after versioning was enabled S3 may answer 404 for objects
/// that exist (S3 User Guide, enabling versioning).
const MISSING_GRACE: Duration = Duration::from_mins(15);

/// Everything one `up` holds, sorted by what it serves.
pub struct UpContext {
    /// Who this machine is.
    pub facts: Facts,
    policy: Policy,
    pub(super) store: Store,
    /// Where snapshots are.
    pub(super) snapshots: Store,
    /// All registrations.
    pub(super) roll: Roll,
    pub(super) kubeadm: Kubeadm,
    pub(super) group: GroupWatch,
    /// For the cluster record and a claim on it.
    pub(super) record: RecordHold,
    /// The record's snapshot, where it names one.
    pub(super) saved_snapshot: SavedSnapshot,
    /// For the membership of etcd.
    pub(super) membership: Membership,
    /// For the images that are pulled while this machine waits.
    pub(super) prefetch: Prefetch,
    /// What is wrong with this machine itself.
    pub(super) fitness: Fitness,
    /// EC2's source/destination check of this instance.
    pub(super) source_dest_check: SourceDestCheck,
    /// For the launch hook of the group.
    pub(super) launch_hook: LaunchHook,
    /// The manifests that the guard has set aside.
    pub(super) manifests_aside: ManifestsAside,
    /// For this machine's Node.
    pub(super) own_node: OwnNode,
    /// How many wipes have failed in this run.
    failed_wipes: u32,
    /// What was last said of files that this machine has lost.
    pub(super) said_of_files: Option<String>,
    /// For whoever wants to know what this machine does.
    pub(super) report: Reporting,
    /// Whether this `up` works here: with the machine's lock, and not only to say what it would do.
    pub(super) works: bool,
    /// What it needs only while it works; credentials above all.
    _short_lived: Option<ShortLived>,
}

impl Drop for UpContext {
    /// Also when this run is asked to stop in the middle. What a killed one has left, the next one removes when it begins.
    fn drop(&mut self) {
        if self.works {
            SavedSnapshot::remove();
        }
    }
}

impl UpContext {
    /// Connects to AWS.
    ///
    /// # Errors
    /// A proxy variable that is no URL.
    pub async fn new(facts: Facts, lock: Option<&Lock>, options: UpOptions) -> Result<Self> {
        let settings = &facts.settings;
        let session = facts.connect().await?;
        let store = session.store.clone();
        let policy = Policy {
            expected_size: settings.expected_size,
            settle_timeout: settings.settle_timeout,
            claim_stagger: settings.claim_stagger,
            claim_ttl: settings.claim_ttl,
            init_attempts: settings.init_attempts,
            gone_grace: settings.gone_grace,
            missing_grace: MISSING_GRACE,
            accept_group: options.accept_group,
        };
        let context = Self {
            works: lock.is_some(),
            _short_lived: lock.map(|_| ShortLived::sole(UP)).transpose()?,
            group: GroupWatch::new(&session, facts.machine.instance.clone(), settings.group.clone()),
            record: RecordHold::new(&store),
            saved_snapshot: SavedSnapshot::default(),
            snapshots: session.snapshots.clone(),
            membership: Membership::new(&facts, &store),
            prefetch: Prefetch::new(&facts),
            fitness: Fitness::default(),
            source_dest_check: SourceDestCheck::new(&session, &facts),
            launch_hook: LaunchHook::new(&session, &facts),
            manifests_aside: ManifestsAside::default(),
            own_node: OwnNode::default(),
            failed_wipes: 0,
            said_of_files: None,
            report: Reporting::new(Registrar::new(store.clone(), &facts)),
            kubeadm: lock.map_or_else(Kubeadm::read_only, Kubeadm::new),
            roll: Roll::new(&store),
            store,
            policy,
            facts,
        };
        if context.works {
            SavedSnapshot::remove();
        }
        Ok(context)
    }

    /// What decisions depend on beside what is seen.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the disk says.
    pub(super) fn local(&self) -> Result<Local> {
        local(&self.facts)
    }

    /// Whose data this machine's etcd finds: where its manifest says, which follows the cluster's configuration.
    pub(super) fn data(&self) -> EtcdData {
        let folder = self.facts.documents.data_dir();
        folder.map_or(EtcdData::Elsewhere, |folder| manifests::data(Path::new("/"), folder))
    }

    /// Wipes this machine, for a reason that makes it lawful. A held claim goes on beating meanwhile.
    pub(super) async fn wipe(&mut self, why: &Wipe) -> Result<StepOutcome> {
        let data = if why.keeps_data() { MemberData::MovedAside } else { MemberData::Removed };
        tracing::warn!(reason = %why, "wiping what kubeadm left on this machine");
        let documents = &self.facts.documents;
        let wiped = wipe::wipe(&self.kubeadm, documents.data_dir(), documents.cri_socket(), data);
        let wiped = match &mut self.record.claim {
            Some(claim) => match claim.while_holding(wiped).await {
                Ok(result) => result,
                Err(lost) => {
                    self.lost(&lost).await;
                    Ok(())
                }
            },
            None => wiped.await,
        };
        if let Err(error) = wiped {
            self.failed_wipes = self.failed_wipes.saturating_add(1);
            return Ok(StepOutcome::Wait(another_wipe(&error, self.failed_wipes)));
        }
        self.facts.node.has_harmless_folder = self.facts.documents.data_dir().is_some_and(has_harmless_folder);
        self.membership.credentials = None;
        self.report.registrar.no_member();
        Ok(StepOutcome::Again)
    }

    /// Gives this machine up, only if the settings say so and another machine could do better.
    pub(super) async fn abandon_hook(&self, exit: Exit) {
        let (hindrance, lacks_quorum) = (self.report.hindrance, self.membership.probe.lacks_quorum());
        let lawful = self.local().is_ok_and(|local| may_be_given_up(hindrance, &local, lacks_quorum));
        if lawful && exit.may_abandon() && self.facts.settings.launch_hook_on_failure == HookOnFailure::Abandon {
            self.launch_hook.abandon(self.group.last()).await;
        }
    }
}

/// What the disk says.
pub(super) fn local(facts: &Facts) -> Result<Local> {
    state::observe(Path::new("/"), facts.documents.data_dir()).context(Exit::Operator)
}
