//! kubelet's unit, which kubeadm starts.

use crate::host::systemd::unit::Unit;
use crate::kubeadm::quiesce::KUBELET;
use crate::model::machine::defect::Defect;

/// What mends it where it is missing.
pub(super) const REMEDY: &str = "install kubelet with its unit, from the packages of Kubernetes";

/// Whether systemd has the unit and may start it.
///
/// # Errors
/// It has not, or may not.
pub fn installed(unit: &Unit) -> Result<(), Defect> {
    match unit.load.as_str() {
        "masked" => Err(Defect::new(format!("{KUBELET} is masked"), format!("systemctl unmask {KUBELET}"))),
        _ if unit.is_installed() => Ok(()),
        load => Err(Defect::new(format!("systemd has no {KUBELET} ({load})"), REMEDY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_is_masked_or_not_there_is_told_with_its_own_remedy() {
        let rows =
            [("loaded", ""), ("masked", "unmask"), ("not-found", "install kubelet"), ("error", "install kubelet")];
        for (load, said) in rows {
            let unit = Unit { load: load.into(), ..Unit::default() };
            let remedy = installed(&unit).err().map(|defect| defect.remedy).unwrap_or_default();
            assert!(remedy.contains(said) && remedy.is_empty() == said.is_empty(), "{load}: {remedy}");
        }
    }
}
