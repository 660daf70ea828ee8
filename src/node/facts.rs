//! Who this machine is and what its settings and documents say: gathered once, before anything is decided.

use super::this_boot::ThisBoot;
use crate::aws::Session;
use crate::aws::imds::{self, InstanceMetadata};
use crate::exit::Exit;
use crate::host::files;
use crate::kubeadm::data_dir;
use crate::kubeadm::documents::{ClusterFacts, Documents, NodeFacts};
use crate::kubeadm::output::Version;
use crate::kubeadm::run::Kubeadm;
use crate::model::duration::in_words;
use crate::model::machine::ids::BootId;
use crate::model::record::identity::Identity;
use crate::settings::{CloudProvider, Role, Settings};
use anyhow::{Context, Result, anyhow};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio::try_join;

/// How long IMDS may answer nothing or nonsense after boot.
const IMDS_TIMEOUT: Duration = Duration::from_secs(120);
/// Between two questions to IMDS.
const IMDS_INTERVAL: Duration = Duration::from_secs(1);
/// The largest file of kubeadm documents, in bytes.
const DOCUMENTS_LIMIT: u64 = 1024 * 1024;

/// What does not change while a command runs.
#[derive(Clone)]
pub struct Facts {
    /// The settings.
    pub settings: Settings,
    /// What IMDS says.
    pub machine: InstanceMetadata,
    /// The name of this machine's Node.
    pub node_name: String,
    /// This boot.
    pub boot: BootId,
    /// The operator's documents.
    pub documents: Documents,
    /// What all machines know of their cluster.
    pub cluster: ClusterFacts,
    /// What only this machine knows.
    pub node: NodeFacts,
}

impl Facts {
    /// Reads the documents, and asks kubeadm for its version while it asks IMDS (for a while: at boot that may be late).
    ///
    /// # Errors
    /// With the [`Exit`] it should end in.
    pub async fn gather(settings: Settings) -> Result<Self> {
        let documents = read_documents(settings.kubeadm_config.as_deref()).context(Exit::Usage)?;
        let imds_timeout = IMDS_TIMEOUT.min(settings.deadline);
        let (cluster, machine) = try_join!(judged_cluster(&settings, &documents), async {
            machine(imds_timeout).await.context(Exit::TryAgain)
        })?;
        Self::assemble(settings, documents, cluster, machine)
    }
    /// Puts together what was gathered, and derives the rest.
    ///
    /// # Errors
    /// With [`Exit::Usage`] when the Node would have no name.
    pub fn assemble(
        settings: Settings,
        documents: Documents,
        cluster: ClusterFacts,
        machine: InstanceMetadata,
    ) -> Result<Self> {
        let node_name = settings.node_name.clone().unwrap_or_else(|| machine.private_dns_name.clone());
        if node_name.is_empty() {
            return Err(anyhow!("IMDS gives no private DNS name: set 'node_name'").context(Exit::Usage));
        }
        let external = settings.cloud_provider == Some(CloudProvider::External);
        let node = NodeFacts {
            name: node_name.clone(),
            address: machine.addresses[0],
            other_address: machine.addresses.iter().find(|a| a.is_ipv4() != machine.addresses[0].is_ipv4()).copied(),
            provider_id: machine.provider_id(),
            external_cloud: external,
            cri_socket: None,
            has_harmless_folder: documents.data_dir().is_some_and(data_dir::has_harmless_folder),
        };
        Ok(Self { settings, machine, node_name, boot: boot_id()?, documents, cluster, node })
    }

    /// Takes what this boot knows already, or else asks IMDS for at most `time_limit`: for commands that cannot wait for a
    /// silent metadata service. The documents are taken as they are, since no kubeadm is going to read them.
    ///
    /// # Errors
    /// IMDS does not say in that time who this machine is; or with the [`Exit`] it should end in.
    pub async fn gather_within(settings: Settings, time_limit: Duration) -> Result<Self> {
        let documents = read_documents(settings.kubeadm_config.as_deref()).context(Exit::Usage)?;
        let boot = boot_id()?;
        let (machine, kubeadm) = match ThisBoot::load(&boot) {
            Some(ThisBoot { machine, kubeadm, .. }) => (machine, kubeadm),
            None => {
                let asked = timeout(time_limit, imds::describe(&imds::client())).await;
                (
                    asked.context("IMDS did not answer in time").and_then(|answer| answer).context(Exit::TryAgain)?,
                    String::new(),
                )
            }
        };
        let cluster = cluster(&settings, kubeadm);
        Self::assemble(settings, documents, cluster, machine)
    }

