//! Settings: a file, then `KUBEBOOT_...` variables, then flags, the later winning; parsed once into
//! values that need no further checks.
//!
//! What settings there are stands in [`table`]. A bad value never becomes a default: all that is
//! wrong is reported together, each with its name, where it came from and what is valid.

mod bucket;
mod endpoint;
mod file;
mod given;
mod listen;
mod location;
mod origin;
#[cfg(test)]
mod page;
mod raw;
mod role;
#[cfg(test)]
mod sample;
mod shapes;
pub mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::exit::Exit;
use crate::model::upgrade::KubernetesUpgrade;
pub use endpoint::Endpoint;
use given::Given;
pub use given::{DEFAULT_FILE, FILE_VARIABLE, Flags, span_within};
pub use location::SnapshotLocation;
pub use origin::Origin;
pub use role::{Rejoin, Role};

/// All settings, valid. What each is for, its default and its unit: [`table::SETTINGS`].
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "documented once, in the table")]
pub struct Settings {
    pub role: Role,
    pub cluster: Option<String>,
    pub bucket: String,
    pub prefix: String,
    pub endpoint: Endpoint,
    pub expected_size: Option<usize>,
    pub group: Option<String>,
    pub region: Option<String>,
    pub kms_key_id: Option<String>,
    pub server_side_encryption: Option<ObjectEncryption>,
    pub kubeadm_config: Option<PathBuf>,
    pub extra_shared_files: Vec<PathBuf>,
    pub node_name: Option<String>,
    pub cloud_provider: Option<CloudProvider>,
    pub settle_timeout: Duration,
    pub claim_stagger: Duration,
    pub claim_ttl: Duration,
    pub lease_ttl: Duration,
    pub init_attempts: u32,
    pub gone_grace: Duration,
    pub deadline: Duration,
    pub leave_budget: Duration,
    pub renew_before: Duration,
    pub launch_hook: Option<String>,
    pub launch_hook_on_failure: HookOnFailure,
    pub terminate_hook: Option<String>,
    pub drain_timeout: Duration,
    pub rejoin: Rejoin,
    pub source_dest_check: SourceDestCheck,
    pub prefetch: bool,
    pub workers: bool,
    pub kubernetes_upgrade: KubernetesUpgrade,
    pub agent_listen: Option<SocketAddr>,
    pub unhealthy_after: Duration,
    pub snapshot_interval: Duration,
    pub snapshot_location: Option<SnapshotLocation>,
    pub snapshot_kms_key_id: Option<String>,
    pub log_format: LogFormat,
    pub log_level: LogLevel,
    origins: BTreeMap<&'static str, Origin>,
}

/// Who tells Kubernetes about the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudProvider {
    /// A cloud controller manager in the cluster.
    External,
}

/// How S3 encrypts an object, as the header of the write says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectEncryption {
    /// Under S3's own keys.
    Aes256,
    /// Under a KMS key.
    Kms,
}

/// What becomes of the launch hook of a node that failed and is no member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HookOnFailure {
    /// It is left to its own time-out.
    #[default]
    Leave,
    /// It is completed with ABANDON.
    Abandon,
}

/// What becomes of EC2's source/destination check of this instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SourceDestCheck {
    /// It is left as it is.
    #[default]
    Unchanged,
    /// It is switched off.
    Off,
}

/// Something that is valid but probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsWarning {
    /// What it is, in one sentence.
    pub text: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Readable text, for the journal with priorities in place of times.
    #[default]
    Auto,
    /// Readable text.
    Text,
    /// One JSON object per line.
    Json,
    /// Fields to the journal.
    Journal,
}

/// What is logged, from the least to the most.
pub type LogLevel = tracing::metadata::LevelFilter;

