//! Whether this machine's own files are why it trusts nobody: then it accuses machines that are well.

use crate::aws::store::Store;
use crate::host::tls::Handshake;
use crate::kubeadm::pki;
use crate::model::record::cluster::Published;
use std::path::Path;

/// For an answer of etcd or of API servers that ended in this text: what is wrong with the certificate authorities here, by the bundle
/// that the record names. `None` where the handshake was not the reason, the files are the cluster's, or nothing can be learnt.
pub async fn at_fault(why: &str, store: &Store, published: &Published) -> Option<String> {
    if !Handshake::of(why)?.is_about_authorities() {
        return None;
    }
    let bundle = store.get(&published.pki_key).await.ok()??.body;
    let is_the_records = pki::digest(&bundle) == published.pki_digest;
    let foreign = pki::foreign_authorities(Path::new("/"), &bundle, &pki::TRUSTED).ok().filter(|_| is_the_records)?;
    (!foreign.is_empty()).then(|| accused(&foreign))
}

fn accused(foreign: &[String]) -> String {
    format!(
        "this machine trusts nobody of its cluster, because its own '{}' is not the cluster's authority: the others are not at fault; copy \
         the file and its key from another control-plane machine, or terminate this machine",
        foreign.join("' and '")
    )
}