    /// Writes down who this machine is, for commands that cannot ask in time. A failure is logged and ignored.
    pub fn remember(&self) {
        let (boot, machine) = (self.boot.clone(), self.machine.clone());
        let kubeadm = self.cluster.kubernetes_version.clone();
        if let Err(error) = (ThisBoot { boot, machine, kubeadm }).save() {
            tracing::warn!("{error:#}");
        }
    }

    /// What this machine would write into a record.
    #[must_use]
    pub fn identity(&self, group_arn: &str) -> Identity {
        Identity {
            account: self.machine.account.clone(),
            region: self.machine.region.clone(),
            group_arn: group_arn.to_owned(),
            endpoint: self.cluster.endpoint(),
            service_subnet: self.documents.service_subnet().to_owned(),
        }
    }

    /// Connects to AWS.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub async fn connect(&self) -> Result<Session> {
        Session::connect(&self.settings, Some(&self.machine.region)).await
    }

    /// Whether etcd is external.
    #[must_use]
    pub fn external_etcd(&self) -> bool {
        self.documents.external_etcd().is_some()
    }

    /// The port on which every API server of this cluster listens.
    #[must_use]
    pub fn api_port(&self) -> u16 {
        self.documents.bind_port().unwrap_or(self.cluster.port)
    }
}

/// What all machines with these settings and a kubeadm of this version know of their cluster.
#[must_use]
pub fn cluster(settings: &Settings, kubernetes_version: String) -> ClusterFacts {
    ClusterFacts {
        name: settings.cluster.clone(),
        host: settings.endpoint.host.clone(),
        port: settings.endpoint.port,
        kubernetes_version,
    }
}

/// What all machines know of their cluster, by the settings and kubeadm's version, once the documents are seen to fit both.
async fn judged_cluster(settings: &Settings, documents: &Documents) -> Result<ClusterFacts> {
    let version = Kubeadm::read_only().version().await.context(Exit::Usage)?;
    if !version.is_supported() {
        let (major, minor) = Version::OLDEST;
        return Err(anyhow!(
            "found kubeadm {version}, kubeboot needs {major}.{minor} or newer: build the image with a newer one"
        )
        .context(Exit::Usage));
    }
    let cluster = cluster(settings, version.to_string());
    let refused = match settings.role {
        Role::ControlPlane => documents.refusals(&cluster),
        Role::Worker => documents.worker_refusals(),
    };
    let refusals: Vec<String> = refused.iter().map(ToString::to_string).collect();
    if !refusals.is_empty() {
        let file = settings.kubeadm_config.as_deref().unwrap_or(Path::new("(none)")).display().to_string();
        return Err(anyhow!("{}", refusals.join("\n"))
            .context(format!("failed to use the kubeadm configuration '{file}'"))
            .context(Exit::Usage));
    }
    Ok(cluster)
}

/// Reads and parses the operator's documents; no file means none.
///
/// # Errors
/// Names the file.
pub fn read_documents(path: Option<&Path>) -> Result<Documents> {
    let Some(path) = path else { return Ok(Documents::default()) };
    let failed = || format!("failed to read the kubeadm configuration '{}'", path.display());
    let bytes = files::read_bounded(path, DOCUMENTS_LIMIT).with_context(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("it is not UTF-8")).with_context(failed)?;
    Documents::parse(&text).with_context(failed)
}

async fn machine(time_limit: Duration) -> Result<InstanceMetadata> {
    let client = imds::client();
    let start = Instant::now();
    let mut logged = false;
    loop {
        match imds::describe(&client).await {
            Ok(machine) => return Ok(machine),
            Err(error) if start.elapsed() >= time_limit => {
                return Err(error.context(format!("gave up on IMDS after {}", in_words(start.elapsed()))));
            }
            Err(error) => {
                if !logged {
                    tracing::info!("waiting for IMDS: {error:#}");
                }
                logged = true;
            }
        }
        sleep(IMDS_INTERVAL).await;
    }
}

/// The ID of this boot.
///
/// # Errors
/// The kernel does not tell.
pub fn boot_id() -> Result<BootId> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read '{}'", path.display()))?;
    Ok(BootId::parse(text.trim())?)
}
