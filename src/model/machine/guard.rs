//! Whether kubelet may start this machine's etcd and API server: decided before kubelet starts, from this machine alone.
//!
//! An etcd whose data is gone starts anew, with the same IDs and without a memory of what it voted for; one with another
//! machine's data votes in its name. Whatever is decided here removes nothing: manifests are set aside, and put back.

use crate::model::machine::etcd_data::{EtcdData, EtcdIds};
use crate::model::machine::ids::{EtcdClusterId, InstanceId, MemberId};
use std::fmt;

/// What kubeboot's own marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked<'a> {
    /// The machine that wrote it.
    pub instance: &'a InstanceId,
    /// Whether that machine is a member, and nobody began to make it none.
    pub is_member: bool,
    /// Its member of etcd, where that is known.
    pub member: Option<MemberId>,
    /// Its etcd cluster, where that is known.
    pub cluster: Option<EtcdClusterId>,
}

impl Marked<'_> {
    /// Whether data of these IDs may be its own.
    fn may_own(&self, ids: EtcdIds) -> bool {
        self.member.is_none_or(|member| member == ids.member)
            && self.cluster.is_none_or(|cluster| cluster == ids.cluster)
    }
}

/// Where the manifests of etcd and API server lie. None at all where etcd is external.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifests {
    /// Whether one of them lies where kubelet starts it.
    pub in_place: bool,
    /// Whether one of them is set aside.
    pub aside: bool,
}

/// What the guard does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardStep {
    /// Nothing: kubelet may start whatever lies there.
    Pass,
    /// Set the manifests aside.
    SetAside(NotWhole),
    /// Put the manifests back: what they need is there again.
    PutBack,
    /// Nothing: what is set aside stays there.
    LeaveAside(NotWhole),
}

/// Why etcd must not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotWhole {
    /// This machine is a member, and its data is gone.
    DataGone,
    /// This machine is a member, and the data is that of another one.
    DataOf(EtcdIds),
    /// The disk was written by another machine.
    MadeBy(InstanceId),
    /// Nobody can tell whether it may, and it was set aside before.
    NotKnown {
        /// What cannot be told.
        why: String,
    },
}

/// Decides. `me`: which instance this is; while nobody knows, no marker is taken for another's.
#[must_use]
pub fn guard(marker: Option<&Marked<'_>>, me: Option<&InstanceId>, data: &EtcdData, manifests: Manifests) -> GuardStep {
    let stopped = |why| if manifests.in_place { GuardStep::SetAside(why) } else { GuardStep::LeaveAside(why) };
    let unsure = |why: &str| match manifests.aside {
        true => GuardStep::LeaveAside(NotWhole::NotKnown { why: why.to_owned() }),
        false => GuardStep::Pass,
    };
    if !manifests.in_place && !manifests.aside {
        return GuardStep::Pass;
    }
    let Some(marker) = marker else { return unsure("there is no marker of this machine's state") };
    if me.is_some_and(|me| me != marker.instance) {
        return stopped(NotWhole::MadeBy(marker.instance.clone()));
    }
    if !marker.is_member {
        return unsure("this machine is no member, or is about to be none");
    }
    match data {
        EtcdData::Nothing => stopped(NotWhole::DataGone),
        EtcdData::Of(ids) if !marker.may_own(*ids) => stopped(NotWhole::DataOf(*ids)),
        EtcdData::Of(_) if me.is_none() => unsure("nobody says which instance this is"),
        EtcdData::Of(_) if manifests.aside => GuardStep::PutBack,
        EtcdData::Of(_) | EtcdData::Elsewhere => GuardStep::Pass,
        EtcdData::Unreadable { why } => unsure(why),
    }
}

