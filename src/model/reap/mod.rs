//! What `kubeboot reap` decides beyond the rules of [`membership::reaping`](super::membership::reaping).
//!
//! Here belongs what only an operator may decide, and what can be told without etcd. The rules that every machine reaps by do not
//! belong here.
//!
//! | file | what it holds |
//! |---|---|
//! | [`operator`] | which member an operator may have removed by naming it, and which members a plan leaves to block the next join |
//! | [`remote`] | the forecast for a member where etcd cannot be asked |

pub mod operator;
pub mod remote;
