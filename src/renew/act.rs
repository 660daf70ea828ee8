//! Carrying the plan out: kubeadm renews, kubelet gets its certificate, the programs that read theirs only once are restarted.

use super::look::Look;
use super::report;
use super::voice::Voice;
use crate::exit::Exit;
use crate::host::lock::Lock;
use crate::host::short_lived::ShortLived;
use crate::host::systemd::unit;
use crate::host::{files, runtime};
use crate::kubeadm::quiesce::KUBELET;
use crate::kubeadm::run::Kubeadm;
use crate::model::duration::in_words;
use crate::model::renew::{Dated, RenewStep, RestartedProgram};
use crate::node::certificates;
use anyhow::{Context, Result, anyhow};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// kubelet's kubeconfig.
const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";
/// How long a program may take to come back: kubelet waits ten seconds before it starts one that has ended shortly before.
const COMES_BACK: Duration = Duration::from_secs(60);
/// How long kubelet may take to use its new certificate.
const KUBELET_BACK: Duration = Duration::from_mins(2);
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Carries out the steps.
///
/// # Errors
/// With the [`Exit`] it ends in. Run again, it goes on where it was.
pub(super) async fn carry_out(look: &Look, step: &RenewStep, lock: &Lock, voice: Voice) -> Result<()> {
    let RenewStep::Renew { certificates, kubelet, restart, urgent } = step else { return Ok(()) };
    if *urgent {
        tracing::warn!("less than seven days are left: renewing without asking whether every etcd voter answers");
    }
    for step in report::steps(step) {
        tracing::info!("planned: {step}");
    }
    let folder = ShortLived::new("renewing")?;
    let document = folder.path().join("renew.yaml");
    let text = look.facts.documents.renewal(&look.facts.cluster, &look.facts.node).context(Exit::Usage)?;
    files::write(&document, text.as_bytes(), 0o600)?;
    let kubeadm = Kubeadm::new(lock);
    for dated in certificates {
        renew(&kubeadm, &document, dated, voice).await?;
    }
    if *kubelet {
        renew_kubelet(&kubeadm, &document, folder.path(), voice).await?;
    }
    for program in restart {
        restart_program(look, *program, voice).await?;
    }
    Ok(())
}

/// Has kubeadm renew one certificate, and sees that it ends later than before: where kubeadm cannot renew one, it says so and ends well.
async fn renew(kubeadm: &Kubeadm, document: &Path, dated: &Dated, voice: Voice) -> Result<()> {
    let (name, file) = (dated.certificate.name(), dated.certificate.file());
    voice.begins(&format!("renewing {file}"));
    kubeadm.renew_certificate(name, document).await.context(Exit::Kubeadm)?;
    let now = certificates::read(Path::new("/"))?.into_iter().find(|found| found.file == file);
    let now = now.with_context(|| format!("'{file}' is gone after 'kubeadm certs renew {name}'"))?;
    if now.ends <= dated.ends {
        return Err(anyhow!("'kubeadm certs renew {name}' ended well, and {file} ends no later than before: run it by hand to see what it says")
            .context(Exit::Kubeadm));
    }
    voice.done(&format!("renewed {file}: it ends {}", humantime::format_rfc3339_seconds(now.ends)));
    Ok(())
}

/// Gives kubelet a kubeconfig with a new certificate, and sees it use that: kubelet keeps it in its own folder when it starts, and renews
/// it itself from then on.
async fn renew_kubelet(kubeadm: &Kubeadm, document: &Path, folder: &Path, voice: Voice) -> Result<()> {
    voice.begins("renewing kubelet's certificate");
    kubeadm.kubelet_kubeconfig(document, folder).await.context(Exit::Kubeadm)?;
    let made = files::read_bounded(&folder.join("kubelet.conf"), 256 * 1024)?;
    files::write(Path::new(KUBELET_CONF), &made, 0o600)?;
    unit::restart(KUBELET).await?;
    let end = Instant::now() + KUBELET_BACK;
    loop {
        let used = certificates::kubelet_ends(Path::new("/"))?.filter(|ends| *ends > SystemTime::now());
        if let Some(ends) = used {
            voice.done(&format!("kubelet has a new certificate: it ends {}", humantime::format_rfc3339_seconds(ends)));
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(anyhow!(
                "kubelet did not take its new certificate from {KUBELET_CONF} within {}: see 'journalctl --unit kubelet'",
                in_words(KUBELET_BACK)
            )
            .context(Exit::TryAgain));
        }
        sleep(INTERVAL).await;
    }
}

/// Ends the program's container, which kubelet starts again, and sees another one run.
async fn restart_program(look: &Look, program: RestartedProgram, voice: Voice) -> Result<()> {
    voice.begins(&format!("restarting {program}"));
    let (socket, name) = (look.facts.documents.cri_socket(), program.container());
    let failed = || {
        format!("failed to restart {program}, which still uses the certificate of before: run 'kubeboot renew' again")
    };
    let before = runtime::running(socket, name).await.with_context(failed).context(Exit::TryAgain)?;
    for container in &before {
        runtime::stop(socket, &container.id).await.with_context(failed).context(Exit::TryAgain)?;
    }
    let end = Instant::now() + COMES_BACK;
    loop {
        let running = runtime::running(socket, name).await.unwrap_or_default();
        if running.iter().any(|now| before.iter().all(|then| then.id != now.id)) {
            voice.done(&format!("restarted {program}"));
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(anyhow!(
                "{program} did not come back within {}, and nothing else was restarted: see 'crictl ps --all' and 'journalctl --unit \
                 kubelet', then run 'kubeboot renew' again",
                in_words(COMES_BACK)
            )
            .context(Exit::TryAgain));
        }
        sleep(INTERVAL).await;
    }
}
