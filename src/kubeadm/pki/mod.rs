//! The files that all nodes of one control plane share.
//!
//! A node that has the three certificate authorities and the service-account keys can make everything else itself. So these files
//! go, in a [`Bundle`], from the node that initialised the cluster to those that join it; with them go the operator's extra files and
//! the client files of an external etcd.

mod bundle;
mod certificate;
mod operator_pki;
mod shared;

pub use bundle::{AUTHORITIES, BUNDLE_LIMIT, Bundle, TRUSTED, foreign_authorities};
pub use certificate::{Certificate, ca_hashes, certificates, certificates_beside_a_key};
pub use operator_pki::{restore_operator_pki, save_operator_pki};
pub use shared::{SharedFile, Wanted, collect, wanted};

use sha2::{Digest, Sha256};

/// Where kubeadm keeps certificates and keys. Another `certificatesDir` is refused when the documents are read, because
/// the bundle names its files by their full path.
pub const PKI_DIR: &str = "/etc/kubernetes/pki";

/// A SHA-256 as the cluster record and kubeadm write it: `sha256:` and 64 hex digits. Used for a bundle's bytes and for an
/// authority's public key.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Bytes as hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_is_that_of_sha256sum() {
        let nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(super::digest(b""), nothing);
    }
}
