//! Since when this machine has been known to be terminated. It is kept for as long as this boot lasts: a hook that nothing retains ends
//! on time, whether the agent was started anew meanwhile or not.

use crate::host::{boottime, files};
use crate::model::machine::ids::BootId;
use crate::node::facts::boot_id;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// Where it is kept: a power-off erases it.
const PATH: &str = "/run/kubeboot/ending-since.json";
/// The largest such file, in bytes.
const LIMIT: u64 = 1024;

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The boot in which it was written. `/run` may outlive a boot in a container.
    boot: BootId,
    /// Milliseconds from that boot until it was known.
    since: u64,
}

/// Since when; nothing while the machine is not being terminated.
pub(super) struct EndingSince {
    since: Option<Instant>,
}

impl EndingSince {
    /// What an agent before this one has known in this boot.
    pub(super) fn load() -> Self {
        let kept = files::read_if_there(Path::new(PATH), LIMIT).ok().flatten();
        let boot = boot_id().ok();
        let known_for = kept.zip(boot).and_then(|(bytes, boot)| parse(&bytes, &boot, boottime::now()));
        Self { since: known_for.and_then(|known_for| Instant::now().checked_sub(known_for)) }
    }

    /// For how long it has been known.
    pub(super) fn known_for(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// It is known now, if it was not before.
    pub(super) fn begin(&mut self) {
        if self.since.is_some() {
            return;
        }
        self.since = Some(Instant::now());
        if let Err(error) = keep(boottime::now()) {
            tracing::warn!("an agent that is started anew would count from its own start: {error:#}");
        }
    }

    /// The machine is certainly not being terminated.
    pub(super) fn forget(&mut self) {
        if self.since.take().is_some()
            && let Err(error) = files::remove(Path::new(PATH))
        {
            tracing::warn!("{error:#}");
        }
    }
}

fn keep(now: Duration) -> Result<()> {
    let since = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let bytes = serde_json::to_vec(&Kept { boot: boot_id()?, since }).context("a number is JSON")?;
    let path = Path::new(PATH);
    files::private_dir(path.parent().unwrap_or(path))?;
    files::write(path, &bytes, 0o600)
}

/// For how long it has been known, by what was kept in this boot; nothing where that time is still to come.
fn parse(bytes: &[u8], boot: &BootId, now: Duration) -> Option<Duration> {
    let kept: Kept = serde_json::from_slice(bytes).ok()?;
    now.checked_sub(Duration::from_millis(kept.since)).filter(|_| kept.boot == *boot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_is_started_anew_counts_on_within_this_boot() -> Result<()> {
        let boot = BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff")?;
        let other = BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964fe")?;
        let bytes = serde_json::to_vec(&Kept { boot: boot.clone(), since: 90_000 })?;
        let (since, now) = (Duration::from_secs(90), Duration::from_secs(100));
        assert_eq!(parse(&bytes, &boot, now), Some(Duration::from_secs(10)));
        assert_eq!(parse(&bytes, &boot, since), Some(Duration::ZERO));
        assert_eq!(parse(&bytes, &other, now), None, "another boot");
        assert_eq!(parse(&bytes, &boot, Duration::from_secs(89)), None, "it is still to come");
        for bad in [&b""[..], b"{}", &bytes[..bytes.len() / 2]] {
            assert_eq!(parse(bad, &boot, now), None);
        }
        Ok(())
    }
}
