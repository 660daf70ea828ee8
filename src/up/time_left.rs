//! Whether this run has time for another attempt of kubeadm. One that is begun with too little is ended in its middle: it costs
//! a claim or a place in the queue, leaves a half-made machine, and its last words hide the cause of the one before.

use super::{POLL_INTERVAL, Waiting};
use crate::exit::Exit;
use crate::kubeadm::attempt::Failure;
use crate::kubeadm::run::ATTEMPT_TIMEOUT;
use crate::model::up::step::Step;
use std::time::Duration;
use tokio::time::Instant;

/// The shortest time in which an attempt may succeed: a real init or join takes six seconds at the least.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(5);

/// An attempt was not begun.
#[derive(Debug, thiserror::Error)]
#[error("another attempt: this run ends too soon for one")]
pub(super) struct TooLate;

/// How long an attempt that begins now may take.
///
/// # Errors
/// [`TooLate`]: it could not come to an end.
pub(super) fn for_attempt(deadline: Instant) -> Result<Duration, TooLate> {
    of(deadline.saturating_duration_since(Instant::now()))
}

/// How long an attempt may take when so much time is left.
fn of(left: Duration) -> Result<Duration, TooLate> {
    if left < SHORTEST_ATTEMPT { Err(TooLate) } else { Ok(left.min(ATTEMPT_TIMEOUT)) }
}

/// A reason to wait, to the end of this run, in the place of a step that would begin an attempt of kubeadm too late.
pub(super) fn too_late(step: &Step, deadline: Instant) -> Option<Waiting> {
    let begins = match step {
        Step::Claim(_) | Step::TakeOver(_) | Step::Resume | Step::Init | Step::Restore | Step::Join => true,
        Step::StandBy(_)
        | Step::Wait(_)
        | Step::Stop(_)
        | Step::Wipe(_)
        | Step::Yield
        | Step::AcceptGroup
        | Step::Rejoin
        | Step::SetAside { .. }
        | Step::Keep => false,
    };
    let late = for_attempt(deadline).err().filter(|_| begins)?;
    Some(Waiting { reason: late.to_string(), pause: POLL_INTERVAL, exit: Exit::TryAgain })
}

/// Whether an attempt has failed only because this run was over. What failed before it is the cause.
pub(super) fn cut_short(error: &anyhow::Error, deadline: Instant) -> bool {
    let over = error.downcast_ref::<Failure>().is_some_and(Failure::timed_out) && Instant::now() >= deadline;
    over || error.downcast_ref::<TooLate>().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::up::step::StandBy;

    #[test]
    fn no_attempt_is_begun_without_time_for_it() {
        let now = Instant::now();
        let rows = [
            (Duration::ZERO, None),
            (SHORTEST_ATTEMPT - Duration::from_nanos(1), None),
            (SHORTEST_ATTEMPT, Some(SHORTEST_ATTEMPT)),
            (ATTEMPT_TIMEOUT * 2, Some(ATTEMPT_TIMEOUT)),
        ];
        for (left, expected) in rows {
            assert_eq!(of(left).ok(), expected, "{left:?}");
        }
        for (deadline, is_late) in [(now, true), (now + ATTEMPT_TIMEOUT * 10, false)] {
            for (step, begins) in [
                (Step::Join, true),
                (Step::Init, true),
                (Step::Resume, true),
                (Step::Keep, false),
                (Step::Rejoin, false),
                (Step::StandBy(StandBy::NotInGroup), false),
            ] {
                assert_eq!(too_late(&step, deadline).is_some(), begins && is_late, "{step}");
            }
        }
        assert!(cut_short(&TooLate.into(), now + ATTEMPT_TIMEOUT));
        assert!(!cut_short(&anyhow::anyhow!("no answer"), now));
    }
}
