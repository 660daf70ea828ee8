//! What workers read: the two objects below `join/`, each read anew only when it has changed.

use super::keys;
use crate::aws::store::{Reread, Store, Stored};
use crate::aws::{CallFailed, CallFailure};
use crate::model::joining::{Join, JoinCluster, JoinError, JoinKind, JoinToken, LARGEST};
use crate::model::worker::snapshot::Fetched;
use std::time::Duration;
use tokio::time::timeout;

/// How long one read may take. S3 answers within a fraction of a second, or another look does.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Both objects, as last read.
#[derive(Debug)]
pub struct JoinObjects {
    store: Store,
    cluster: Known<JoinCluster>,
    token: Known<JoinToken>,
}

/// One object, as last read.
#[derive(Debug)]
struct Known<T> {
    key: &'static str,
    last: Option<(String, Result<Join<T>, JoinError>)>,
}

impl JoinObjects {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            cluster: Known { key: keys::JOIN_CLUSTER, last: None },
            token: Known { key: keys::JOIN_TOKEN, last: None },
        }
    }

    /// What `join/cluster.json` says now.
    ///
    /// # Errors
    /// [`CallFailed`] of what is wrong with the settings, the credentials or the clock.
    pub async fn cluster(&mut self) -> Result<Fetched<JoinCluster>, CallFailed> {
        self.cluster.read(&self.store).await
    }

    /// What `join/token.json` says now.
    ///
    /// # Errors
    /// As [`JoinObjects::cluster`].
    pub async fn token(&mut self) -> Result<Fetched<JoinToken>, CallFailed> {
        self.token.read(&self.store).await
    }
}

impl<T: JoinKind + Clone> Known<T> {
    async fn read(&mut self, store: &Store) -> Result<Fetched<T>, CallFailed> {
        let etag = self.last.as_ref().map(|(etag, _)| etag.as_str());
        let asked = timeout(READ_TIMEOUT, store.reread(self.key, etag)).await;
        self.take(asked.unwrap_or_else(|_| Err(CallFailed::silent("read", store.url(self.key), "s3:GetObject"))))
    }

    /// Takes in an answer.
    fn take(&mut self, answer: Result<Reread, CallFailed>) -> Result<Fetched<T>, CallFailed> {
        match answer {
            Ok(Reread::Unchanged) => {}
            Ok(Reread::Now(Stored::Object(object))) => self.last = Some((object.etag, Join::parse(&object.body))),
            Ok(Reread::Now(Stored::Nothing | Stored::Deleted)) => {
                self.last = None;
                return Ok(Fetched::Absent);
            }
            Ok(Reread::TooLarge(_)) => {
                self.last = None;
                return Ok(Fetched::Read(Err(JoinError::TooLarge(LARGEST + 1))));
            }
            Err(failed) => {
                return match failed.kind {
                    CallFailure::Denied => Ok(Fetched::Denied),
                    CallFailure::Throttled | CallFailure::NoAnswer => Ok(Fetched::Silent { why: failed.to_string() }),
                    CallFailure::Credentials
                    | CallFailure::Clock
                    | CallFailure::Region
                    | CallFailure::NoSuchBucket
                    | CallFailure::Rejected => Err(failed),
                };
            }
        }
        Ok(self.last.clone().map_or(Fetched::Absent, |(_, read)| Fetched::Read(read)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::conditional_write::Object;

    fn known() -> Known<JoinCluster> {
        Known { key: keys::JOIN_CLUSTER, last: None }
    }

    fn object(body: &[u8]) -> Result<Reread, CallFailed> {
        Ok(Reread::Now(Stored::Object(Object { body: body.to_vec(), etag: "\"1\"".into() })))
    }

    fn failed(kind: CallFailure) -> Result<Reread, CallFailed> {
        Err(CallFailed { kind, ..CallFailed::silent("read", "s3://b/p/join/cluster.json", "s3:GetObject") })
    }

    #[test]
    fn what_was_read_stands_until_it_has_changed() -> Result<(), CallFailed> {
        let mut known = known();
        let published = Join::Published(JoinCluster::sample(3));
        assert_eq!(known.take(object(&published.to_bytes()))?, Fetched::Read(Ok(published.clone())));
        assert_eq!(known.take(Ok(Reread::Unchanged))?, Fetched::Read(Ok(published.clone())));
        // A silence is told, and forgets nothing: the next answer may be that nothing has changed.
        assert!(matches!(known.take(failed(CallFailure::NoAnswer))?, Fetched::Silent { .. }));
        assert_eq!(known.take(failed(CallFailure::Denied))?, Fetched::Denied);
        assert_eq!(known.take(Ok(Reread::Unchanged))?, Fetched::Read(Ok(published)));
        for gone in [Stored::Nothing, Stored::Deleted] {
            assert_eq!(known.take(Ok(Reread::Now(gone)))?, Fetched::Absent);
            assert_eq!(known.last, None, "the next look asks without a condition");
        }
        Ok(())
    }

    #[test]
    fn what_nobody_may_act_on_is_told_and_what_an_operator_must_mend_is_an_error() -> Result<(), CallFailed> {
        let poisoned = known().take(object(b"{\"schema\": 1, \"generation\": 3, \"endpoint\": \"SECRET\"}"))?;
        assert!(matches!(poisoned, Fetched::Read(Err(JoinError::Malformed(_)))), "{poisoned:?}");
        let large = known().take(object(&vec![b' '; LARGEST + 1]))?;
        assert_eq!(large, Fetched::Read(Err(JoinError::TooLarge(LARGEST + 1))));
        assert_eq!(known().take(Ok(Reread::TooLarge(Object { body: b"{}".to_vec(), etag: "\"1\"".into() })))?, large);
        let blank = Join::<JoinCluster>::Blank { generation: 3 };
        assert_eq!(known().take(object(&blank.to_bytes()))?, Fetched::Read(Ok(blank)));
        for kind in [CallFailure::Credentials, CallFailure::Clock, CallFailure::Region, CallFailure::NoSuchBucket] {
            assert!(known().take(failed(kind)).is_err(), "{kind:?}");
        }
        Ok(())
    }
}
