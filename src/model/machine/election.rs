//! Which machine claims first, and when the others may.

use crate::model::machine::group::Group;
use crate::model::machine::ids::InstanceId;
use std::time::Duration;

/// Whether the group shows exactly the expected number of candidates, `me` among them.
#[must_use]
pub fn matches(group: &Group, me: &InstanceId, expected: usize) -> bool {
    let candidates = group.candidates();
    candidates.len() == expected && candidates.contains(&me)
}

/// The place of `me` among the candidates: by instance ID, and after all others those that have yielded, in the order in which
/// they yielded. `None` when `me` is no candidate. `without` leaves out the holder that is to be replaced.
#[must_use]
pub fn rank(group: &Group, me: &InstanceId, yielded: &[InstanceId], without: Option<&InstanceId>) -> Option<u32> {
    let mut order: Vec<_> = group
        .candidates()
        .into_iter()
        .filter(|id| Some(*id) != without || *id == me)
        .map(|id| (yielded.iter().position(|other| other == id).map_or(0, |at| at + 1), id))
        .collect();
    order.sort();
    order.iter().position(|(_, id)| *id == me).and_then(|at| u32::try_from(at).ok())
}

/// How long a machine of this rank waits for those before it. A machine that has yielded waits one turn longer, so that a single
/// machine whose init fails does not claim in a tight loop.
#[must_use]
pub fn claim_delay(rank: u32, has_yielded: bool, stagger: Duration) -> Duration {
    stagger.saturating_mul(rank + u32::from(has_yielded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::group::{GroupMember, Lifecycle};

    fn id(n: u8) -> InstanceId {
        InstanceId::parse(format!("i-0000000{n}")).unwrap()
    }

    fn group(members: &[(u8, &str, bool)]) -> Group {
        let members = members
            .iter()
            .map(|(n, lifecycle, healthy)| GroupMember {
                instance: id(*n),
                lifecycle: Lifecycle::parse(lifecycle),
                healthy: *healthy,
                ec2: None,
                addresses: Vec::new(),
            })
            .collect();
        Group { name: "g".into(), arn: "arn".into(), desired: 3, zones: Vec::new(), retains: false, members }
    }

    #[test]
    fn only_candidates_count() {
        let three = group(&[(2, "InService", true), (1, "Pending:Wait", true), (3, "Pending", true)]);
        assert!(matches(&three, &id(2), 3));
        assert!(!matches(&three, &id(2), 2), "too many");
        assert!(!matches(&three, &id(4), 3), "not among them");
        let with_others = group(&[
            (1, "Terminating:Wait", true),
            (2, "InService", true),
            (3, "InService", false),
            (4, "Standby", true),
            (5, "Warmed:Running", true),
            (6, "SomethingNew", true),
            (7, "Pending:Proceed", true),
        ]);
        assert_eq!(with_others.candidates(), [&id(2), &id(7)]);
    }

    #[test]
    fn rank_is_by_id_and_machines_that_yielded_come_last() {
        let three = group(&[(3, "InService", true), (1, "InService", true), (2, "InService", true)]);
        let ranks = |yielded: &[InstanceId], without: Option<&InstanceId>| {
            [1, 2, 3, 4].map(|n| rank(&three, &id(n), yielded, without))
        };
        assert_eq!(ranks(&[], None), [Some(0), Some(1), Some(2), None]);
        assert_eq!(ranks(&[id(1)], None), [Some(2), Some(0), Some(1), None]);
        assert_eq!(ranks(&[id(2), id(1)], None), [Some(2), Some(1), Some(0), None]);
        assert_eq!(
            ranks(&[], Some(&id(1))),
            [Some(0), Some(0), Some(1), None],
            "the holder left out keeps only its own place"
        );
    }

    #[test]
    fn the_delay_grows_with_the_rank() {
        let stagger = Duration::from_secs(30);
        assert_eq!(claim_delay(0, false, stagger), Duration::ZERO);
        assert_eq!(claim_delay(2, false, stagger), Duration::from_secs(60));
        assert_eq!(claim_delay(0, true, stagger), Duration::from_secs(30));
    }
}
