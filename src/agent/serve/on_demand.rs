//! What is gathered only when somebody asks for it, and not too often, however many ask.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

/// How often, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Between the beginnings of two gatherings.
    pub(super) interval: Duration,
    /// How long a gathering may take.
    pub(super) deadline: Duration,
    /// How long who asks waits for one that is under way.
    pub(super) patience: Duration,
}

/// The last that was gathered.
pub(super) struct OnDemand<T> {
    limits: Limits,
    begun: Mutex<Option<Instant>>,
    asked: Notify,
    kept: watch::Sender<Kept<T>>,
}

struct Kept<T> {
    is_gathering: bool,
    last: Option<Arc<T>>,
}

impl<T> OnDemand<T> {
    pub(super) fn new(limits: Limits) -> Self {
        let kept = watch::Sender::new(Kept { is_gathering: false, last: None });
        Self { limits, begun: Mutex::new(None), asked: Notify::new(), kept }
    }

    /// Gathers whenever that is due and somebody asks, for ever.
    pub(super) async fn gather(&self, mut gather: impl AsyncFnMut() -> T) -> Infallible {
        loop {
            self.asked.notified().await;
            let gathered = timeout(self.limits.deadline, gather()).await.ok();
            self.kept.send_modify(|kept| {
                kept.is_gathering = false;
                kept.last = gathered.map(Arc::new).or(kept.last.take());
            });
        }
    }

    /// The last that was gathered. Has it gathered anew where that is due, and waits a while for what is under way.
    pub(super) async fn get(&self) -> Option<Arc<T>> {
        let mut kept = self.kept.subscribe();
        if self.begins() {
            self.asked.notify_one();
        }
        // Who asks has waited long enough: what was there before will do.
        let _ = timeout(self.limits.patience, kept.wait_for(|kept| !kept.is_gathering)).await;
        self.kept.borrow().last.clone()
    }

    fn begins(&self) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = begun.is_none_or(|at| at.elapsed() >= self.limits.interval) && !self.kept.borrow().is_gathering;
        if is_due {
            *begun = Some(Instant::now());
            self.kept.send_modify(|kept| kept.is_gathering = true);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::pending;
    use tokio::sync::oneshot;

    const LIMITS: Limits = Limits {
        interval: Duration::from_secs(3600),
        deadline: Duration::from_secs(3600),
        patience: Duration::from_secs(3600),
    };

    /// What `asking` gives while `gather` is what gathers.
    async fn while_gathering<T, R>(
        what: &OnDemand<T>,
        gather: impl AsyncFnMut() -> T,
        asking: impl Future<Output = R>,
    ) -> R {
        tokio::select! {
            never = what.gather(gather) => match never {},
            answer = asking => answer,
        }
    }

    #[tokio::test]
    async fn many_who_ask_have_it_gathered_once() {
        let (asked, what) = (Cell::new(0), OnDemand::new(LIMITS));
        let gather = async || {
            asked.set(asked.get() + 1);
            asked.get()
        };
        let asking = async {
            let all = tokio::join!(what.get(), what.get(), what.get());
            (all, what.get().await)
        };
        let one = || Some(Arc::new(1));
        assert_eq!(while_gathering(&what, gather, asking).await, ((one(), one(), one()), one()));
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test]
    async fn it_is_gathered_anew_when_that_is_due() {
        let (asked, what) = (Cell::new(0), OnDemand::new(Limits { interval: Duration::ZERO, ..LIMITS }));
        let gather = async || {
            asked.set(asked.get() + 1);
            asked.get()
        };
        let asking = async { (what.get().await, what.get().await) };
        assert_eq!(while_gathering(&what, gather, asking).await, (Some(Arc::new(1)), Some(Arc::new(2))));
    }

    #[tokio::test]
    async fn who_asks_waits_a_while_and_a_gathering_goes_on_without_them() {
        let what = OnDemand::new(Limits { patience: Duration::ZERO, ..LIMITS });
        let (end, ended) = oneshot::channel();
        let mut ended = Some(ended);
        let gather = async || ended.take().expect("it is gathered once").await.unwrap_or(0);
        let asking = async {
            let first = what.get().await;
            end.send(7).expect("it goes on");
            what.kept.subscribe().wait_for(|kept| !kept.is_gathering).await.expect("it is there");
            (first, what.get().await)
        };
        assert_eq!(while_gathering(&what, gather, asking).await, (None, Some(Arc::new(7))));
    }

    #[tokio::test]
    async fn what_takes_too_long_leaves_what_was_there() {
        let what = OnDemand::new(Limits { interval: Duration::ZERO, deadline: Duration::ZERO, ..LIMITS });
        let mut first = true;
        let gather = async || {
            if !std::mem::take(&mut first) {
                pending::<()>().await;
            }
            7
        };
        let asking = async { (what.get().await, what.get().await) };
        assert_eq!(while_gathering(&what, gather, asking).await, (Some(Arc::new(7)), Some(Arc::new(7))));
    }
}
