//! The keys of a folder of the bucket, and removing one object.

use super::error::CallFailed;
use super::store::{Store, status};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::delete_object::DeleteObjectError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// One object of a folder, as S3 lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key, without the store's prefix.
    pub key: String,
    /// Its `ETag`: the same as when it is read. As long as that is unchanged, so is the object.
    pub etag: String,
    /// When it was written, by S3's clock, in seconds since 1970.
    pub written: Option<i64>,
}

/// What came of removing an object under a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectRemoved {
    /// It is gone.
    Gone,
    /// It has changed, and stays.
    Stays,
}

impl Store {
    /// The objects below `folder`.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn list(&self, folder: &str) -> Result<Vec<Listed>, CallFailed> {
        let mut all = Vec::new();
        let mut pages =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(self.full(folder)).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| CallFailed::new("list", self.url(folder), "s3:ListBucket", &error))?;
            all.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| {
                let key = object.key.as_deref()?.strip_prefix(&self.prefix)?.strip_prefix('/')?.to_owned();
                let written = object.last_modified.map(|time| time.secs());
                Some(Listed { key, etag: object.e_tag.unwrap_or_default(), written })
            }));
        }
        Ok(all)
    }

    /// Removes a scratch object.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn remove_scratch(&self, key: &str) -> Result<(), CallFailed> {
        let call = self.client.delete_object().bucket(&self.bucket).key(self.full(key)).send().await;
        call.map(drop).map_err(|error| self.not_removed(key, &error))
    }

    /// Removes an object if it is still this one. Only for what stands elsewhere already: without its record a cluster could be made
    /// a second time.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn remove_unchanged(&self, key: &str, etag: &str) -> Result<ObjectRemoved, CallFailed> {
        let request = self.client.delete_object().bucket(&self.bucket).key(self.full(key)).if_match(etag);
        match request.send().await {
            Ok(_) => Ok(ObjectRemoved::Gone),
            Err(error) if error.as_service_error().is_some_and(|error| error.meta().code() == Some("NoSuchKey")) => {
                Ok(ObjectRemoved::Gone)
            }
            Err(error) => match status(&error) {
                Some(412 | 409) => Ok(ObjectRemoved::Stays),
                _ => Err(self.not_removed(key, &error)),
            },
        }
    }

    fn not_removed(&self, key: &str, error: &SdkError<DeleteObjectError, HttpResponse>) -> CallFailed {
        CallFailed::new("remove", self.url(key), "s3:DeleteObject", error)
    }
}
