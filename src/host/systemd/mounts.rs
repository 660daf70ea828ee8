//! The volumes that systemd mounts.

use std::path::Path;

use anyhow::Result;

use super::unit::{self, Unit};

/// The units by which systemd would mount this folder, or a folder above it: outermost first, `/` left out, which is always mounted.
#[must_use]
pub fn units_of(folder: &Path) -> Vec<String> {
    let above = folder.ancestors().filter(|folder| folder.file_name().is_some());
    let mut units: Vec<String> = above.map(unit_of).collect();
    units.reverse();
    units
}

/// The unit that mounts this folder, as `systemd-escape --path --suffix=mount` names it.
fn unit_of(folder: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let parts = folder.components().filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(name.as_bytes()),
        _ => None,
    });
    let mut name = String::new();
    for byte in parts.collect::<Vec<_>>().join(&b'/') {
        match byte {
            b'/' => name.push('-'),
            b'.' if name.is_empty() => name.push_str("\\x2e"),
            b':' | b'_' | b'.' => name.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            _ => name.push_str(&format!("\\x{byte:02x}")),
        }
    }
    name + ".mount"
}

/// The first volume on the way to this folder that systemd knows of, by `fstab` or a unit, and that is not mounted: its unit, and that
/// one's state.
///
/// # Errors
/// systemd does not answer.
pub async fn not_mounted(folder: &Path) -> Result<Option<(String, String)>> {
    let names = units_of(folder);
    if names.is_empty() {
        return Ok(None);
    }
    let units = unit::show_all(&names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    Ok(first_missing(names, units))
}

/// The same, of what systemd has said of [these units](units_of), in their order.
#[must_use]
pub fn first_missing(
    names: impl IntoIterator<Item = String>,
    units: impl IntoIterator<Item = Unit>,
) -> Option<(String, String)> {
    let missing = names.into_iter().zip(units).find(|(_, unit)| is_missing(unit));
    missing.map(|(name, unit)| (name, unit.active))
}

fn is_missing(unit: &Unit) -> bool {
    unit.is_installed() && !unit.is_active()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_named_as_systemd_escapes_paths() {
        let rows: [(&str, &[&str]); 5] = [
            ("/var/lib/etcd", &["var.mount", "var-lib.mount", "var-lib-etcd.mount"]),
            ("/data", &["data.mount"]),
            ("/data//etcd-1/", &["data.mount", "data-etcd\\x2d1.mount"]),
            ("/.data/a b_c:d.e%", &["\\x2edata.mount", "\\x2edata-a\\x20b_c:d.e\\x25.mount"]),
            ("/", &[]),
        ];
        for (folder, expected) in rows {
            assert_eq!(units_of(Path::new(folder)), expected, "{folder}");
        }
    }

    #[test]
    fn only_a_volume_that_systemd_knows_of_can_be_missing() {
        let unit = |load: &str, active: &str| Unit { load: load.into(), active: active.into(), ..Unit::default() };
        let rows = [
            (unit("not-found", "inactive"), false),
            (unit("masked", "inactive"), false),
            (unit("loaded", "active"), false),
            (unit("loaded", "inactive"), true),
            (unit("loaded", "activating"), true),
            (unit("loaded", "failed"), true),
        ];
        for (unit, expected) in rows {
            assert_eq!(is_missing(&unit), expected, "{unit:?}");
        }
    }
}
