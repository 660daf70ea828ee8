//! The objects below `join/`: reading one, and taking away what a retired cluster has published.

use super::keys;
use crate::aws::CallFailed;
use crate::aws::store::{Reread, Store, Stored, Written};
use crate::exit::Exit;
use crate::model::joining::publication::{Found, generation_of, of_blanking};
use crate::model::joining::{Join, JoinCluster, JoinError, JoinKind, JoinToken, LARGEST};
use anyhow::{Result, anyhow};
use std::time::Duration;

/// How long one write is tried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What stands under a key below `join/`.
///
/// # Errors
/// [`CallFailed`].
pub async fn read<T: JoinKind>(store: &Store, key: &str) -> Result<Found<T>, CallFailed> {
    Ok(match store.reread(key, None).await? {
        Reread::Now(Stored::Object(object)) => Found::Object { etag: object.etag, held: Join::parse(&object.body) },
        Reread::Now(Stored::Nothing | Stored::Deleted) | Reread::Unchanged => Found::Nothing,
        // It was not read to its end.
        Reread::TooLarge(object) => Found::Object { etag: object.etag, held: Err(JoinError::TooLarge(LARGEST + 1)) },
    })
}

/// Takes away what was published for workers, as far as it is of the cluster whose record of this generation says 'retired', or of an
/// earlier one, and sees that a leader of that cluster publishes nothing later. Whether anything was taken away.
///
/// # Errors
/// AWS' own, or with [`Exit::TryAgain`] when something changed at the same moment.
pub async fn blank(store: &Store, generation: u64) -> Result<bool> {
    // The token first: it is the secret.
    let token = blank_one::<JoinToken>(store, keys::JOIN_TOKEN, generation).await?;
    let cluster = blank_one::<JoinCluster>(store, keys::JOIN_CLUSTER, generation).await?;
    Ok(token || cluster)
}

async fn blank_one<T: JoinKind>(store: &Store, key: &str, generation: u64) -> Result<bool> {
    let found = read::<T>(store, key).await?;
    let Some(condition) = of_blanking(&found, generation) else { return Ok(false) };
    let blank = Join::<T>::Blank { generation }.to_bytes();
    match store.write(key, &blank, &condition, WRITE_TIMEOUT).await? {
        Written::Ours(_) => Ok(!matches!(found, Found::Nothing)),
        // One that was deleted meanwhile leaves room for a leader that stood still.
        Written::Gone | Written::Others(_) | Written::Unknown => {
            let url = store.url(key);
            Err(anyhow!("'{url}' was changed at the same moment, or S3 does not answer").context(Exit::TryAgain))
        }
    }
}

/// The highest generation of what was published for workers, as far as it names one.
///
/// # Errors
/// [`CallFailed`].
pub async fn highest_generation(store: &Store) -> Result<Option<u64>, CallFailed> {
    let token = generation_of(&read::<JoinToken>(store, keys::JOIN_TOKEN).await?);
    let cluster = generation_of(&read::<JoinCluster>(store, keys::JOIN_CLUSTER).await?);
    Ok(token.max(cluster))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::server::{Fault, Server};

    fn path(key: &str) -> String {
        format!("/bucket/prefix/{key}")
    }

    #[tokio::test]
    async fn only_what_is_not_of_a_later_cluster_is_taken_away() -> Result<()> {
        let (server, store) = Server::start(Fault::None).await?;
        assert_eq!(highest_generation(&store).await?, None);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(anyhow::Error::from);
        let token = text(Join::Published(JoinToken::sample(3, 1)).to_bytes())?;
        let later = text(Join::Published(JoinCluster::sample(4)).to_bytes())?;
        server.objects().insert(path(keys::JOIN_TOKEN), token);
        server.objects().insert(path(keys::JOIN_CLUSTER), later.clone());
        assert_eq!(highest_generation(&store).await?, Some(4));
        assert!(blank(&store, 3).await?);
        let blanked = "{\n  \"schema\": 1,\n  \"generation\": 3,\n  \"blank\": true\n}\n";
        assert_eq!(server.objects()[&path(keys::JOIN_TOKEN)], blanked);
        assert_eq!(server.objects()[&path(keys::JOIN_CLUSTER)], later);
        assert!(!blank(&store, 3).await?, "what is blank stays as it is");
        server.objects().insert(path(keys::JOIN_TOKEN), "garbage".into());
        assert!(blank(&store, 3).await?);
        assert_eq!(server.objects()[&path(keys::JOIN_TOKEN)], blanked);
        Ok(())
    }

    #[tokio::test]
    async fn where_nothing_was_published_nothing_of_that_cluster_ever_is() -> Result<()> {
        let (server, store) = Server::start(Fault::None).await?;
        assert!(!blank(&store, 3).await?, "nothing was taken away");
        for key in [keys::JOIN_TOKEN, keys::JOIN_CLUSTER] {
            let blanked = Join::<JoinToken>::parse(server.objects()[&path(key)].as_bytes())?;
            assert_eq!(blanked, Join::Blank { generation: 3 }, "{key}");
        }
        assert_eq!(highest_generation(&store).await?, Some(3));
        server.asked().clear();
        assert!(!blank(&store, 3).await?);
        assert!(server.asked().iter().all(|asked| asked.starts_with("GET")), "{:?}", server.asked());
        Ok(())
    }

    #[tokio::test]
    async fn what_is_too_large_to_be_read_is_in_nobodys_way() -> Result<()> {
        let (server, store) = Server::start(Fault::None).await?;
        server.objects().insert(path(keys::JOIN_TOKEN), "x".repeat(3 * 1024 * 1024));
        let found = read::<JoinToken>(&store, keys::JOIN_TOKEN).await?;
        assert!(matches!(found, Found::Object { held: Err(JoinError::TooLarge(_)), .. }), "{found:?}");
        assert_eq!(highest_generation(&store).await?, None);
        assert!(blank(&store, 3).await?);
        assert_eq!(highest_generation(&store).await?, Some(3));
        Ok(())
    }
}
