//! What the agent of a worker does for a group that takes machines back into its warm pool (a reuse policy). On its way in the terminate hook
//! waits for such a machine, and on its way out the launch hook, once more.

use super::step::is_pooled;
use std::time::Duration;

/// How long AWS may refuse an answer to the terminate hook of a machine that its group wants in the pool: the group comes to the hook some time
/// after IMDS says so, and for a machine that has been in the pool for long it waits no more.
const AHEAD_GRACE: Duration = Duration::from_mins(2);
/// The state in which a group wants a machine that leaves the pool to serve.
const IN_SERVICE: &str = "InService";

/// What one look finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSeen {
    /// The state in which the group wants this machine, by IMDS.
    pub target: Option<String>,
    /// Whether this machine is a node of a cluster. One that is none comes into the pool for the first time, by its launch hook, and its `up`
    /// is at work.
    pub has_joined: bool,
    /// Whether the group has wanted it in its pool in this boot, and nothing was done since about its way out.
    pub was_pooled: bool,
    /// Whether somebody is at work on this machine, such as `up`.
    pub is_locked: bool,
    /// Whether a launch hook is named, and was not answered since the machine was in the pool.
    pub launch_due: bool,
    /// The terminate hook.
    pub entry: PoolEntry,
}

/// The terminate hook of a machine that goes back into the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolEntry {
    /// It was not answered since the group wants the machine in its pool.
    Due,
    /// AWS has not let it be answered for so long.
    Refused(Duration),
    /// It was answered, or none is named.
    Settled,
}

/// The one thing to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolStep {
    /// Nothing, or nothing yet.
    Nothing,
    /// Complete the terminate hook with CONTINUE.
    Enter,
    /// Run `kubeboot up` again: this machine has left the pool without a boot, and its launch hook waits.
    Serve,
    /// What was in the pool is over.
    Forget,
}

/// The one thing to do next.
#[must_use]
pub fn decide(seen: &PoolSeen) -> PoolStep {
    let Some(target) = seen.target.as_deref() else { return PoolStep::Nothing };
    if is_pooled(target) {
        let waits = match seen.entry {
            PoolEntry::Due => true,
            PoolEntry::Refused(lasted) => lasted < AHEAD_GRACE,
            PoolEntry::Settled => false,
        };
        return if waits && seen.has_joined { PoolStep::Enter } else { PoolStep::Nothing };
    }
    match (target == IN_SERVICE && seen.was_pooled, seen.launch_due, seen.is_locked) {
        (false, _, _) | (true, true, true) => PoolStep::Nothing,
        (true, false, _) => PoolStep::Forget,
        (true, true, false) => PoolStep::Serve,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node of a cluster that its group wants in this state, with both hooks.
    fn seen(target: &str) -> PoolSeen {
        PoolSeen {
            target: Some(target.to_owned()),
            has_joined: true,
            was_pooled: true,
            is_locked: false,
            launch_due: true,
            entry: PoolEntry::Due,
        }
    }

    fn refused(seconds: u64) -> PoolEntry {
        PoolEntry::Refused(Duration::from_secs(seconds))
    }

    #[test]
    fn a_machine_is_let_into_its_pool_and_serves_again_when_it_comes_out() {
        let rows = [
            (PoolSeen { target: None, ..seen("") }, PoolStep::Nothing),
            (seen("Warmed:Stopped"), PoolStep::Enter),
            (seen("Warmed:Running"), PoolStep::Enter),
            (seen("Warmed:Hibernated"), PoolStep::Enter),
            (PoolSeen { entry: refused(119), ..seen("Warmed:Running") }, PoolStep::Enter),
            (PoolSeen { entry: refused(120), ..seen("Warmed:Running") }, PoolStep::Nothing),
            (PoolSeen { entry: PoolEntry::Settled, ..seen("Warmed:Running") }, PoolStep::Nothing),
            // It enters the pool for the first time: its launch hook waits, which `up` answers.
            (PoolSeen { has_joined: false, ..seen("Warmed:Running") }, PoolStep::Nothing),
            // Whoever answers for it would let it be terminated without being drained.
            (seen("Warmed:Terminated"), PoolStep::Nothing),
            (seen("Terminated"), PoolStep::Nothing),
            (seen("Standby"), PoolStep::Nothing),
            (seen("InService"), PoolStep::Serve),
            (PoolSeen { was_pooled: false, ..seen("InService") }, PoolStep::Nothing),
            (PoolSeen { is_locked: true, ..seen("InService") }, PoolStep::Nothing),
            // An `up` at work has answered it, or there is none.
            (PoolSeen { launch_due: false, ..seen("InService") }, PoolStep::Forget),
            (PoolSeen { launch_due: false, is_locked: true, ..seen("InService") }, PoolStep::Forget),
            // The terminate hook of the next time is none of this one's business.
            (PoolSeen { entry: PoolEntry::Settled, ..seen("InService") }, PoolStep::Serve),
        ];
        for (seen, expected) in rows {
            assert_eq!(decide(&seen), expected, "{seen:?}");
        }
    }
}
