//! Parses certificates: the public-key hashes of a cluster's authority, and when a certificate expires.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use x509_parser::pem::Pem;

use super::digest;

/// What a certificate is called in PEM.
const LABEL: &str = "CERTIFICATE";

/// The fields of a certificate that kubeboot needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The subject, such as `CN=kubernetes`.
    pub subject: String,
    /// The moment after which it is no longer valid.
    pub expires: SystemTime,
    /// `sha256:` and the hex digits of the hash of its public key (the DER of `SubjectPublicKeyInfo`), which is what
    /// `kubeadm join --discovery-token-ca-cert-hash` takes.
    pub public_key_hash: String,
}

/// Reads every certificate of a PEM file, in the file's order.
///
/// # Errors
/// When there is none, or something else among them.
pub fn certificates(pem: &[u8]) -> Result<Vec<Certificate>> {
    let blocks = Pem::iter_from_buffer(pem).collect::<Result<Vec<_>, _>>().ok().context("not PEM text")?;
    ensure!(!blocks.is_empty(), "no certificate in it");
    blocks.iter().map(certificate).collect()
}

/// The same for a file that holds a key, too, such as kubelet's. The key is not looked at.
///
/// # Errors
/// When there is no certificate, or one that makes no sense.
pub fn certificates_beside_a_key(pem: &[u8]) -> Result<Vec<Certificate>> {
    let blocks = Pem::iter_from_buffer(pem).collect::<Result<Vec<_>, _>>().ok().context("not PEM text")?;
    let certificates: Vec<_> = blocks.iter().filter(|block| block.label == LABEL).collect();
    ensure!(!certificates.is_empty(), "no certificate in it");
    certificates.into_iter().map(certificate).collect()
}

fn certificate(block: &Pem) -> Result<Certificate> {
    ensure!(block.label == LABEL, "not only certificates in it");
    let parsed = block.parse_x509().ok().context("not an X.509 certificate")?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    Ok(Certificate {
        subject: parsed.subject().to_string(),
        expires: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        public_key_hash: digest(parsed.public_key().raw),
    })
}

/// The public-key hash of every certificate of a CA file: one, or several while an authority is being replaced.
///
/// # Errors
/// When the file holds no certificate.
pub fn ca_hashes(pem: &[u8]) -> Result<Vec<String>> {
    let all = certificates(pem).context("failed to read the certificate authority 'ca.crt'")?;
    Ok(all.into_iter().map(|certificate| certificate.public_key_hash).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &[u8] = include_bytes!("../../../tests/fixtures/pki/ca.crt");
    const RSA: &[u8] = include_bytes!("../../../tests/fixtures/pki/rsa.crt");

    /// The expected hashes were made as kubeadm's manual says:
    /// `openssl x509 -pubkey -noout -in ca.crt | openssl pkey -pubin -outform der | openssl dgst -sha256 -hex`
    #[test]
    fn hashes_are_those_that_openssl_makes() -> Result<()> {
        let ec = "sha256:c3ecc4509e9934d93b0d0c18cfe6d853a487b07bbcccf55b9bddbfb15a6cf115";
        let rsa = "sha256:2c3fb7b941473ec18a378205faa03e80f8f2daee587a17e026fbeac63553a72f";
        assert_eq!(ca_hashes(EC)?, [ec]);
        assert_eq!(ca_hashes(&[EC, RSA].concat())?, [ec, rsa], "two while an authority is replaced");
        Ok(())
    }

    #[test]
    fn subject_and_expiry_are_read() -> Result<()> {
        let read = &certificates(RSA)?[0];
        assert_eq!(read.subject, "CN=kubernetes-rsa");
        assert_eq!(read.expires, SystemTime::UNIX_EPOCH + Duration::from_secs(4_948_781_906));
        Ok(())
    }

    #[test]
    fn an_invalid_certificate_is_an_error_that_quotes_nothing() {
        let key = b"-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n".as_slice();
        let broken = b"-----BEGIN CERTIFICATE-----\nU0VDUkVU\n-----END CERTIFICATE-----\n".as_slice();
        for text in [b"".as_slice(), b"U0VDUkVU", key, broken] {
            let error = ca_hashes(text).err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(error.contains("ca.crt") && !error.contains("U0VDUkVU"), "{error}");
        }
    }
}
