//! Digests of what must be the same on every machine, for this machine's registration: the operator's shared files, the encryption
//! provider configuration, the kubeadm documents.
//!
//! Whoever reads the bucket must not find a password of one of these files by trying words. So a digest is keyed with the key of the
//! cluster's CA, which every member has and nobody else.

use super::Facts;
use crate::host::files;
use crate::kubeadm::pki::{self, PKI_DIR};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest file that is looked at, in bytes: a shared file is no larger.
const LIMIT: u64 = 256 * 1024;
/// How many things are told of: a registration is a small object.
const MOST: usize = 40;
/// The longest path that is told of, in bytes.
const LONGEST: usize = 200;
/// Hex digits of a digest: half of SHA-256 tells apart what nobody forges.
const DIGITS: usize = 32;

/// The digests, by name. What cannot be read has none, and so differs from the machines that have it. Empty without the key of the CA.
#[must_use]
pub fn digests(root: &Path, facts: &Facts) -> BTreeMap<String, String> {
    let Ok(secret) = files::read_bounded(&files::below(root, &Path::new(PKI_DIR).join("ca.key")), LIMIT) else {
        return BTreeMap::new();
    };
    let mut shared: Vec<PathBuf> = facts.settings.extra_shared_files.clone();
    shared.extend(facts.documents.encryption_config());
    shared.extend(facts.documents.external_etcd().iter().flat_map(|etcd| etcd.files()).map(Path::to_owned));
    let of_file = |path: PathBuf| {
        let content = files::read_bounded(&files::below(root, &path), LIMIT).ok()?;
        Some((path.to_str()?.to_owned(), keyed(&secret, &content)))
    };
    let documents = facts.documents.comparable().into_iter();
    let documents = documents.map(|(kind, text)| (format!("kubeadm {kind}"), keyed(&secret, text.as_bytes())));
    documents
        .chain(shared.into_iter().filter_map(of_file))
        .filter(|(name, _)| name.len() <= LONGEST)
        .take(MOST)
        .collect()
}

/// As HMAC, with a hash of the secret in place of padding: nobody without the secret can try contents.
fn keyed(secret: &[u8], content: &[u8]) -> String {
    let key = Sha256::digest(secret);
    let inner = Sha256::new().chain_update(key).chain_update(content).finalize();
    let outer = Sha256::new().chain_update(key).chain_update(inner).finalize();
    pki::hex(&outer).chars().take(DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_content_and_secret_and_is_no_plain_hash() {
        let one = keyed(b"secret", b"content");
        assert_eq!((one.len(), &one), (DIGITS, &keyed(b"secret", b"content")));
        assert_ne!(one, keyed(b"secret", b"Content"));
        assert_ne!(one, keyed(b"Secret", b"content"));
        assert!(!pki::digest(b"content").contains(&one));
    }
}
