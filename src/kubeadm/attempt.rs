//! A running init or join, and why a command of kubeadm failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::output::{self, Cause, KubeadmPhase, Summary};
use crate::host::process::{Command, ProcessFailed, Running};
use crate::model::duration::in_words;

/// A running init or join. When it is dropped, kubeadm and its children are killed.
pub struct Attempt {
    command: &'static str,
    running: Running,
    announced: Arc<AtomicBool>,
}

/// Why a kubeadm command failed. Holds nothing secret.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct Failure {
    /// The command, such as `kubeadm join`.
    pub command: &'static str,
    /// What kubeadm printed about it; `None` when it never ran.
    pub summary: Option<Summary>,
    /// How it ended.
    failed: Box<ProcessFailed>,
}

impl Attempt {
    pub(super) fn start(
        name: &'static str,
        command: Command,
        mut progress: impl FnMut(KubeadmPhase) + Send + 'static,
    ) -> Result<Self, Failure> {
        let announced = Arc::new(AtomicBool::new(false));
        let member_seen = Arc::clone(&announced);
        let on_line = move |line: &str| {
            if output::announces_member(line) {
                member_seen.store(true, Ordering::Release);
            }
            if let Some(phase) = output::phase(line) {
                progress(phase);
            }
        };
        let running = command.on_line(on_line).start().map_err(|failed| Failure::new(name, failed))?;
        Ok(Self { command: name, running, announced })
    }

    /// Waits for the end. May be cancelled and called again.
    ///
    /// # Errors
    /// When kubeadm fails or its deadline passes; then it has been killed.
    pub async fn wait(&mut self) -> Result<(), Failure> {
        let ended = self.running.wait().await;
        ended.map(|_| ()).map_err(|failed| Failure::new(self.command, failed))
    }

    /// Ends kubeadm and its children, and returns when it is gone.
    ///
    /// # Errors
    /// When it is still there seconds after SIGKILL.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        self.running.kill().await.map_err(|failed| Failure::new(self.command, failed))
    }

    /// Whether kubeadm has printed that etcd accepted this machine as a member. `false` proves nothing: the member list decides.
    #[must_use]
    pub fn announced(&self) -> bool {
        self.announced.load(Ordering::Acquire)
    }
}

impl Failure {
    /// A command's failure, by how its process has ended.
    #[must_use]
    pub fn new(command: &'static str, failed: ProcessFailed) -> Self {
        let summary = match &failed {
            ProcessFailed::Exit { .. } | ProcessFailed::TimedOut { .. } | ProcessFailed::Signal { .. } => {
                Some(output::summarize(failed.tail(), failed.printed()))
            }
            ProcessFailed::NotFound { .. } | ProcessFailed::Io { .. } => None,
        };
        Self { command, summary, failed: Box::new(failed) }
    }

