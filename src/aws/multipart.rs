//! Uploading an object in parts, with a bounded number of bytes in memory, under `If-None-Match: *`.
//!
//! Nobody else writes the key: it has a nonce in it. So an object that stands there when the answer to the last call was lost is this
//! upload's.

use super::error::{CallFailed, CallFailure};
use super::store::{Store, once, status};
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ServerSideEncryption};
use bytes::Bytes;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How many bytes a part has, but for the last one. S3 takes 10,000 parts: 78 GiB.
pub const PART: usize = 8 * 1024 * 1024;
/// How many parts are on their way at once. With the one that is being filled: 32 MiB.
const AT_ONCE: usize = 3;
/// One attempt to send a part: a slow line needs that long for it.
const PART_TIMEOUT: Duration = Duration::from_secs(60);
/// A part with the SDK's retries.
const PART_CALL_TIMEOUT: Duration = Duration::from_secs(200);
/// S3 may take a while to put the parts together.
const COMPLETE_TIMEOUT: Duration = Duration::from_secs(120);
/// How often completing is tried when nobody says what came of it.
const COMPLETE_ATTEMPTS: u32 = 4;
/// Between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// An upload that has begun.
#[derive(Debug)]
pub struct Upload {
    store: Store,
    key: String,
    id: String,
    parts: Vec<CompletedPart>,
    next: i32,
    size: u64,
    on_the_way: JoinSet<Result<CompletedPart, CallFailed>>,
}

impl Store {
    /// Begins an upload, encrypted as secrets are.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn begin_upload(&self, key: &str) -> Result<Upload, CallFailed> {
        let request = self.client.create_multipart_upload().bucket(&self.bucket).key(self.full(key));
        let request = request
            .content_type("application/zstd")
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .set_ssekms_key_id(self.encryption.kms_key_id.clone());
        let answer = request.send().await;
        let answer = answer.map_err(|error| CallFailed::new("begin", self.url(key), "s3:PutObject", &error))?;
        let id = answer.upload_id.ok_or_else(|| CallFailed::silent("begin", self.url(key), "s3:PutObject"))?;
        let (store, key) = (self.clone(), key.to_owned());
        Ok(Upload { store, key, id, parts: Vec::new(), next: 1, size: 0, on_the_way: JoinSet::new() })
    }

    /// How many bytes the object under this key has; `None` without one.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn size(&self, key: &str) -> Result<Option<u64>, CallFailed> {
        match self.client.head_object().bucket(&self.bucket).key(self.full(key)).send().await {
            Ok(answer) => Ok(answer.content_length.and_then(|length| u64::try_from(length).ok())),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(CallFailed::new("look at", self.url(key), "s3:GetObject", &error)),
        }
    }
}

impl Upload {
    /// Sends the next part: [`PART`] bytes, unless it is the last. Waits while too many are on their way.
    ///
    /// # Errors
    /// [`CallFailed`] of this or an earlier part: the upload is to be aborted.
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), CallFailed> {
        while self.on_the_way.len() >= AT_ONCE {
            self.landed().await?;
        }
        let number = self.next;
        self.next += 1;
        self.size += bytes.len() as u64;
        let (store, key, id) = (self.store.clone(), self.key.clone(), self.id.clone());
        self.on_the_way.spawn(async move { part(&store, &key, &id, number, bytes).await });
        Ok(())
    }

    /// Waits for one part.
    async fn landed(&mut self) -> Result<(), CallFailed> {
        match self.on_the_way.join_next().await {
            Some(Ok(part)) => self.parts.push(part?),
            Some(Err(_)) => return Err(CallFailed::silent("write", self.store.url(&self.key), "s3:PutObject")),
            None => {}
        }
        Ok(())
    }

    /// Waits until every part has arrived.
    ///
    /// # Errors
    /// [`CallFailed`] of one: the upload is to be aborted.
    pub async fn all_landed(&mut self) -> Result<(), CallFailed> {
        while !self.on_the_way.is_empty() {
            self.landed().await?;
        }
        Ok(())
    }

    /// Makes an object of the parts, where there is none.
    ///
    /// # Errors
    /// [`CallFailed`]: it is not known to be there, and the upload is to be aborted.
    pub async fn complete(&mut self) -> Result<(), CallFailed> {
        self.all_landed().await?;
        self.parts.sort_by_key(|part| part.part_number);
        let mut attempt = 1;
        loop {
            let failed = match self.put_together().await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            // The answer to an earlier attempt may have been lost.
            if self.store.size(&self.key).await.is_ok_and(|size| size == Some(self.size)) {
                return Ok(());
            }
            if !failed.may_mend() || attempt == COMPLETE_ATTEMPTS {
                return Err(failed);
            }
            attempt += 1;
            sleep(RETRY_INTERVAL).await;
        }
    }

    async fn put_together(&self) -> Result<(), CallFailed> {
        let store = &self.store;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts.clone())).build();
        let request = store.client.complete_multipart_upload().bucket(&store.bucket).key(store.full(&self.key));
        let request = request.upload_id(&self.id).multipart_upload(parts).if_none_match("*");
        let times = timeouts(COMPLETE_TIMEOUT, COMPLETE_TIMEOUT);
        let done = request.customize().config_override(once().timeout_config(times)).send().await;
        done.map(drop).map_err(|error| {
            let mut failed = CallFailed::new("complete", store.url(&self.key), "s3:PutObject", &error);
            if status(&error) == Some(412) {
                (failed.kind, failed.detail) = (CallFailure::Rejected, "another object stands there".to_owned());
            }
            failed
        })
    }

    /// Gives the parts up. What is left of them, the bucket's lifecycle rule for incomplete uploads deletes.
    ///
    /// # Errors
    /// [`CallFailed`]: they stay until then.
    pub async fn abort(mut self) -> Result<(), CallFailed> {
        self.on_the_way.shutdown().await;
        let store = &self.store;
        let request = store.client.abort_multipart_upload().bucket(&store.bucket).key(store.full(&self.key));
        let aborted = request.upload_id(&self.id).send().await;
        aborted.map(drop).map_err(|error| {
            CallFailed::new("abort the upload of", store.url(&self.key), "s3:AbortMultipartUpload", &error)
        })
    }
}

async fn part(store: &Store, key: &str, id: &str, number: i32, bytes: Bytes) -> Result<CompletedPart, CallFailed> {
    let request = store.client.upload_part().bucket(&store.bucket).key(store.full(key)).upload_id(id);
    let request = request.part_number(number).checksum_algorithm(ChecksumAlgorithm::Crc32);
    let request = request.body(ByteStream::from(bytes));
    let times = aws_sdk_s3::config::Config::builder().timeout_config(timeouts(PART_TIMEOUT, PART_CALL_TIMEOUT));
    let answer = request.customize().config_override(times).send().await;
    let answer = answer.map_err(|error| CallFailed::new("write a part of", store.url(key), "s3:PutObject", &error))?;
    Ok(CompletedPart::builder()
        .part_number(number)
        .set_e_tag(answer.e_tag)
        .set_checksum_crc32(answer.checksum_crc32)
        .build())
}

fn timeouts(attempt: Duration, call: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(call).build()
}
