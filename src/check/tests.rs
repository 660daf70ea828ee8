//! The checks and their documentation are the same list.

use super::{CHECKS, image, of_image, of_role, worker};
use crate::settings::Role;

/// The names in the table of a section of the page.
fn documented(section: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/check.md");
    let section = page.split("\n## ").find(|found| found.starts_with(&format!("{section}\n"))).unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name).collect()
}

#[test]
fn every_check_is_documented_and_every_documented_check_is_there() {
    let checks: Vec<&str> = CHECKS.into_iter().flatten().map(|check| check.name).collect();
    assert_eq!(documented("The checks"), checks);
    let of_workers: Vec<&str> = worker::CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(documented("The checks of a worker"), of_workers);
    let of_images: Vec<&str> = image::CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(documented("The checks of an image"), of_images);
}

#[test]
fn a_worker_has_the_checks_that_concern_it() {
    let names: Vec<&str> = of_role(Role::Worker).iter().map(|check| check.name).collect();
    let of_workers = worker::CHECKS.iter().map(|check| check.name);
    assert_eq!(names, worker::SHARED.into_iter().chain(of_workers).collect::<Vec<_>>());
}

#[test]
fn an_image_has_the_checks_that_concern_it() {
    let names: Vec<&str> = of_image().iter().map(|check| check.name).collect();
    let own = image::CHECKS.iter().map(|check| check.name);
    assert_eq!(names, image::SHARED.into_iter().chain(own).collect::<Vec<_>>());
}
