//! This machine's clock since its boot, which goes on while the machine is suspended, unlike the clock that `tokio` waits by.

use std::future::pending;
use std::io;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The time since the boot.
#[must_use]
pub fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    // It is never negative, and its nanoseconds are below a thousand million.
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// Waits until this time since the boot has come. Ends at once after a suspension that was longer.
///
/// # Errors
/// The kernel gives no timer.
pub async fn until(time: Duration) -> io::Result<()> {
    // A time of nought would be no timer at all.
    let time = time.max(Duration::from_nanos(1));
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let it_value = Timespec { tv_sec: seconds, tv_nsec: time.subsec_nanos().into() };
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let none = Timespec { tv_sec: 0, tv_nsec: 0 };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval: none, it_value })?;
    #[expect(
        deprecated,
        reason = "unsound only for what closes its descriptor by itself; its successor needs unsafe code"
    )]
    AsyncFd::with_interest(timer, Interest::READABLE)?.readable().await.map(drop)
}

/// As [`until`], for ever without a time.
///
/// # Errors
/// As [`until`].
pub async fn until_any(time: Option<Duration>) -> io::Result<()> {
    match time {
        Some(time) => until(time).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_when_its_time_has_come_and_not_before() -> io::Result<()> {
        until(Duration::ZERO).await?;
        until(now()).await?;
        let time = now() + Duration::from_millis(20);
        until(time).await?;
        assert!(now() >= time);
        let far = std::pin::pin!(until(now() + Duration::from_secs(3600)));
        assert!(futures::poll!(far).is_pending());
        assert!(futures::poll!(std::pin::pin!(until_any(None))).is_pending());
        Ok(())
    }
}
