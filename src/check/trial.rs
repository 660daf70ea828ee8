//! Trials in the bucket: whether it does what kubeboot rests on.

use super::Check;
use super::bucket::scratch;
use super::finding::{Finding, Found};
use super::input::CheckInput;
use crate::aws::store::{Store, Written};
use crate::aws::{CallFailed, CallFailure};
use crate::bucket::keys;
use crate::bucket::probe::{self, Probed, Unfit};
use crate::model::record::conditional_write::Condition;
use futures::join;
use std::time::Duration;
use tokio::time::timeout;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "conditional-writes", run: |input| Box::pin(conditional_writes(input)) },
    Check { name: "kms", run: |input| Box::pin(kms(input)) },
];

/// How long the write and the read of the secret scratch object may take, so that there is time left to remove it.
const KMS_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether conditions decide: one write after the other, and several at the same moment.
async fn conditional_writes(input: &CheckInput) -> Found {
    let (store, me) = (&input.aws.needed()?.session.store, &input.machine.needed()?.instance);
    let (in_turn, at_once) = join!(probe::honours_conditions(store, me), probe::one_wins(store, me));
    Ok(judge(in_turn, at_once))
}

/// One finding where both say the same.
fn judge(in_turn: Probed, at_once: Probed) -> Vec<Finding> {
    let left = in_turn.left.or(at_once.left).map(left_behind);
    let verdict = match in_turn.verdict.and(at_once.verdict) {
        Ok(()) => Finding::ok("conditions are honoured, and of several that create one object at once one wins"),
        Err(Unfit::Call(failed)) => failed.into(),
        Err(why @ (Unfit::Ignores(_) | Unfit::Refuses(_))) => Finding::failed(why.to_string(), probe::REMEDY),
        Err(why @ Unfit::NoAnswer) => Finding::unanswered(why.to_string(), "try again"),
    };
    [verdict].into_iter().chain(left).collect()
}

/// Only the trials of `check` and of the first look of `up` delete anything in the bucket.
fn left_behind(failed: CallFailed) -> Finding {
    Finding::warning(
        format!("scratch objects of a few bytes may stay in the bucket: {}", failed.what()),
        format!(
            "remove them by hand; to have them removed next time, allow s3:DeleteObject on '{}check-*'",
            keys::NODES
        ),
    )
}

/// Whether the bundle of keys could be encrypted, and read again.
async fn kms(input: &CheckInput) -> Found {
    let store = &input.aws.needed()?.session.store;
    let key = scratch(input, "kms")?;
    let id = input.settings.needed()?.kms_key_id.as_deref().unwrap_or("aws/s3, the account's own for S3");
    let silent = || Finding::unanswered("S3 did not say in time whether it wrote an encrypted object", "try again");
    let tried = timeout(KMS_TIMEOUT, write_and_read(store, &key)).await;
    // Where S3 refuses to write, there is nothing to remove.
    let nothing = matches!(&tried, Ok(Err(failed)) if failed.permission == "s3:PutObject");
    let tried = match tried {
        Ok(Ok(true)) => Finding::ok(format!("encrypts and decrypts under {id}")),
        Ok(Ok(false)) | Err(_) => silent(),
        Ok(Err(failed)) => refused(failed, id),
    };
    let left = probe::remove(store, &key).await.filter(|_| !nothing).map(left_behind);
    Ok([tried].into_iter().chain(left).collect())
}

/// Writes an object as the bundle is written, and reads it back; whether S3 said in time that this went well.
async fn write_and_read(store: &Store, key: &str) -> Result<bool, CallFailed> {
    let body = b"no secret, only a trial of the key";
    match store.write_secret(key, body, &Condition::Absent, KMS_TIMEOUT).await? {
        Written::Ours(_) => Ok(store.get(key).await?.is_some_and(|object| object.body == body)),
        Written::Others(_) | Written::Gone | Written::Unknown => Ok(false),
    }
}

/// S3 says "access denied" for a key that may not be used as well.
fn refused(failed: CallFailed, id: &str) -> Finding {
    let about_key = matches!(failed.kind, CallFailure::Denied | CallFailure::Rejected);
    let finding = Finding::from(failed);
    if !about_key {
        return finding;
    }
    let remedy =
        format!("allow kms:GenerateDataKey and kms:Decrypt under {id}, in the instance's role and in the key's policy");
    Finding { remedy: Some(remedy), ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use crate::exit::Exit;

    #[test]
    fn one_line_tells_the_verdict_and_one_what_is_left_behind() {
        let left = || Some(CallFailed::silent("remove", "s3://b/p/k", "s3:DeleteObject"));
        let good = |left| Probed { verdict: Ok(()), left };
        let verdicts =
            |found: &[Finding]| -> Vec<CheckVerdict> { found.iter().map(|finding| finding.verdict).collect() };
        assert_eq!(verdicts(&judge(good(None), good(None))), [CheckVerdict::Ok]);
        assert_eq!(verdicts(&judge(good(left()), good(left()))), [CheckVerdict::Ok, CheckVerdict::Warning]);
        let bad = Probed { verdict: Err(Unfit::Ignores("x".into())), left: None };
        let found = judge(good(None), bad);
        assert_eq!(verdicts(&found), [CheckVerdict::Failed(Exit::Usage)]);
        assert!(found[0].text.contains("ignores conditional writes: kubeboot cannot work on it"), "{found:?}");
    }

    #[test]
    fn only_a_refusal_is_blamed_on_the_key() {
        let failed = |kind| CallFailed { kind, ..CallFailed::silent("write", "s3://b/p/k", "s3:PutObject") };
        let remedy = |kind| refused(failed(kind), "alias/x").remedy.unwrap_or_default();
        assert!(remedy(CallFailure::Denied).contains("kms:GenerateDataKey and kms:Decrypt under alias/x"));
        assert!(remedy(CallFailure::Rejected).contains("kms:GenerateDataKey"));
        assert!(remedy(CallFailure::NoSuchBucket).contains("create the bucket"));
        assert_eq!(remedy(CallFailure::NoAnswer), "");
    }
}
