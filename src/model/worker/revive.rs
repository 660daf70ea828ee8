//! A running kubelet registers its Node once, when it starts. Whoever deletes that Node, or restores a cluster that never had it, leaves
//! a machine that serves nobody until kubelet is restarted.

use std::time::Duration;

/// How long an API server must have had no Node of this machine.
pub const GONE_GRACE: Duration = Duration::from_mins(2);
/// The same of a machine whose join was never completed: kubelet was restarted meanwhile, and has registered nothing.
pub const GIVEN_UP_GRACE: Duration = Duration::from_mins(5);

/// How long every answer must refuse a machine's credentials before that counts: an API server that has just started, or one of several
/// behind the endpoint, may do so once.
pub const REFUSED_GRACE: Duration = Duration::from_secs(30);

/// What an API server under this machine's authority says of its Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeView {
    /// Nobody was asked: this machine has no credentials of a node yet.
    NotAsked,
    /// Nobody answered, or not with a Node.
    Silent {
        /// Why.
        why: String,
    },
    /// The API server does not take this machine's credentials, or they cannot be used at all.
    Refused {
        /// Why.
        why: String,
        /// Since when, without another answer, by this machine's own clock.
        lasted: Duration,
    },
    /// There is none of its name.
    Missing {
        /// Since when, without a pause, by this machine's own clock.
        lasted: Duration,
    },
    /// It is there, by this machine's own provider ID.
    Mine,
    /// There is one of its name with another provider ID.
    OfAnother {
        /// That ID.
        provider_id: String,
    },
    /// There is one of its name without a provider ID: kubelet or the cloud controller manager is about to write it.
    Unnamed,
}

/// Whether kubelet is to be restarted now. `restarted`: it was already, since the Node has been missing. A machine that leaves for good
/// registers nothing anew.
#[must_use]
pub fn restarts_kubelet(node: &NodeView, restarted: bool, leaves: bool) -> bool {
    match node {
        NodeView::Missing { lasted } => *lasted >= GONE_GRACE && !restarted && !leaves,
        NodeView::NotAsked
        | NodeView::Silent { .. }
        | NodeView::Refused { .. }
        | NodeView::Mine
        | NodeView::OfAnother { .. }
        | NodeView::Unnamed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubelet_is_restarted_once_after_two_minutes_and_never_while_the_machine_leaves() {
        let missing = |seconds| NodeView::Missing { lasted: Duration::from_secs(seconds) };
        let rows = [
            (missing(120), false, false, true),
            (missing(119), false, false, false),
            (missing(3600), true, false, false),
            (missing(3600), false, true, false),
            (NodeView::NotAsked, false, false, false),
            (NodeView::Silent { why: "refused".into() }, false, false, false),
            (NodeView::Refused { why: "401".into(), lasted: GONE_GRACE }, false, false, false),
            (NodeView::Mine, false, false, false),
            (NodeView::OfAnother { provider_id: "aws:///a/i-00000002".into() }, false, false, false),
            (NodeView::Unnamed, false, false, false),
        ];
        for (node, restarted, leaves, expected) in rows {
            assert_eq!(restarts_kubelet(&node, restarted, leaves), expected, "{node:?} {restarted} {leaves}");
        }
    }
}
