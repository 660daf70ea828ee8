//! `kubeboot kubeconfig`: a kubeconfig for a person, made on a control-plane machine.
//!
//! It is made as `kubeadm kubeconfig user` does it, and by that: signed with the authority's key that lies on this machine. A request to
//! Kubernetes' own signer would need a running controller manager, and so would fail where an administrator is needed most; and kubeboot
//! would have to make keys and requests itself. Neither way can a certificate be taken back before it ends, so it lives for a day.

use super::hand_over::{check, hand_over};
use super::user::{Groups, UserName};
use super::{IMDS_TIMEOUT, cluster, own_kubeconfig};
use crate::aws::with_exit;
use crate::exit::Exit;
use crate::host::files;
use crate::kube::Kubeconfig;
use crate::kube::written::{Proof, kubeconfig};
use crate::kubeadm::args::ClientUser;
use crate::kubeadm::run::Kubeadm;
use crate::layout::tell;
use crate::model::duration::in_words;
use crate::node::Facts;
use crate::settings::{Endpoint, Settings};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a certificate lives unless asked otherwise.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest life of a certificate: that of kubeadm's own.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Where kubeadm keeps the authority and its key.
const AUTHORITIES: &str = "/etc/kubernetes/pki";

/// What `kubeconfig` was asked for beside the settings.
#[derive(Debug, Clone)]
pub struct KubeconfigOptions {
    /// Who it is for.
    pub user: UserName,
    /// In which groups.
    pub groups: Groups,
    /// How long it lives.
    pub lifetime: Duration,
    /// Where the API is reached, if that is not the endpoint: the near end of a tunnel.
    pub tunnel: Option<Endpoint>,
    /// The file that is written; without it, it is printed.
    pub file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in.
pub async fn run(settings: Settings, options: KubeconfigOptions) -> Result<()> {
    make(settings, options).await.map_err(with_exit)
}

async fn make(settings: Settings, options: KubeconfigOptions) -> Result<()> {
    check(options.file.as_deref())?;
    own_kubeconfig()?;
    let mut facts = Facts::gather_within(settings, IMDS_TIMEOUT).await?;
    // Without a version kubeadm would ask the internet for one.
    facts.cluster.kubernetes_version = Kubeadm::read_only().version().await.context(Exit::Usage)?.to_string();
    let folder = tempfile::tempdir().context("failed to make a folder for kubeadm's documents")?;
    let document = folder.path().join("client.yaml");
    let text = facts.documents.client(&facts.cluster, &facts.node, Path::new(AUTHORITIES))?;
    files::write(&document, text.as_bytes(), 0o600)?;
    let user =
        ClientUser { name: options.user.as_str(), organizations: options.groups.names(), validity: options.lifetime };
    let made = Kubeadm::read_only().kubeconfig_user(&user, &document).await.context(Exit::Kubeadm)?;
    let made = Kubeconfig::parse(&made)?;
    let cluster = cluster(&facts, options.tunnel.as_ref(), &made.authority);
    let text = kubeconfig(&cluster, options.user.as_str(), &Proof::Certificate(&made.certificate, &made.key))?;
    hand_over(&text, options.file.as_deref())?;
    tell(&told(&options));
    Ok(())
}

/// What was made, for who asked.
fn told(options: &KubeconfigOptions) -> String {
    let KubeconfigOptions { user, groups, lifetime, .. } = options;
    let masters = match groups.is_master() {
        true => {
            " No rule of the cluster binds the group 'system:masters', and nothing takes its rights away before the end."
        }
        false => "",
    };
    format!(
        "The kubeconfig is for '{user}', in {}, and ends in {}. Whoever has it is '{user}' until then: no certificate can be taken back, but \
         the rights of its groups can.{masters}",
        groups.names().join(", "),
        in_words(*lifetime)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{user_group, user_name};

    #[test]
    fn who_asks_for_masters_is_told_what_that_is() -> Result<()> {
        let told = |groups: Vec<String>| -> Result<String> {
            let user = user_name("anna").map_err(anyhow::Error::msg)?;
            let groups = Groups::or_administrators(groups);
            Ok(told(&KubeconfigOptions { user, groups, lifetime: LIFETIME, tunnel: None, file: None }))
        };
        let plain = told(Vec::new())?;
        assert!(plain.contains("in kubeadm:cluster-admins, and ends in") && !plain.contains("masters"), "{plain}");
        let master = told(vec![user_group("system:masters").map_err(anyhow::Error::msg)?])?;
        assert!(master.contains("No rule of the cluster"), "{master}");
        Ok(())
    }
}
