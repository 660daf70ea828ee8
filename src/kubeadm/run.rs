//! Running kubeadm: as few commands as possible, each with a deadline, a clean environment and redacted output.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::args::{self, ClientUser};
use super::attempt::{Attempt, Failure};
use super::output::{self, KubeadmPhase, Version};
use crate::host::lock::Lock;
use crate::host::namespace;
use crate::host::process::{Command, Output, ProcessFailed};
use crate::model::joining::BootstrapToken;

const KUBEADM: &str = "kubeadm";
const KUBELET: &str = "kubelet";
/// How long an init or a join may take at most. kubeadm itself gives up sooner, unless it has many images to pull.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(15);
/// How long a reset may take. It waits for the container runtime to stop each pod.
const RESET_TIMEOUT: Duration = Duration::from_mins(3);
/// How long a phase of an upgrade may take. kubeadm itself gives each call a minute.
const UPGRADE_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a command may take that only reads and writes a few files.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// The `PATH` for kubeadm when kubeboot itself has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// kubeadm on this machine. Its processes inherit the machine's lock, so they keep it if kubeboot dies.
#[derive(Clone)]
pub struct Kubeadm {
    lock: Option<Lock>,
}

impl Kubeadm {
    /// kubeadm for commands that change the machine: its processes inherit the lock.
    #[must_use]
    pub fn new(lock: &Lock) -> Self {
        Self { lock: Some(lock.clone()) }
    }

    /// kubeadm for commands that change nothing, for `status` and `check`.
    #[must_use]
    pub fn read_only() -> Self {
        Self { lock: None }
    }

    /// The lock that its processes inherit.
    #[must_use]
    pub fn lock(&self) -> Option<&Lock> {
        self.lock.as_ref()
    }

    /// Starts `kubeadm init`. `progress` is called for each step that it announces.
    ///
    /// # Errors
    /// When kubeadm cannot be started.
    pub fn init(
        &self,
        config: &Path,
        token: &BootstrapToken,
        deadline: Duration,
        progress: impl FnMut(KubeadmPhase) + Send + 'static,
    ) -> Result<Attempt, Failure> {
        let command = self.command(KUBEADM, args::init(config), deadline).secret(token.expose());
        Attempt::start("kubeadm init", command, progress)
    }

    /// Starts `kubeadm join`. With `hosts` it runs in a mount namespace of its own, where that file is `/etc/hosts`, so
    /// that the endpoint's name resolves to a machine that answers. `token`: the one that it reads from a file, if it does.
    ///
    /// # Errors
    /// When kubeadm cannot be started.
    pub fn join(
        &self,
        config: &Path,
        hosts: Option<&Path>,
        token: Option<&BootstrapToken>,
        deadline: Duration,
        progress: impl FnMut(KubeadmPhase) + Send + 'static,
    ) -> Result<Attempt, Failure> {
        let join = args::join(config);
        let command = match hosts {
            Some(hosts) => {
                let words = [KUBEADM.to_owned()].into_iter().chain(join);
                self.command(namespace::PROGRAM, namespace::with_hosts(hosts, words), deadline)
            }
            None => self.command(KUBEADM, join, deadline),
        };
        let command = match token {
            Some(token) => command.secret(token.expose()),
            None => command,
        };
        Attempt::start("kubeadm join", command, progress)
    }

    /// Runs `kubeadm reset` of this machine, never of its etcd membership.
    ///
    /// # Errors
    /// When it fails; with several container runtimes the remedy is to set `criSocket`.
    pub async fn reset(&self, cri_socket: Option<&str>) -> Result<(), Failure> {
        self.run("kubeadm reset", args::reset(cri_socket), RESET_TIMEOUT).await.map(|_| ())
    }

    /// Makes a kubeconfig of this user, from the authority that the documents in `config` point to. The text holds a key: a file for its
    /// owner alone.
    ///
    /// # Errors
    /// When kubeadm fails.
    pub async fn kubeconfig_user(&self, user: &ClientUser<'_>, config: &Path) -> Result<String, Failure> {
        let output = self.run("kubeadm kubeconfig user", args::kubeconfig_user(user, config), QUERY_TIMEOUT).await?;
        Ok(output.stdout)
    }

    /// Makes `etcd/healthcheck-client.crt` and its key below `certificates_dir`, from the etcd authority that lies
    /// there.
    ///
    /// # Errors
    /// When kubeadm fails.
    pub async fn etcd_client_certificate(&self, certificates_dir: &Path, version: &str) -> Result<(), Failure> {
        let args = args::etcd_client_certificate(certificates_dir, version);
        self.run("kubeadm init phase certs etcd-healthcheck-client", args, QUERY_TIMEOUT).await.map(|_| ())
    }

