//! `kubeadm init` under a held claim, and the flip that makes its cluster visible.
//!
//! Before the flip nothing exists, after it the cluster does. Whatever goes wrong in between, the record is read before
//! anything on the disk is touched.

use super::context::UpContext;
use super::failed_attempt::FailedAttempt;
use super::restore::restore_cluster;
use super::stopwatch::Stopwatch;
use super::{CONTENDED_INTERVAL, StepOutcome, Waiting, time_left};
use crate::aws::CallFailed;
use crate::aws::store::{Store, Written};
use crate::bucket::held::FinalWrite;
use crate::bucket::keys;
use crate::etcd::{self, Access};
use crate::exit::causes;
use crate::host::files;
use crate::host::systemd::notify;
use crate::kube::{Client, Kubeconfig};
use crate::kubeadm::pki::{self, Bundle};
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::state::{Marker, MarkerStage};
use crate::model::duration::in_words;
use crate::model::joining::BootstrapToken;
use crate::model::machine::etcd_data::{EtcdData, EtcdIds};
use crate::model::machine::ids::{ClaimId, EtcdClusterId, MemberId, Uid};
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::membership::registration::RegistrationPhase;
use crate::model::record::claim;
use crate::model::record::cluster::{ClusterRecord, Published};
use crate::model::record::conditional_write::Condition;
use crate::model::up::back_off::back_off;
use crate::node::Facts;
use crate::node::credentials::{MEMBER_ETCD, UP_FOLDER};
use crate::node::data_dir_drop_ins;
use crate::node::minting::draw;
use crate::node::point::Point;
use crate::node::registrar::rfc3339;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long the flip is tried; without a verdict by then the record is read anew.
const FLIP_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts at what S3 refuses.
const REFUSED_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long the new API server may take to be ready after kubeadm has seen it alive.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two questions to it.
pub(super) const READY_INTERVAL: Duration = Duration::from_millis(250);

impl UpContext {
    /// Initialises, publishes and flips.
    pub(super) async fn init(&mut self, deadline: Instant) -> Result<StepOutcome> {
        let Some(mut held) = self.record.claim.take() else { return Ok(StepOutcome::Again) };
        let claim_id = held.body().claim_id.clone();
        self.report.registrar.phase(RegistrationPhase::Initializing, &claim_id).await;
        // What init makes is a member, too.
        self.membership.leaving_unit.arm().await;
        data_dir_drop_ins::install(self.facts.documents.data_dir()).await;
        Point::LeavingArmed.reached();
        // The last look before kubeadm, with nobody else asked in between: only its own claim lets a node initialise.
        if !claim::stands(&self.read_record().await?, &claim_id) {
            return Ok(StepOutcome::Again);
        }
        Point::ClaimRead.reached();
        self.prefetch.end();
        let restoring = self.restoring(held.body())?;
        let work = async {
            let made = match &restoring {
                None => {
                    make_cluster(&self.facts, &self.kubeadm, &self.store, &claim_id, &self.report.stopwatch, deadline)
                        .await
                }
                Some(what) => {
                    restore_cluster(&self.facts, &self.kubeadm, &self.store, what, &self.report.stopwatch, deadline)
                        .await
                }
            };
            if let Err(error) = &made {
                self.tell_last_words(error).await;
            }
            made
        };
        let made = match held.while_holding(work).await {
            Ok(made) => made,
            Err(lost) => {
                self.lost(&lost).await;
                return Ok(StepOutcome::Again);
            }
        };
        match made {
            Ok(published) => self.flip(held, published).await,
            Err(error) => {
                self.record.failed_inits += 1;
                let what = if restoring.is_some() { "restore" } else { "init" };
                self.record.failed_in_all = self.record.failed_in_all.saturating_add(1);
                let failed = FailedAttempt::after(self.report.failed.as_ref(), &error, deadline);
                tracing::error!(attempt = self.record.failed_inits, "{what} failed: {}", causes(&error).join(": "));
                self.report.registrar.failed(&failed.text).await;
                // Every attempt has a claim of its own, and so an etcd of its own: the next one takes over from this one.
                drop(held);
                // Nobody watches the claim any more, so what was begun must not stay behind the endpoint.
                self.stop_serving().await;
                let reason = format!("another attempt after a failed {what}: {}", failed.text);
                let exit = failed.exit;
                self.report.failed = Some(failed);
                let at_once = if restoring.is_some() { 0 } else { self.policy().init_attempts };
                let pause = pause(self.record.failed_in_all, at_once);
                Ok(StepOutcome::Wait(Waiting { reason, pause, exit }))
            }
        }
    }

