//! What the checks look at: gathered once, as far as it answers.

use super::finding::Finding;
use super::shared::SharedAnswer;
use crate::aws::Session;
use crate::aws::imds::{self, InstanceMetadata};
use crate::bucket::keys;
use crate::kubeadm::documents::{ClusterFacts, Documents};
use crate::kubeadm::output::Version;
use crate::kubeadm::run::Kubeadm;
use crate::model::machine::group::Group;
use crate::model::record::cluster::ClusterRecord;
use crate::node::Facts;
use crate::node::facts;
use crate::settings::{Role, Settings};
use anyhow::Result;
use futures::join;
use std::time::Duration;

/// A way to AWS, with credentials.
pub(super) struct CheckedAws {
    pub(super) session: Session,
    /// The Region that is asked.
    pub(super) region: String,
}

/// Everything that more than one check looks at.
pub(super) struct CheckInput {
    /// Whether this process may see and do everything.
    pub(super) is_root: bool,
    /// How long one question, and one check, may take.
    pub(super) within: Duration,
    pub(super) settings: SharedAnswer<Settings>,
    pub(super) machine: SharedAnswer<InstanceMetadata>,
    pub(super) kubeadm: SharedAnswer<Version>,
    pub(super) documents: SharedAnswer<Documents>,
    pub(super) facts: SharedAnswer<Facts>,
    pub(super) aws: SharedAnswer<CheckedAws>,
    pub(super) group: SharedAnswer<Group>,
    /// The cluster record, if there is one.
    pub(super) record: SharedAnswer<Option<ClusterRecord>>,
}

impl CheckInput {
    /// Asks all sources; those that do not depend on each other at the same time.
    pub(super) async fn gather(settings: Result<Settings>, within: Duration) -> Self {
        let settings = SharedAnswer::known("settings", settings.map_err(|error| Finding::error(&error)));
        let documents = SharedAnswer::known("kubeadm-config", settings.needed().and_then(read_documents));
        let (machine, kubeadm) =
            join!(SharedAnswer::ask("imds", within, machine()), SharedAnswer::ask("kubeadm", within, kubeadm()));
        let facts = SharedAnswer::known("node-name", assemble(&settings, &documents, &kubeadm, &machine));
        let aws = SharedAnswer::ask("credentials", within, connect(&settings, &machine)).await;
        let (group, record) = match settings.own().map(|settings| settings.role) {
            Ok(Role::Worker) => (none_of_workers("group"), none_of_workers("record")),
            Ok(Role::ControlPlane) | Err(_) => join!(
                SharedAnswer::ask("group", within, group(&settings, &machine, &aws)),
                SharedAnswer::ask("record", within, record(&aws))
            ),
        };
        let is_root = rustix::process::geteuid().is_root();
        Self { is_root, within, settings, machine, kubeadm, documents, facts, aws, group, record }
    }

    /// What is known of a machine of which an image is made.
    pub(super) async fn of_image(within: Duration) -> Self {
        Self {
            is_root: rustix::process::geteuid().is_root(),
            within,
            settings: none_of_images("settings"),
            machine: none_of_images("imds"),
            kubeadm: SharedAnswer::ask("kubeadm", within, kubeadm()).await,
            documents: SharedAnswer::known("kubeadm-config", Ok(Documents::default())),
            facts: none_of_images("node-name"),
            aws: none_of_images("credentials"),
            group: none_of_images("group"),
            record: none_of_images("record"),
        }
    }

    /// The role of this machine; that of a control-plane machine where the settings do not load.
    pub(super) fn role(&self) -> Role {
        self.settings.own().map(|settings| settings.role).unwrap_or_default()
    }

    /// Skips a check that only root can make.
    pub(super) fn needs_root(&self) -> Result<(), Finding> {
        if self.is_root { Ok(()) } else { Err(Finding::skipped("needs root")) }
    }

    /// What all machines know of their cluster: needs no IMDS.
    pub(super) fn cluster(&self) -> Result<ClusterFacts, Finding> {
        Ok(facts::cluster(self.settings.needed()?, self.kubeadm.needed()?.to_string()))
    }

