//! What this machine has learnt about itself in this boot: the metadata service may be silent when the machine goes down.
//! It is kept where a power-off erases it, because a machine made from an image of this disk must not take it for its own.

use crate::aws::imds::InstanceMetadata;
use crate::host::files;
use crate::model::machine::ids::BootId;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where it is kept.
const PATH: &str = "/run/kubeboot/this-boot.json";
/// The largest such file, in bytes.
const LIMIT: u64 = 16 * 1024;

/// Who this machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThisBoot {
    /// The boot in which that was learnt. `/run` may outlive a boot in a container.
    pub boot: BootId,
    /// What the metadata service said.
    pub machine: InstanceMetadata,
    /// The version of kubeadm here.
    pub kubeadm: String,
}

impl ThisBoot {
    /// Writes it down.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).context("failed to write down who this machine is")?;
        let path = Path::new(PATH);
        files::private_dir(path.parent().unwrap_or(path))?;
        files::write(path, &bytes, 0o600)
    }

    /// What was written down in this boot, if anything.
    #[must_use]
    pub fn load(boot: &BootId) -> Option<Self> {
        let bytes = files::read_if_there(Path::new(PATH), LIMIT).ok().flatten()?;
        parse(&bytes, boot)
    }
}

fn parse(bytes: &[u8], boot: &BootId) -> Option<ThisBoot> {
    let found: ThisBoot = serde_json::from_slice(bytes).ok()?;
    (found.boot == *boot && !found.machine.addresses.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::InstanceId;

    #[test]
    fn only_what_this_boot_has_learnt_counts() -> Result<()> {
        let boot = BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff")?;
        let machine = InstanceMetadata {
            instance: InstanceId::parse("i-0123abcd")?,
            account: "123456789012".into(),
            region: "eu-central-1".into(),
            zone: "eu-central-1a".into(),
            addresses: vec!["10.77.0.11".parse()?],
            private_dns_name: "n1".into(),
        };
        let mine = ThisBoot { boot: boot.clone(), machine, kubeadm: "v1.36.1".into() };
        let bytes = serde_json::to_vec(&mine)?;
        assert_eq!(parse(&bytes, &boot), Some(mine.clone()));
        let other = BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964fe")?;
        assert_eq!(parse(&bytes, &other), None);
        assert_eq!(parse(&bytes[..bytes.len() / 2], &boot), None, "a disk that was full");
        let nowhere = ThisBoot { machine: InstanceMetadata { addresses: Vec::new(), ..mine.machine.clone() }, ..mine };
        assert_eq!(parse(&serde_json::to_vec(&nowhere)?, &boot), None);
        Ok(())
    }
}
