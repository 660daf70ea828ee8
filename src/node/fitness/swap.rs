//! Swap, with which kubelet does not start unless its configuration allows it.

use crate::model::machine::defect::Defect;
use anyhow::{Context, Result};
use std::path::Path;

/// Where the kernel lists its areas, without the leading slash.
const PATH: &str = "proc/swaps";
/// Where kubeadm's drop-in for kubelet's unit has it find flags of the machine's own, without the leading slashes.
const FLAGS: [&str; 2] = ["etc/default/kubelet", "etc/sysconfig/kubelet"];

/// Whether kubelet starts with the swap that there is, below `root`; in words, for people.
///
/// # Errors
/// The kernel does not list its areas. The inner one: it does not start.
pub fn swap(root: &Path, allowed: bool) -> Result<Result<&'static str, Defect>> {
    let path = root.join(PATH);
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read '{}'", path.display()))?;
    Ok(match (swaps(&text), allowed || is_borne_by_flag(root)) {
        (false, _) => Ok("there is no swap"),
        (true, true) => Ok("there is swap, and kubelet's configuration allows it"),
        (true, false) => Err(Defect::new(
            "swap is on: kubelet does not start, for its configuration does not allow that",
            "switch it off (swapoff -a, and no entry in /etc/fstab), or set failSwapOn of KubeletConfiguration to false",
        )),
    })
}

/// Whether a flag of this machine's own has kubelet bear it. One of these files that cannot be read says nothing.
fn is_borne_by_flag(root: &Path) -> bool {
    let texts = FLAGS.iter().filter_map(|path| std::fs::read_to_string(root.join(path)).ok());
    texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .any(|line| !line.trim_start().starts_with('#') && line.contains("--fail-swap-on=false"))
}

/// The file has a heading, and then one line for each area.
fn swaps(text: &str) -> bool {
    text.lines().skip(1).any(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubeadm::documents::Documents;

    const HEADING: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn swap_is_a_defect_unless_kubelet_is_told_to_bear_it() -> Result<()> {
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
            assert_eq!(swap(root.path(), allowed)?.is_ok(), well, "{text} {allowed}");
        }
        std::fs::write(root.path().join(PATH), &area)?;
        std::fs::create_dir_all(root.path().join("etc/default"))?;
        for (line, well) in [
            ("#KUBELET_EXTRA_ARGS=--fail-swap-on=false", false),
            ("KUBELET_EXTRA_ARGS=\"--v=2 --fail-swap-on=false\"", true),
        ] {
            std::fs::write(root.path().join(FLAGS[0]), format!("{line}\n"))?;
            assert_eq!(swap(root.path(), false)?.is_ok(), well, "{line}");
        }
        Ok(())
    }
}
