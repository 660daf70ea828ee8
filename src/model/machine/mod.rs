//! One machine and the group it is in.
//!
//! Here belongs what is known of a machine without asking for the cluster: its names, its disk, its place in the group. Here does
//! not belong anything that depends on the cluster record or on etcd.
//!
//! | file | what it holds |
//! |---|---|
//! | [`ids`] | names and IDs, checked when they come in |
//! | [`local`] | what a machine's disk says of itself |
//! | [`etcd_data`] | whose data lies in etcd's folder, by etcd's own log |
//! | [`guard`] | whether kubelet may start this machine's etcd |
//! | [`group`] | the Auto Scaling group: lifecycle, candidates |
//! | [`election`] | whether the group is settled, and who tries first |

pub mod election;
pub mod etcd_data;
pub mod group;
pub mod guard;
pub mod ids;
pub mod local;
