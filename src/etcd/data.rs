//! Whose data lies in etcd's folder.

use crate::model::machine::etcd_data::EtcdData;
use std::path::Path;

/// Looks at the data folder; `None` where etcd is external.
#[must_use]
pub fn observe(data_dir: Option<&Path>) -> EtcdData {
    match data_dir {
        None => EtcdData::Elsewhere,
        Some(folder) if folder.join("member/wal").is_dir() => EtcdData::Unreadable { why: "not read yet".into() },
        Some(_) => EtcdData::Nothing,
    }
}
