//! Running kubeadm: as few commands as possible, each with a deadline, a clean environment and redacted output.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use super::args;
use super::documents::BootstrapToken;
use super::output::{self, Cause, Phase, Summary, Version};
use crate::host::lock::Lock;
use crate::host::namespace;
use crate::host::process::{Command, Failed, Output, Running};

const KUBEADM: &str = "kubeadm";
/// How long an init or a join may take at most. kubeadm itself gives up sooner, unless it has many images to pull.
pub const LONGEST: Duration = Duration::from_mins(15);
/// How long a reset may take. It waits for the container runtime to stop each pod.
const RESET_DEADLINE: Duration = Duration::from_mins(3);
/// How long a command may take that only reads and writes a few files.
const QUICK: Duration = Duration::from_secs(30);
/// Where programs are looked for when kubeboot itself was given no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// kubeadm on this machine, held together with the machine's lock: what it starts keeps the lock should kubeboot die.
#[derive(Clone)]
pub struct Kubeadm {
    lock: Option<Lock>,
}

/// Why a kubeadm command failed. Holds nothing secret.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct Failure {
    /// The command, such as `kubeadm join`.
    pub command: &'static str,
    /// What kubeadm said about it; `None` when it did not end by itself.
    pub summary: Option<Summary>,
    /// How it ended.
    failed: Failed,
}

/// An init or a join under way. Dropped, it is killed with all it started.
pub struct Attempt {
    command: &'static str,
    running: Running,
    announced: Arc<AtomicBool>,
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

    /// Starts `kubeadm init`. `progress` is called for each step that it announces.
    ///
    /// # Errors
    /// When kubeadm cannot be started.
    pub fn init(
        &self,
        config: &Path,
        token: &BootstrapToken,
        deadline: Duration,
        progress: impl FnMut(Phase) + Send + 'static,
    ) -> Result<Attempt, Failure> {
        let command = self.command(KUBEADM, args::init(config), deadline).secret(token.reveal());
        Attempt::start("kubeadm init", command, progress)
    }

    /// Starts `kubeadm join`. With `hosts` it runs in a mount namespace of its own, where that file is `/etc/hosts`, so
    /// that the endpoint's name leads to a machine that answers.
    ///
    /// # Errors
    /// When kubeadm cannot be started.
    pub fn join(
        &self,
        config: &Path,
        hosts: Option<&Path>,
        deadline: Duration,
        progress: impl FnMut(Phase) + Send + 'static,
    ) -> Result<Attempt, Failure> {
        let join = args::join(config);
        let command = match hosts {
            Some(hosts) => {
                let words = [KUBEADM.to_owned()].into_iter().chain(join);
                self.command(namespace::PROGRAM, namespace::with_hosts(hosts, words), deadline)
            }
            None => self.command(KUBEADM, join, deadline),
        };
        Attempt::start("kubeadm join", command, progress)
    }

    /// Runs `kubeadm reset` of this machine, never of its etcd membership.
    ///
    /// # Errors
    /// When it fails; with several container runtimes the remedy is to set `criSocket`.
    pub async fn reset(&self, cri_socket: Option<&str>) -> Result<(), Failure> {
        self.run("kubeadm reset", args::reset(cri_socket), RESET_DEADLINE).await.map(|_| ())
    }

    /// Makes a kubeconfig of a cluster administrator, valid for an hour, from the authority that the documents in
    /// `config` point to. The text holds a key: a file for root alone.
    ///
    /// # Errors
    /// When kubeadm fails.
    pub async fn kubeconfig_user(&self, node: &str, config: &Path) -> Result<String, Failure> {
        let output = self.run("kubeadm kubeconfig user", args::kubeconfig_user(node, config), QUICK).await?;
        Ok(output.stdout)
    }

    /// Makes `etcd/healthcheck-client.crt` and its key below `certificates_dir`, from the etcd authority that lies
    /// there.
    ///
    /// # Errors
    /// When kubeadm fails.
    pub async fn etcd_client_certificate(&self, certificates_dir: &Path, version: &str) -> Result<(), Failure> {
        let args = args::etcd_client_certificate(certificates_dir, version);
        self.run("kubeadm init phase certs etcd-healthcheck-client", args, QUICK).await.map(|_| ())
    }

    /// Has kubeadm judge the documents in `config`.
    ///
    /// # Errors
    /// With what kubeadm finds wrong in them.
    pub async fn validate(&self, config: &Path) -> Result<(), Failure> {
        self.run("kubeadm config validate", args::config_validate(config), QUICK).await.map(|_| ())
    }

    /// The version of the installed kubeadm.
    ///
    /// # Errors
    /// When there is none, or it does not say.
    pub async fn version(&self) -> Result<Version> {
        let output = self
            .run("kubeadm version", args::version(), QUICK)
            .await
            .context("failed to ask kubeadm for its version")?;
        output::client_version(&output.stdout)
    }

    /// The version of the installed kubelet.
    ///
    /// # Errors
    /// When there is none, or it does not say.
    pub async fn kubelet_version(&self) -> Result<Version> {
        let asked = self.command("kubelet", ["--version"], QUICK).run().await;
        output::kubelet_version(&asked.context("failed to ask kubelet for its version")?.stdout)
    }

