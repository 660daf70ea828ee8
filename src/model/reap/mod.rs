//! What `kubeboot reap` decides beyond the rules of [`membership::reaping`](super::membership::reaping).
//!
//! | file | what it holds |
//! |---|---|
//! | [`operator`] | what an operator may have removed by naming it, and what a plan leaves in the way |
//! | [`remote`] | what can be told where etcd cannot be asked |

pub mod operator;
pub mod remote;
