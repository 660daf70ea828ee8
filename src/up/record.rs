//! What one `up` holds of the cluster record: how long it has been the same, and the claim of this process.

use crate::aws::store::Store;
use crate::bucket::{Found, Held, Watch, keys};
use crate::exit::Exit;
use crate::model::record::cluster::ClusterRecord;
use crate::model::record::view::RecordView;
use anyhow::{Context, Result};

/// The record as this process sees it, and its claim.
pub struct RecordHold {
    /// Reads the record, and knows how long it has been the same.
    pub(super) watch: Watch,
    /// Whether this process has seen that the bucket honours conditional writes.
    pub(super) conditions_proven: bool,
    /// The claim this process has written and not lost.
    pub(super) claim: Option<Held<ClusterRecord>>,
    /// How often init has failed under claims of this process.
    pub(super) failed_inits: u32,
    /// How often init or restoring has failed in this process, whoever had a turn in between.
    pub(super) failed_in_all: u32,
}

impl RecordHold {
    /// Nothing was read or written yet.
    pub(super) fn new(store: &Store) -> Self {
        Self {
            watch: Watch::new(store.clone(), keys::RECORD),
            conditions_proven: false,
            claim: None,
            failed_inits: 0,
            failed_in_all: 0,
        }
    }
    /// The record, read now.
    ///
    /// # Errors
    /// S3 does not answer or refuses, or what is there is no record.
    pub(super) async fn read(&mut self, store: &Store) -> Result<RecordView> {
        Ok(match self.watch.read().await? {
            Found::Nothing => RecordView::Absent,
            Found::Vanished => RecordView::Vanished,
            Found::Object { object, unchanged_for } => {
                let record = ClusterRecord::parse(&object.body)
                    .map_err(|error| {
                        let url = store.url(keys::RECORD);
                        let failed = format!("failed to read the cluster record '{url}': {}", error.remedy());
                        anyhow::Error::from(error).context(failed)
                    })
                    .context(Exit::Operator)?;
                RecordView::Found { record: Box::new(record), etag: object.etag, unchanged_for }
            }
        })
    }
}
