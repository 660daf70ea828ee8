//! The documents, completed for this machine and judged by kubeadm itself: before a claim is written, and before the queue for the lease.

use super::facts::Facts;
use crate::exit::Exit;
use crate::host::files;
use crate::host::short_lived::ShortLived;
use crate::kubeadm::attempt::Failure;
use crate::kubeadm::documents::DocumentRefusal;
use crate::kubeadm::run::Kubeadm;
use crate::model::joining::BootstrapToken;
use crate::model::machine::ids::ClaimId;
use crate::settings::Role;
use anyhow::{Context, Result, anyhow};
use std::path::Path;

/// Completes the documents for init and for join, a worker's for join alone, and has kubeadm validate them. What it refuses, in its own words, each with the
/// command that it is refused for.
///
/// # Errors
/// [`DocumentRefusal`]; or the documents cannot be written below `/run`, or kubeadm not be run.
pub async fn refused_by_kubeadm(facts: &Facts) -> Result<Vec<(&'static str, String)>> {
    let folder = ShortLived::new("judged")?;
    let kubeconfig = folder.path().join("kubeconfig");
    files::write(&kubeconfig, b"", 0o600)?;
    let mut refused = Vec::new();
    for (command, text) in completed(facts, &kubeconfig)? {
        let file = folder.path().join(format!("kubeadm-{command}.yaml"));
        files::write(&file, text.as_bytes(), 0o600)?;
        if let Err(failure) = Kubeadm::read_only().validate(&file).await {
            // Without a word of kubeadm's own it has refused nothing: it could not be run, or not in time.
            let Some(said) = failure.summary.as_ref().filter(|_| failure.ended_by_itself()) else {
                return Err(failure.into());
            };
            refused.push((command, said.lines.join("; ")));
        }
    }
    Ok(refused)
}

/// The documents that kubeadm may get on this machine, by the command.
fn completed(facts: &Facts, kubeconfig: &Path) -> Result<Vec<(&'static str, String)>> {
    let documents = &facts.documents;
    if facts.settings.role == Role::Worker {
        return Ok(vec![("join", documents.join_worker(&facts.node, kubeconfig)?)]);
    }
    // Never used for anything, so anybody may know them.
    let token = BootstrapToken::parse("aaaaaa.aaaaaaaaaaaaaaaa")?;
    let claim = ClaimId::parse("00000000-0000-4000-8000-000000000000").context("a UUID in lower case is a claim ID")?;
    let init = documents.init(&facts.cluster, &facts.node, &token, &claim)?;
    Ok(vec![("init", init), ("join", documents.join(&facts.cluster, &facts.node, kubeconfig)?)])
}

impl Facts {
    /// For a machine that is about to make or to join a cluster: what is wrong with the operator's documents is wrong on every machine
    /// of the group. Without any there is nothing to judge.
    ///
    /// # Errors
    /// With [`Exit::Usage`], everything that is refused; with [`Exit::Kubeadm`], a kubeadm that did not judge them; or as
    /// [`refused_by_kubeadm`].
    pub async fn judge_documents(&self) -> Result<()> {
        let Some(file) = &self.settings.kubeadm_config else { return Ok(()) };
        let found = match refused_by_kubeadm(self).await {
            Err(error) if error.downcast_ref::<DocumentRefusal>().is_some() => return Err(error.context(Exit::Usage)),
            Err(error) if error.downcast_ref::<Failure>().is_some() => return Err(error.context(Exit::Kubeadm)),
            found => found?,
        };
        if found.is_empty() {
            return Ok(());
        }
        let lines = found.iter().map(|(command, said)| format!("for {command}: {said}")).collect::<Vec<_>>().join("\n");
        Err(anyhow!("{lines}")
            .context(format!(
                "kubeadm refuses the kubeadm configuration '{}', completed for this machine",
                file.display()
            ))
            .context(Exit::Usage))
    }
}
