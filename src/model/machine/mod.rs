//! One machine and the group it is in.
//!
//! Here belongs what is known of a machine without asking its cluster: its IDs, its disk, its place in the group. What depends on the
//! cluster record or on etcd does not belong here.
//!
//! | file | what it holds |
//! |---|---|
//! | [`ids`] | names and IDs, checked when they come in |
//! | [`local`] | what a machine's disk says of itself |
//! | [`defect`] | what is wrong with it, so that kubeadm would fail |
//! | [`etcd_data`] | whose data lies in etcd's folder, by etcd's own log |
//! | [`guard`] | whether kubelet may start this machine's etcd |
//! | [`group`] | the Auto Scaling group: lifecycle, candidates |
//! | [`notices`] | what EC2 announces to it: Spot notices, rebalance recommendations, scheduled events |
//! | [`node_marks`] | whether its Node is there, and marked as kubeadm marks it |
//! | [`own_files`] | which lost files of a member are made anew, and when |
//! | [`election`] | whether the group is complete, and which machine claims first |

pub mod defect;
pub mod election;
pub mod etcd_data;
pub mod group;
pub mod guard;
pub mod ids;
pub mod local;
pub mod node_marks;
pub mod notices;
pub mod own_files;