    /// Whether the record names a cluster.
    pub(super) fn knows_a_cluster(&self) -> bool {
        self.record.own().is_ok_and(|record| record.as_ref().is_some_and(|record| record.published().is_some()))
    }
}

/// What a worker does not ask for.
fn none_of_workers<T>(check: &'static str) -> SharedAnswer<T> {
    SharedAnswer::known(check, Err(Finding::skipped("a worker does not ask for it")))
}

/// What an image does not have.
fn none_of_images<T>(check: &'static str) -> SharedAnswer<T> {
    SharedAnswer::known(check, Err(Finding::skipped("an image has none")))
}

fn read_documents(settings: &Settings) -> Result<Documents, Finding> {
    facts::read_documents(settings.kubeadm_config.as_deref()).map_err(|error| Finding::error(&error))
}

async fn machine() -> Result<InstanceMetadata, Finding> {
    imds::describe(&imds::client()).await.map_err(|error| {
        Finding::unanswered(
            format!("{error:#}"),
            "run this on an EC2 instance of the group, with its metadata service switched on",
        )
    })
}

async fn kubeadm() -> Result<Version, Finding> {
    Kubeadm::read_only().version().await.map_err(|error| Finding::error(&error))
}

fn assemble(
    settings: &SharedAnswer<Settings>,
    documents: &SharedAnswer<Documents>,
    kubeadm: &SharedAnswer<Version>,
    machine: &SharedAnswer<InstanceMetadata>,
) -> Result<Facts, Finding> {
    let cluster = facts::cluster(settings.needed()?, kubeadm.needed()?.to_string());
    let (settings, documents) = (settings.needed()?.clone(), documents.needed()?.clone());
    let facts = Facts::assemble(settings, documents, cluster, machine.needed()?.clone());
    facts.map_err(|error| Finding::error(&error))
}

/// Finds credentials before the calls that need them, so that their absence makes one finding and not a dozen.
async fn connect(
    settings: &SharedAnswer<Settings>,
    machine: &SharedAnswer<InstanceMetadata>,
) -> Result<CheckedAws, Finding> {
    let settings = settings.needed()?;
    let machine_region = machine.needed().ok().map(|machine| machine.region.as_str());
    let session = Session::connect(settings, machine_region).await.map_err(|error| Finding::error(&error))?;
    let region = session.region().map_err(|error| Finding::error(&error))?.to_owned();
    let remedy = "give the instance an instance profile with a role";
    match session.find_credentials().await {
        Ok(true) => Ok(CheckedAws { session, region }),
        Ok(false) => Err(Finding::failed("there are no AWS credentials", remedy)),
        Err(error) => Err(Finding::unanswered(format!("failed to get AWS credentials: {error:#}"), remedy)),
    }
}

async fn group(
    settings: &SharedAnswer<Settings>,
    machine: &SharedAnswer<InstanceMetadata>,
    aws: &SharedAnswer<CheckedAws>,
) -> Result<Group, Finding> {
    let session = &aws.needed()?.session;
    let me = &machine.needed()?.instance;
    let name = match &settings.needed()?.group {
        Some(name) => name.clone(),
        None => session.group_name_of(me).await?.ok_or_else(|| {
            Finding::failed(
                format!("Auto Scaling lists {me} in no group"),
                "launch the machine from the group, or wait a minute if it has only just been launched",
            )
        })?,
    };
    session.group(&name).await?.ok_or_else(|| {
        Finding::failed(format!("there is no Auto Scaling group '{name}'"), "correct the setting 'group'")
    })
}

async fn record(aws: &SharedAnswer<CheckedAws>) -> Result<Option<ClusterRecord>, Finding> {
    let store = &aws.needed()?.session.store;
    let Some(object) = store.get(keys::RECORD).await? else { return Ok(None) };
    ClusterRecord::parse(&object.body).map(Some).map_err(|error| {
        let text = format!("failed to read the cluster record '{}': {error}", store.url(keys::RECORD));
        Finding::failed(text, error.remedy())
    })
}
