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
/// The most that are kept for the name of one Node: its kubelet makes one, and another where that has come to nothing.
pub const MOST_OF_A_NAME: usize = 16;

/// The requests that wait for a decision, by their names. All times are on one clock, which is the caller's.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<String, Place>,
    /// How many wait for the name of each Node.
    of_a_name: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Place {
    /// The name of a Node that it is counted under. One that is refused whatever Nodes there are is counted under none.
    counted: Option<String>,
    is_excess: bool,
    looks: u32,
    due: Duration,
}

impl Queue {
    /// Takes in a request as it is now, to be looked at from `due` on, and says whether it is kept. One that is here already keeps its
    /// place, and one that is not kubeboot's to decide, or is decided, leaves.
    pub fn enter(&mut self, request: &str, claimed: &Claimed, due: Duration) -> bool {
        let node = match claimed {
            Claimed::NotOurs | Claimed::Settled => {
                self.leave(request);
                return false;
            }
            Claimed::Refused(_) => None,
            Claimed::Node(name) => Some(name),
        };
        if self.waiting.contains_key(request) {
            return true;
        }
        if self.waiting.len() >= MOST {
            return false;
        }
        let waiting = |name: &String| self.of_a_name.get(name).copied().unwrap_or_default();
        let is_excess = node.is_some_and(|name| waiting(name) >= MOST_OF_A_NAME);
        let counted = node.filter(|_| !is_excess).cloned();
        if let Some(name) = &counted {
            *self.of_a_name.entry(name.clone()).or_default() += 1;
        }
        self.waiting.insert(request.to_owned(), Place { counted, is_excess, looks: 0, due });
        true
    }

    /// Forgets a request.
    pub fn leave(&mut self, request: &str) {
        let Some(Place { counted: Some(name), .. }) = self.waiting.remove(request) else { return };
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

    /// Takes in that a look has decided nothing of a request: the next follows after a pause that grows to a minute.
    pub fn stays(&mut self, request: &str, now: Duration) {
        if let Some(place) = self.waiting.get_mut(request) {
            place.looks = place.looks.saturating_add(1);
            place.due = now + back_off(place.looks);
        }
    }

    /// Whether there are too many for the same name, so that this one is refused.
    #[must_use]
    pub fn is_excess(&self, request: &str) -> bool {
        self.waiting.get(request).is_some_and(|place| place.is_excess)
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
        for n in 0..MOST_OF_A_NAME + 2 {
            assert!(queue.enter(&format!("a{n:02}"), &of("w1"), at(0)));
            assert!(queue.enter(&format!("refused{n}"), &Claimed::Refused(Refusal::Subject), at(0)));
        }
        let excess = |queue: &Queue| -> Vec<String> {
            queue.due(at(0)).filter(|request| queue.is_excess(request)).map(str::to_owned).collect()
        };
        assert_eq!(excess(&queue), ["a16", "a17"]);
        assert!(queue.enter("b", &of("w2"), at(0)) && !queue.is_excess("b"));
        // Those that were too many leave when they are refused, and make no room that was not there.
        queue.leave("a16");
        assert!(queue.enter("a18", &of("w1"), at(0)) && queue.is_excess("a18"));
        queue.leave("a00");
        assert!(queue.enter("a19", &of("w1"), at(0)) && !queue.is_excess("a19"));
        queue.leave("nobody");
        assert!(!queue.is_excess("nobody"));
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let mut queue = Queue::default();
        for n in 0..MOST {
            assert!(queue.enter(&format!("a{n}"), &of(&format!("w{n}")), at(0)));
        }
        assert!(!queue.enter("b", &of("w"), at(0)) && queue.enter("a0", &of("w0"), at(0)));
        queue.keep(&BTreeSet::new());
        assert!(queue.enter("b", &of("w"), at(0)) && queue.of_a_name.len() == 1);
    }
}
