//! Versions: of kubeadm, of kubelet, of the cluster. Every comparison of two of them is here.

use std::fmt;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A Kubernetes version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The major version; 1 so far.
    pub major: u32,
    /// The minor version, by which compatibility is decided.
    pub minor: u32,
    /// The patch version.
    pub patch: u32,
    /// What comes after the numbers, such as `-rc.1`.
    pub rest: String,
}

impl Version {
    /// The oldest kubeadm that kubeboot works with: since 1.33 kubelet talks to its own API server.
    pub const OLDEST: (u32, u32) = (1, 33);

    /// Reads `v1.36.1`, with or without the `v`.
    ///
    /// # Errors
    /// When it is no version (a label such as `stable-1` is none).
    pub fn parse(text: &str) -> Result<Self> {
        let failed = || format!("'{}' is not a Kubernetes version such as v1.36.1", text.escape_debug());
        let numbers = text.strip_prefix('v').unwrap_or(text);
        let mut parts = numbers.splitn(3, '.');
        let mut next = || parts.next().with_context(failed);
        let (major, minor, last) = (next()?, next()?, next()?);
        let end = last.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(last.len());
        let number = |digits: &str| digits.parse().with_context(failed);
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
            patch: number(&last[..end])?,
            rest: last[end..].to_owned(),
        })
    }

    /// Whether kubeboot works with a kubeadm of this version.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        self.release() >= Self::OLDEST
    }

    /// Whether a kubeadm of this version may join a cluster of that version: the minor versions must be the same.
    #[must_use]
    pub fn joins(&self, cluster: &Self) -> bool {
        self.release() == cluster.release()
    }

    /// Whether its minor version is newer than the other's.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.release() > other.release()
    }

    /// Whether it is more than so many minor versions behind the other.
    #[must_use]
    pub fn is_behind(&self, other: &Self, minor_versions: u32) -> bool {
        self.release() < (other.major, other.minor.saturating_sub(minor_versions))
    }

    fn release(&self) -> (u32, u32) {
        (self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}{}", self.major, self.minor, self.patch, self.rest)
    }
}

/// Reads the output of `kubeadm version -o json`.
///
/// # Errors
/// When it is not that.
pub fn client_version(stdout: &str) -> Result<Version> {
    let value: Value =
        serde_json::from_str(stdout).context("failed to read the answer of 'kubeadm version -o json'")?;
    match value.pointer("/clientVersion/gitVersion").and_then(Value::as_str) {
        Some(version) => Version::parse(version),
        None => bail!("the answer of 'kubeadm version -o json' holds no clientVersion.gitVersion"),
    }
}

/// Reads the output of `kubelet --version`: `Kubernetes v1.36.1`.
///
/// # Errors
/// When it is not that.
pub fn kubelet_version(stdout: &str) -> Result<Version> {
    Version::parse(stdout.trim().strip_prefix("Kubernetes ").unwrap_or_default())
        .context("failed to read the answer of 'kubelet --version'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_written_and_compared() -> Result<()> {
        let table = [("v1.36.1", "v1.36.1"), ("1.33.0", "v1.33.0"), ("v1.36.0-rc.1+d3f", "v1.36.0-rc.1+d3f")];
        for (text, expected) in table {
            assert_eq!(Version::parse(text)?.to_string(), expected);
        }
        for text in ["", "v1", "v1.36", "stable-1", "v1.x.1", "v1.36.", "latest", "v1.99999999999.1"] {
            assert!(Version::parse(text).is_err(), "{text}");
        }
        assert!(Version::parse("v1.33.0")?.is_supported() && !Version::parse("v1.32.9")?.is_supported());
        assert!(Version::parse("v1.36.9")?.joins(&Version::parse("v1.36.1")?));
        assert!(!Version::parse("v1.37.0")?.joins(&Version::parse("v1.36.1")?));
        for (older, newer) in [("v1.36.9", "v1.37.0"), ("v1.9.0", "v1.10.0"), ("v1.36.0", "v2.0.0")] {
            let (older, newer) = (Version::parse(older)?, Version::parse(newer)?);
            assert!(newer.is_newer_than(&older) && !older.is_newer_than(&newer), "{older} {newer}");
        }
        assert!(!Version::parse("v1.36.9")?.is_newer_than(&Version::parse("v1.36.1")?));
        for (older, newer, behind) in
            [("v1.33.0", "v1.36.9", false), ("v1.32.9", "v1.36.0", true), ("v0.9.0", "v1.2.0", true)]
        {
            assert_eq!(Version::parse(older)?.is_behind(&Version::parse(newer)?, 3), behind, "{older} {newer}");
        }
        Ok(())
    }

    #[test]
    fn answers_of_kubeadm_and_kubelet_are_read() -> Result<()> {
        let kubeadm =
            r#"{"clientVersion": {"major": "1", "minor": "36+", "gitVersion": "v1.36.1", "platform": "linux/amd64"}}"#;
        assert_eq!(client_version(kubeadm)?.to_string(), "v1.36.1");
        assert_eq!(kubelet_version("Kubernetes v1.36.1\n")?.to_string(), "v1.36.1");
        assert!(
            client_version("{}").is_err() && client_version("v1.36.1").is_err() && kubelet_version("1.36").is_err()
        );
        Ok(())
    }
}
