//! The bucket: bounded reads, and writes under a condition that end with a verdict.

use super::body::{self, Body, BodyFailure};
use super::error::{CallFailed, CallFailure};
use super::gate::Gate;
pub use crate::model::record::conditional_write::Written;
use crate::model::record::conditional_write::{Condition, Object, Reply, WriteStep, judge};
use crate::settings::ObjectEncryption;
use aws_config::retry::RetryConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, ServerSideEncryption};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::date_time::{DateTime, Format};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// Between two attempts at the same undecided write.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// What S3 says of a key whose last version is a delete marker.
const DELETE_MARKER: &str = "x-amz-delete-marker";

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// An object.
    Object(Object),
    /// Nothing, and S3 does not say that there ever was something.
    Nothing,
    /// A delete marker: there was something.
    Deleted,
}

/// What stands under a key, for who has read it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reread {
    /// Still the version with that ETag.
    Unchanged,
    /// Something else.
    Now(Stored),
    /// An object that is none of kubeboot's: nothing that it stores is as large. Its body is only its beginning.
    TooLarge(Object),
}

/// How what is written is encrypted. By default secrets are, under the account's key for S3, and the rest is left to the bucket.
#[derive(Debug, Clone, Default)]
pub struct Encryption {
    /// The KMS key, or else the account's for S3.
    pub kms_key_id: Option<String>,
    /// What the writes of objects name; those of secrets always name KMS.
    pub objects: Option<ObjectEncryption>,
}

/// Everything below `s3://BUCKET/PREFIX/`.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) client: Client,
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) encryption: Encryption,
    gate: Option<Gate>,
}

impl Store {
    /// A store below this prefix.
    #[must_use]
    pub fn new(client: Client, bucket: String, prefix: String, encryption: Encryption) -> Self {
        Self { client, bucket, prefix, encryption, gate: None }
    }

    /// The same client's store elsewhere.
    #[must_use]
    pub fn elsewhere(&self, bucket: String, prefix: String, encryption: Encryption) -> Self {
        Self::new(self.client.clone(), bucket, prefix, encryption)
    }

    /// The same store, whose next writes start together.
    #[must_use]
    pub fn behind(&self, gate: Gate) -> Self {
        Self { gate: Some(gate), ..self.clone() }
    }

    /// The whole name of a key, for messages.
    #[must_use]
    pub fn url(&self, key: &str) -> String {
        format!("s3://{}/{}/{key}", self.bucket, self.prefix)
    }

    pub(super) fn full(&self, key: &str) -> String {
        format!("{}/{key}", self.prefix)
    }

