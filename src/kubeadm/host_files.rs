//! Checks whether a file that the documents name is on this machine.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::documents::{Expected, HostFile};
use crate::host::files::below;

/// What is wrong with a file below `root` (`/` on a machine); `None` when nothing is.
///
/// A file of the bundle may be missing on a machine that joins: the caller knows which files those are.
#[must_use]
pub fn problem(root: &Path, file: &HostFile) -> Option<String> {
    if file.expected == Expected::NoVolume {
        return Some("no volume mounts it into the container: add one to extraVolumes".to_owned());
    }
    let kind = match fs::metadata(below(root, &file.path)) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return missing(file.expected),
        Err(error) => return Some(error.to_string()),
    };
    let (fits, wanted) = match file.expected {
        Expected::File | Expected::FileOrNothing => (kind.is_file(), "a regular file"),
        Expected::Folder | Expected::FolderOrNothing => (kind.is_dir(), "a folder"),
        Expected::Socket => (kind.is_socket(), "a unix socket"),
        Expected::Device => (kind.is_char_device() || kind.is_block_device(), "a device"),
        Expected::Anything | Expected::NoVolume => (true, "anything"),
    };
    (!fits).then(|| format!("it is not {wanted}"))
}

fn missing(expected: Expected) -> Option<String> {
    match expected {
        Expected::FileOrNothing | Expected::FolderOrNothing => None,
        Expected::Anything => Some("it is missing: kubelet would make an empty folder in its place".to_owned()),
        Expected::File | Expected::Folder | Expected::Socket | Expected::Device | Expected::NoVolume => {
            Some("it is missing: put it into the machine image".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Expected::{Anything, Device, File, FileOrNothing, Folder, FolderOrNothing, NoVolume, Socket};

    #[test]
    fn each_expectation_is_checked_against_the_disk() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        fs::create_dir_all(root.path().join("etc/folder"))?;
        fs::write(root.path().join("etc/file"), "")?;
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("etc/socket"))?;
        let table = [
            ("/etc/file", File, ""),
            ("/etc/file", FileOrNothing, ""),
            ("/etc/folder", Folder, ""),
            ("/etc/folder", FolderOrNothing, ""),
            ("/etc/socket", Socket, ""),
            ("/etc/socket", Anything, ""),
            ("/etc/none", FileOrNothing, ""),
            ("/etc/none", FolderOrNothing, ""),
            ("/etc/none", File, "it is missing: put"),
            ("/etc/none", Socket, "it is missing: put"),
            ("/etc/none", Anything, "it is missing: kubelet"),
            ("/etc/folder", File, "not a regular file"),
            ("/etc/folder", FileOrNothing, "not a regular file"),
            ("/etc/file", Folder, "not a folder"),
            ("/etc/file", Socket, "not a unix socket"),
            ("/etc/file", Device, "not a device"),
            ("/etc/file", NoVolume, "extraVolumes"),
            ("/etc/file/below", File, "Not a directory"),
        ];
        for (path, expected, said) in table {
            let file = HostFile { path: path.into(), field: "a field".into(), expected };
            let problem = problem(root.path(), &file).unwrap_or_default();
            assert!(problem.contains(said) && problem.is_empty() == said.is_empty(), "{path} {expected:?}: {problem}");
        }
        Ok(())
    }
}
