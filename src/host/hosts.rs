//! The hosts file that kubeadm sees: the machine's own, with another address for one name.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result};

/// The text of a hosts file in which `name` has `address` and no other. Other names, also those
/// on the same lines, and comments stay as they are.
#[must_use]
pub fn with_address(machine: &str, name: &str, address: IpAddr) -> String {
    let own = format!("{address} {name}");
    let kept = machine.lines().filter_map(|line| without_name(line, name));
    kept.chain([own])
        .map(|line| {
            line + "
"
        })
        .collect()
}

/// A line without a name: unchanged if it does not contain the name, `None` if nothing else is in it.
fn without_name(line: &str, name: &str) -> Option<String> {
    let (entry, comment) = match line.split_once('#') {
        Some((entry, comment)) => (entry, Some(comment)),
        None => (line, None),
    };
    let mut words = entry.split_whitespace();
    let address = words.next();
    let (same, others): (Vec<&str>, Vec<&str>) = words.partition(|word| is_same(word, name));
    if same.is_empty() {
        return Some(line.to_owned());
    }
    let kept = address.filter(|_| !others.is_empty());
    let comment = comment.map(|comment| format!("#{comment}"));
    let words = kept.into_iter().chain(others).chain(comment.as_deref());
    let rest = words.collect::<Vec<_>>().join(" ");
    (!rest.is_empty()).then_some(rest)
}

/// Host names are compared without case and without a dot at the end.
fn is_same(word: &str, name: &str) -> bool {
    word.trim_end_matches('.').eq_ignore_ascii_case(name.trim_end_matches('.'))
}

/// Writes the file in place, keeping its inode: where it is mounted over another file, the mount
/// shows the new content, too. (After a rename the mount would still show the old file.)
///
/// # Errors
///
/// If it cannot be made or written.
pub fn write_in_place(path: &Path, text: &str) -> Result<()> {
    let write = || -> io::Result<()> {
        let file: File = OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path)?;
        // Overwritten first and truncated afterwards, so the file is never empty.
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)
    };
    write().with_context(|| format!("failed to write the hosts file '{}'", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::os::unix::fs::MetadataExt;

    const NAME: &str = "api.demo.internal";
    const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 11));

    #[test]
    fn one_name_gets_another_address_and_the_rest_stays() {
        let cases = [
            ("", "", "an empty file"),
            ("127.0.0.1 localhost\n", "127.0.0.1 localhost\n", "another name"),
            ("10.0.0.9 api.demo.internal\n", "", "the name alone"),
            ("10.0.0.9\tAPI.demo.internal.\n", "", "the name, spelled otherwise"),
            ("10.0.0.9 api.demo.internal # the balancer\n", "# the balancer\n", "a comment stays"),
            ("10.0.0.9 a api.demo.internal b\n", "10.0.0.9 a b\n", "names beside it stay"),
            ("10.0.0.9 a api.demo.internal #x\n", "10.0.0.9 a #x\n", "names and comment stay"),
            ("# api.demo.internal\n", "# api.demo.internal\n", "a comment is no entry"),
            ("10.0.0.9 myapi.demo.internal\n", "10.0.0.9 myapi.demo.internal\n", "a longer name"),
            ("\n127.0.0.1  localhost", "\n127.0.0.1  localhost\n", "no line end at the end"),
            ("::1 api.demo.internal\n10.0.0.9 api.demo.internal x\n", "10.0.0.9 x\n", "twice"),
        ];
        for (machine, rest, case) in cases {
            let wanted = format!("{rest}10.0.1.11 {NAME}\n");
            assert_eq!(with_address(machine, NAME, NODE), wanted, "{case}");
        }
        let six = with_address("", NAME, IpAddr::V6(Ipv6Addr::LOCALHOST));
        assert_eq!(six, format!("::1 {NAME}\n"));
    }

    #[test]
    fn writing_again_keeps_the_inode_and_leaves_no_old_text() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("hosts");
        write_in_place(&path, "10.0.1.111 api.demo.internal\n")?;
        let before = std::fs::metadata(&path)?.ino();
        write_in_place(&path, "10.0.1.1 api\n")?;
        assert_eq!(std::fs::metadata(&path)?.ino(), before);
        assert_eq!(std::fs::read_to_string(&path)?, "10.0.1.1 api\n");
        Ok(())
    }
}