impl fmt::Display for NotWhole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataGone => f.write_str("this machine is a member of etcd, and its data is gone"),
            Self::DataOf(EtcdIds { member, cluster }) => {
                write!(
                    f,
                    "the data here is that of member {member} of the etcd cluster {cluster}, which this machine is not"
                )
            }
            Self::MadeBy(instance) => write!(f, "what is on this disk was made by {instance}"),
            Self::NotKnown { why } => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_PLACE: Manifests = Manifests { in_place: true, aside: false };
    const ASIDE: Manifests = Manifests { in_place: false, aside: true };
    const NEITHER: Manifests = Manifests { in_place: false, aside: false };
    const BOTH: Manifests = Manifests { in_place: true, aside: true };

    fn id(n: u8) -> InstanceId {
        InstanceId::parse(format!("i-0000000{n}")).unwrap()
    }

    fn ids(member: u64, cluster: u64) -> EtcdIds {
        EtcdIds { member: MemberId(member), cluster: EtcdClusterId(cluster) }
    }

    fn data(member: u64) -> EtcdData {
        EtcdData::Of(ids(member, 7))
    }

    #[test]
    fn an_etcd_that_lost_its_data_or_found_anothers_does_not_start() {
        let (me, other) = (id(1), id(2));
        let (known, cluster) = (Some(MemberId(1)), Some(EtcdClusterId(7)));
        let member = |instance| Some(Marked { instance, is_member: true, member: known, cluster });
        let older = Some(Marked { instance: &me, is_member: true, member: None, cluster: None });
        let leaving = |instance| Some(Marked { instance, is_member: false, member: None, cluster: None });
        let unreadable = EtcdData::Unreadable { why: "w".into() };
        let unsure = |why: &str| GuardStep::LeaveAside(NotWhole::NotKnown { why: why.into() });
        let pass = GuardStep::Pass;
        // (marker, which instance this is, data, in place, set aside, a crash between the two)
        let gone = |why: NotWhole| {
            [GuardStep::SetAside(why.clone()), GuardStep::LeaveAside(why.clone()), GuardStep::SetAside(why)]
        };
        let back = [pass.clone(), GuardStep::PutBack, GuardStep::PutBack];
        let not_sure = |why: &str| [pass.clone(), unsure(why), unsure(why)];
        let no_member = "this machine is no member, or is about to be none";
        let rows = [
            (member(&me), Some(&me), EtcdData::Nothing, gone(NotWhole::DataGone)),
            (member(&me), None, EtcdData::Nothing, gone(NotWhole::DataGone)),
            (member(&me), Some(&me), data(1), back.clone()),
            (older, Some(&me), data(1), back),
            (member(&me), Some(&me), data(2), gone(NotWhole::DataOf(ids(2, 7)))),
            (member(&me), None, data(2), gone(NotWhole::DataOf(ids(2, 7)))),
            (member(&me), Some(&me), EtcdData::Of(ids(1, 8)), gone(NotWhole::DataOf(ids(1, 8)))),
            (member(&me), None, data(1), not_sure("nobody says which instance this is")),
            (member(&me), Some(&me), unreadable.clone(), not_sure("w")),
            (member(&other), Some(&me), EtcdData::Nothing, gone(NotWhole::MadeBy(other.clone()))),
            (member(&other), Some(&me), data(1), gone(NotWhole::MadeBy(other.clone()))),
            (member(&other), Some(&me), unreadable, gone(NotWhole::MadeBy(other.clone()))),
            (leaving(&other), Some(&me), EtcdData::Nothing, gone(NotWhole::MadeBy(other.clone()))),
            (leaving(&me), Some(&me), EtcdData::Nothing, not_sure(no_member)),
            (leaving(&me), Some(&me), data(1), not_sure(no_member)),
            (None, Some(&me), data(1), not_sure("there is no marker of this machine's state")),
            (None, Some(&me), EtcdData::Nothing, not_sure("there is no marker of this machine's state")),
            (member(&me), Some(&me), EtcdData::Elsewhere, [pass.clone(), pass.clone(), pass.clone()]),
        ];
        for (marker, me, data, expected) in rows {
            for (manifests, expected) in [IN_PLACE, ASIDE, BOTH].into_iter().zip(expected) {
                assert_eq!(guard(marker.as_ref(), me, &data, manifests), expected, "{marker:?} {me:?} {data:?}");
            }
            assert_eq!(guard(marker.as_ref(), me, &data, NEITHER), GuardStep::Pass, "nothing to guard: {marker:?}");
        }
    }

    #[test]
    fn why_it_does_not_start_is_said() {
        let rows = [
            (NotWhole::DataGone, "this machine is a member of etcd, and its data is gone"),
            (
                NotWhole::DataOf(ids(0xa1, 7)),
                "the data here is that of member a1 of the etcd cluster 7, which this machine is not",
            ),
            (NotWhole::MadeBy(id(2)), "what is on this disk was made by i-00000002"),
            (NotWhole::NotKnown { why: "w".into() }, "w"),
        ];
        for (why, text) in rows {
            assert_eq!(why.to_string(), text);
        }
    }
}