    /// The commit point.
    async fn flip(&mut self, held: crate::bucket::Held<ClusterRecord>, published: Published) -> Result<StepOutcome> {
        let claim_id = held.body().claim_id.clone();
        let Some(next) = claim::flipped(held.body(), published.clone()) else { return Ok(StepOutcome::Again) };
        Point::FlipDue.reached();
        let stands_until = Instant::now() + held.stands_for();
        let bytes = next.to_bytes();
        let flipped = retry_denied(|| held.clone().finish(&bytes, FLIP_TIMEOUT)).await;
        Point::FlipSent.reached();
        match flipped {
            Ok(FinalWrite::Ours(_)) => {
                Point::FlipAnswered.reached();
                tracing::info!(claim = %claim_id, kube_system_uid = %published.kube_system_uid, "the cluster exists");
                let member = match self.data() {
                    EtcdData::Of(ids) => Some(ids.member),
                    EtcdData::Nothing | EtcdData::Elsewhere | EtcdData::Unreadable { .. } => None,
                };
                self.mark_member(&claim_id, &published, member)?;
            }
            Ok(FinalWrite::Lost(lost)) => self.lost(&lost).await,
            // Nothing on the disk is touched until the record has been read.
            Ok(FinalWrite::Unknown) => {
                tracing::warn!("S3 did not say whether the record was flipped, reading it anew");
                self.read_or_stop_serving(stands_until).await;
            }
            Err(error) => {
                self.read_or_stop_serving(stands_until).await;
                return Err(error.into());
            }
        }
        Ok(StepOutcome::Again)
    }

    /// Nobody renews a claim whose flip was sent. Until others may take it over the record is tried; from then on what may be an
    /// unpublished cluster must not stay behind the endpoint. If the flip has landed, kubelet is started again when that is read.
    async fn read_or_stop_serving(&mut self, stands_until: Instant) {
        let end = stands_until.max(Instant::now() + REFUSED_RETRY_INTERVAL);
        loop {
            match timeout_at(end, self.read_record()).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => tracing::warn!("{error:#}; trying again"),
                Err(_) => break,
            }
            sleep(REFUSED_RETRY_INTERVAL).await;
        }
        self.stop_serving().await;
    }

    /// Writes down that this machine is a member of the cluster of this claim, and which one of etcd's: kubelet's guard compares that
    /// with the data that it finds.
    pub(super) fn mark_member(
        &self,
        claim_id: &ClaimId,
        published: &Published,
        member: Option<MemberId>,
    ) -> Result<()> {
        let mut marker = marker(&self.facts, claim_id, MarkerStage::Member);
        marker.kube_system_uid = Some(published.kube_system_uid.clone());
        (marker.etcd_cluster_id, marker.member_id) = (published.etcd_cluster_id, member);
        marker.save(Path::new("/"))?;
        Point::MemberMarked.reached();
        Ok(())
    }
}

/// How long to wait after so many failed attempts of this run, of which the first follow each other `at_once`: the first turn of an init, since
/// nobody else makes a new cluster meanwhile. From its next turn on the machine, its image or its disk may never do. What is restored lies
/// in the snapshot, and each attempt writes a claim that the record keeps.
fn pause(failed: u32, at_once: u32) -> Duration {
    if failed < at_once { CONTENDED_INTERVAL } else { back_off(failed - at_once) }
}

/// A marker of this stage.
pub(super) fn marker(facts: &Facts, claim_id: &ClaimId, stage: MarkerStage) -> Marker {
    Marker::new(&facts.machine.instance, claim_id, stage).with_data_dir(facts.documents.data_dir())
}

