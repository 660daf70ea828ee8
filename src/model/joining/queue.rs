//! Which requests for certificates are looked at, and when.
//!
//! Whoever has a token can ask for anything, as often as they like. So what stays pending is looked at more and more rarely, and the
//! requests for one name keep nobody from asking for another.

use super::approval::Claimed;
use crate::model::up::back_off::back_off;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The most that are kept. What does not fit is found again when all are listed.
pub const MOST: usize = 10_000;
/// The most that stay pending for the name of one Node: its kubelet makes one, and another where that has come to nothing.
pub const MOST_OF_A_NAME: usize = 16;

/// The requests that wait for a decision, by their names. All times are on one clock, which is the caller's.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<String, Place>,
    /// How many stay pending for the name of each Node.
    of_a_name: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Place {
    /// The name of the Node for which it stays pending, once a look has found that it does.
    pending: Option<String>,
    looks: u32,
    due: Duration,
}

impl Queue {
    /// Takes in a request as it is now, to be looked at from `due` on, and says whether it is kept. One that is here already keeps its
    /// place, and one that is not kubeboot's to decide, or is decided, leaves.
    pub fn enter(&mut self, request: &str, claimed: &Claimed, due: Duration) -> bool {
        match claimed {
            Claimed::NotOurs | Claimed::Settled => {
                self.leave(request);
                return false;
            }
            Claimed::Refused(_) | Claimed::Node(_) => {}
        }
        let is_kept = self.waiting.contains_key(request);
        if !is_kept && self.waiting.len() < MOST {
            self.waiting.insert(request.to_owned(), Place { pending: None, looks: 0, due });
            return true;
        }
        is_kept
    }

    /// Forgets a request.
    pub fn leave(&mut self, request: &str) {
        let Some(Place { pending: Some(name), .. }) = self.waiting.remove(request) else { return };
        if let Some(count) = self.of_a_name.get_mut(&name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_a_name.remove(&name);
            }
        }
    }

    /// Forgets all but these.
    pub fn keep(&mut self, present: &BTreeSet<String>) {
        let gone: Vec<String> = self.waiting.keys().filter(|request| !present.contains(*request)).cloned().collect();
        for request in gone {
            self.leave(&request);
        }
    }

    /// Takes in that a request stays pending for the name of this Node, and says whether there is room for it. Where there is none it is to
    /// be refused.
    pub fn stays_for(&mut self, request: &str, name: &str, now: Duration) -> bool {
        let Some(place) = self.waiting.get_mut(request) else { return true };
        if place.pending.is_none() {
            let count = self.of_a_name.entry(name.to_owned()).or_default();
            if *count >= MOST_OF_A_NAME {
                return false;
            }
            *count += 1;
            place.pending = Some(name.to_owned());
        }
        self.stays(request, now);
        true
    }

    /// Takes in that a look has decided nothing of a request: the next follows after a pause that grows to a minute.
    pub fn stays(&mut self, request: &str, now: Duration) {
        if let Some(place) = self.waiting.get_mut(request) {
            place.looks = place.looks.saturating_add(1);
            place.due = now + back_off(place.looks);
        }
    }

    /// Those that are to be looked at.
    pub fn due(&self, now: Duration) -> impl Iterator<Item = &str> {
        self.waiting.iter().filter(move |(_, place)| place.due <= now).map(|(request, _)| request.as_str())
    }

    /// When the next one is to be looked at.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.waiting.values().map(|place| place.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::approval::Refusal;
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn of(name: &str) -> Claimed {
        Claimed::Node(name.to_owned())
    }

    #[test]
    fn what_stays_pending_is_looked_at_more_and_more_rarely() {
        let mut queue = Queue::default();
        assert_eq!(queue.next_due(), None);
        assert!(queue.enter("a", &of("w1"), at(5)));
        assert_eq!((queue.due(at(4)).count(), queue.due(at(5)).count()), (0, 1));
        let mut now = at(5);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            queue.stays("a", now);
            let due = queue.next_due().unwrap();
            pauses.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
        // What is told of it once more makes it no younger, and another one is looked at when it comes.
        assert!(queue.enter("a", &of("w1"), at(0)) && queue.enter("b", &of("w2"), at(1)));
        assert_eq!(queue.due(at(1)).collect::<Vec<_>>(), ["b"]);
        queue.stays("nobody", now);
        assert_eq!(queue.due(now).collect::<Vec<_>>(), ["a", "b"]);
        queue.keep(&BTreeSet::from(["b".to_owned(), "c".to_owned()]));
        assert_eq!(queue.due(now).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn what_is_decided_or_is_others_leaves() {
        let mut queue = Queue::default();
        for over in [Claimed::NotOurs, Claimed::Settled] {
            assert!(!queue.enter("a", &over, at(0)));
            assert!(queue.enter("a", &Claimed::Refused(Refusal::Subject), at(0)));
            assert!(!queue.enter("a", &over, at(0)) && queue.next_due().is_none());
        }
    }

    #[test]
    fn too_many_for_one_name_keep_nobody_out_of_another() {
        let mut queue = Queue::default();
        let stays = |queue: &mut Queue, request: &str, name: &str| {
            assert!(queue.enter(request, &of(name), at(0)));
            queue.stays_for(request, name, at(0))
        };
        for n in 0..MOST_OF_A_NAME {
            assert!(stays(&mut queue, &format!("a{n}"), "w1"));
        }
        assert!(!stays(&mut queue, "more", "w1"));
        assert!(stays(&mut queue, "a0", "w1") && stays(&mut queue, "b", "w2"));
        for other in ["more", "b", "nobody"] {
            queue.leave(other);
            assert!(!stays(&mut queue, "again", "w1"), "{other}");
        }
        queue.leave("a0");
        assert!(stays(&mut queue, "again", "w1"));
        assert!(queue.stays_for("nobody", "w1", at(0)), "one that is not here takes no room");
        queue.keep(&BTreeSet::new());
        assert!(queue.of_a_name.is_empty() && queue.next_due().is_none());
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let mut queue = Queue::default();
        for n in 0..MOST {
            assert!(queue.enter(&format!("a{n}"), &of(&format!("w{n}")), at(0)));
        }
        assert!(!queue.enter("b", &of("w"), at(0)) && queue.enter("a0", &of("w0"), at(0)));
        queue.keep(&BTreeSet::new());
        assert!(queue.enter("b", &of("w"), at(0)) && queue.due(at(0)).eq(["b"]));
    }
}
