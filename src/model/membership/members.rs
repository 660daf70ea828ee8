//! etcd's member list and the arithmetic of its quorum.

use super::member_name::MemberName;
use crate::model::machine::ids::MemberId;
use std::net::IpAddr;

/// What to do about a voter whose etcd stays silent while the others have a quorum, on its machine.
pub const SILENT_REMEDY: &str = "see kubelet and etcd on that machine; if etcd does not come back, run 'kubeboot reset --now' there, and then \
                                 'systemctl start kubeboot': the others remove its member, and it joins anew";

/// One member as a list showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its ID.
    pub id: MemberId,
    /// Its name; empty until it has started.
    pub name: String,
    /// Hosts of its peer URLs.
    pub peer_addresses: Vec<IpAddr>,
    /// Whether it is a learner, which has no vote.
    pub learner: bool,
    /// Whether it answered a status call when the list was read.
    pub answers: bool,
}

impl Member {
    /// Whether it has ever started: etcd knows the name of a member from its first start on.
    #[must_use]
    pub fn is_started(&self) -> bool {
        !self.name.is_empty()
    }

    /// Whether it is a voter that has started.
    #[must_use]
    pub fn is_started_voter(&self) -> bool {
        !self.learner && self.is_started()
    }

    /// Whether its peer address is one of these.
    #[must_use]
    pub fn is_at(&self, addresses: &[IpAddr]) -> bool {
        self.peer_addresses.iter().any(|address| addresses.contains(address))
    }
}

/// A member list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(pub Vec<Member>);

impl Members {
    /// The member whose peer address is one of these.
    #[must_use]
    pub fn at(&self, addresses: &[IpAddr]) -> Option<&Member> {
        self.0.iter().find(|member| member.is_at(addresses))
    }

    /// The voters.
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.0.iter().filter(|member| !member.learner)
    }

    /// The voters that did not answer, by name.
    #[must_use]
    pub fn silent(&self) -> Vec<MemberName> {
        self.voters().filter(|member| !member.answers).map(|member| MemberName::of(member, None)).collect()
    }

    /// How many voters answered.
    #[must_use]
    pub fn answering(&self) -> usize {
        self.voters().filter(|member| member.answers).count()
    }

    /// How many voters must answer: more than half of them.
    #[must_use]
    pub fn quorum(&self) -> usize {
        quorum(self.voters().count())
    }

    /// Whether enough voters answered for a quorum.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        self.answering() >= self.quorum()
    }

    /// Whether a new member may come, by a list that was read through a quorum: enough voters answer, or those that do not are
    /// [starting](super::starting). None of these counts as answering: without it no removal is allowed that needs it.
    #[must_use]
    pub fn may_grow(&self, starting: &[MemberId]) -> bool {
        self.has_quorum() || self.voters().all(|member| member.answers || starting.contains(&member.id))
    }

    /// How many answering voters can be lost before writes stop.
    #[must_use]
    pub fn fault_tolerance(&self) -> usize {
        self.answering().saturating_sub(self.quorum())
    }

    /// Whether removing this member leaves the answering voters at or above the quorum of the rest. The last voter is
    /// never removable.
    #[must_use]
    pub fn may_remove(&self, id: MemberId) -> bool {
        let rest: Vec<_> = self.voters().filter(|member| member.id != id).collect();
        let answering = rest.iter().filter(|member| member.answers).count();
        !rest.is_empty() && answering >= quorum(rest.len())
    }
}

/// Whether a removal that was decided on an earlier list is still allowed by a fresh one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It may be carried out.
    Allowed,
    /// The member is gone already.
    Done,
    /// It would leave fewer answering voters than the quorum of the rest needs.
    CostsQuorum,
    /// The member was no started voter and has become one since.
    HasVote,
}

impl Members {
    /// Judges the removal of `judged`, a member of an earlier list, by this list, which is fresh.
    #[must_use]
    pub fn removal(&self, judged: &Member) -> Removal {
        match self.0.iter().find(|member| member.id == judged.id) {
            None => Removal::Done,
            Some(now) if now.is_started_voter() && !judged.is_started_voter() => Removal::HasVote,
            // It has not said its name yet.
            Some(now) if !now.learner && judged.learner => Removal::HasVote,
            Some(_) if !self.may_remove(judged.id) => Removal::CostsQuorum,
            Some(_) => Removal::Allowed,
        }
    }

