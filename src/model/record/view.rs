//! The cluster record as one process last read it.

use crate::model::machine::ids::EtcdClusterId;
use crate::model::record::cluster::ClusterRecord;
use std::time::Duration;

/// The cluster record as last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordView {
    /// There is no such object, and this process has never seen one.
    Absent,
    /// There was one, and now it is gone: somebody has deleted the fence.
    Vanished,
    /// It is there.
    Found {
        /// What it says.
        record: Box<ClusterRecord>,
        /// Its `ETag`: the condition of whatever is written over it.
        etag: String,
        /// How long this process has seen the same `ETag`, on its own monotonic clock.
        unchanged_for: Duration,
    },
}

impl RecordView {
    /// The ID of its cluster's etcd; `None` where there is no cluster, or etcd is external.
    #[must_use]
    pub fn etcd_cluster(&self) -> Option<EtcdClusterId> {
        match self {
            Self::Found { record, .. } => record.published()?.etcd_cluster_id,
            Self::Absent | Self::Vanished => None,
        }
    }
}
