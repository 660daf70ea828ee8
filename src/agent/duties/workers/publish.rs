//! Publishing what workers need to join.

use super::{Seen, say};
use crate::aws::store::{Store, Written};
use crate::bucket::{join, keys};
use crate::kube::{Bypassed, Client, Kubeconfig};
use crate::kubeadm::pki::ca_hashes;
use crate::model::joining::oldest::oldest;
use crate::model::joining::publication::{
    Found, LIFETIME, Publication, RENEWED_BEFORE, WriteWhy, of_cluster, of_token, published_token,
};
use crate::model::joining::{Join, JoinCluster, JoinKind, JoinToken};
use crate::model::record::conditional_write::Condition;
use crate::node::Facts;
use crate::node::minting::{Minted, mint, now};
use anyhow::{Context, Result, anyhow, bail, ensure};
use futures::future::join_all;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long it may take to look at all that is published, and to write what must be.
const TIMEOUT: Duration = Duration::from_secs(45);
/// How long one write is tried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes at every look of the leader.
pub(super) struct Publisher {
    facts: Facts,
    store: Store,
    trouble: watch::Sender<String>,
    /// A token of which nobody knows whether it was published: it is the next one to be.
    spare: Option<Minted>,
}

impl Publisher {
    pub(super) fn new(facts: Facts, store: Store, trouble: watch::Sender<String>) -> Self {
        Self { facts, store, trouble, spare: None }
    }

    /// Until the leader leads no longer.
    pub(super) async fn run(mut self, mut seen: watch::Receiver<Option<Arc<Seen>>>) {
        // What the first look has found may be there before anybody waits for it.
        seen.mark_changed();
        while seen.changed().await.is_ok() {
            let Some(seen) = seen.borrow_and_update().clone() else { continue };
            let done = timeout(TIMEOUT, self.publish(&seen)).await.context("it took too long");
            let text = match done.and_then(|done| done) {
                Ok(()) => String::new(),
                Err(error) => format!("cannot publish what workers join with: {error:#}"),
            };
            say(&self.trouble, &text);
        }
    }

    async fn publish(&mut self, seen: &Seen) -> Result<()> {
        let client = seen.client(&self.facts).await?;
        let published = seen.record.published().context("the record names no cluster")?;
        // kubeadm writes the first of several there.
        ensure!(
            ca_hashes(&seen.kubeconfig.authority)?.iter().all(|hash| published.ca_hashes.contains(hash)),
            "the authority in this machine's admin.conf is not one that the cluster record names: move /etc/kubernetes/admin.conf away, and \
             run 'kubeadm init phase kubeconfig admin' here, which writes it from /etc/kubernetes/pki/ca.crt"
        );
        if let Err(error) = client.ensure_bootstrap_rbac().await {
            return Err(taken_back(&self.store, &client, seen.record.generation, error).await);
        }
        let found = join::read::<JoinCluster>(&self.store, keys::JOIN_CLUSTER).await.context(READ)?;
        let port = self.facts.api_port();
        let addresses = seen.addresses.iter().map(|address| SocketAddr::new(*address, port));
        let answers = join_all(addresses.map(|address| version(&seen.kubeconfig, address))).await;
        let before = match &found {
            // That of an earlier generation had other API servers.
            Found::Object { held: Ok(Join::Published(before)), .. } if before.generation == seen.record.generation => {
                Some(before.oldest_api_server.as_str())
            }
            Found::Object { .. } | Found::Nothing => None,
        };
        let ca_pem = String::from_utf8(seen.kubeconfig.authority.clone()).ok().context("the authority is no text")?;
        let wanted = JoinCluster::new(
            seen.record.generation,
            seen.record.identity.endpoint.clone(),
            ca_pem,
            published.kube_system_uid.clone(),
            client.kubeadm_config().await?.kubernetes_version,
            oldest(&answers, before).context("no API server tells its version")?,
        );
        let wanted = wanted.map_err(|why| anyhow!("what is known of this cluster is nothing to publish: {why}"))?;
        // A worker that finds a token finds the cluster of it.
        publish_cluster(&self.store, &found, wanted).await?;
        renew_token(&self.store, &client, seen.record.generation, now(), &mut self.spare).await
    }
}

