//! The volume of etcd's data.

use crate::host::systemd::mounts;
use crate::host::systemd::unit::Unit;
use crate::model::machine::defect::Defect;
use anyhow::Result;
use std::path::Path;

/// What is wrong where systemd knows of a volume for this folder, and has not mounted it: what is written there now is hidden later.
pub async fn volume(folder: Option<&Path>) -> Option<Defect> {
    let folder = folder?;
    judge(folder, mounts::not_mounted(folder).await).ok()?
}

/// The same, of what systemd has said of the units of that folder's volumes.
pub(super) fn volume_by(folder: &Path, names: Vec<String>, units: impl IntoIterator<Item = Unit>) -> Option<Defect> {
    mounts::first_missing(names, units).map(|(unit, state)| missing(folder, &unit, &state))
}

/// The same before what a machine was is given up for good: there a systemd that does not answer is in the way, too, for the data may be
/// on a volume that comes later.
pub async fn volume_for_certain(folder: Option<&Path>) -> Option<Defect> {
    let folder = folder?;
    judge(folder, mounts::not_mounted(folder).await).unwrap_or_else(Some)
}

/// The defect, if there is one; as an error where it is not known.
fn judge(folder: &Path, asked: Result<Option<(String, String)>>) -> Result<Option<Defect>, Defect> {
    match asked {
        Ok(found) => Ok(found.map(|(unit, state)| missing(folder, &unit, &state))),
        Err(error) => Err(Defect::new(
            format!("it is not known whether '{}' is on a volume that is not mounted: {error:#}", folder.display()),
            "see 'systemctl list-units --type=mount'; this goes on when systemd answers",
        )),
    }
}

fn missing(folder: &Path, unit: &str, state: &str) -> Defect {
    Defect::new(
        format!("'{}' is on a volume that is not mounted: {unit} is {state}", folder.display()),
        format!(
            "systemctl start '{unit}'; if there is no such volume any more, remove it from /etc/fstab and run 'systemctl daemon-reload'"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_systemd_is_no_defect_and_no_certainty() {
        let folder = Path::new("/data/etcd");
        assert_eq!(judge(folder, Ok(None)), Ok(None));
        let mounted = ("data-etcd.mount".to_owned(), "inactive".to_owned());
        assert!(judge(folder, Ok(Some(mounted))).is_ok_and(|found| found.is_some()));
        let doubt = judge(folder, Err(anyhow::anyhow!("no answer"))).expect_err("nobody knows").to_string();
        assert!(doubt.contains("not known whether '/data/etcd'") && doubt.contains("no answer"), "{doubt}");
    }

    #[test]
    fn a_volume_that_is_not_mounted_is_named_with_its_unit() {
        let told = missing(Path::new("/data/etcd"), "data-etcd.mount", "failed").to_string();
        assert!(told.contains("'/data/etcd' is on a volume that is not mounted: data-etcd.mount is failed"), "{told}");
        assert!(told.contains("systemctl start 'data-etcd.mount'"), "{told}");
    }
}
