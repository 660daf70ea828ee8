//! Leaving the cluster: whether this machine goes down for good, what it then does, in which order, and for how long.
//!
//! Here belongs what `kubeboot reset` decides. Which members of other machines may be removed does not belong here: that is in
//! [`membership::reaping`](super::membership::reaping).
//!
//! | file | question |
//! |---|---|
//! | [`questions`] | does the machine go down, and for good? |
//! | [`mod@plan`] | which steps does leaving take here, and which of them are blocked? |
//! | [`leadership`] | who leads etcd in place of this machine? |
//! | [`budget`] | how long may each part take, so that the others still run? |
//! | [`wiping`] | may the machine be wiped afterwards? |

pub mod budget;
pub mod leadership;
pub mod plan;
pub mod questions;
pub mod wiping;

pub use budget::{Budget, Part};
pub use leadership::Leadership;
pub use plan::{LeaveInput, LeavePlan, LeaveStep, NextRemoval, StayReason, next_removal, plan};
pub use questions::{
    GoingDown, InGroup, InstanceStates, LeaveDecision, QueuedJob, ShutdownMode, goes_down, is_permanent,
    wants_to_terminate, without_pool,
};
pub use wiping::may_wipe;