/// The error of a cluster in which a token must not be. Where Kubernetes approves by itself what tokens ask for, the one that is published
/// makes whoever reads it any machine, so Kubernetes is to forget it at once.
async fn taken_back(store: &Store, client: &Client, generation: u64, error: anyhow::Error) -> anyhow::Error {
    if !error.is::<Bypassed>() {
        return error;
    }
    let found = match join::read::<JoinToken>(store, keys::JOIN_TOKEN).await {
        Ok(found) => found,
        Err(failed) => {
            return error.context(format!("the published token may be valid, for it was not read: {failed:#}"));
        }
    };
    let Some(token) = published_token(&found, generation) else { return error };
    match client.delete_bootstrap_token(token.id()).await {
        Ok(_) => error.context("the published token was taken back"),
        Err(failed) => error.context(format!("the published token is still valid: {failed:#}")),
    }
}

/// What a read is about, whatever comes of it.
const READ: &str = "failed to read what is published";

async fn version(kubeconfig: &Kubeconfig, address: SocketAddr) -> Option<String> {
    Client::new(kubeconfig, address).ok()?.version().await.ok()
}

/// Writes `join/cluster.json` where it is not what it should be.
async fn publish_cluster(store: &Store, found: &Found<JoinCluster>, wanted: JoinCluster) -> Result<()> {
    let url = store.url(keys::JOIN_CLUSTER);
    match of_cluster(found, &wanted) {
        Publication::Keep => Ok(()),
        Publication::Leave(why) => bail!("'{url}' is left as it is: {why}"),
        Publication::Write(condition, why) => {
            write(store, keys::JOIN_CLUSTER, Join::Published(wanted), &condition).await?;
            told(&url, &why);
            Ok(())
        }
    }
}

/// Makes and publishes a token where there is none that lasts. A token is taken back only when it is certain that nobody will ever read it; one
/// of which that is not certain is kept in `spare`, and published the next time.
async fn renew_token(
    store: &Store,
    client: &Client,
    generation: u64,
    now: u64,
    spare: &mut Option<Minted>,
) -> Result<()> {
    let url = store.url(keys::JOIN_TOKEN);
    let found = join::read::<JoinToken>(store, keys::JOIN_TOKEN).await.context(READ)?;
    let in_api = match (published_token(&found, generation), &found) {
        (Some(token), Found::Object { held: Ok(Join::Published(published)), .. }) => {
            client.takes_bootstrap_token(token, published.expires).await?
        }
        _ => false,
    };
    match of_token(&found, generation, now, in_api) {
        Publication::Keep => Ok(()),
        Publication::Leave(why) => bail!("'{url}' is left as it is: {why}"),
        Publication::Write(condition, why) => {
            let lasts = |spare: &Minted| spare.expires > now + RENEWED_BEFORE.as_secs();
            let is_other = |spare: &Minted| published_token(&found, generation) != Some(&spare.token);
            let minted = match spare.take().filter(|spare| lasts(spare) && is_other(spare)) {
                Some(minted) => minted,
                None => mint(client, LIFETIME).await?,
            };
            let published = JoinToken::new(generation, minted.token.clone(), minted.expires);
            let written = write(store, keys::JOIN_TOKEN, Join::Published(published), &condition).await;
            match &written {
                Ok(()) => told(&url, &why),
                Err(Unwritten::Overtaken(_)) => {
                    // Whoever was faster leaves a token alone that lasts, so this one was never there. Where that fails, it ends by itself.
                    let _ = client.delete_bootstrap_token(minted.token.id()).await;
                }
                Err(Unwritten::Unknown(_)) => *spare = Some(minted),
            }
            written?;
            Ok(())
        }
    }
}

/// Why an object was not written.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    /// Another one was, so that this one never will be.
    #[error("{0}")]
    Overtaken(String),
    /// Nobody knows: a refusal is S3's word on the last attempt alone, and the one before may have been done without an answer.
    #[error("{0}")]
    Unknown(String),
}

async fn write<T: JoinKind>(store: &Store, key: &str, object: Join<T>, condition: &Condition) -> Result<(), Unwritten> {
    // Under the key of all objects, which workers may use, and not under that of the bundles, which is for the control plane alone.
    match store.write(key, &object.to_bytes(), condition, WRITE_TIMEOUT).await {
        Ok(Written::Ours(_)) => Ok(()),
        Ok(Written::Others(_) | Written::Gone) => Err(Unwritten::Overtaken(format!(
            "'{}' was changed at the same moment, and is looked at again",
            store.url(key)
        ))),
        Ok(Written::Unknown) => Err(Unwritten::Unknown("S3 did not say whether it was written".to_owned())),
        Err(error) => Err(Unwritten::Unknown(error.to_string())),
    }
}

