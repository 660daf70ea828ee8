//! Whether a machine's programs can restore a snapshot.

use crate::model::version::Release;
use std::fmt;

/// The versions that matter: of Kubernetes by its minor, of etcd whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramVersions {
    /// Kubernetes: of kubeadm and kubelet here, of the API server that wrote the snapshot there.
    pub kubernetes: Release,
    /// etcd: of the image that kubeadm starts here, of the member that was saved there.
    pub etcd: (u32, u32, u32),
}

/// Why this machine cannot restore the record's snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotUnfit {
    /// Another minor version of Kubernetes.
    Kubernetes {
        /// That of the snapshot.
        snapshot: (u32, u32),
        /// That of this image.
        here: (u32, u32),
    },
    /// Another version of Kubernetes, and one of the two is more than its three numbers, which alone could be written.
    NotWhole {
        /// That of the snapshot.
        snapshot: Release,
        /// That of this image.
        here: Release,
    },
    /// An older etcd than the one that was saved.
    Etcd {
        /// That of the snapshot.
        snapshot: (u32, u32, u32),
        /// That of this image.
        here: (u32, u32, u32),
    },
    /// The snapshot, or its manifest, is not the one that the record names, or is damaged.
    Damaged {
        /// What was found.
        why: String,
    },
    /// The keys of the saved cluster cannot be installed here.
    Keys {
        /// What was found, and what to do.
        why: String,
    },
    /// This machine has no way to restore it.
    NoProgram {
        /// What is missing.
        why: String,
    },
}

/// Whether programs of these versions restore a snapshot of those. Kubernetes one minor newer is for `by_image` alone.
///
/// # Errors
/// Why not.
pub fn fits(snapshot: ProgramVersions, here: ProgramVersions, by_image: bool) -> Result<(), SnapshotUnfit> {
    let (wrote, reads) = (snapshot.kubernetes, here.kubernetes);
    let is_next = by_image && reads.series() == (wrote.major, wrote.minor + 1);
    if reads.series() != wrote.series() && !is_next {
        return Err(SnapshotUnfit::Kubernetes { snapshot: wrote.series(), here: reads.series() });
    }
    if by_image && reads != wrote && !(wrote.is_whole() && reads.is_whole()) {
        return Err(SnapshotUnfit::NotWhole { snapshot: wrote, here: reads });
    }
    if here.etcd < snapshot.etcd {
        return Err(SnapshotUnfit::Etcd { snapshot: snapshot.etcd, here: here.etcd });
    }
    Ok(())
}

/// Ends with what to do.
impl fmt::Display for SnapshotUnfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubernetes { snapshot, here } => write!(
                f,
                "the snapshot is of Kubernetes {}.{}, this image has {}.{}: launch machines from an image of the snapshot's minor version",
                snapshot.0, snapshot.1, here.0, here.1
            ),
            Self::NotWhole { snapshot, here } => write!(
                f,
                "the snapshot is of Kubernetes v{snapshot}, this image has v{here}, and one of them has a suffix, of a pre-release or a vendor: \
                 launch machines from an image of the snapshot's very version"
            ),
            Self::Etcd { snapshot, here } => write!(
                f,
                "the snapshot is of etcd {}.{}.{}, this image has the older {}.{}.{}: launch machines from an image with that version of etcd, \
                 or a newer one",
                snapshot.0, snapshot.1, snapshot.2, here.0, here.1, here.2
            ),
            Self::Damaged { why } => write!(
                f,
                "the record's snapshot cannot be restored: {why}; choose another one by 'kubeboot restore --snapshot KEY', or put its last \
                 version back in the bucket"
            ),
            Self::Keys { why } => write!(f, "the keys of the saved cluster cannot be used on this machine: {why}"),
            Self::NoProgram { why } => {
                write!(
                    f,
                    "this machine cannot restore a snapshot: {why}; put etcdutl into the image, or see that its runtime runs etcd's image"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_kubernetes_or_the_next_by_image_and_no_older_etcd_restores() {
        let versions = |minor, etcd| ProgramVersions { kubernetes: Release::new(1, minor, 1), etcd };
        let kubernetes = |here| Err(SnapshotUnfit::Kubernetes { snapshot: (1, 36), here: (1, here) });
        let etcd = |here| Err(SnapshotUnfit::Etcd { snapshot: (3, 6, 8), here });
        let rows = [
            (36, (3, 6, 8), false, Ok(())),
            (36, (3, 6, 9), false, Ok(())),
            (36, (3, 7, 0), true, Ok(())),
            (36, (3, 6, 7), false, etcd((3, 6, 7))),
            (36, (3, 5, 30), true, etcd((3, 5, 30))),
            (37, (3, 6, 8), false, kubernetes(37)),
            (37, (3, 6, 8), true, Ok(())),
            (37, (3, 6, 7), true, etcd((3, 6, 7))),
            (38, (3, 6, 8), true, kubernetes(38)),
            (35, (3, 6, 8), true, kubernetes(35)),
        ];
        for (minor, here, by_image, expected) in rows {
            let found = fits(versions(36, (3, 6, 8)), versions(minor, here), by_image);
            assert_eq!(found, expected, "{minor} {here:?} {by_image}");
        }
        // (snapshot, here, with by-image)
        let suffixed = [
            ("1.36.3-acme.2", "1.36.3-acme.2", true),
            ("1.36.3-acme.2", "1.36.4-acme.1", false),
            ("1.36.1", "1.37.0-rc.1", false),
            ("1.36.1", "1.36.1-acme.1", true),
        ];
        for (snapshot, reads, fit) in suffixed {
            let of = |text| ProgramVersions { kubernetes: Release::parse(text).unwrap(), etcd: (3, 6, 8) };
            assert_eq!(fits(of(snapshot), of(reads), true).is_ok(), fit, "{snapshot} {reads}");
            // Then nobody writes a version.
            let is_same = of(snapshot).kubernetes.series() == of(reads).kubernetes.series();
            assert_eq!(fits(of(snapshot), of(reads), false).is_ok(), is_same, "{snapshot} {reads}");
        }
    }

    #[test]
    fn what_does_not_fit_ends_with_what_to_do() {
        let rows = [
            (
                SnapshotUnfit::Kubernetes { snapshot: (1, 36), here: (1, 35) },
                "has 1.35: launch machines from an image of the snapshot's minor version",
            ),
            (
                SnapshotUnfit::Etcd { snapshot: (3, 6, 8), here: (3, 5, 1) },
                "the older 3.5.1: launch machines from an image",
            ),
            (
                SnapshotUnfit::NotWhole { snapshot: Release::new(1, 36, 1), here: Release::new(1, 37, 0) },
                "a vendor: launch machines from an image of the snapshot's very version",
            ),
            (SnapshotUnfit::Damaged { why: "w".into() }, "w; choose another one by 'kubeboot restore --snapshot KEY'"),
            (SnapshotUnfit::Keys { why: "w".into() }, "keys of the saved cluster cannot be used on this machine: w"),
            (SnapshotUnfit::NoProgram { why: "w".into() }, "w; put etcdutl into the image"),
        ];
        for (unfit, text) in rows {
            assert!(unfit.to_string().contains(text), "{unfit}");
        }
    }
}
