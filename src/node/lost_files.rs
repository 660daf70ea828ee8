//! Which files of this machine are lost, where it is a member; and how that is told.

use crate::kubeadm::documents::Documents;
use crate::kubeadm::own_files::{Has, lost};
use crate::kubeadm::pki;
use crate::model::machine::own_files::{LostFile, plan};
use crate::settings::Settings;
use std::path::{Path, PathBuf};

/// How many are named in one line.
const SHOWN: usize = 5;
/// What leads out where files are not made anew.
pub const REMEDY: &str = "put them back where they were moved away; or 'kubeboot reset --now' here, and then 'systemctl start kubeboot', have \
                          this machine join anew, while the others have a quorum";
/// What leads out where they are.
pub const REPAIRED: &str = "run 'kubeboot up', which puts back what the bundle has and has kubeadm make the rest anew, as soon as etcd's members \
                            list this machine";

/// What a member has by these documents. `initialised`: whether this machine has made the cluster; `None` where nobody says.
#[must_use]
pub fn has(documents: &Documents, initialised: Option<bool>) -> Has {
    let may_be = [true, false].into_iter().filter(|either| initialised.is_none_or(|known| known == *either));
    let mut all = may_be.map(|initialised| documents.makes_all_files(initialised));
    Has { own_etcd: documents.data_dir().is_some(), all_files: all.all(|makes| makes) }
}

/// The files that this member has lost.
#[must_use]
pub fn of_member(documents: &Documents, settings: &Settings, initialised: Option<bool>) -> Vec<LostFile> {
    let shared = pki::wanted(documents.external_etcd().as_ref(), &settings.extra_shared_files);
    lost(Path::new("/"), &shared, has(documents, initialised))
}

/// What is told of them: which, and which of them are not made anew.
#[must_use]
pub fn told(lost: &[LostFile]) -> Option<(String, &'static str)> {
    let paths: Vec<PathBuf> = lost.iter().map(|file| file.path.clone()).collect();
    let left = plan(lost).left;
    match (paths.is_empty(), left.is_empty()) {
        (true, _) => None,
        (false, true) => Some((named(&paths), REPAIRED)),
        (false, false) => Some((named(&paths), REMEDY)),
    }
}

/// A few of them as a list.
#[must_use]
pub fn named(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
    match paths.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::own_files::FileKind;

    #[test]
    fn what_up_makes_anew_and_what_it_leaves_have_each_their_remedy() {
        let file = |path: &str, kind| LostFile { path: path.into(), kind };
        let shared = file("/etc/kubernetes/pki/sa.key", FileKind::Shared);
        let moved = file("/etc/kubernetes/manifests/etcd.yaml", FileKind::Manifest(&["etcd", "local"]));
        assert_eq!(told(&[]), None);
        assert_eq!(told(std::slice::from_ref(&shared)), Some(("/etc/kubernetes/pki/sa.key".into(), REPAIRED)));
        assert_eq!(told(&[shared, moved]).map(|(_, remedy)| remedy), Some(REMEDY));
        let many: Vec<PathBuf> = (0..7).map(|n| format!("/{n}").into()).collect();
        assert_eq!(named(&many), "/0, /1, /2, /3, /4 and 2 more");
    }
}
