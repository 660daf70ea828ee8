//! `kubeboot check`: is this machine, is this account ready for `up`?
//!
//! A check is a name and a small function that looks at one thing and ends with findings: ok, warning, failed with the
//! remedy, or skipped with the reason. What several checks need is gathered first, once; then all of them run at the
//! same time, none for longer than five seconds, or another time that is given. `docs/check.md` describes each.

mod account;
mod bucket;
mod cluster;
mod disk;
mod finding;
mod host_files;
mod image;
mod input;
mod kubeadm;
mod machine;
mod network;
mod own_etcd;
mod own_files;
mod own_node;
mod report;
mod runtime;
mod settings;
mod shared;
mod snapshots;
mod swap;
#[cfg(test)]
mod tests;
mod trial;
mod units;
mod upgrade;
mod worker;

use crate::exit::Exit;
use crate::layout::print;
use crate::settings::{Role, Settings};
use anyhow::{Result, anyhow};
use finding::Found;
use futures::future::{BoxFuture, join_all};
use input::CheckInput;
use report::CheckReport;
use std::time::Duration;
use tokio::time::timeout;

/// How long one question, and one check, may take unless another time is given. What is well answers within a second.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest time that may be given.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// The longest.
pub const LONGEST: Duration = Duration::from_mins(10);

/// One check.
struct Check {
    /// Its name, for people, programs and the documentation.
    name: &'static str,
    run: for<'a> fn(&'a CheckInput) -> BoxFuture<'a, Found>,
}

/// All checks, in the order of the report: from this machine outwards.
const CHECKS: [&[Check]; 17] = [
    settings::CHECKS,
    machine::CHECKS,
    units::CHECKS,
    runtime::CHECKS,
    disk::CHECKS,
    own_files::CHECKS,
    kubeadm::CHECKS,
    host_files::CHECKS,
    network::CHECKS,
    account::CHECKS,
    bucket::CHECKS,
    trial::CHECKS,
    snapshots::CHECKS,
    cluster::CHECKS,
    upgrade::CHECKS,
    own_etcd::CHECKS,
    own_node::CHECKS,
];

/// The checks of a machine of this role: what does not concern it is not looked at.
fn of_role(role: Role) -> Vec<&'static Check> {
    let all = CHECKS.into_iter().flatten();
    match role {
        Role::ControlPlane => all.collect(),
        Role::Worker => all.filter(|check| worker::SHARED.contains(&check.name)).chain(worker::CHECKS).collect(),
    }
}

/// The checks of a machine image.
fn of_image() -> Vec<&'static Check> {
    let all = CHECKS.into_iter().flatten();
    all.filter(|check| image::SHARED.contains(&check.name)).chain(image::CHECKS).collect()
}

/// A check that has its answer already.
fn at_once(found: Found) -> BoxFuture<'static, Found> {
    Box::pin(std::future::ready(found))
}

/// Looks at everything, prints the report, and ends with what the failed checks ask for.
///
/// Settings that do not load are a failed check like any other: what needs none of them is looked at all the same. `within`: how long
/// one question, and one check, may take.
///
/// # Errors
/// When a check failed. With [`Exit::Usage`] if something must be changed on this machine, in its settings or in the
/// bucket; else with [`Exit::Aws`] if AWS refused something; else, if something did not answer, with [`Exit::TryAgain`].
pub async fn run(settings: Result<Settings>, within: Duration, json: bool) -> Result<()> {
    let input = CheckInput::gather(settings, within).await;
    report(of_role(input.role()), &input, json).await
}

/// The same of a machine of which an image is made: without settings, group and metadata.
///
/// # Errors
/// When a check failed, with [`Exit::Usage`].
pub async fn run_for_image(within: Duration, json: bool) -> Result<()> {
    let input = CheckInput::of_image(within).await;
    report(of_image(), &input, json).await
}

async fn report(checks: Vec<&'static Check>, input: &CheckInput, json: bool) -> Result<()> {
    let checks = checks.into_iter().map(|check| carry_out(check, input));
    let report = CheckReport(join_all(checks).await.concat());
    // A reader that has closed the pipe, such as 'head', is no failure: the exit code says how the checks ended.
    let _ = print(&report.json(), || report.table(), json);
    match report.exit() {
        Exit::Done => Ok(()),
        exit => Err(anyhow!("not ready: {}", report.failed().join(", ")).context(exit)),
    }
}

async fn carry_out(check: &Check, input: &CheckInput) -> Vec<(&'static str, finding::Finding)> {
    let found = timeout(input.within, (check.run)(input)).await.unwrap_or_else(|_| Err(shared::late(input.within)));
    let findings = found.unwrap_or_else(|end| vec![end]);
    findings.into_iter().map(|finding| (check.name, finding)).collect()
}
