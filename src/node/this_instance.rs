//! Which instance this is, for who cannot wait: at boot the network may not be up, and the metadata service may be late.

use super::facts::boot_id;
use super::this_boot::ThisBoot;
use crate::aws::imds;
use crate::host::files;
use crate::model::machine::ids::InstanceId;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Where the firmware of a Nitro machine names the instance, without the leading slash.
const ASSET_TAG: &str = "sys/class/dmi/id/board_asset_tag";
/// The longest tag, in bytes.
const TAG_LIMIT: u64 = 4096;
/// How long the metadata service may take.
const IMDS_TIMEOUT: Duration = Duration::from_secs(2);

/// What the firmware says, or else what was learnt in this boot, or else what IMDS says at once. `None`: nobody tells.
pub async fn this_instance() -> Option<InstanceId> {
    match by_firmware(Path::new("/")).or_else(by_this_boot) {
        Some(instance) => Some(instance),
        None => timeout(IMDS_TIMEOUT, imds::describe_where_it_is()).await.ok()?.ok().map(|machine| machine.instance),
    }
}

fn by_firmware(root: &Path) -> Option<InstanceId> {
    let tag = files::read_if_there(&root.join(ASSET_TAG), TAG_LIMIT).ok().flatten()?;
    InstanceId::parse(String::from_utf8(tag).ok()?.trim()).ok()
}

fn by_this_boot() -> Option<InstanceId> {
    ThisBoot::load(&boot_id().ok()?).map(|known| known.machine.instance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Result;

    #[test]
    fn the_firmware_tells_the_instance_on_some_machines() -> Result<()> {
        let root = tempfile::tempdir()?;
        assert_eq!(by_firmware(root.path()), None);
        let path = root.path().join(ASSET_TAG);
        std::fs::create_dir_all(path.parent().unwrap_or(root.path()))?;
        for (tag, expected) in
            [("i-0123456789abcdef0\n", Some("i-0123456789abcdef0")), ("Not Specified\n", None), ("", None)]
        {
            std::fs::write(&path, tag)?;
            assert_eq!(by_firmware(root.path()).as_ref().map(InstanceId::as_str), expected, "{tag:?}");
        }
        Ok(())
    }
}
