//! Voters that are on their way: promoted a moment ago, and silent until their etcd serves its clients.
//!
//! etcd opens the port of a member's clients, and says the member's name, up to ten seconds after it was promoted (etcd's `publishV3`). It has
//! its vote, and uses it, from the promotion on. So nothing is wrong with it. It keeps no newcomer out, and it keeps
//! nobody from trying to remove its own member, and that is all: it never counts as answering, and whether a removal is lawful is judged
//! without it.

use super::members::Members;
use super::reaping::owners;
use super::registration::{Registration, RegistrationPhase};
use crate::model::machine::ids::MemberId;
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long a voter may be silent and on its way: three times as long as etcd takes. After that it is as silent as any other.
pub const STARTING: Duration = Duration::from_secs(30);

/// For how long a join that begins beside a starting voter waits for etcd to take it: until that voter is as silent as any other, and as
/// long again as etcd may take after it came (five seconds), with kubeadm's own work before.
pub const TAKEN_BESIDE: Duration = Duration::from_secs(45);

/// Since when each voter has been silent, as this process sees it, counted from any fixed moment of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silences(BTreeMap<MemberId, Duration>);

impl Silences {
    /// Takes in a list that was read at `now`, and gives the voters that have not been silent for [`STARTING`] yet.
    pub fn young(&mut self, members: &Members, now: Duration) -> Vec<MemberId> {
        let silent = members.voters().filter(|member| !member.answers);
        self.0 = silent.map(|member| (member.id, self.0.get(&member.id).copied().unwrap_or(now))).collect();
        let young = self.0.iter().filter(|(_, since)| now.saturating_sub(**since) < STARTING);
        young.map(|(id, _)| *id).collect()
    }
}

/// Those of the voters that have been silent only lately whose machines say that they join.
#[must_use]
pub fn starting(silent_lately: &[MemberId], members: &Members, registrations: &[Registration]) -> Vec<MemberId> {
    let lately = members.voters().filter(|member| silent_lately.contains(&member.id));
    let joins = lately.filter(|member| {
        let owners = owners(registrations.iter(), member);
        !owners.is_empty() && owners.iter().all(|owner| owner.phase == RegistrationPhase::Joining)
    });
    joins.map(|member| member.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::membership::members::Member;
    use crate::model::membership::reaping::tests::{registered, voter};

    fn nameless(n: u8, learner: bool) -> Member {
        Member { name: String::new(), learner, ..voter(n, false) }
    }

    #[test]
    fn a_voter_is_silent_only_lately_for_half_a_minute() {
        let secs = Duration::from_secs;
        let silent = Members(vec![voter(1, true), nameless(2, false), nameless(3, true)]);
        let named = Members(vec![voter(1, true), voter(2, false)]);
        let answers = Members(vec![voter(1, true), voter(2, true)]);
        let mut silences = Silences::default();
        // (the list, read at, who has been silent only lately)
        let rows: [(&Members, u64, &[u64]); 8] = [
            (&answers, 99, &[]),
            (&silent, 100, &[2]),
            (&named, 129, &[2]),
            (&named, 130, &[]),
            (&silent, 500, &[]),
            (&answers, 501, &[]),
            (&silent, 502, &[2]),
            (&silent, 532, &[]),
        ];
        for (members, at, expected) in rows {
            let young: Vec<u64> = silences.young(members, secs(at)).iter().map(|id| id.0).collect();
            assert_eq!(young, expected, "{at} s");
        }
    }

    #[test]
    fn only_who_says_that_it_joins_is_starting() {
        use RegistrationPhase::{Failed, Joined, Joining, Leaving, Waiting};
        let said = |n, member: Option<u8>, phase| Registration { phase, ..registered(n, member, Some(4)) };
        let lately = [MemberId(3)];
        // (the member, what is registered, whether it is starting)
        let rows = [
            (nameless(3, false), vec![said(3, None, Joining)], true),
            (nameless(3, false), vec![said(3, Some(3), Joining)], true),
            (voter(3, false), vec![said(3, Some(3), Joining)], true),
            (nameless(3, true), vec![said(3, Some(3), Joining)], false),
            (nameless(3, false), Vec::new(), false),
            (nameless(3, false), vec![said(3, Some(9), Joining)], false),
            (nameless(3, false), vec![said(3, None, Waiting)], false),
            (voter(3, false), vec![said(3, Some(3), Joined)], false),
            (voter(3, false), vec![said(3, Some(3), Leaving)], false),
            (voter(3, false), vec![said(3, Some(3), Failed)], false),
        ];
        for (member, said, expected) in rows {
            let members = Members(vec![voter(1, true), member]);
            assert_eq!(starting(&lately, &members, &said) == lately, expected, "{members:?} {said:?}");
            assert_eq!(starting(&[], &members, &said), [], "silent for long: {members:?}");
        }
        // A machine that waits at the same address explains it as well.
        let members = Members(vec![nameless(3, false)]);
        let two =
            [said(3, None, Joining), Registration { addresses: vec![[10, 77, 0, 3].into()], ..said(8, None, Waiting) }];
        assert_eq!(starting(&lately, &members, &two), []);
    }
}
