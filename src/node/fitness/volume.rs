//! The volume of etcd's data.

use crate::host::systemd::mounts;
use crate::model::machine::defect::Defect;
use std::path::Path;

/// What is wrong where systemd knows of a volume for this folder, and has not mounted it: what is written there now is hidden later.
pub async fn volume(folder: Option<&Path>) -> Option<Defect> {
    let folder = folder?;
    let (unit, state) = mounts::not_mounted(folder).await.ok()??;
    Some(missing(folder, &unit, &state))
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
    fn a_volume_that_is_not_mounted_is_named_with_its_unit() {
        let told = missing(Path::new("/data/etcd"), "data-etcd.mount", "failed").to_string();
        assert!(told.contains("'/data/etcd' is on a volume that is not mounted: data-etcd.mount is failed"), "{told}");
        assert!(told.contains("systemctl start 'data-etcd.mount'"), "{told}");
    }
}
