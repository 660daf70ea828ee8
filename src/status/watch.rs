//! `kubeboot status --watch`: looks again and again, and shows what has changed.

use super::changes::{Seen, changes};
use super::sources::Sources;
use super::{look, text, worker};
use crate::layout::{line, print, print_json_line, print_page, tell};
use crate::model::duration::in_words;
use crate::settings::{Role, Settings};
use anyhow::Result;
use std::io::{ErrorKind, stdout};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

/// Between two looks, unless another time is given: as often as `up` looks at the group.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// The shortest time between two looks: Auto Scaling throttles at modest sizes, and its limits are shared by the whole account.
pub const SHORTEST: Duration = Duration::from_secs(2);
/// The longest.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// Runs the command until nobody reads any more what it prints. A signal ends it by dropping this.
///
/// # Errors
/// As [`super::run`].
pub async fn watch(settings: Settings, interval: Duration, json: bool) -> Result<()> {
    tokio::select! {
        ended = look_again_and_again(&settings, interval, json) => match ended {
            Err(error) if is_closed(&error) => Ok(()),
            ended => ended,
        },
        () = reader_has_gone() => Ok(()),
    }
}

/// The same of a worker: the whole report, whenever something in it has changed.
async fn watch_worker(settings: &Settings, interval: Duration, json: bool) -> Result<()> {
    let (mut looker, mut last) = (None, String::new());
    loop {
        let (report, _) = worker::look(settings, &mut looker).await?;
        let page = worker::page(&report);
        if page != last {
            if json { print_json_line(&report)? } else { print_page(&page)? }
        }
        last = page;
        tokio::time::sleep(interval).await;
    }
}

/// One look after the other, each with the deadlines of its own.
async fn look_again_and_again(settings: &Settings, interval: Duration, json: bool) -> Result<()> {
    if settings.role == Role::Worker {
        return watch_worker(settings, interval, json).await;
    }
    let mut sources = Sources::new(settings);
    let (first, _) = look(settings, &mut sources).await?;
    if json {
        print_json_line(&first)?;
    } else {
        print(&first, || text::page(&first), false)?;
        tell(&format!("looking again every {}; what has changed follows, Ctrl-C ends it", in_words(interval)));
    }
    let mut seen = Seen::new(&first, None);
    loop {
        tokio::time::sleep(interval).await;
        let (next, _) = look(settings, &mut sources).await?;
        let now = Seen::new(&next, Some(&seen));
        let changes = changes(&seen, &now);
        match json {
            _ if changes.is_empty() => {}
            true => print_json_line(&next)?,
            false => print_page(&page(&next.at, &changes))?,
        }
        seen = now;
    }
}

/// The changes, each on one line with the time of day of the look, which was at `at`.
fn page(at: &str, changes: &[String]) -> String {
    let (_, time) = at.split_once('T').unwrap_or_default();
    changes.iter().map(|change| format!("{time} {}\n", line(change))).collect()
}

/// Ends as soon as nobody can read standard output any more, if that is a pipe: what `grep -m1` or `head` has waited for was printed.
async fn reader_has_gone() {
    let output = stdout().as_fd().try_clone_to_owned().and_then(Sender::from_owned_fd_unchecked);
    // A file cannot be watched, and needs no reader.
    match output {
        Ok(output) if output.ready(Interest::ERROR).await.is_ok() => {}
        Ok(_) | Err(_) => std::future::pending().await,
    }
}

fn is_closed(error: &anyhow::Error) -> bool {
    let kind = |cause: &std::io::Error| cause.kind() == ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_machines_say_is_one_line_of_plain_text() {
        let changes = ["i-1: last error: \u{1b}[2Jred\r\nline\u{202e}".to_owned(), "etcd: known now".to_owned()];
        let page = page("2026-11-29T21:14:05Z", &changes);
        let lines: Vec<&str> = page.split_inclusive('\n').collect();
        assert_eq!(lines.len(), 2, "{page:?}");
        for told in lines {
            assert!(told.starts_with("21:14:05Z ") && told.ends_with('\n'), "{told:?}");
            let plain = |letter: char| letter.is_ascii_graphic() || letter == ' ';
            assert!(told.trim_end_matches('\n').chars().all(plain), "{told:?}");
        }
    }
}
