//! Whether a machine is given up at launch, so that its group replaces it.
//!
//! Only where another one could do better. The record, the endpoint, the settings, the group, the quorum, AWS, and a member that keeps
//! newcomers out are the same for each machine that follows, so that one after the other would be given up for nothing.

use crate::model::machine::local::Local;

/// What is in the way of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hindrance {
    /// kubeadm has failed on it.
    Kubeadm,
    /// Nothing but those who come before it, or the end of its run: what was in the way before still is.
    Queue,
    /// Something that every machine of the group meets.
    #[default]
    Shared,
}

impl Hindrance {
    /// What is in the way once the machine has met `next`.
    #[must_use]
    pub fn followed_by(self, next: Self) -> Self {
        match next {
            Self::Queue => self,
            Self::Kubeadm | Self::Shared => next,
        }
    }
}

/// Whether a machine that has failed may be given up, by what was in its way last: it is no member, nothing of an attempt is left on it,
/// and the cluster, if there is one, has its quorum.
#[must_use]
pub fn may_be_given_up(hindrance: Hindrance, local: &Local, lacks_quorum: bool) -> bool {
    hindrance == Hindrance::Kubeadm && *local == Local::Fresh && !lacks_quorum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::{ClaimId, InstanceId};
    use crate::model::machine::local::Stage;
    use crate::model::up::step::Wait;
    use std::time::Duration;

    #[test]
    fn who_waits_for_others_before_it_has_not_met_anything_new() {
        let holder = InstanceId::parse("i-00000001").unwrap();
        let rows = [
            (Wait::Turn { rank: 1, left: Duration::ZERO }, true),
            (Wait::Holder { instance: holder }, true),
            (Wait::Settle { candidates: 1, expected: 2 }, false),
            (Wait::Cluster { why: "w".into() }, false),
            (Wait::Voters { silent: Vec::new() }, false),
            (Wait::Quorum { answering: 1, voters: 3 }, false),
            (Wait::ApiServers, false),
            (Wait::Snapshot { why: "w".into() }, false),
            (Wait::Record, false),
        ];
        for (wait, expected) in rows {
            assert_eq!(wait.is_queue(), expected, "{wait}");
        }
    }

    #[test]
    fn a_machine_is_given_up_only_for_its_own_failure() {
        use Hindrance::{Kubeadm, Queue, Shared};
        // What it has met one after the other, and whether it is given up.
        let rows: [(&[Hindrance], bool); 10] = [
            (&[], false),
            (&[Shared], false),
            (&[Queue], false),
            (&[Kubeadm], true),
            (&[Shared, Kubeadm], true),
            (&[Kubeadm, Queue], true),
            (&[Kubeadm, Queue, Kubeadm, Queue, Queue], true),
            (&[Kubeadm, Shared], false),
            (&[Kubeadm, Shared, Queue], false),
            (&[Shared, Queue], false),
        ];
        for (met, expected) in rows {
            let last = met.iter().fold(Hindrance::default(), |before, next| before.followed_by(*next));
            assert_eq!(may_be_given_up(last, &Local::Fresh, false), expected, "{met:?}");
            assert!(!may_be_given_up(last, &Local::Fresh, true), "without a quorum: {met:?}");
        }
        let instance = InstanceId::parse("i-00000003").unwrap();
        let claim_id = ClaimId::parse("00000000-0000-4000-8000-000000000001").unwrap();
        for stage in [Stage::Initializing, Stage::Joining] {
            let left = Local::HalfMade { instance: instance.clone(), claim_id: claim_id.clone(), stage };
            assert!(!may_be_given_up(Kubeadm, &left, false), "{left:?}");
        }
        assert!(!may_be_given_up(Kubeadm, &Local::Unexplained { found: Vec::new() }, false));
    }
}