    /// What kind of failure it is; [`Cause::Other`] when kubeadm never ran.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.summary.as_ref().map_or(Cause::Other, |summary| summary.cause)
    }

    /// Whether kubeadm has ended by itself, so that what it printed is its own verdict.
    #[must_use]
    pub fn ended_by_itself(&self) -> bool {
        matches!(*self.failed, ProcessFailed::Exit { .. })
    }

    /// Whether it was ended because its time was over.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        matches!(*self.failed, ProcessFailed::TimedOut { .. })
    }

    /// The command is kubeadm's, whatever program it was started by.
    fn text(&self) -> String {
        let how = match &*self.failed {
            ProcessFailed::Exit { code, .. } => format!("ended with exit code {code}"),
            ProcessFailed::TimedOut { after, .. } => {
                format!("had not come to an end after {}, and was ended", in_words(*after))
            }
            ProcessFailed::Signal { signal, .. } => format!("was ended by signal {signal}"),
            ProcessFailed::NotFound { .. } => return format!("failed to run '{}': {}", self.command, self.failed),
            ProcessFailed::Io { source, .. } => {
                return format!("failed to run '{}': {}: {source}", self.command, self.failed);
            }
        };
        let lines = self.summary.as_ref().map_or(&[][..], |summary| &summary.lines);
        let said = if lines.is_empty() { "it printed no error".to_owned() } else { lines.join("; ") };
        format!("'{}' {how}: {said}; {}", self.command, self.cause().remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, Result};
    use std::sync::Mutex;
    use std::time::Duration;

    /// A program that prints a captured output on this stream (1 or 2) and ends with this exit code.
    fn printing(capture: &str, stream: u8, code: u8) -> Command {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kubeadm-1.36");
        let script = format!("cat '{folder}/{capture}' >&{stream}; exit {code}");
        Command::new("sh").args(["-c", &script]).env_allow(["PATH"]).redact(output::redact)
    }

    #[tokio::test]
    async fn an_attempt_reports_its_steps_and_its_member_without_secrets() -> Result<()> {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let steps = Arc::clone(&reported);
        let report = move |phase: KubeadmPhase| {
            if let Ok(mut steps) = steps.lock() {
                steps.push(format!("{} {}", phase.name, phase.text));
            }
        };
        let mut join = Attempt::start("kubeadm join", printing("join-control-plane.out", 1, 0), report.clone())?;
        join.wait().await?;
        assert!(join.announced());
        let mut init = Attempt::start("kubeadm init", printing("init.out", 1, 0), report)?;
        init.wait().await?;
        assert!(!init.announced());
        let reported = reported.lock().map(|steps| steps.join("\n")).unwrap_or_default();
        assert!(reported.contains("check-etcd Checking that the etcd cluster is healthy"), "{reported}");
        assert!(reported.contains("bootstrap-token Using token: [token]"), "{reported}");
        assert!(!reported.contains("kubeadm join"), "{reported}");
        Ok(())
    }

    #[tokio::test]
    async fn a_failure_gives_the_error_and_the_remedy_in_one_line() -> Result<()> {
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
    async fn a_killed_attempt_is_gone_and_reports_how_it_ended() -> Result<()> {
        let command = Command::new("sh").args(["-c", "sleep 600"]).env_allow(["PATH"]);
        let mut attempt = Attempt::start("kubeadm init", command, |_| {})?;
        attempt.kill().await?;
        let failure = attempt.wait().await.err().context("must fail")?;
        let said = failure.to_string();
        assert!(said.starts_with("'kubeadm init' was ended by signal 15: it printed no error; "), "{said}");
        assert!(!failure.ended_by_itself() && !failure.timed_out());
        Ok(())
    }

    #[tokio::test]
    async fn an_attempt_that_ran_out_of_time_says_what_it_was_at_and_names_kubeadm() -> Result<()> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kubeadm-1.36");
        let script =
            format!("head -n 2 '{folder}/join-with-dead-member.err' >&2; echo '[etcd] waiting'; exec sleep 600");
        let command = Command::new("sh").args(["-c", &script]).env_allow(["PATH"]).deadline(Duration::from_secs(2));
        let mut attempt = Attempt::start("kubeadm join", command, |_| {})?;
        let failure = attempt.wait().await.err().context("must fail")?;
        assert_eq!(
            failure.to_string(),
            format!(
                "'kubeadm join' had not come to an end after 2 s, and was ended: etcdserver: unhealthy cluster; {}",
                Cause::UnhealthyEtcd.remedy()
            )
        );
        assert!(failure.timed_out());
        Ok(())
    }

    #[test]
    fn what_the_system_refused_is_told() {
        let source = std::io::Error::other("out of memory");
        let failed = ProcessFailed::Io { program: "unshare".into(), verb: "start", source };
        let said = Failure::new("kubeadm join", failed).to_string();
        assert_eq!(said, "failed to run 'kubeadm join': failed to start 'unshare': out of memory");
    }
}
