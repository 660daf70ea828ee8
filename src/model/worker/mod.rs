//! A worker: what it joins by, when it joins, and when it goes.
//!
//! | file | question |
//! |---|---|
//! | [`snapshot`] | what does one look find? |
//! | [`decide`] | what is the one thing to do next? |
//! | [`step`] | what can that be, and in which words? |
//! | [`skew`] | may this kubelet join a cluster of that version? |
//! | [`revive`] | when is kubelet restarted because its Node is gone? |
//! | [`drain`] | which pods are evicted, and what becomes of each answer? |
//! | [`leave`] | what does the agent do when this machine is being terminated? |
//! | [`pool`] | what does it do when the group takes this machine back into its warm pool, and out of it again? |

pub mod decide;
pub mod drain;
pub mod leave;
pub mod pool;
pub mod revive;
pub mod skew;
pub mod snapshot;
pub mod step;
