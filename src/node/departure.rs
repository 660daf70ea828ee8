//! The durable marker of a machine that leaves its cluster for good: no `kubeboot up` joins over it, after a reboot neither.

use crate::host::files;
use crate::model::agent::Departure;
use crate::model::machine::ids::InstanceId;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// The marker's place on the disk, without the leading slash.
const MARKER: &str = "var/lib/kubeboot/leaving.json";
/// The schema that is written and read.
const SCHEMA: u32 = 1;
/// The largest marker, in bytes.
const LIMIT: u64 = 4096;

/// How an operator takes the marker away.
pub const REMEDY: &str = "to have it join again although it was being terminated, run 'kubeboot reset --now' here, and then 'systemctl \
                          start kubeboot'";

/// The marker file.
#[derive(Serialize, Deserialize)]
struct Marker {
    schema: u32,
    /// Who wrote it. Another instance means a baked image or a restored volume, and then it says nothing.
    instance: InstanceId,
    stage: Departure,
    /// When, by this machine's clock (RFC 3339), for people.
    at: String,
}

/// How far the machine `me` has left, below `root` (`/` on a machine); `None` where it has not begun.
///
/// # Errors
/// The marker cannot be read: then it may be one.
pub fn load(root: &Path, me: &InstanceId) -> Result<Option<Departure>> {
    let path = root.join(MARKER);
    let failed = || {
        format!(
            "failed to read the marker of leaving '{}': replace the machine, or, if it is to stay, remove the file",
            path.display()
        )
    };
    if !path.try_exists().with_context(failed)? {
        return Ok(None);
    }
    let bytes = files::read_bounded(&path, LIMIT).with_context(failed)?;
    let marker: Marker = serde_json::from_slice(&bytes).with_context(failed)?;
    ensure!(marker.schema == SCHEMA, "{}: it has schema {}, not {SCHEMA}", failed(), marker.schema);
    Ok((marker.instance == *me).then_some(marker.stage))
}

/// Writes it whole.
///
/// # Errors
/// It cannot be written: then nothing may be removed.
pub fn save(root: &Path, me: &InstanceId, stage: Departure) -> Result<()> {
    let path = root.join(MARKER);
    let marker = Marker { schema: SCHEMA, instance: me.clone(), stage, at: super::registrar::rfc3339() };
    files::private_dir(path.parent().unwrap_or(root))?;
    files::write(&path, &serde_json::to_vec_pretty(&marker).context("a marker is JSON")?, 0o600)
}

/// Removes it, if it is there, for an operator said so.
///
/// # Errors
/// It cannot be removed.
pub fn remove(root: &Path) -> Result<()> {
    let path = root.join(MARKER);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove '{}'", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> InstanceId {
        InstanceId::parse(format!("i-0000000{n}")).unwrap()
    }

    #[test]
    fn a_marker_is_of_the_machine_that_wrote_it_and_stays_until_it_is_removed() -> Result<()> {
        let root = tempfile::tempdir()?;
        assert_eq!(load(root.path(), &id(1))?, None);
        for stage in [Departure::Leaving, Departure::Left] {
            save(root.path(), &id(1), stage)?;
            assert_eq!(load(root.path(), &id(1))?, Some(stage));
            assert_eq!(load(root.path(), &id(2))?, None, "a baked image");
        }
        remove(root.path())?;
        remove(root.path())?;
        assert_eq!(load(root.path(), &id(1))?, None);
        Ok(())
    }

    #[test]
    fn a_marker_that_cannot_be_read_may_be_one() -> Result<()> {
        let root = tempfile::tempdir()?;
        save(root.path(), &id(1), Departure::Leaving)?;
        for text in ["", "{}", "{\"schema\": 2, \"instance\": \"i-00000001\", \"stage\": \"left\", \"at\": \"\"}"] {
            std::fs::write(root.path().join(MARKER), text)?;
            let error = load(root.path(), &id(1)).expect_err(text);
            assert!(format!("{error:#}").contains("replace the machine"), "{error:#}");
        }
        Ok(())
    }
}
