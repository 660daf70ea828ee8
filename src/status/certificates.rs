//! When the certificates expire that kubeadm has put on this machine.

use crate::model::status::CertificateExpiry;
use crate::node::certificates;
use anyhow::Result;
use std::path::Path;
use std::time::SystemTime;

const DAY: i64 = 24 * 60 * 60;

/// Reads all certificates below `root` (`/` on a machine), those that expire first at the front.
///
/// # Errors
/// As [`certificates::read`].
pub(super) fn read(root: &Path) -> Result<Vec<CertificateExpiry>> {
    let now = SystemTime::now();
    let expiry = |found: certificates::CertificateFile| CertificateExpiry {
        file: found.file,
        expires: humantime::format_rfc3339_seconds(found.ends).to_string(),
        days: days_until(found.ends, now),
    };
    Ok(certificates::read(root)?.into_iter().map(expiry).collect())
}

/// Whole days, rounded down: 0 within the last day, negative afterwards.
fn days_until(expires: SystemTime, now: SystemTime) -> i64 {
    let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match expires.duration_since(now) {
        Ok(left) => seconds(left) / DAY,
        Err(since) => -1 - seconds(since.duration()) / DAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_are_whole_and_negative_when_over() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000_000);
        let rows = [(0, 0), (86_399, 0), (86_400, 1), (30 * 86_400 + 5, 30), (-1, -1), (-86_400, -2), (-86_399, -1)];
        for (seconds, days) in rows {
            let span = Duration::from_secs(i64::unsigned_abs(seconds));
            let expires = if seconds < 0 { now - span } else { now + span };
            assert_eq!(days_until(expires, now), days, "{seconds}");
        }
    }
}
