//! What this machine knows and may do: shared by every command that runs on a node.

pub mod api_servers;
pub mod aside;
pub mod certificates;
pub mod credentials;
pub mod data_dir_drop_ins;
pub mod departure;
pub mod digests;
pub mod draining;
pub mod election;
pub mod etcd_claim;
pub mod etcdutl;
pub mod facts;
pub mod fitness;
pub mod former_node;
pub mod group;
pub mod images;
pub mod instances;
pub mod isolation;
pub mod judged;
mod kept;
pub mod kubelet_health;
pub mod launch_hook;
pub mod leader_told;
pub mod lease;
pub mod leaving_unit;
pub mod lost_files;
pub mod minting;
pub mod node_name;
pub mod own_authorities;
pub mod own_cluster;
pub mod peers;
pub mod point;
pub mod reaping;
pub mod registrar;
pub mod remains;
pub mod settling;
pub mod this_boot;
pub mod this_instance;
pub mod up_end;
pub mod upgrade_look;
pub mod worker_look;
pub mod worker_node;

pub use facts::Facts;

/// The unit that runs `kubeboot up` at boot.
pub const BOOT_UNIT: &str = "kubeboot.service";

/// The unit that runs `kubeboot agent`.
pub const AGENT_UNIT: &str = "kubeboot-agent.service";

/// The unit that leaves the cluster when the machine goes down for good.
pub const LEAVING_UNIT: &str = "kubeboot-reset.service";
