//! The checks and their documentation are the same list.

use super::CHECKS;

#[test]
fn every_check_is_documented_and_every_documented_check_is_there() {
    let page = include_str!("../../docs/check.md");
    let section = page.split("\n## ").find(|section| section.starts_with("The checks\n")).unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: Vec<&str> = rows.map(|(name, _)| name).collect();
    let checks: Vec<&str> = CHECKS.into_iter().flatten().map(|check| check.name).collect();
    assert_eq!(documented, checks);
}