async fn make_cluster(
    facts: &Facts,
    kubeadm: &Kubeadm,
    store: &Store,
    claim_id: &ClaimId,
    stopwatch: &Stopwatch,
    deadline: Instant,
) -> Result<Published> {
    mark_init(facts, claim_id)?;
    let token = run_init(facts, kubeadm, claim_id, InitData::Nothing, stopwatch, deadline).await?;
    publish(facts, store, claim_id, &token).await
}

/// What `kubeadm init` finds in etcd's data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InitData {
    /// Nothing.
    Nothing,
    /// A cluster that was restored.
    RestoredData,
}

/// Writes down that this machine initialises, before it changes anything.
pub(super) fn mark_init(facts: &Facts, claim_id: &ClaimId) -> Result<()> {
    let root = Path::new("/");
    pki::save_operator_pki(root)?;
    let mut marker = marker(facts, claim_id, MarkerStage::Initializing);
    if !facts.external_etcd() {
        marker.etcd_cluster_id = Some(EtcdIds::of_init(claim_id, facts.node.address).cluster);
    }
    marker.save(root)?;
    Point::InitMarked.reached();
    Ok(())
}

/// Runs `kubeadm init` to its end. The bootstrap token that it wanted is still in the cluster then.
pub(super) async fn run_init(
    facts: &Facts,
    kubeadm: &Kubeadm,
    claim_id: &ClaimId,
    over: InitData,
    stopwatch: &Stopwatch,
    deadline: Instant,
) -> Result<BootstrapToken> {
    let token = draw()?;
    let config = PathBuf::from(UP_FOLDER).join("kubeadm-init.yaml");
    let documents = match over {
        InitData::Nothing => facts.documents.init(&facts.cluster, &facts.node, &token, claim_id)?,
        InitData::RestoredData => facts.documents.init_restored(&facts.cluster, &facts.node, &token, claim_id)?,
    };
    // Whatever comes of it, also when the claim is lost or there is no time: the file holds the token.
    let _removed = RemovedWhenDone(&config);
    files::write(&config, documents.as_bytes(), 0o600)?;
    Point::InitConfigured.reached();
    let time_limit = time_left::for_attempt(deadline)?;
    let mut attempt = kubeadm.init(&config, &token, time_limit, |phase| progress("kubeadm init", &phase))?;
    stopwatch.enter("kubeadm init");
    Point::InitStarted.reached();
    attempt.wait().await?;
    Point::InitEnded.reached();
    stopwatch.enter("publishing the cluster");
    Ok(token)
}

/// Removes a file when it goes out of scope.
struct RemovedWhenDone<'a>(&'a Path);

impl Drop for RemovedWhenDone<'_> {
    fn drop(&mut self) {
        if let Err(error) = files::remove(self.0) {
            tracing::warn!("{error:#}");
        }
    }
}

/// Shows where kubeadm is.
pub(super) fn progress(command: &str, phase: &crate::kubeadm::output::KubeadmPhase) {
    tracing::debug!(phase = %phase.name, "{}", phase.text);
    if let Some(point) = Point::behind(command, phase) {
        point.reached();
    }
    notify::status(&format!("{command}: [{}] {}", phase.name, phase.text));
}

/// Checks the new cluster, and puts what others need into the bucket.
async fn publish(facts: &Facts, store: &Store, claim_id: &ClaimId, token: &BootstrapToken) -> Result<Published> {
    let kubeconfig = Kubeconfig::read(Path::new("/etc/kubernetes/admin.conf"))?;
    let local = Client::new(&kubeconfig, SocketAddr::new(facts.node.address, facts.api_port()))?;
    let kube_system_uid = ready_uid(&local).await?;
    Point::ClusterKnown.reached();
    local
        .delete_bootstrap_token(token.id())
        .await
        .context("failed to delete the bootstrap token that kubeadm init wanted")?;
    Point::TokenDeleted.reached();
    let etcd_cluster_id = keep_claim(facts, &local, claim_id).await?;
    Point::ClaimKept.reached();
    let wanted = pki::wanted(facts.documents.external_etcd().as_ref(), &facts.settings.extra_shared_files);
    let bundle = Bundle {
        claim_id: claim_id.to_string(),
        kubernetes_version: facts.documents.installed_version(&facts.cluster),
        files: pki::collect(Path::new("/"), &wanted)?,
    };
    let body = bundle.to_json()?;
    let pki_key = keys::pki(claim_id);
    match retry_denied(|| store.write_secret(&pki_key, &body, &Condition::Absent, FLIP_TIMEOUT)).await? {
        Written::Ours(_) => {}
        Written::Others(_) | Written::Gone => {
            bail!("'{}' is there already, and it is not what was to be written", store.url(&pki_key))
        }
        Written::Unknown => bail!("S3 did not say whether '{}' was written", store.url(&pki_key)),
    }
    Point::BundleUploaded.reached();
    Ok(Published {
        ca_hashes: bundle.ca_hashes()?,
        kube_system_uid,
        etcd_cluster_id,
        kubernetes_version: facts.documents.installed_version(&facts.cluster),
        pki_key,
        pki_digest: pki::digest(&body),
        initialised_by: facts.machine.instance.clone(),
        initialised_at: rfc3339(),
    })
}

