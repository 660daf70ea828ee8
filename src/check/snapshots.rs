//! Snapshots of etcd: whether they can be saved where the settings say.

use super::Check;
use super::finding::{Finding, Found};
use super::input::CheckInput;
use crate::aws::CallFailed;
use crate::aws::store::Store;
use crate::model::duration::in_words;
use crate::model::snapshot::name::FOLDER;
use crate::snapshot::EXTERNAL;
use std::time::Duration;

pub(super) const CHECKS: &[Check] = &[Check { name: "snapshots", run: |input| Box::pin(snapshots(input)) }];

/// Whether an object can be uploaded there. It is begun, and given up before there is an object: nobody may delete one there.
async fn snapshots(input: &CheckInput) -> Found {
    if input.documents.needed()?.external_etcd().is_some() {
        return Ok(vec![Finding::ok(EXTERNAL)]);
    }
    let store = &input.aws.needed()?.session.snapshots;
    let interval = input.settings.needed()?.snapshot_interval;
    let listed = store.list(FOLDER).await?;
    let left = tried(store).await?;
    let manifests = listed.iter().filter(|each| each.key.ends_with(".json")).count();
    let left = left.map(|failed| {
        let text = format!("parts of an upload that has failed would stay in the bucket: {}", failed.what());
        Finding::warning(text, failed.remedy().unwrap_or_else(|| "try again".to_owned()))
    });
    Ok([judge(&store.url(FOLDER), manifests, interval)].into_iter().chain(left).collect())
}

/// Why the trial could not be given up, if it could not.
async fn tried(store: &Store) -> Result<Option<CallFailed>, CallFailed> {
    let mut upload = store.begin_upload(&format!("{FOLDER}check-{}", uuid::Uuid::new_v4())).await?;
    let sent = match upload.send(b"no secret, only a trial".as_slice().into()).await {
        Ok(()) => upload.all_landed().await,
        Err(failed) => Err(failed),
    };
    let left = upload.abort().await.err();
    sent.map(|()| left)
}

fn judge(place: &str, manifests: usize, interval: Duration) -> Finding {
    if interval.is_zero() {
        let text = format!(
            "etcd can be saved to {place} ({manifests} there), and nobody does that by itself: snapshot_interval is 0"
        );
        return Finding::warning(text, "set snapshot_interval, or save it otherwise");
    }
    Finding::ok(format!("saved every {} to {place}, where {manifests} are", in_words(interval)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;

    #[test]
    fn a_cluster_that_nobody_saves_is_worth_a_warning() {
        let place = "s3://b/demo/snapshots/";
        let found = judge(place, 3, Duration::from_secs(900));
        assert_eq!(
            (found.verdict, found.text.as_str()),
            (CheckVerdict::Ok, "saved every 15 min to s3://b/demo/snapshots/, where 3 are")
        );
        assert_eq!(judge(place, 3, Duration::ZERO).verdict, CheckVerdict::Warning);
    }
}
