//! Credentials for etcd and the API servers: a member has its own on the disk; a machine that joins makes
//! short-lived ones from the PKI bundle, for itself alone.

use super::Facts;
use crate::aws::CallFailed;
use crate::aws::store::Store;
use crate::bucket::keys;
use crate::etcd::Access;
use crate::exit::Exit;
use crate::host::files;
use crate::kube::Kubeconfig;
use crate::kubeadm::args::{CREDENTIAL_VALIDITY, ClientUser};
use crate::kubeadm::pki::{self, Bundle};
use crate::kubeadm::run::Kubeadm;
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::record::cluster::{ClusterRecord, Published};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use tokio::try_join;

/// What this boot knows. `/run` is in memory, so a power-off erases it. What is secret is below [`crate::host::short_lived::PARENT`] alone.
pub const FOLDER: &str = "/run/kubeboot";

/// Where `up` keeps what it needs while it works: the [short-lived folder](crate::host::short_lived) that it holds together
/// with the machine's lock.
pub const UP_FOLDER: &str = "/run/kubeboot/short-lived/up";
/// The name of that folder.
pub const UP: &str = "up";

/// Where kubeadm keeps a member's certificates for etcd.
pub const MEMBER_ETCD: &str = "/etc/kubernetes/pki/etcd";
/// Where kubeadm keeps a member's credentials for the API servers.
pub const MEMBER_KUBECONFIG: &str = "/etc/kubernetes/admin.conf";

/// Why etcd cannot be asked.
const NO_CLUSTER_ID: &str = "nobody says which etcd cluster is meant: the cluster record names no 'etcd_cluster_id', although etcd is \
                             not external";

/// What a node needs to talk to its cluster.
pub struct Credentials {
    /// For etcd; `None` when etcd is external.
    pub etcd: Option<Access>,
    /// For the API servers.
    pub kubeconfig: Kubeconfig,
    /// The same as a file, for kubeadm.
    pub kubeconfig_path: PathBuf,
    /// The bundle they were made from.
    pub bundle: Option<Bundle>,
    /// When they were made; `None` for a member's own, which kubeadm renews.
    made: Option<Instant>,
}

impl Credentials {
    /// Whether they outlive the next steps. Credentials from a bundle are valid for an hour, and a wait may last for days.
    #[must_use]
    pub fn is_young(&self) -> bool {
        self.made.is_none_or(|made| is_young(made.elapsed()))
    }

    /// A member's own, from where kubeadm keeps them. `recorded` is the etcd that is meant; nothing where etcd is external.
    ///
    /// # Errors
    /// A file that is missing or makes no sense.
    pub fn from_disk(facts: &Facts, recorded: Option<RecordedEtcd>) -> Result<Self> {
        let etcd = match facts.external_etcd() {
            true => None,
            false => Some(Access::from_folder(Path::new(MEMBER_ETCD), recorded.context(NO_CLUSTER_ID)?)?),
        };
        let kubeconfig_path = PathBuf::from(MEMBER_KUBECONFIG);
        Ok(Self { etcd, kubeconfig: Kubeconfig::read(&kubeconfig_path)?, kubeconfig_path, bundle: None, made: None })
    }