fn told(url: &str, why: &WriteWhy) {
    match why {
        WriteWhy::Damaged(_) | WriteWhy::TooLong => tracing::warn!("published '{url}': {why}"),
        WriteWhy::Nothing | WriteWhy::Earlier(_) | WriteWhy::Differs | WriteWhy::Ends | WriteWhy::NotInApi => {
            tracing::info!("published '{url}': {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::server::{Fault, Server as Bucket};
    use crate::kube::server::Server as Api;

    const NOW: u64 = 1_796_000_000;
    const TOKENS: &str = "/api/v1/namespaces/kube-system/secrets/bootstrap-token-";

    fn path(key: &str) -> String {
        format!("/bucket/prefix/{key}")
    }

    /// The token that stands in the bucket, and the IDs of those that Kubernetes takes.
    fn tokens(bucket: &Bucket, api: &Api) -> Result<(JoinToken, Vec<String>)> {
        let text = bucket.objects()[&path(keys::JOIN_TOKEN)].clone();
        let Join::Published(token) = Join::parse(text.as_bytes())? else { bail!("it is blank") };
        let objects = api.objects();
        let ids = objects.keys().filter_map(|path| path.strip_prefix(TOKENS)).map(str::to_owned).collect();
        Ok((token, ids))
    }

    #[tokio::test]
    async fn the_cluster_is_written_once_and_never_over_a_later_one() -> Result<()> {
        let (bucket, store) = Bucket::start(Fault::None).await?;
        let publish = async |generation| {
            let found = join::read(&store, keys::JOIN_CLUSTER).await?;
            publish_cluster(&store, &found, JoinCluster::sample(generation)).await
        };
        publish(3).await?;
        let written = bucket.objects()[&path(keys::JOIN_CLUSTER)].clone();
        publish(3).await?;
        let late = publish(2).await.err().context("a later one stands there")?;
        assert!(late.to_string().contains("generation 3"), "{late:#}");
        assert_eq!(bucket.objects()[&path(keys::JOIN_CLUSTER)], written);
        assert_eq!(bucket.asked().iter().filter(|asked| asked.starts_with("PUT")).count(), 1);
        // Another leader was faster.
        let late = publish_cluster(&store, &Found::Nothing, JoinCluster::sample(4)).await.err();
        assert!(late.is_some_and(|late| late.to_string().contains("same moment")));
        assert_eq!(bucket.objects()[&path(keys::JOIN_CLUSTER)], written);
        Ok(())
    }

    #[tokio::test]
    async fn a_leader_that_stood_still_publishes_nothing_of_a_cluster_that_was_given_up_meanwhile() -> Result<()> {
        let (bucket, store) = Bucket::start(Fault::None).await?;
        // It has found nothing, or something of an earlier generation, and then stands still.
        let earlier = String::from_utf8(Join::Published(JoinCluster::sample(2)).to_bytes())?;
        for before in [None, Some(earlier)] {
            *bucket.objects() = before.into_iter().map(|text| (path(keys::JOIN_CLUSTER), text)).collect();
            let found = join::read(&store, keys::JOIN_CLUSTER).await?;
            join::blank(&store, 3).await?;
            let late = publish_cluster(&store, &found, JoinCluster::sample(3)).await;
            assert!(late.is_err_and(|late| late.to_string().contains("same moment")), "{found:?}");
            let stands = join::read::<JoinCluster>(&store, keys::JOIN_CLUSTER).await?;
            assert!(matches!(stands, Found::Object { held: Ok(Join::Blank { generation: 3 }), .. }), "{stands:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_token_is_renewed_when_it_ends_or_kubernetes_has_lost_it() -> Result<()> {
        let ((bucket, store), (api, client)) = (Bucket::start(Fault::None).await?, Api::start().await?);
        let at = now();
        renew_token(&store, &client, 3, at, &mut None).await?;
        let (first, ids) = tokens(&bucket, &api)?;
        assert_eq!((first.generation, ids), (3, vec![first.token.id().to_owned()]));
        assert!(first.expires >= at + 7200 && api.objects().len() == 6, "with what its group may do");
        renew_token(&store, &client, 3, at + 60, &mut None).await?;
        assert_eq!(tokens(&bucket, &api)?.0, first);
        renew_token(&store, &client, 3, first.expires - 2400, &mut None).await?;
        let (second, ids) = tokens(&bucket, &api)?;
        assert!(second.token != first.token && ids.len() == 2, "the first one lives on for those who have read it");
        api.objects().clear();
        renew_token(&store, &client, 3, at, &mut None).await?;
        let (third, ids) = tokens(&bucket, &api)?;
        assert_eq!(ids, [third.token.id()]);
        assert_ne!(third.token, second.token);
        renew_token(&store, &client, 4, at, &mut None).await?;
        assert_eq!(tokens(&bucket, &api)?.0.generation, 4);
        Ok(())
    }

    #[tokio::test]
    async fn a_token_that_could_not_be_published_is_the_next_one_and_a_later_object_stays() -> Result<()> {
        let ((bucket, store), (api, client)) = (Bucket::start(Fault::DeniesPut).await?, Api::start().await?);
        let made = || api.objects().keys().filter(|path| path.starts_with(TOKENS)).count();
        let (at, mut spare) = (now(), None);
        for _ in 0..2 {
            let error =
                renew_token(&store, &client, 3, at, &mut spare).await.err().context("nothing can be written")?;
            assert!(error.to_string().contains("s3:PutObject"), "{error:#}");
            assert_eq!(made(), 1, "no look makes another one");
        }
        bucket.set_fault(Fault::None);
        for (text, expected) in [
            (Join::<JoinToken>::Blank { generation: 3 }.to_bytes(), "given up"),
            (Join::Published(JoinToken::sample(4, NOW)).to_bytes(), "generation 4"),
            (br#"{"schema": 9}"#.to_vec(), "schema 9"),
        ] {
            let text = String::from_utf8(text)?;
            bucket.objects().insert(path(keys::JOIN_TOKEN), text.clone());
            let error = renew_token(&store, &client, 3, at, &mut spare).await.err().context("it must stay")?;
            assert!(error.to_string().contains(expected), "{error:#}");
            assert_eq!(bucket.objects()[&path(keys::JOIN_TOKEN)], text);
        }
        assert_eq!(made(), 1, "none was made in vain");
        bucket.objects().insert(path(keys::JOIN_TOKEN), "garbage".into());
        renew_token(&store, &client, 3, at, &mut spare).await?;
        let (published, ids) = tokens(&bucket, &api)?;
        assert_eq!((published.generation, ids), (3, vec![published.token.id().to_owned()]));
        assert!(spare.is_none());
        Ok(())
    }

    #[tokio::test]
    async fn a_token_that_may_be_published_is_never_taken_back_nor_published_twice() -> Result<()> {
        let ((bucket, store), (api, client)) = (Bucket::start(Fault::WritesAndDenies).await?, Api::start().await?);
        let (at, mut spare) = (now(), None);
        assert!(renew_token(&store, &client, 3, at, &mut spare).await.is_err());
        let (published, ids) = tokens(&bucket, &api)?;
        assert_eq!(ids, [published.token.id()], "workers have read it");
        bucket.set_fault(Fault::None);
        renew_token(&store, &client, 3, at, &mut spare).await?;
        assert_eq!(tokens(&bucket, &api)?.0, published);
        // Kubernetes has lost it.
        api.objects().clear();
        renew_token(&store, &client, 3, at, &mut spare).await?;
        let (next, ids) = tokens(&bucket, &api)?;
        assert!(next.token != published.token && ids == [next.token.id()]);
        Ok(())
    }

    #[tokio::test]
    async fn a_token_is_taken_back_where_kubernetes_approves_by_itself_and_for_nothing_else() -> Result<()> {
        let ((bucket, store), (api, client)) = (Bucket::start(Fault::None).await?, Api::start().await?);
        renew_token(&store, &client, 3, now(), &mut None).await?;
        let (published, _) = tokens(&bucket, &api)?;
        let other = taken_back(&store, &client, 3, anyhow!("no answer")).await;
        assert_eq!((other.to_string().as_str(), tokens(&bucket, &api)?.1.len()), ("no answer", 1));
        api.set_bypass(Some(serde_json::json!({"allowed": true, "reason": "a binding"})));
        let bypassed = client.ensure_bootstrap_rbac().await.err().context("it is approved by others")?;
        let told = format!("{:#}", taken_back(&store, &client, 3, bypassed).await);
        assert!(told.starts_with("the published token was taken back: ") && told.contains("a binding"), "{told}");
        let (stands, ids) = tokens(&bucket, &api)?;
        assert_eq!((stands, ids), (published, Vec::new()));
        Ok(())
    }
}