    /// This list with the answers of an earlier one. A member that is new in it counts as silent.
    #[must_use]
    pub fn answering_as(mut self, probed: &Self) -> Self {
        for member in &mut self.0 {
            member.answers = probed.0.iter().any(|earlier| earlier.id == member.id && earlier.answers);
        }
        self
    }
}

/// More than half.
#[must_use]
pub fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `V` answering voter, `v` silent voter, `L`/`l` the same for learners; IDs count from 1.
    fn members(pattern: &str) -> Members {
        Members(
            pattern
                .chars()
                .zip(1..)
                .map(|(c, id)| Member {
                    id: MemberId(id),
                    name: format!("n{id}"),
                    peer_addresses: Vec::new(),
                    learner: c.eq_ignore_ascii_case(&'l'),
                    answers: c.is_uppercase(),
                })
                .collect(),
        )
    }

    #[test]
    fn a_removal_is_judged_again_on_a_fresh_list() {
        // (judged on, fresh, member, removal)
        let rows = [
            ("VVv", "VVv", 3, Removal::Allowed),
            ("VVv", "VV", 3, Removal::Done),
            ("VVv", "VVvvv", 3, Removal::CostsQuorum),
            ("VVl", "VVl", 3, Removal::Allowed),
            ("VVl", "VVv", 3, Removal::HasVote),
            ("VVL", "VVV", 3, Removal::HasVote),
        ];
        for (judged, fresh, id, expected) in rows {
            let judged = members(judged).0[id - 1].clone();
            assert_eq!(members(fresh).removal(&judged), expected, "{fresh} without {id}");
        }
        let nameless = Member { name: String::new(), ..members("VVv").0[2].clone() };
        let fresh = Members(members("VV").0.into_iter().chain([nameless]).collect());
        assert_eq!(fresh.removal(&members("VVl").0[2]), Removal::HasVote, "promoted, and without its name yet");
        let unstarted = Member { name: String::new(), ..members("VVv").0[2].clone() };
        assert_eq!(members("VVv").removal(&unstarted), Removal::HasVote);
    }

    #[test]
    fn a_fresh_list_has_the_answers_of_the_earlier_one() {
        let fresh = members("vvvV").answering_as(&members("VvV"));
        assert_eq!(fresh.0.iter().map(|member| member.answers).collect::<Vec<_>>(), [true, false, true, false]);
    }

    #[test]
    fn quorum_and_tolerance() {
        let rows = [
            ("V", 1, true, 0),
            ("VV", 2, true, 0),
            ("VVV", 2, true, 1),
            ("VVv", 2, true, 0),
            ("Vvv", 2, false, 0),
            ("VVVVV", 3, true, 2),
            ("VVL", 2, true, 0),
            ("VvL", 2, false, 0),
        ];
        for (pattern, quorum, has, tolerance) in rows {
            let list = members(pattern);
            assert_eq!(
                (list.quorum(), list.has_quorum(), list.fault_tolerance()),
                (quorum, has, tolerance),
                "{pattern}"
            );
        }
    }

    #[test]
    fn who_is_starting_keeps_no_newcomer_out() {
        // (list, who is starting, whether it may grow)
        let rows: [(&str, &[u64], bool); 7] = [
            ("VVv", &[], true),
            ("Vv", &[], false),
            ("Vv", &[2], true),
            ("Vvv", &[2], false),
            ("Vvv", &[2, 3], true),
            ("Vv", &[1], false),
            ("VL", &[], true),
        ];
        for (pattern, starting, expected) in rows {
            let starting: Vec<MemberId> = starting.iter().map(|id| MemberId(*id)).collect();
            assert_eq!(members(pattern).may_grow(&starting), expected, "{pattern} {starting:?}");
        }
    }

    #[test]
    fn a_removal_never_goes_below_the_quorum_of_the_rest() {
        // (list, member, may be removed)
        let rows = [
            ("V", 1, false),
            ("VV", 1, true),
            ("Vv", 2, true),
            ("Vv", 1, false),
            ("VVv", 3, true),
            ("VVv", 1, false),
            ("Vvv", 3, false),
            ("VVL", 3, true),
            ("VvL", 3, false),
            ("VVVvv", 5, true),
            ("VVvvv", 5, false),
        ];
        for (pattern, id, may) in rows {
            assert_eq!(members(pattern).may_remove(MemberId(id)), may, "{pattern} without {id}");
        }
    }
}
