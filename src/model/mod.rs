//! The pure ring: what is observed, what is decided, what is written.
//!
//! Nothing here does IO, reads a clock or draws a random number; time comes in as durations that the shell measured on
//! its own monotonic clock. So every race and every reboot is a row of a table.
//!
//! | room | what it holds |
//! |---|---|
//! | [`ids`] | names, checked when they come in |
//! | [`identity`], [`record`] | the cluster record |
//! | [`claim`] | the records a claim goes through: claimed, beating, taken over, yielded, flipped, retired |
//! | [`watched`] | how long an object has been the same |
//! | [`holding`] | when a holder beats, and what its writes mean for the holding |
//! | [`mod@write`] | what the reply to a conditional write means |
//! | [`group`], [`election`] | candidates, settled, rank |
//! | [`members`] | etcd's member list and its quorum |
//! | [`lease`], [`registration`] | the queue for changes of membership, and what each machine says about itself |
//! | [`joining`] | what a machine cleans up before it joins |
//! | [`instances`] | when to believe EC2 that a machine is gone |
//! | [`leave`] | whether a machine that goes down leaves, by which steps, and how long each may take |
//! | [`reap`] | which members may be removed by another machine, and which by an operator's word |
//! | [`loss`] | what an operator is told when quorum or everything is lost |
//! | [`retire`] | whether a cluster may be given up |
//! | [`bygone`] | what the record tells of a machine's own cluster when that is another one |
//! | [`local`], [`snapshot`], [`step`], [`mod@decide`] | one observation in, one step out |
//! | [`verdict`] | all that `status` has gathered in, one verdict with its reasons out |

pub mod bygone;
pub mod claim;
pub mod decide;
pub mod election;
pub mod group;
pub mod holding;
pub mod identity;
pub mod ids;
pub mod instances;
pub mod joining;
pub mod lease;
pub mod leave;
pub mod local;
pub mod loss;
pub mod members;
mod object;
pub mod reap;
pub mod record;
pub mod registration;
pub mod retire;
pub mod snapshot;
pub mod step;
pub mod verdict;
pub mod watched;
#[cfg(test)]
mod words;
pub mod write;
