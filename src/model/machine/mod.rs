//! One machine and the group it is in.
//!
//! Here belongs what is known of a machine without asking its cluster: its IDs, its disk, its place in the group. What depends on the
//! cluster record or on etcd does not belong here.
//!
//! | file | what it holds |
//! |---|---|
//! | [`ids`] | IDs of machines, claims, boots and members, checked when they are parsed |
//! | [`local`] | the state on a machine's disk |
//! | [`group`] | the Auto Scaling group: lifecycle, candidates |
//! | [`election`] | whether the group is complete, and which machine claims first |

pub mod election;
pub mod group;
pub mod ids;
pub mod local;
