//! The bucket: where it is, what time it is there, what this machine may see of it.

use super::Check;
use super::finding::{Finding, Found};
use super::input::CheckInput;
use crate::aws::CallFailure;
use crate::bucket::keys;
use crate::node::fitness;
use std::time::SystemTime;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "bucket", run: |input| Box::pin(bucket(input)) },
    Check { name: "clock", run: |input| Box::pin(clock(input)) },
    Check { name: "bucket-list", run: |input| Box::pin(list(input)) },
    Check { name: "bucket-versioning", run: |input| Box::pin(versioning(input)) },
];

/// Whether the bucket is there, and in the Region that is asked.
async fn bucket(input: &CheckInput) -> Found {
    let aws = input.aws.needed()?;
    let name = aws.session.store.url("");
    match aws.session.store.region().await {
        Ok(Some(region)) if region == aws.region => Ok(vec![Finding::ok(format!("'{name}' is in {region}"))]),
        Ok(Some(region)) => {
            let text = format!("the bucket of '{name}' is in {region}, AWS is asked in {}", aws.region);
            Err(Finding::failed(text, "use a bucket in the Region of the group"))
        }
        Ok(None) => Err(Finding::skipped("S3 does not say in which Region the bucket is")),
        Err(failed) if failed.kind == CallFailure::Denied => {
            Err(Finding::skipped("S3 does not say to this role where the bucket is, which 'kubeboot up' need not know"))
        }
        Err(failed) => Err(failed.into()),
    }
}

/// Whether this machine's clock is S3's.
async fn clock(input: &CheckInput) -> Found {
    let key = scratch(input, "none")?;
    let theirs = input.aws.needed()?.session.store.time(&key).await?;
    Ok(vec![judge_clock(SystemTime::now(), theirs)])
}

fn judge_clock(ours: SystemTime, theirs: SystemTime) -> Finding {
    let offset = fitness::clock(ours, theirs);
    match (offset.defect(), offset.warning()) {
        (Some(defect), _) => defect.into(),
        (None, Some(odd)) => Finding::warning(odd.what, odd.remedy),
        (None, None) => Finding::ok(offset.text()),
    }
}

/// Whether the keys may be listed: without that S3 denies what does not exist.
async fn list(input: &CheckInput) -> Found {
    let found = input.aws.needed()?.session.store.list(keys::NODES).await?;
    let registrations = found.iter().filter(|found| found.key.ends_with(".json")).count();
    Ok(vec![Finding::ok(format!("may be listed (s3:ListBucket); machines registered: {registrations}"))])
}

/// Whether an overwritten or deleted object can be restored.
async fn versioning(input: &CheckInput) -> Found {
    match input.aws.needed()?.session.store.is_versioned().await {
        Ok(true) => Ok(vec![Finding::ok("the bucket keeps earlier versions")]),
        Ok(false) => Err(Finding::warning(
            "the bucket keeps no earlier versions: a record that is damaged or deleted is gone",
            "switch on versioning",
        )),
        Err(failed) => Err(Finding::skipped(format!("not known, and 'kubeboot up' does not need it: {failed}"))),
    }
}

/// A key that no other object has.
pub(super) fn scratch(input: &CheckInput, purpose: &str) -> Result<String, Finding> {
    let me = &input.machine.needed()?.instance;
    Ok(keys::scratch(me.as_str(), &format!("{purpose}-{}", uuid::Uuid::new_v4())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use crate::exit::Exit;
    use std::time::Duration;

    #[test]
    fn a_clock_may_be_a_little_off() {
        let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let failed = CheckVerdict::Failed(Exit::Usage);
        for (seconds, verdict) in
            [(0, CheckVerdict::Ok), (60, CheckVerdict::Ok), (61, CheckVerdict::Warning), (301, failed)]
        {
            let off = Duration::from_secs(seconds);
            for ours in [theirs + off, theirs - off] {
                assert_eq!(judge_clock(ours, theirs).verdict, verdict, "{seconds}");
            }
        }
    }
}