impl Settings {
    /// Gathers and checks all settings, with the variables of this process.
    ///
    /// # Errors
    ///
    /// As [`Settings::load`].
    pub fn from_environment(flags: &Flags) -> Result<Self> {
        // A variable that is no text stays one that was given, and its odd characters are refused.
        Self::load(flags, |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Gathers and checks all settings. The environment is an argument so that tests need no
    /// global state.
    ///
    /// # Errors
    ///
    /// With [`Exit::Usage`] and everything that is wrong.
    pub fn load(flags: &Flags, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        Self::check(flags, env).context("failed to use the settings").context(Exit::Usage)
    }

    fn check(flags: &Flags, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut given = Given::gather(flags, env)?;
        let settings = Self::read(&mut given);
        given.problems.into_result()?;
        Ok(settings)
    }

    /// Reads every setting. After a problem the value is a stand-in, which is never used.
    fn read(given: &mut Given) -> Self {
        let cluster = given.text("cluster", shapes::cluster);
        let role = given.choice("role", &role::ROLES).unwrap_or_default();
        let settings = Self {
            role,
            bucket: given.text("bucket", bucket::parse).unwrap_or_default(),
            prefix: read_prefix(given, cluster.as_deref()),
            endpoint: read_endpoint(given, role),
            expected_size: given.count("expected_size").and_then(|size| size.try_into().ok()),
            group: given.text("group", shapes::group),
            region: given.text("region", shapes::region),
            kms_key_id: given.text("kms_key_id", shapes::kms_key),
            server_side_encryption: given.choice("server_side_encryption", &ENCRYPTIONS).flatten(),
            kubeadm_config: given.text("kubeadm_config", shapes::path),
            extra_shared_files: given.list("extra_shared_files", shapes::path_below_etc),
            node_name: given.text("node_name", shapes::dns_name),
            cloud_provider: given.choice("cloud_provider", &CLOUD_PROVIDERS).flatten(),
            settle_timeout: given.span("settle_timeout").unwrap_or_default(),
            claim_stagger: given.span("claim_stagger").unwrap_or_default(),
            claim_ttl: given.span("claim_ttl").unwrap_or_default(),
            lease_ttl: given.span("lease_ttl").unwrap_or_default(),
            init_attempts: given.count("init_attempts").unwrap_or_default(),
            gone_grace: given.span("gone_grace").unwrap_or_default(),
            deadline: given.span("deadline").unwrap_or_default(),
            leave_budget: given.span("leave_budget").unwrap_or_default(),
            renew_before: given.span("renew_before").unwrap_or_default(),
            launch_hook: given.text("launch_hook", shapes::hook),
            launch_hook_on_failure: given.choice("launch_hook_on_failure", &HOOK_ENDS).unwrap_or_default(),
            terminate_hook: given.text("terminate_hook", shapes::hook),
            drain_timeout: given.span("drain_timeout").unwrap_or_default(),
            rejoin: given.choice("rejoin", &role::REJOINS).unwrap_or_default(),
            source_dest_check: given.choice("source_dest_check", &SOURCE_DEST_CHECKS).unwrap_or_default(),
            prefetch: given.truth("prefetch").unwrap_or_default(),
            workers: given.choice("workers", &WORKERS).unwrap_or_default(),
            kubernetes_upgrade: given.choice("kubernetes_upgrade", &KUBERNETES_UPGRADES).unwrap_or_default(),
            agent_listen: given.text("agent_listen", listen::parse).flatten(),
            unhealthy_after: given.span("unhealthy_after").unwrap_or_default(),
            snapshot_interval: given.span("snapshot_interval").unwrap_or_default(),
            snapshot_location: given.text("snapshot_location", location::parse),
            snapshot_kms_key_id: given.text("snapshot_kms_key_id", shapes::kms_key),
            log_format: given.choice("log_format", &LOG_FORMATS).unwrap_or_default(),
            log_level: given.choice("log_level", &LOG_LEVELS).unwrap_or(LogLevel::INFO),
            origins: given.origins(),
            cluster,
        };
        match role {
            Role::ControlPlane => settings.compare_times(given),
            Role::Worker => settings.judge_worker(given),
        }
        settings
    }

    /// Waiting is counted anew by every run. A run that ends before another node's claim or lease
    /// can run out would never take over from a dead node, however often it is started again.
    fn compare_times(&self, given: &mut Given) {
        let deadline = self.deadline;
        for (name, ttl) in [("claim_ttl", self.claim_ttl), ("lease_ttl", self.lease_ttl)] {
            if !deadline.is_zero() && ttl >= deadline {
                given.problems.add(format!(
                    "{name} = '{}' ({}): it must be shorter than deadline, which is '{}' ({}), or no run could ever \
                     outwait a dead node",
                    humantime::format_duration(ttl),
                    self.origin(name),
                    humantime::format_duration(deadline),
                    self.origin("deadline"),
                ));
            }
        }
    }

    /// Where a setting's value came from.
    #[must_use]
    pub fn origin(&self, name: &str) -> &Origin {
        self.origins.get(name).unwrap_or(&Origin::Default)
    }

    /// What is valid but probably not meant, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<SettingsWarning> {
        let even = self.expected_size.filter(|size| size % 2 == 0);
        let warning = even.map(|size| {
            let text = format!(
                "expected_size is {size} ({}): an even number of voters can lose no more of them than {}",
                self.origin("expected_size"),
                size - 1
            );
            SettingsWarning { text, remedy: "use an odd number" }
        });
        warning.filter(|_| self.role == Role::ControlPlane).into_iter().chain(self.of_other_role()).collect()
    }
}

/// The endpoint. A worker need not be told: it stands in `join/`.
fn read_endpoint(given: &mut Given, role: Role) -> Endpoint {
    match role {
        Role::Worker if !given.is_given("endpoint") => Endpoint::default(),
        Role::Worker | Role::ControlPlane => given.text("endpoint", endpoint::parse).unwrap_or_default(),
    }
}

/// The prefix, or else the cluster's name.
fn read_prefix(given: &mut Given, cluster: Option<&str>) -> String {
    let prefix = given.text("prefix", shapes::prefix);
    if prefix.is_none() && !given.is_given("prefix") && !given.is_given("cluster") {
        given.problems.add(
            "neither cluster nor prefix is given; set cluster in the file, as variable KUBEBOOT_CLUSTER or by --cluster"
                .to_owned(),
        );
    }
    prefix.or_else(|| cluster.map(str::to_owned)).unwrap_or_default()
}

const CLOUD_PROVIDERS: [(&str, Option<CloudProvider>); 2] =
    [("none", None), ("external", Some(CloudProvider::External))];

const ENCRYPTIONS: [(&str, Option<ObjectEncryption>); 3] =
    [("none", None), ("AES256", Some(ObjectEncryption::Aes256)), ("aws:kms", Some(ObjectEncryption::Kms))];

const HOOK_ENDS: [(&str, HookOnFailure); 2] = [("none", HookOnFailure::Leave), ("abandon", HookOnFailure::Abandon)];

const SOURCE_DEST_CHECKS: [(&str, SourceDestCheck); 2] =
    [("none", SourceDestCheck::Unchanged), ("off", SourceDestCheck::Off)];

const WORKERS: [(&str, bool); 2] = [("on", true), ("off", false)];

const KUBERNETES_UPGRADES: [(&str, KubernetesUpgrade); 2] =
    [("off", KubernetesUpgrade::Off), ("by-image", KubernetesUpgrade::ByImage)];

const LOG_FORMATS: [(&str, LogFormat); 4] =
    [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json), ("journal", LogFormat::Journal)];

const LOG_LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::ERROR),
    ("warn", LogLevel::WARN),
    ("info", LogLevel::INFO),
    ("debug", LogLevel::DEBUG),
    ("trace", LogLevel::TRACE),
];