/// Writes the claim into the new cluster, into etcd and as a `ConfigMap`, and reads both back: by it the cluster is known from
/// one that lost its data. The ID of the etcd cluster; none where etcd is external.
async fn keep_claim(facts: &Facts, local: &Client, claim_id: &ClaimId) -> Result<Option<EtcdClusterId>> {
    local.write_claim(claim_id.as_str()).await?;
    if facts.external_etcd() {
        return Ok(None);
    }
    let ids = EtcdIds::of_init(claim_id, facts.node.address);
    let recorded = RecordedEtcd { claim: claim_id.clone(), cluster: ids.cluster };
    let access = Access::from_folder(Path::new(MEMBER_ETCD), recorded)?;
    let cluster = etcd::write_claim(&access, facts.node.address).await?;
    ensure!(
        cluster == ids.cluster,
        "etcd has the cluster ID {cluster}, and the token of this claim makes {}: the kubeadm documents change how etcd forms its cluster",
        ids.cluster
    );
    Ok(Some(cluster))
}

/// Repeats a write that S3 denies, because a denial may pass within seconds and the finished cluster would otherwise have to be
/// made anew.
///
/// # Errors
/// S3's last refusal.
async fn retry_denied<T, F>(write: impl Fn() -> F) -> Result<T, CallFailed>
where
    F: Future<Output = Result<T, CallFailed>>,
{
    let end = Instant::now() + FLIP_TIMEOUT;
    loop {
        match write().await {
            Err(refused) if Instant::now() + REFUSED_RETRY_INTERVAL < end => {
                tracing::warn!("{refused}; trying again");
                sleep(REFUSED_RETRY_INTERVAL).await;
            }
            ended => return ended,
        }
    }
}

/// Waits until an API server is ready, and asks it for the UID of `kube-system`.
///
/// # Errors
/// It was not ready in time.
pub(super) async fn ready_uid(client: &Client) -> Result<Uid> {
    let mut last = anyhow!("it was not asked");
    let asked = timeout(READY_TIMEOUT, async {
        loop {
            match client.readyz().await {
                Ok(()) => match client.kube_system_uid().await {
                    Ok(uid) => return uid,
                    Err(error) => last = error,
                },
                Err(error) => last = error,
            }
            sleep(READY_INTERVAL).await;
        }
    })
    .await;
    let uid = asked
        .map_err(|_| last.context(format!("the local API server was not ready in {}", in_words(READY_TIMEOUT))))?;
    Uid::parse(uid).context("the API server gave a bad UID of the namespace kube-system")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restores_that_fail_again_and_again_are_tried_less_and_less() {
        assert_eq!([1, 2, 6, 99].map(|failed| pause(failed, 0).as_secs()), [2, 4, 60, 60]);
    }

    #[test]
    fn inits_that_fail_turn_after_turn_are_tried_less_and_less() {
        assert_eq!([1, 2].map(|failed| pause(failed, 3)), [CONTENDED_INTERVAL; 2]);
        // The last one of the first turn, and those of the turns after it.
        assert_eq!([3, 4, 5, 6, 7, 9, 99].map(|failed| pause(failed, 3).as_secs()), [2, 2, 4, 8, 16, 60, 60]);
        assert_eq!([1, 2, 3].map(|failed| pause(failed, 1).as_secs()), [2, 2, 4]);
    }
}
