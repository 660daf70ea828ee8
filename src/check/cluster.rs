//! What the bucket already says about a cluster.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::{Check, at_once};
use crate::kubeadm::pki;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::identity::{Identity, Mismatch};
use crate::model::up::step::Stop;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "record", run: |input| at_once(record(input)) },
    Check { name: "pki-bundle", run: |input| Box::pin(bundle(input)) },
];

/// Whether the cluster record may be read, is one, and is this group's.
fn record(input: &CheckInput) -> Found {
    let Some(record) = input.record.own()? else {
        return Ok(vec![Finding::ok("may be read (s3:GetObject); there is none yet: the first claim makes it")]);
    };
    let here = input.facts.needed()?.identity(&input.group.needed()?.arn);
    Ok(vec![judge_record(record, &here)])
}

fn judge_record(record: &ClusterRecord, here: &Identity) -> Finding {
    let claim = &record.claim_id;
    let text = match &record.state {
        RecordState::Retired(_) => {
            return Finding::ok(format!("a retired cluster, of claim {claim}: the next claim follows it"));
        }
        RecordState::Initializing { holder: Some(holder), .. } => {
            format!("{} is about to initialise, under claim {claim}", holder.instance)
        }
        RecordState::Initializing { holder: None, .. } => format!("the holder of claim {claim} has stepped down"),
        RecordState::Ready(made) => format!(
            "a cluster of {}, made by {} at {} under claim {claim}",
            made.kubernetes_version, made.initialised_by, made.initialised_at
        ),
    };
    match record.identity.mismatch(here) {
        None => Finding::ok(text),
        Some(Mismatch::Settings(difference)) => Finding::stop(&Stop::OtherIdentity(difference)),
        Some(Mismatch::Group(difference)) => Finding::stop(&Stop::OtherGroup(difference)),
    }
}

/// Whether the keys that a joining machine needs are there, and those that the record means.
async fn bundle(input: &CheckInput) -> Found {
    let Some(published) = input.record.needed()?.as_ref().and_then(ClusterRecord::published) else {
        return Ok(vec![Finding::ok("not needed: there is no cluster yet")]);
    };
    let store = &input.aws.needed()?.session.store;
    let url = store.url(&published.pki_key);
    let remedy = "restore that version of the object, for without it no machine can join";
    match store.get(&published.pki_key).await? {
        None => Err(Finding::failed(format!("the PKI bundle '{url}' is missing"), remedy)),
        Some(object) if pki::digest(&object.body) != published.pki_digest => {
            Err(Finding::failed(format!("the PKI bundle '{url}' is not the one that the record means"), remedy))
        }
        Some(_) => Ok(vec![Finding::ok("may be read, and is the one that the record means")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use anyhow::Result;
    use serde_json::json;

    fn identity() -> Identity {
        Identity {
            account: "123456789012".into(),
            region: "eu-central-1".into(),
            group_arn: "arn:g".into(),
            endpoint: "api.demo.internal:6443".into(),
            service_subnet: "10.96.0.0/12".into(),
        }
    }

    #[test]
    fn a_record_is_ours_or_another_clusters() -> Result<()> {
        let record = json!({
            "schema": 1, "phase": "initializing", "claim_id": "0d3c3a46-2f0f-4a44-a3d3-6a6a1f6a9a55", "generation": 1,
            "beat": 0, "identity": identity(),
        });
        let record = ClusterRecord::parse(record.to_string().as_bytes())?;
        assert_eq!(judge_record(&record, &identity()).verdict, CheckVerdict::Ok);
        let other = Identity { endpoint: "other:6443".into(), ..identity() };
        assert!(judge_record(&record, &other).text.contains("endpoint 'api.demo.internal:6443'"));
        let replaced = Identity { group_arn: "arn:h".into(), ..identity() };
        assert!(judge_record(&record, &replaced).text.contains("--accept-group"));
        Ok(())
    }
}
