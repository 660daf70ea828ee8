//! Reading a large object piece by piece. A connection that is cut is taken up where it ended.

use super::error::{CallFailed, CallFailure};
use super::store::Store;
use crate::model::duration::in_words;
use anyhow::{Result, bail, ensure};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long the next piece may take.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the reading is taken up again.
const ATTEMPTS: u32 = 5;
/// Between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// An object that is being read.
#[derive(Debug)]
pub struct Download {
    store: Store,
    key: String,
    body: Option<ByteStream>,
    etag: Option<String>,
    /// How many bytes have come.
    at: u64,
    size: u64,
    left: u32,
}

impl Store {
    /// Begins to read an object of `size` bytes.
    #[must_use]
    pub fn download(&self, key: &str, size: u64) -> Download {
        Download { store: self.clone(), key: key.to_owned(), body: None, etag: None, at: 0, size, left: ATTEMPTS }
    }
}

impl Download {
    /// The next bytes; `None` when all have come.
    ///
    /// # Errors
    /// [`CallFailed`], or the object has not as many bytes as it should have.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.at == self.size && self.body.is_some() {
                return self.end().await;
            }
            match self.piece().await {
                Ok(Some(bytes)) => {
                    self.at += bytes.len() as u64;
                    ensure!(self.at <= self.size, "it has more than {} bytes: it is not what was saved", self.size);
                    return Ok(Some(bytes));
                }
                Ok(None) => {
                    bail!("it ends after {} of {} bytes: it is not what was saved", self.at, self.size);
                }
                Err(failed) if failed.may_mend() && self.left > 0 => {
                    self.left -= 1;
                    self.body = None;
                    tracing::debug!("reading goes on after {} bytes: {failed}", self.at);
                    sleep(RETRY_INTERVAL).await;
                }
                Err(failed) => return Err(failed.into()),
            }
        }
    }

    /// Nothing may follow.
    async fn end(&mut self) -> Result<Option<Bytes>> {
        match self.piece().await {
            Ok(None) => Ok(None),
            Ok(Some(_)) => bail!("it has more than {} bytes: it is not what was saved", self.size),
            // All that was promised is there.
            Err(_) => Ok(None),
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, CallFailed> {
        if self.body.is_none() {
            self.open().await?;
        }
        let Some(body) = &mut self.body else { return Ok(None) };
        match timeout(STALL_TIMEOUT, body.next()).await {
            Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
            Ok(Some(Err(error))) => Err(self.failed(CallFailure::NoAnswer, super::error::causes(&error))),
            Ok(None) => Ok(None),
            Err(_) => Err(self.failed(CallFailure::NoAnswer, format!("nothing came for {}", in_words(STALL_TIMEOUT)))),
        }
    }

    async fn open(&mut self) -> Result<(), CallFailed> {
        let request = self.store.client.get_object().bucket(&self.store.bucket).key(self.store.full(&self.key));
        let range = (self.at > 0).then(|| format!("bytes={}-", self.at));
        let request = request.set_if_match(self.etag.clone()).set_range(range);
        let answer = request.send().await;
        let answer =
            answer.map_err(|error| CallFailed::new("read", self.store.url(&self.key), "s3:GetObject", &error))?;
        self.etag = answer.e_tag;
        self.body = Some(answer.body);
        Ok(())
    }

    fn failed(&self, kind: CallFailure, detail: String) -> CallFailed {
        let object = self.store.url(&self.key);
        CallFailed { verb: "read", object, permission: "s3:GetObject", kind, detail }
    }
}