    /// Runs a phase of `kubeadm init` that makes files of this machine from those that are there, and from the documents in `config`.
    ///
    /// # Errors
    /// When kubeadm fails.
    pub async fn make_files(&self, phase: &[&str], config: &Path) -> Result<(), Failure> {
        self.run("kubeadm init phase", args::init_phase(phase, config), QUERY_TIMEOUT).await.map(|_| ())
    }

    /// Renews one certificate of this machine. Where kubeadm cannot, because its authority's key is elsewhere, it ends well all the same.
    ///
    /// # Errors
    /// When kubeadm fails.
    pub async fn renew_certificate(&self, name: &str, config: &Path) -> Result<(), Failure> {
        self.run("kubeadm certs renew", args::renew_certificate(name, config), QUERY_TIMEOUT).await.map(|_| ())
    }

    /// Makes `kubelet.conf` below `folder`, with a client certificate by the authority on this machine.
    ///
    /// # Errors
    /// When kubeadm fails.
    pub async fn kubelet_kubeconfig(&self, config: &Path, folder: &Path) -> Result<(), Failure> {
        let args = args::kubelet_kubeconfig(config, folder);
        self.run("kubeadm init phase kubeconfig kubelet", args, QUERY_TIMEOUT).await.map(|_| ())
    }

    /// The images that kubeadm takes by the documents in `config`.
    ///
    /// # Errors
    /// When kubeadm fails.
    pub async fn images(&self, config: &Path) -> Result<Vec<String>, Failure> {
        let output = self.run("kubeadm config images list", args::images(config), QUERY_TIMEOUT).await?;
        Ok(names(&output.stdout))
    }

    /// The images that kubeadm takes for this version, where no document says otherwise.
    ///
    /// # Errors
    /// When kubeadm fails.
    pub async fn images_of(&self, version: &Version) -> Result<Vec<String>, Failure> {
        let output = self.run("kubeadm config images list", args::images_of(version), QUERY_TIMEOUT).await?;
        Ok(names(&output.stdout))
    }

    /// Runs one phase of `kubeadm upgrade apply`, and gives what it prints: kubeadm ends well where it has left something out, and says so.
    ///
    /// # Errors
    /// When kubeadm fails.
    pub async fn upgrade_phase(
        &self,
        phase: &[&str],
        version: &str,
        kubeconfig: &Path,
        patches: Option<&Path>,
    ) -> Result<String, Failure> {
        let arguments = args::upgrade_phase(phase, version, kubeconfig, patches);
        let output = self.run("kubeadm upgrade apply phase", arguments, UPGRADE_TIMEOUT).await?;
        Ok(output.stdout)
    }

    /// Lets kubeadm validate the documents in `config`.
    ///
    /// # Errors
    /// What kubeadm finds wrong in them.
    pub async fn validate(&self, config: &Path) -> Result<(), Failure> {
        self.run("kubeadm config validate", args::config_validate(config), QUERY_TIMEOUT).await.map(|_| ())
    }

    /// The version of the installed kubeadm.
    ///
    /// # Errors
    /// When it is not installed, or its answer is not understood.
    pub async fn version(&self) -> Result<Version> {
        let output = self
            .run("kubeadm version", args::version(), QUERY_TIMEOUT)
            .await
            .context("failed to ask kubeadm for its version")?;
        output::client_version(&output.stdout)
    }

    /// The version of the installed kubelet.
    ///
    /// # Errors
    /// When it is not installed, or its answer is not understood.
    pub async fn kubelet_version(&self) -> Result<Version> {
        let asked = self.command(KUBELET, ["--version"], QUERY_TIMEOUT).run().await;
        output::kubelet_version(&asked.context("failed to ask kubelet for its version")?.stdout)
    }

    /// Whether there is a kubelet for kubeadm to start. It is not started for that.
    ///
    /// # Errors
    /// There is none.
    pub fn must_have_kubelet(&self) -> Result<(), ProcessFailed> {
        let there = self.command(KUBELET, [""; 0], QUERY_TIMEOUT).place();
        there.map(drop).ok_or_else(|| ProcessFailed::NotFound { program: KUBELET.to_owned() })
    }

    async fn run(&self, name: &'static str, args: Vec<String>, deadline: Duration) -> Result<Output, Failure> {
        let ended = self.command(KUBEADM, args, deadline).run().await;
        ended.map_err(|failed| Failure::new(name, failed))
    }

    /// A command whose environment holds only `PATH` and `HOME`. Proxies are left out, because kubeadm would write them into the
    /// manifests of the control plane and use them for its own API servers. Components that need a proxy get it by `extraEnvs`.
    fn command<A: Into<OsString>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = A>,
        deadline: Duration,
    ) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        let command = Command::new(program)
            .args(args)
            .env("PATH", path)
            .env("HOME", "/root")
            .deadline(deadline)
            .redact(output::redact);
        match &self.lock {
            Some(lock) => command.inherit_lock(lock),
            None => command,
        }
    }
}

/// A name a line.
fn names(said: &str) -> Vec<String> {
    said.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}
