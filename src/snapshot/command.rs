//! `kubeboot snapshot save`, `list` and `verify`.

use super::catalog::{self, latest_of, named};
use super::own::save_own;
use super::report::{SnapshotList, size};
use super::{Progress, verify};
use crate::aws::{CallFailed, Session, with_exit};
use crate::bucket;
use crate::exit::Exit;
use crate::layout::{print_page, say};
use crate::model::machine::ids::Uid;
use crate::model::snapshot::{Manifest, SnapshotKind};
use crate::node::Facts;
use crate::node::own_cluster::own_record;
use crate::settings::Settings;
use anyhow::{Context, Error, Result, anyhow};
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;
use tokio::time::Instant;

/// How many snapshots `list` shows, unless all are asked for.
const SHOWN: usize = 50;
/// Between two changes of the line of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// What `snapshot` was asked for beside the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotOptions {
    /// Save the cluster of this machine.
    Save {
        /// Without a quorum: what this machine alone has.
        unconfirmed: bool,
    },
    /// Show what is there.
    List {
        /// All of it.
        all: bool,
        /// JSON for programs.
        json: bool,
    },
    /// Read one and compare its digests.
    Verify {
        /// Its key or name; `None`: the latest of the record's cluster.
        snapshot: Option<String>,
    },
}

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in.
pub async fn run(settings: Settings, options: SnapshotOptions) -> Result<()> {
    let ended = match options {
        SnapshotOptions::Save { unconfirmed } => saves(settings, unconfirmed).await,
        SnapshotOptions::List { all, json } => list(&settings, all, json).await,
        SnapshotOptions::Verify { snapshot } => verifies(&settings, snapshot.as_deref()).await,
    };
    ended.map_err(with_exit)
}

async fn saves(settings: Settings, unconfirmed: bool) -> Result<()> {
    let facts = Facts::gather(settings).await?;
    let session = facts.connect().await?;
    let kind = if unconfirmed { SnapshotKind::Unconfirmed } else { SnapshotKind::Routine };
    let record = own_record(&facts, &session.store).await.context("failed to save etcd").map_err(|error| {
        let is_aws = error.downcast_ref::<CallFailed>().is_some();
        if is_aws { error } else { error.context(Exit::Operator) }
    })?;
    let mut line = ProgressLine::new("saved");
    let saved = save_own(&facts, &session, &record, kind, "kubeboot snapshot save", &mut |at| line.at(at)).await;
    line.end();
    let saved = saved?;
    say(&format!(
        "saved revision {} of etcd, {}, as {} ({})",
        saved.revision,
        size(saved.database_size),
        session.snapshots.url(&saved.key),
        size(saved.object_size),
    ));
    if unconfirmed {
        say("it is unconfirmed: other machines may have committed more, so it is restored only where it is named");
    }
    Ok(())
}

/// The UID of the record's cluster; `None` without one.
async fn recorded(session: &Session) -> Result<Option<Uid>> {
    let record = bucket::record::read(&session.store).await?;
    Ok(record.and_then(|(record, _)| record.known_cluster().map(|published| published.kube_system_uid.clone())))
}

async fn list(settings: &Settings, all: bool, json: bool) -> Result<()> {
    let session = Session::connect(settings, None).await?;
    let uid = recorded(&session).await?;
    let catalog = catalog::look(&session.snapshots, if all { usize::MAX } else { SHOWN }).await?;
    let list = SnapshotList::new(session.snapshots.url("snapshots/"), uid.as_ref(), &catalog);
    list.print(json)
}

