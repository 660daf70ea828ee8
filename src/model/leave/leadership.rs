//! Who leads etcd in place of a machine that leaves. etcd elects another leader by itself when the one it has is removed, but until
//! then, for a second or two, nobody can write. A leader that hands over first costs a moment.

use crate::model::machine::ids::MemberId;
use crate::model::membership::members::Members;

/// What is known of who leads etcd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The member that leads, by the word of this machine's own; `None` where that did not say it.
    pub leader: Option<MemberId>,
    /// The members whose machines are registered as `joined`, as far as that is known.
    pub joined: Vec<MemberId>,
}

impl Leadership {
    /// The member that is to lead before `own` is removed; `None` if `own` does not lead, or no other voter answers. One whose machine is
    /// registered as `joined` comes first: any other may be about to leave, too.
    #[must_use]
    pub fn successor(&self, members: &Members, own: MemberId) -> Option<MemberId> {
        let able = members.0.iter().filter(|member| member.id != own && member.answers && member.is_started_voter());
        let first = able.min_by_key(|member| (!self.joined.contains(&member.id), member.id));
        first.filter(|_| self.leader == Some(own)).map(|member| member.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::membership::members::Member;

    /// `V` answering voter, `v` silent voter, `U` a voter that has not started, `L` a learner; IDs count from 1.
    fn members(pattern: &str) -> Members {
        let all = pattern.chars().zip(1..).map(|(c, n)| Member {
            id: MemberId(n),
            name: if c == 'U' { String::new() } else { format!("n{n}") },
            peer_addresses: Vec::new(),
            learner: c == 'L',
            answers: c.is_uppercase(),
        });
        Members(all.collect())
    }

    /// List, this machine's member, who leads, who is registered as joined, who is to lead.
    type Row<'a> = (&'a str, u64, Option<u64>, &'a [u64], Option<u64>);

    #[test]
    fn a_leader_hands_over_to_one_voter_that_answers() {
        let rows: [Row<'_>; 14] = [
            ("VVV", 1, Some(1), &[], Some(2)),
            ("VVV", 2, Some(2), &[], Some(1)),
            ("VVV", 1, Some(1), &[1, 2, 3], Some(2)),
            ("VVV", 1, Some(1), &[3], Some(3)),
            // Registered, and silent or without a vote.
            ("VVv", 1, Some(1), &[3], Some(2)),
            ("VvV", 1, Some(1), &[2], Some(3)),
            ("VLV", 1, Some(1), &[2], Some(3)),
            ("VUV", 1, Some(1), &[2], Some(3)),
            // Another one leads, or nobody knows.
            ("VVV", 1, Some(2), &[2], None),
            ("VVV", 1, None, &[2], None),
            // Nobody could.
            ("Vvv", 1, Some(1), &[2, 3], None),
            ("VL", 1, Some(1), &[2], None),
            ("VU", 1, Some(1), &[2], None),
            ("V", 1, Some(1), &[1], None),
        ];
        for (pattern, own, leader, joined, expected) in rows {
            let joined = joined.iter().copied().map(MemberId).collect();
            let leadership = Leadership { leader: leader.map(MemberId), joined };
            let successor = leadership.successor(&members(pattern), MemberId(own));
            assert_eq!(successor, expected.map(MemberId), "{pattern}, {own} of {leadership:?}");
            // The order of the list, which differs from member to member, changes nothing.
            let reversed = Members(members(pattern).0.into_iter().rev().collect());
            assert_eq!(leadership.successor(&reversed, MemberId(own)), successor, "{pattern}");
        }
    }
}
