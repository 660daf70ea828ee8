//! From what was seen of the Lease to one step.

use std::time::Duration;

use super::lease::Content;
use super::seen::Seen;
use super::{DURATION, RENEW_DEADLINE};

/// The largest number of changes of hands that the API can hold.
const MOST_TRANSITIONS: i64 = i32::MAX as i64;

/// A write of this process: what it made of the Lease, and when it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseWrite {
    /// What the Lease says after it.
    pub content: Content,
    /// When it was sent, on this machine's own clock: everything is counted from here, because others may have seen it since.
    pub sent: Duration,
}

impl LeaseWrite {
    /// Whether a leader by this write gives up.
    #[must_use]
    pub fn is_overdue(&self, now: Duration) -> bool {
        now >= self.sent.saturating_add(RENEW_DEADLINE)
    }
}

/// What this process knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mine {
    /// Its identity, which should be nobody else's.
    pub me: String,
    /// It leads by this write.
    pub term: Option<LeaseWrite>,
    /// Writes that may have been carried out: no answer came. At most one was, since all of them had the same condition.
    pub unknown: Vec<LeaseWrite>,
    /// It must not lead now: what it started as a leader has not ended.
    pub barred: bool,
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElectionStep {
    /// Make the Lease, with this fencing number.
    Create {
        /// The fencing number.
        number: i64,
    },
    /// Write oneself into it, with this fencing number.
    Take {
        /// The fencing number.
        number: i64,
    },
    /// Renew it.
    Renew,
    /// Wait and look again.
    Wait(ElectionWait),
    /// Lead no longer, from this moment on.
    StepDown(Lost),
}

/// Why nothing is to be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElectionWait {
    /// Another holds it.
    #[error("'{0}' holds the Lease")]
    Held(String),
    /// It is in this process's own name, and this process has not written it.
    #[error(
        "'{0}' holds the Lease: an earlier run with this identity, or another program that has the same one. It is taken over once it \
         has not been renewed for its time; if that never comes, give each its own --id"
    )]
    HeldUnderMyName(String),
    /// It was deleted while somebody held it.
    #[error("the Lease was deleted, and its last holder may go on for a while")]
    Deleted,
    /// What this process started as a leader has not ended.
    #[error("the command of the term before has not ended")]
    Barred,
    /// The fencing number cannot grow.
    #[error(
        "the Lease's leaseTransitions cannot grow any more: stop every program of this election, then 'kubectl delete lease' of it"
    )]
    WornOut,
}

/// Why a leader leads no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// It was not renewed in time.
    #[error("the Lease was not renewed for {} seconds", RENEW_DEADLINE.as_secs())]
    Overdue,
    /// Another has written it.
    #[error("another has written the Lease: it is held by '{0}'")]
    Taken(String),
    /// It is not there any more.
    #[error("the Lease was deleted")]
    Deleted,
}

/// Takes in what was seen: if a write without an answer was carried out, it counts from when it was sent.
#[must_use]
pub fn settled(mut mine: Mine, seen: &Seen) -> Mine {
    let landed = |written: &&LeaseWrite| seen.content.as_ref() == Some(&written.content);
    if let Some(written) = mine.unknown.iter().find(landed).cloned() {
        mine.term = Some(written);
    }
    // One that is carried out later than this is nobody's: its time is over.
    mine.unknown.retain(|written| !written.is_overdue(seen.asked));
    mine
}

/// Gives the term up. Writes of it that are carried out after this do not bring it back.
#[must_use]
pub fn stepped_down(mine: Mine) -> Mine {
    Mine { term: None, unknown: Vec::new(), ..mine }
}

/// The next step of a process that has [`settled`] what was seen.
#[must_use]
pub fn decide(mine: &Mine, seen: &Seen, now: Duration) -> ElectionStep {
    match &mine.term {
        Some(term) => hold(term, seen, now),
        None if mine.barred => ElectionStep::Wait(ElectionWait::Barred),
        None => follow(mine, seen, now),
    }
}

fn hold(term: &LeaseWrite, seen: &Seen, now: Duration) -> ElectionStep {
    match &seen.content {
        _ if term.is_overdue(now) => ElectionStep::StepDown(Lost::Overdue),
        Some(content) if *content == term.content => ElectionStep::Renew,
        Some(content) => ElectionStep::StepDown(Lost::Taken(content.holder.clone().unwrap_or_default())),
        None => ElectionStep::StepDown(Lost::Deleted),
    }
}

fn follow(mine: &Mine, seen: &Seen, now: Duration) -> ElectionStep {
    let Some(content) = &seen.content else {
        return match seen.next_number {
            _ if now < seen.vacant_from => ElectionStep::Wait(ElectionWait::Deleted),
            number => ElectionStep::Create { number: number.min(MOST_TRANSITIONS) },
        };
    };
    let runs_out = seen.since.saturating_add(content.promised());
    match &content.holder {
        Some(holder) if now < runs_out && *holder == mine.me => {
            ElectionStep::Wait(ElectionWait::HeldUnderMyName(holder.clone()))
        }
        Some(holder) if now < runs_out => ElectionStep::Wait(ElectionWait::Held(holder.clone())),
        Some(_) | None if content.transitions >= MOST_TRANSITIONS => ElectionStep::Wait(ElectionWait::WornOut),
        Some(_) | None => ElectionStep::Take { number: seen.next_number },
    }
}

/// Who is known to lead at `now`.
#[must_use]
pub fn leader<'a>(mine: &'a Mine, seen: Option<&'a Seen>, now: Duration) -> Option<&'a str> {
    match &mine.term {
        Some(term) => Some(mine.me.as_str()).filter(|_| now < term.sent.saturating_add(DURATION)),
        None => seen?.leader(now).filter(|leader| *leader != mine.me),
    }
}
