//! What stands in the bucket beside the record, and may prove more than the record says: registrations, and the published hash.

use super::membership::Probe;
use crate::aws::CallFailed;
use crate::aws::store::Store;
use crate::bucket::{Roll, keys};
use crate::model::machine::ids::InstanceId;
use crate::model::machine::local::Local;
use crate::model::membership::later_truth::may_be_told_by_hash;
use crate::model::membership::registration::Registration;
use crate::model::record::view::RecordView;
use std::time::Duration;
use tokio::time::Instant;
use tokio::try_join;

/// How long registrations and hash serve a machine that waits; decisions to claim or to initialise ask anew.
const EVIDENCE_AGE: Duration = Duration::from_secs(10);

/// What was read beside the record.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What the machines registered.
    pub registrations: Vec<Registration>,
    /// Whose registrations say nothing.
    pub unreadable: Vec<InstanceId>,
    /// The published discovery hash, where the record is not ready and one is published.
    pub hash: Option<String>,
}

impl Probe {
    /// What stands beside this record. Registrations matter to a machine that is no member of a cluster: they explain the members that
    /// may have to be reaped first. They, and the hash, may prove that there is a cluster of which the record does not know.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub(super) async fn evidence(
        &mut self,
        (roll, store): (&Roll, &Store),
        record: &RecordView,
        local: &Local,
    ) -> Result<Evidence, CallFailed> {
        self.evidence_reused = false;
        let of_record = match record {
            RecordView::Found { record, .. } => Some(record.as_ref()),
            RecordView::Absent | RecordView::Vanished => None,
        };
        let is_ready = of_record.is_some_and(|record| record.published().is_some());
        if is_ready && matches!(local, Local::Made { .. }) {
            return Ok(Evidence::default());
        }
        match &self.evidence {
            Some((asked, last)) if asked.elapsed() < EVIDENCE_AGE => {
                self.evidence_reused = true;
                return Ok(last.clone());
            }
            Some(_) | None => {}
        }
        let hash = async { if may_be_told_by_hash(of_record, local) { published_hash(store).await } else { Ok(None) } };
        let ((registrations, unreadable), hash) = try_join!(roll.all_or_none(), hash)?;
        let found = Evidence { registrations, unreadable, hash };
        self.evidence = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    /// Reads registrations and hash anew at the next look.
    pub fn forget_evidence(&mut self) {
        self.evidence = None;
    }
}

/// The published discovery hash, if there is one.
async fn published_hash(store: &Store) -> Result<Option<String>, CallFailed> {
    let hash = store.get(keys::HASH).await?;
    let line = hash.map(|object| String::from_utf8_lossy(&object.body).trim_end().to_owned());
    Ok(line.filter(|line| !line.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::server::{Fault, Server};
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn registrations_and_hash_are_asked_for_at_the_same_time() -> anyhow::Result<()> {
        let (server, store) = Server::start(Fault::AnswersInPairs).await?;
        server.objects().insert(format!("/bucket/prefix/{}", keys::HASH), "sha256:0\n".into());
        let (roll, mut probe) = (Roll::new(&store), Probe::default());
        let found = probe.evidence((&roll, &store), &RecordView::Absent, &Local::Fresh);
        let found = timeout(Duration::from_secs(4), found).await??;
        assert_eq!(found.hash.as_deref(), Some("sha256:0"));
        assert!(!probe.evidence_reused);
        probe.evidence((&roll, &store), &RecordView::Absent, &Local::Fresh).await?;
        assert!(probe.evidence_reused, "it is young");
        probe.forget_evidence();
        probe.evidence((&roll, &store), &RecordView::Absent, &Local::Fresh).await?;
        assert!(!probe.evidence_reused);
        Ok(())
    }
}
