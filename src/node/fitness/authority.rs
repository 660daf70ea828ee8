//! The authority that kubeadm writes on a worker, and over which it does not write.

use crate::host::files;
use crate::model::machine::defect::Defect;
use std::path::Path;

/// Where it is: the documents may not name another place.
const CA: &str = "/etc/kubernetes/pki/ca.crt";

/// What keeps kubeadm from joining a fresh worker, below `root` (`/` on a machine): an authority that came with the image.
#[must_use]
pub fn foreign_authority(root: &Path) -> Option<Defect> {
    let is_there = files::below(root, Path::new(CA)).exists();
    is_there.then(|| {
        let remedy = "remove it from the image: a worker gets its cluster's authority from join/cluster.json";
        Defect::new(
            format!("'{CA}' is there before this machine has joined, and kubeadm joins no worker over it"),
            remedy,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_of_the_image_is_told_with_its_remedy() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        assert_eq!(foreign_authority(root.path()), None);
        let place = files::below(root.path(), Path::new(CA));
        std::fs::create_dir_all(place.parent().unwrap_or(root.path()))?;
        std::fs::write(place, "")?;
        let told = foreign_authority(root.path()).map(|defect| defect.to_string()).unwrap_or_default();
        assert!(told.starts_with("'/etc/kubernetes/pki/ca.crt' is there") && told.contains("from the image"), "{told}");
        Ok(())
    }
}
