//! Swap, with which kubelet does not start unless it is told to bear it.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use std::fs;
use std::path::Path;

/// Where the kernel lists its areas, without the leading slash.
const PATH: &str = "proc/swaps";
/// Where kubeadm's drop-in for kubelet's unit has it find flags of the machine's own, without the leading slashes.
const FLAGS: [&str; 2] = ["etc/default/kubelet", "etc/sysconfig/kubelet"];

/// Whether memory is swapped out, and kubelet bears that.
pub(super) fn swap(input: &CheckInput) -> Found {
    judge(Path::new("/"), input.documents.needed()?.allows_swap()).map(|found| vec![found])
}

/// A warning at most: a flag in kubelet's unit, a patch, or the cluster's own configuration may have kubelet bear it.
fn judge(root: &Path, allowed: bool) -> Result<Finding, Finding> {
    let path = root.join(PATH);
    let text = fs::read_to_string(&path).map_err(|error| Finding::skipped(format!("'{}': {error}", path.display())))?;
    Ok(match (swaps(&text), allowed || is_borne_by_flag(root)) {
        (false, _) => Finding::ok("there is no swap"),
        (true, true) => Finding::ok("there is swap, and kubelet's configuration allows it"),
        (true, false) => Finding::warning(
            "swap is on: kubelet does not start, for its configuration does not allow that",
            "switch it off (swapoff -a, and no entry in /etc/fstab), or set failSwapOn of KubeletConfiguration to false",
        ),
    })
}

/// Whether a flag of this machine's own has kubelet bear it. One of these files that cannot be read says nothing.
fn is_borne_by_flag(root: &Path) -> bool {
    let bears = |line: &str| !line.trim_start().starts_with('#') && line.contains("--fail-swap-on=false");
    FLAGS.iter().any(|path| fs::read_to_string(root.join(path)).is_ok_and(|text| text.lines().any(bears)))
}

/// The file has a heading, and then one line for each area.
fn swaps(text: &str) -> bool {
    text.lines().skip(1).any(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::finding::CheckVerdict;
    use super::*;
    use crate::kubeadm::documents::Documents;
    use anyhow::Result;

    fn is_well(root: &Path, allowed: bool) -> Option<bool> {
        judge(root, allowed).ok().map(|found| found.verdict == CheckVerdict::Ok)
    }

    const HEADING: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn swap_is_a_warning_unless_kubelet_is_told_to_bear_it() -> Result<()> {
        let area = format!("{HEADING}/dev/zram0 partition 8388604 0 100\n");
        let document = |text: &str| Ok::<_, anyhow::Error>(Documents::parse(text)?.allows_swap());
        let kubelet = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
        let flag = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration:\n  kubeletExtraArgs:\n  - name: \
                    fail-swap-on\n    value: ";
        let rows = [
            (HEADING, false, true),
            ("", false, true),
            (&area, Documents::default().allows_swap(), false),
            (&area, document(kubelet)?, false),
            (&area, document(&format!("{kubelet}failSwapOn: true\n"))?, false),
            (&area, document(&format!("{kubelet}failSwapOn: false\n"))?, true),
            (&area, document(&format!("{flag}\"false\"\n"))?, true),
            (&area, document(&format!("{flag}\"true\"\n"))?, false),
        ];
        let root = tempfile::tempdir()?;
        std::fs::create_dir(root.path().join("proc"))?;
        for (text, allowed, well) in rows {
            std::fs::write(root.path().join(PATH), text)?;
            assert_eq!(is_well(root.path(), allowed), Some(well), "{text} {allowed}");
        }
        std::fs::write(root.path().join(PATH), &area)?;
        std::fs::create_dir_all(root.path().join("etc/default"))?;
        for (line, well) in [
            ("#KUBELET_EXTRA_ARGS=--fail-swap-on=false", false),
            ("KUBELET_EXTRA_ARGS=\"--v=2 --fail-swap-on=false\"", true),
        ] {
            std::fs::write(root.path().join(FLAGS[0]), format!("{line}\n"))?;
            assert_eq!(is_well(root.path(), false), Some(well), "{line}");
        }
        Ok(())
    }
}
