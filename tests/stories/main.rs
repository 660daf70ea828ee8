//! Stories: the real `kubeboot` on the machines of an emulated AWS account, one world per story.
//!
//! Each story starts a world (`tests/world`), lets machines boot, breaks what it is about, and then asks etcd, S3 and
//! the stand-in for kubeadm what has come of it; kubeboot's own word is only believed about itself. How to run one, and
//! what to do when one fails: `docs/testing.md`.

mod support;

mod agent;
mod agent_early;
mod agent_kills;
mod agents_refresh;
mod agents_together;
mod aws;
mod boots;
mod causes;
mod claims;
mod data_folders;
mod documents;
mod duties;
mod elections;
mod emptied;
mod external_etcd;
mod foreign_disks;
mod former;
mod given_up;
mod hibernating_in_trouble;
mod hibernation;
mod joiners;
mod kills;
mod leaders;
mod leadership;
mod leaving;
mod leaving_in_trouble;
mod let_in;
mod lost_claims;
mod lost_records;
mod machines;
mod metadata;
mod objects;
mod older_records;
mod operator;
mod other_clusters;
mod overlaps;
mod own_things;
mod quorum;
mod renewing;
mod renewing_by_agent;
mod replacements;
mod reports;
mod restoring;
mod restoring_in_trouble;
mod save_kills;
mod secrets;
mod servers;
mod serving;
mod settings;
mod settling;
mod signals;
mod snapshots;
mod upgrade_rest;
mod upgrades;
mod upgrades_back;
mod upgrades_in_trouble;
mod versions;
mod warm_pools;
mod wire;
mod worker_kills;
mod workers;
mod workers_in_trouble;