    /// Fetches the bundle that the record names and makes credentials from it in `folder`, valid for an hour.
    ///
    /// # Errors
    /// AWS' own; with [`Exit::Operator`], the record or its bundle is at fault: that is missing, or not the one that the record means.
    /// Everything else may pass: a full disk, a kubeadm that fails or is too slow.
    pub async fn from_bundle(
        facts: &Facts,
        store: &Store,
        record: &ClusterRecord,
        published: &Published,
        folder: &Path,
    ) -> Result<Self> {
        let made = Some(Instant::now());
        let bundle = fetch(facts, store, published).await.map_err(of_the_bundle)?;
        if folder.exists() {
            std::fs::remove_dir_all(folder).with_context(|| format!("failed to remove '{}'", folder.display()))?;
        }
        files::private_dir(folder)?;
        let authorities = folder.join("pki");
        bundle.install_copy(&authorities)?;
        let document = folder.join("client.yaml");
        files::write(&document, facts.documents.client(&facts.cluster, &facts.node, &authorities)?.as_bytes(), 0o600)?;
        let kubeadm = Kubeadm::read_only();
        // The name tells in the API server's audit log who it was.
        let (name, organizations) = (format!("kubeboot-{}", facts.node_name), ["system:masters".to_owned()]);
        let user = ClientUser { name: &name, organizations: &organizations, validity: CREDENTIAL_VALIDITY };
        let certificate = async {
            if facts.external_etcd() {
                return Ok(());
            }
            kubeadm.etcd_client_certificate(&authorities, &facts.cluster.kubernetes_version).await
        };
        let (text, ()) = try_join!(kubeadm.kubeconfig_user(&user, &document), certificate)?;
        let kubeconfig = Kubeconfig::parse(&text)?;
        let kubeconfig_path = folder.join("kubeconfig");
        files::write(&kubeconfig_path, text.as_bytes(), 0o600)?;
        let etcd = if facts.external_etcd() {
            None
        } else {
            Some(Access::from_folder(
                &authorities.join("etcd"),
                RecordedEtcd::of(record).context(NO_CLUSTER_ID).context(Exit::Operator)?,
            )?)
        };
        // The authorities' keys are needed no longer; kubeadm gets its own copy right before it starts.
        std::fs::remove_dir_all(&authorities)
            .with_context(|| format!("failed to remove '{}'", authorities.display()))?;
        Ok(Self { etcd, kubeconfig, kubeconfig_path, bundle: Some(bundle), made })
    }
}

/// What it means that the bundle was not to be had: AWS may mend, and what it says or is will not.
fn of_the_bundle(error: anyhow::Error) -> anyhow::Error {
    if error.downcast_ref::<CallFailed>().is_some() { error } else { error.context(Exit::Operator) }
}

/// Three quarters of their hour: what begins then has a quarter of an hour to end.
fn is_young(age: Duration) -> bool {
    age < CREDENTIAL_VALIDITY / 4 * 3
}

/// Fetches the bundle that the record names, which must be the very one that it means.
///
/// # Errors
/// It is missing, or is another one.
pub async fn fetch(facts: &Facts, store: &Store, published: &Published) -> Result<Bundle> {
    let url = store.url(&published.pki_key);
    let remedy = "restore that version of the object, for without it no machine can join";
    let object = store.get(&published.pki_key).await?;
    let object = object.with_context(|| format!("the PKI bundle '{url}' is missing: {remedy}"))?;
    let digest = pki::digest(&object.body);
    ensure!(
        digest == published.pki_digest,
        "the PKI bundle '{url}' has digest {digest}, the cluster record says {}: {remedy}",
        published.pki_digest
    );
    let wanted = pki::wanted(facts.documents.external_etcd().as_ref(), &facts.settings.extra_shared_files);
    let claim = keys::claim_of_pki(&published.pki_key)
        .with_context(|| format!("the cluster record names '{url}' as its PKI bundle, which is the key of none"))?;
    let bundle = Bundle::from_json(&object.body, claim.as_str(), &wanted)
        .with_context(|| format!("failed to use the PKI bundle '{url}'"))?;
    ensure!(
        bundle.ca_hashes()? == published.ca_hashes,
        "the PKI bundle '{url}' holds another CA than the cluster record says: {remedy}"
    );
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::CallFailure;

    #[test]
    fn an_operator_is_wanted_for_what_the_bundle_is_and_not_for_what_s3_does() {
        let failed = CallFailed::silent("read", "the bundle", "s3:GetObject");
        for kind in [CallFailure::NoAnswer, CallFailure::Denied, CallFailure::Throttled] {
            let error = of_the_bundle(CallFailed { kind, ..failed.clone() }.into());
            assert_eq!(error.downcast_ref::<Exit>(), None, "{kind:?}");
        }
        let error = of_the_bundle(anyhow::anyhow!("the PKI bundle is missing"));
        assert_eq!(error.downcast_ref::<Exit>(), Some(&Exit::Operator));
    }

    #[test]
    fn credentials_serve_for_three_quarters_of_their_hour() {
        let rows = [(0, true), (44, true), (45, false), (60, false), (60 * 24, false)];
        for (minutes, expected) in rows {
            assert_eq!(is_young(Duration::from_secs(minutes * 60)), expected, "{minutes}");
        }
    }
}