    /// Reads an object. `None` when there is none. One that is too large to be kubeboot's comes as its beginning, which is no object of
    /// kubeboot's, either: whoever reads it finds what cannot be read, and may write over it.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn get(&self, key: &str) -> Result<Option<Object>, CallFailed> {
        Ok(match self.read(key).await? {
            Stored::Object(object) => Some(object),
            Stored::Nothing | Stored::Deleted => None,
        })
    }

    /// The same, and learns whether there was an object that was deleted.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn read(&self, key: &str) -> Result<Stored, CallFailed> {
        match self.reread(key, None).await? {
            Reread::Now(stored) => Ok(stored),
            Reread::Unchanged => Ok(Stored::Nothing),
            Reread::TooLarge(beginning) => Ok(Stored::Object(beginning)),
        }
    }

    /// Reads an object, unless it still is the version with this ETag.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn reread(&self, key: &str, known: Option<&str>) -> Result<Reread, CallFailed> {
        let request = self.client.get_object().bucket(&self.bucket).key(self.full(key));
        let answer = match request.set_if_none_match(known.map(str::to_owned)).send().await {
            Ok(answer) => answer,
            Err(error) if known.is_some() && status(&error) == Some(304) => return Ok(Reread::Unchanged),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_s3::operation::get_object::GetObjectError::is_no_such_key) =>
            {
                let marker = error.raw_response().and_then(|raw| raw.headers().get(DELETE_MARKER));
                return Ok(Reread::Now(if marker == Some("true") { Stored::Deleted } else { Stored::Nothing }));
            }
            Err(error) => {
                let mut failed = CallFailed::new("read", self.url(key), "s3:GetObject", &error);
                if failed.kind == CallFailure::Denied {
                    failed.detail.push_str(" (without s3:ListBucket S3 says this of a missing object, too)");
                }
                return Err(failed);
            }
        };
        let etag = answer.e_tag.unwrap_or_default();
        match body::read(answer.body).await {
            Ok(Body::Whole(body)) => Ok(Reread::Now(Stored::Object(Object { body, etag }))),
            Ok(Body::Beginning(body)) => Ok(Reread::TooLarge(Object { body, etag })),
            Err(why @ (BodyFailure::TooLate | BodyFailure::Cut(_))) => {
                let silent = CallFailed::silent("read", self.url(key), "s3:GetObject");
                Err(CallFailed { detail: why.to_string(), ..silent })
            }
        }
    }

    /// Writes an object under a condition and finds out what came of it, for as long as `time_limit`.
    ///
    /// # Errors
    /// [`CallFailed`] when S3 refused, so that certainly nothing was written by this call's last attempt.
    pub async fn write(
        &self,
        key: &str,
        body: &[u8],
        condition: &Condition,
        time_limit: Duration,
    ) -> Result<Written, CallFailed> {
        self.write_with(key, body, condition, time_limit, false).await
    }

    /// The same for a secret: encrypted under the key that the settings name.
    ///
    /// # Errors
    /// [`CallFailed`] as for [`Store::write`].
    pub async fn write_secret(
        &self,
        key: &str,
        body: &[u8],
        condition: &Condition,
        time_limit: Duration,
    ) -> Result<Written, CallFailed> {
        self.write_with(key, body, condition, time_limit, true).await
    }

    async fn write_with(
        &self,
        key: &str,
        body: &[u8],
        condition: &Condition,
        time_limit: Duration,
        secret: bool,
    ) -> Result<Written, CallFailed> {
        let end = Instant::now() + time_limit;
        loop {
            let reply = self.put(key, body, condition, secret).await?;
            let mut next = judge(body, condition, &reply, None);
            if next == WriteStep::ReadBack {
                next = match self.get(key).await {
                    Ok(found) => judge(body, condition, &reply, Some(found.as_ref())),
                    Err(error) if error.may_mend() => WriteStep::Again,
                    Err(error) => return Err(error),
                };
            }
            match next {
                WriteStep::Won(etag) => return Ok(Written::Ours(etag)),
                WriteStep::Lost(object) => return Ok(Written::Others(object)),
                WriteStep::Gone => return Ok(Written::Gone),
                WriteStep::ReadBack | WriteStep::Again if Instant::now() + RETRY_INTERVAL >= end => {
                    return Ok(Written::Unknown);
                }
                WriteStep::ReadBack | WriteStep::Again => sleep(RETRY_INTERVAL).await,
            }
        }
    }

    /// One attempt, without the SDK's retries: here the layer that retries is the one that reads back.
    async fn put(&self, key: &str, body: &[u8], condition: &Condition, secret: bool) -> Result<Reply, CallFailed> {
        let mut request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .content_type(if key.ends_with(".json") { "application/json" } else { "text/plain" })
            .body(ByteStream::from(body.to_vec()));
        request = match if secret { Some(ObjectEncryption::Kms) } else { self.encryption.objects } {
            Some(ObjectEncryption::Kms) => request
                .server_side_encryption(ServerSideEncryption::AwsKms)
                .set_ssekms_key_id(self.encryption.kms_key_id.clone()),
            Some(ObjectEncryption::Aes256) => request.server_side_encryption(ServerSideEncryption::Aes256),
            None => request,
        };
        let headers = condition.headers();
        request = request
            .set_if_none_match(headers.if_none_match.map(str::to_owned))
            .set_if_match(headers.if_match.map(str::to_owned));
        let mut call = request.customize().config_override(once());
        if let Some(gate) = &self.gate {
            call = call.interceptor(gate.clone());
        }
        match call.send().await {
            Ok(answer) => Ok(Reply::Written(answer.e_tag.unwrap_or_default())),
            Err(error) => match status(&error) {
                Some(412) => Ok(Reply::PreconditionFailed),
                Some(409) => Ok(Reply::Conflict),
                Some(404) if error.as_service_error().is_some_and(|error| error.meta().code() == Some("NoSuchKey")) => {
                    Ok(Reply::Missing)
                }
                _ => {
                    let failed = CallFailed::new("write", self.url(key), "s3:PutObject", &error);
                    if failed.may_mend() { Ok(Reply::NoAnswer) } else { Err(failed) }
                }
            },
        }
    }

    /// The Region of the bucket; `None` when S3 does not say.
    ///
    /// # Errors
    /// [`CallFailed`]. A denial is an error only if it does not name the Region, which S3's own denials do.
    pub async fn region(&self) -> Result<Option<String>, CallFailed> {
        let error = match self.client.head_bucket().bucket(&self.bucket).send().await {
            Ok(answer) => return Ok(answer.bucket_region),
            Err(error) => error,
        };
        if let Some(region) = header(&error, "x-amz-bucket-region") {
            return Ok(Some(region));
        }
        let mut failed = CallFailed::new("look at", format!("the bucket '{}'", self.bucket), "s3:ListBucket", &error);
        // The answer to a HEAD has no body, and so no code.
        if status(&error) == Some(404) {
            (failed.kind, failed.detail) = (CallFailure::NoSuchBucket, "there is no such bucket".to_owned());
        }
        Err(failed)
    }

    /// Whether the bucket keeps earlier versions of its objects.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn is_versioned(&self) -> Result<bool, CallFailed> {
        let answer = self.client.get_bucket_versioning().bucket(&self.bucket).send().await.map_err(|error| {
            let object = format!("whether the bucket '{}' is versioned", self.bucket);
            CallFailed::new("read", object, "s3:GetBucketVersioning", &error)
        })?;
        Ok(answer.status == Some(BucketVersioningStatus::Enabled))
    }

    /// The time by S3's clock, to the second. Asks for `key`, which must not exist: every refusal carries a date.
    ///
    /// # Errors
    /// [`CallFailed`] without an answer.
    pub async fn time(&self, key: &str) -> Result<SystemTime, CallFailed> {
        let failed = |detail: &str| CallFailed {
            detail: detail.to_owned(),
            ..CallFailed::silent("read", "the date of S3's answers", "s3:GetObject")
        };
        match self.client.head_object().bucket(&self.bucket).key(self.full(key)).send().await {
            Ok(_) => Err(failed("there is an object where none should be")),
            Err(error) => match header(&error, "date") {
                Some(date) => DateTime::from_str(&date, Format::HttpDate)
                    .ok()
                    .and_then(|date| SystemTime::try_from(date).ok())
                    .ok_or_else(|| failed("it is no date")),
                None => Err(CallFailed::new("read", "the date of S3's answers", "s3:GetObject", &error)),
            },
        }
    }
}

/// A call without the SDK's retries.
pub(super) fn once() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Config::builder().retry_config(RetryConfig::disabled())
}

fn header<E>(error: &SdkError<E, HttpResponse>, name: &str) -> Option<String> {
    error.raw_response()?.headers().get(name).map(str::to_owned)
}

pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}
