//! What the agent decides: from one observation of this machine to one step.
//!
//! Here belongs when a machine that is being terminated leaves, when it holds its terminate hook, and when it answers that. How it
//! leaves is in [`leave`](super::leave).
//!
//! | file | question |
//! |---|---|
//! | [`observation`] | what does a decision depend on? |
//! | [`mod@decide`] | which step follows from it? |
//! | [`step`] | what can a step be, and why? |
//! | [`saving`] | does the last voter save the cluster before it goes? |
//! | [`enough`] | does enough of the cluster stay when this machine leaves it? |
//! | [`served`] | what does the agent tell others of itself? |
//! | [`duties`] | what does the leader among the agents do for all? |
//! | [`hook`] | what is left of the terminate hook, and when is it due to be kept alive? |

pub mod decide;
pub mod duties;
pub mod enough;
pub mod hook;
pub mod observation;
pub mod saving;
pub mod served;
pub mod step;

pub use decide::decide;
pub use enough::{NotEnough, Others};
pub use hook::{HookTimes, HookView};
pub use observation::{ClaimHere, Departure, Ending, Observation, may_be_listed};
pub use saving::{Isolation, Saving};
pub use step::{AgentStep, Answer, Hold, SaveWhy};
