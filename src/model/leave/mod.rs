//! Leaving: whether this machine goes for good, and what it then does, in which order, and for how long.
//!
//! | room | question |
//! |---|---|
//! | [`questions`] | is the machine going down, and for good? |
//! | [`mod@plan`] | which steps does leaving take here, and which of them may not be taken? |
//! | [`budget`] | how long may each step go on, so that the rest still runs? |
//! | [`wiping`] | may the machine be wiped afterwards? |

pub mod budget;
pub mod plan;
pub mod questions;
pub mod wiping;

pub use budget::{Budget, Part};
pub use plan::{LeaveInput, LeavePlan, LeaveStep, NextRemoval, StayReason, next_removal, plan};
pub use questions::{
    GoingDown, InGroup, InstanceStates, LeaveDecision, QueuedJob, ShutdownMode, goes_down, is_permanent,
};
pub use wiping::may_wipe;
