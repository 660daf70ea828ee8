//! What one process has seen of a Lease, on its own clock.

use std::time::Duration;

use super::lease::Content;

/// The last look at the Lease, and since when it has been as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it said; `None` if there was none.
    pub content: Option<Content>,
    /// When the last look was sent.
    pub asked: Duration,
    /// When the first look that found it so was answered: the change was made before this.
    pub since: Duration,
    /// When the last look that found it otherwise was sent: the change was made after this. `None` if it was always so.
    pub changed_after: Option<Duration>,
    /// Of a Lease that is not there any more: until when its last holder may go on.
    pub vacant_from: Duration,
    /// The first fencing number that nobody has had, as far as was seen.
    pub next_number: i64,
}

impl Seen {
    /// After a look that was sent at `asked` and answered at `answered`.
    #[must_use]
    pub fn next(before: Option<&Self>, content: Option<Content>, asked: Duration, answered: Duration) -> Self {
        let next_number = |last: i64| content.as_ref().map_or(last, |now| now.transitions.saturating_add(1));
        match before {
            Some(before) if before.content == content => Self { asked, ..before.clone() },
            Some(before) => {
                let vacant_from = match (&content, &before.content) {
                    (None, Some(last)) if last.holder.is_some() => before.since.saturating_add(last.promised()),
                    (None, _) => before.vacant_from,
                    (Some(_), _) => Duration::ZERO,
                };
                let next_number = next_number(before.next_number);
                Self { content, asked, since: answered, changed_after: Some(before.asked), vacant_from, next_number }
            }
            None => {
                let (vacant_from, next_number) = (Duration::ZERO, next_number(0));
                Self { content, asked, since: answered, changed_after: None, vacant_from, next_number }
            }
        }
    }

    /// Who is known to lead at `now`: the holder, if the last look is no older than the Lease, and if it was seen to renew and the
    /// Lease cannot have run out since. The first look alone does not tell, because it may have found what a dead holder left.
    #[must_use]
    pub fn leader(&self, now: Duration) -> Option<&str> {
        let content = self.content.as_ref()?;
        let known_until = self.changed_after?.min(self.asked).saturating_add(content.promised());
        content.holder.as_deref().filter(|_| now < known_until)
    }
}
