//! Where snapshots are saved: a bucket and a folder in it, as one URL.

use super::{bucket, shapes};

/// A bucket and a folder in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotLocation {
    /// The bucket.
    pub bucket: String,
    /// The folder.
    pub prefix: String,
}

/// `s3://BUCKET/PREFIX`. Without a folder two clusters would share one, and each would see the other's.
pub(super) fn parse(text: &str) -> Result<SnapshotLocation, String> {
    let rest = text.strip_prefix("s3://").ok_or_else(|| "it does not begin with 's3://'".to_owned())?;
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let name = bucket::parse(name)?;
    if prefix.is_empty() {
        return Err(format!("it names no folder of the bucket; 's3://{name}/CLUSTER' would do"));
    }
    Ok(SnapshotLocation { bucket: name, prefix: shapes::prefix(prefix)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_bucket_and_a_folder() {
        let found = parse("s3://my-backups/demo/a");
        assert_eq!(found, Ok(SnapshotLocation { bucket: "my-backups".into(), prefix: "demo/a".into() }));
        for (bad, wanted) in [
            ("my-backups/demo", "'s3://'"),
            ("https://my-backups.s3.amazonaws.com/demo", "'s3://'"),
            ("s3://my-backups", "'s3://my-backups/CLUSTER' would do"),
            ("s3://my-backups/", "names no folder"),
            ("s3://my-backups/demo/", "'demo' would do"),
            ("s3://my-backups/../demo", "'..'"),
            ("s3://My/demo", "3 to 63"),
            ("s3:///demo", "3 to 63"),
        ] {
            let error = parse(bad).expect_err(bad);
            assert!(error.contains(wanted), "{bad}: {error}");
        }
    }
}