async fn verifies(settings: &Settings, snapshot: Option<&str>) -> Result<()> {
    let session = Session::connect(settings, None).await?;
    let uid = recorded(&session).await?;
    let manifest = match snapshot {
        Some(text) => named(&session.snapshots, text).await.map_err(decided)?,
        None => latest(&session, uid.as_ref()).await?,
    };
    if uid.as_ref().is_some_and(|uid| *uid != manifest.kube_system_uid) {
        let error = anyhow!(
            "it is a snapshot of another cluster: its kube-system has UID {}, that of the record's cluster {}",
            manifest.kube_system_uid,
            uid.as_ref().map(ToString::to_string).unwrap_or_default()
        );
        return Err(error
            .context(format!("refused to verify {}", session.snapshots.url(&manifest.key)))
            .context(Exit::Operator));
    }
    let mut line = ProgressLine::new("read");
    let verified = verify(&session.snapshots, &manifest, &mut |at| line.at(at)).await;
    line.end();
    verified.map_err(decided)?;
    print_page(&format!(
        "ok: {} snapshot of revision {}, {}, saved at {} by {}\n{}\n",
        manifest.kind,
        manifest.revision,
        size(manifest.database_size),
        manifest.saved_at,
        manifest.saved_by,
        session.snapshots.url(&manifest.key),
    ))
}

async fn latest(session: &Session, uid: Option<&Uid>) -> Result<Manifest> {
    let uid = uid
        .context("there is no record of a cluster, so nobody can say which snapshot is its latest: name one")
        .context(Exit::Operator)?;
    let found = latest_of(&session.snapshots, uid).await?;
    let found = found.with_context(|| {
        format!("there is no confirmed snapshot of this cluster at {}", session.snapshots.url("snapshots/"))
    });
    Ok(found.context(Exit::Operator)?.manifest)
}

/// What is wrong with a snapshot is for an operator; what is wrong with AWS has its own exit.
pub fn decided(error: Error) -> Error {
    let has_exit = error.downcast_ref::<CallFailed>().is_some() || error.downcast_ref::<Exit>().is_some();
    if has_exit { error } else { error.context(Exit::Operator) }
}

/// A line at a terminal that tells how far a transfer is.
struct ProgressLine {
    verb: &'static str,
    is_terminal: bool,
    told: Option<Instant>,
}

impl ProgressLine {
    fn new(verb: &'static str) -> Self {
        Self { verb, is_terminal: stderr().is_terminal(), told: None }
    }

    /// Never calls the transfer off: an operator ends the command.
    fn at(&mut self, progress: Progress) -> Result<()> {
        if !self.is_terminal || self.told.is_some_and(|at| at.elapsed() < PROGRESS_INTERVAL) {
            return Ok(());
        }
        self.told = Some(Instant::now());
        // If it is closed, nobody is there to be told.
        let _ = write!(stderr(), "\r\x1b[K{}", words(self.verb, progress));
        Ok(())
    }

    fn end(&self) {
        if self.told.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

fn words(verb: &str, Progress { done, total }: Progress) -> String {
    match total {
        Some(total @ 1..) => {
            format!("{verb} {} of {} ({} %)", size(done), size(total), done.saturating_mul(100) / total)
        }
        _ => format!("{verb} {}", size(done)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_with_what_is_known_of_the_end() {
        let mebibyte = 1024 * 1024;
        let rows = [
            (10 * mebibyte, Some(40 * mebibyte), "saved 10.0 MiB of 40.0 MiB (25 %)"),
            (10, None, "saved 10 B"),
            (0, Some(0), "saved 0 B"),
        ];
        for (done, total, expected) in rows {
            assert_eq!(words("saved", Progress { done, total }), expected);
        }
    }

    #[test]
    fn what_is_wrong_with_a_snapshot_is_for_an_operator() {
        let aws = CallFailed::silent("read", "an object", "s3:GetObject");
        for (error, expected) in [
            (anyhow!("cut short"), Exit::Operator),
            (Error::from(aws).context("reading"), Exit::TryAgain),
            (anyhow!("late").context(Exit::TryAgain), Exit::TryAgain),
        ] {
            assert_eq!(Exit::of(&with_exit(decided(error))), expected);
        }
    }
}