    async fn run(&self, name: &'static str, args: Vec<String>, deadline: Duration) -> Result<Output, Failure> {
        let ended = self.command(KUBEADM, args, deadline).run().await;
        ended.map_err(|failed| Failure::new(name, failed))
    }

    /// An environment of nothing but `PATH` and `HOME`. No proxies: kubeadm would write those into the manifests of the
    /// control plane, and ask its own API servers through them. Components that need a proxy get it by `extraEnvs`.
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

impl Attempt {
    fn start(
        name: &'static str,
        command: Command,
        mut progress: impl FnMut(Phase) + Send + 'static,
    ) -> Result<Self, Failure> {
        let announced = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&announced);
        let on_line = move |line: &str| {
            if output::announces_member(line) {
                heard.store(true, Ordering::Release);
            }
            if let Some(phase) = output::phase(line) {
                progress(phase);
            }
        };
        let running = command.on_line(on_line).start().map_err(|failed| Failure::new(name, failed))?;
        Ok(Self { command: name, running, announced })
    }

    /// Waits for the end. May be abandoned and called again.
    ///
    /// # Errors
    /// When kubeadm fails or its deadline passes; then it has been killed.
    pub async fn wait(&mut self) -> Result<(), Failure> {
        let ended = self.running.wait().await;
        ended.map(|_| ()).map_err(|failed| Failure::new(self.command, failed))
    }

    /// Ends kubeadm and all it started, and returns when it is gone.
    ///
    /// # Errors
    /// When it is still there seconds after SIGKILL.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        self.running.kill().await.map_err(|failed| Failure::new(self.command, failed))
    }

    /// Whether kubeadm has said that etcd accepted this machine as a member. `false` proves nothing: ask the member
    /// list.
    #[must_use]
    pub fn announced(&self) -> bool {
        self.announced.load(Ordering::Acquire)
    }
}

impl Failure {
    fn new(command: &'static str, failed: Failed) -> Self {
        let summary = match &failed {
            Failed::Exit { tail, .. } => Some(output::summarize(tail)),
            _ => None,
        };
        Self { command, summary, failed }
    }

    /// What kind of failure it is; [`Cause::Other`] when kubeadm did not end by itself.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.summary.as_ref().map_or(Cause::Other, |summary| summary.cause)
    }

    fn text(&self) -> impl fmt::Display {
        match (&self.summary, &self.failed) {
            (Some(summary), Failed::Exit { code, .. }) => {
                let said = summary.lines.join("; ");
                format!("'{}' ended with exit code {code}: {said}; {}", self.command, summary.cause.remedy())
            }
            (_, failed) => format!("failed to run '{}': {failed}", self.command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A program that prints a captured output on this stream (1 or 2) and ends with this exit code.
    fn printing(capture: &str, stream: u8, code: u8) -> Command {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kubeadm-1.36");
        let script = format!("cat '{folder}/{capture}' >&{stream}; exit {code}");
        Command::new("sh").args(["-c", &script]).env_allow(["PATH"]).redact(output::redact)
    }

    #[tokio::test]
    async fn an_attempt_tells_its_steps_and_its_member_and_no_secret() -> Result<()> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let steps = Arc::clone(&told);
        let tell = move |phase: Phase| {
            if let Ok(mut steps) = steps.lock() {
                steps.push(format!("{} {}", phase.name, phase.text));
            }
        };
        let mut join = Attempt::start("kubeadm join", printing("join-control-plane.out", 1, 0), tell.clone())?;
        join.wait().await?;
        assert!(join.announced());
        let mut init = Attempt::start("kubeadm init", printing("init.out", 1, 0), tell)?;
        init.wait().await?;
        assert!(!init.announced());
        let told = told.lock().map(|told| told.join("\n")).unwrap_or_default();
        assert!(told.contains("check-etcd Checking that the etcd cluster is healthy"), "{told}");
        assert!(told.contains("bootstrap-token Using token: [token]"), "{told}");
        assert!(!told.contains("kubeadm join"), "{told}");
        Ok(())
    }

    #[tokio::test]
    async fn a_failure_says_what_happened_and_what_to_do_in_one_line() -> Result<()> {
        let mut join = Attempt::start("kubeadm join", printing("join-with-orphan-learner.err", 2, 1), |_| {})?;
        let failure = join.wait().await.err().context("must fail")?;
        assert_eq!(failure.cause(), Cause::TooManyLearners);
        let said = failure.to_string();
        assert!(
            said.starts_with("'kubeadm join' ended with exit code 1: error: error execution phase etcd-join"),
            "{said}"
        );
        assert!(said.ends_with(Cause::TooManyLearners.remedy()) && said.lines().count() == 1, "{said}");
        Ok(())
    }

    #[tokio::test]
    async fn a_killed_attempt_is_gone_and_says_how_it_ended() -> Result<()> {
        let command = Command::new("sh").args(["-c", "sleep 600"]).env_allow(["PATH"]);
        let mut attempt = Attempt::start("kubeadm init", command, |_| {})?;
        attempt.kill().await?;
        let failure = attempt.wait().await.err().context("must fail")?;
        assert!(failure.summary.is_none() && failure.to_string().contains("failed to run 'kubeadm init'"), "{failure}");
        Ok(())
    }
}
