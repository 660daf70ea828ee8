//! Copies of etcd's data that were moved aside, as people and programs are told of them.

use crate::kubeadm::data_dir;
use crate::model::status::AsideCopy;
use std::path::{Path, PathBuf};

/// Those within etcd's data folder, where etcd runs here.
#[must_use]
pub fn copies(data_dir: Option<&Path>) -> Vec<AsideCopy> {
    let copy = |path: PathBuf| AsideCopy {
        written: data_dir::last_written(&path).map(|at| humantime::format_rfc3339_seconds(at).to_string()),
        path: path.display().to_string(),
    };
    data_dir.map(data_dir::asides_of).unwrap_or_default().into_iter().map(copy).collect()
}
