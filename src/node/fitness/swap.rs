//! Swap, with which kubelet does not start unless its configuration allows it.

use crate::model::machine::defect::Defect;
use anyhow::{Context, Result};
use std::path::Path;

/// Where the kernel lists its areas, without the leading slash.
const PATH: &str = "proc/swaps";

/// Whether kubelet starts with the swap that there is, below `root`; in words, for people.
///
/// # Errors
/// The kernel does not list its areas. The inner one: it does not start.
pub fn swap(root: &Path, allowed: bool) -> Result<Result<&'static str, Defect>> {
    let path = root.join(PATH);
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read '{}'", path.display()))?;
    Ok(match (swaps(&text), allowed) {
        (false, _) => Ok("there is no swap"),
        (true, true) => Ok("there is swap, and kubelet's configuration allows it"),
        (true, false) => Err(Defect::new(
            "swap is on: kubelet does not start, for its configuration does not allow that",
            "switch it off (swapoff -a, and no entry in /etc/fstab), or set failSwapOn of KubeletConfiguration to false",
        )),
    })
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
        Ok(())
    }
}
