//! Asking all sources, each within its time and as many at once as depend on no other.

use super::aws::AwsAnswers;
use super::cluster::Peer;
use super::origin::Place;
use super::{cluster, endpoint, origin};
use crate::aws::ec2;
use crate::aws::imds::InstanceMetadata;
use crate::kubeadm::state::Marker;
use crate::model::machine::ids::InstanceId;
use crate::model::machine::local::Local;
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::record::cluster::{ClusterRecord, Published};
use crate::model::status::{Etcd, Known, StatusInput, machines, wants_anew};
use crate::model::up::snapshot::ApiServerAt;
use crate::node::api_servers;
use crate::node::group::with_ec2;
use crate::settings::{Endpoint, Settings};
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// All sources. What one look has read and made is kept for the next: clients, and what does not change or says itself whether it has.
pub(super) struct Sources<'a> {
    settings: &'a Settings,
    metadata: Option<InstanceMetadata>,
    aws: Option<AwsAnswers>,
}

impl<'a> Sources<'a> {
    /// Nothing was asked yet.
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, metadata: None, aws: None }
    }

    /// Asks all sources; once more where a cluster that was made meanwhile would explain what they say.
    ///
    /// # Errors
    /// A proxy variable that is no URL.
    pub(super) async fn gather(&mut self) -> Result<StatusInput> {
        let seen = Box::pin(self.look()).await?;
        if wants_anew(&seen) { Box::pin(self.look()).await } else { Ok(seen) }
    }

    /// Asks all sources once. The bucket says which machines there are, AWS where they are, and then they are asked themselves.
    async fn look(&mut self) -> Result<StatusInput> {
        let place = origin::look(self.settings, &mut self.metadata).await;
        // Without a Region there is nothing to keep, and the metadata may name one meanwhile.
        let aws = match self.aws.take().filter(AwsAnswers::has_region) {
            Some(aws) => aws,
            None => AwsAnswers::connect(self.settings, &place).await?,
        };
        look(self.settings, place, self.aws.insert(aws)).await
    }
}

async fn look(settings: &Settings, place: Place, aws: &mut AwsAnswers) -> Result<StatusInput> {
    let ((record, record_deleted), hash, lease, registrations, group) =
        tokio::join!(aws.record(), aws.hash(), aws.lease(), aws.registrations(), aws.group(place.here.instance()));
    let not_asked = || "not asked".to_owned();
    let (etcd, api_servers, ec2, at_endpoint) =
        (Err(not_asked()), Err(not_asked()), Err(not_asked()), Err(not_asked()));
    let mut input = StatusInput {
        here: place.here,
        record,
        record_deleted,
        hash,
        lease,
        registrations,
        group,
        ec2,
        zones: BTreeMap::new(),
        endpoint: at_endpoint,
        etcd,
        without_claim: Vec::new(),
        beside: Vec::new(),
        api_servers,
        snapshots: Ok(None),
        upgrade: Ok(None),
    };
    if input.group == Ok(None) {
        input.group = aws.recorded_group(&input).await;
    }
    match aws.instances(&input).await {
        Ok(described) => {
            input.group = input.group.map(|group| group.map(|group| with_ec2(group, &described)));
            let zone =
                |(instance, found): (&InstanceId, &ec2::Described)| Some((instance.clone(), found.zone.clone()?));
            input.zones = described.iter().filter_map(zone).collect();
            input.ec2 = Ok(described.into_iter().map(|(instance, found)| (instance, found.state)).collect());
        }
        Err(why) => input.ec2 = Err(why),
    }
    let peers = cluster::peers(&machines(&input), input.leaves_out_only_what_is_gone());
    let recorded = recorded_etcd(&input);
    let authority = recorded_authority(&input);
    let saved = published_of(&input).filter(|_| !place.external_etcd && !settings.snapshot_interval.is_zero());
    ((input.etcd, input.without_claim), input.api_servers, input.beside, input.endpoint, input.snapshots) = tokio::join!(
        cluster::etcd(&peers, place.external_etcd, recorded),
        cluster::api_servers(&peers, place.api_port),
        beside(settings, &peers, place.api_port, &input.record),
        endpoint::look(&settings.endpoint, &authority),
        aws.snapshots(saved.as_ref().map(|published| &published.kube_system_uid), settings.snapshot_interval)
    );
    let published = published_of(&input);
    let setting = settings.kubernetes_upgrade;
    input.upgrade = cluster::versions(&peers, place.api_port, &input.api_servers, published.as_ref(), setting).await;
    if let Some(own) = own_fault(aws, &input).await {
        input.etcd = Err(own);
    }
    Ok(input)
}

/// Why a member that nobody of its cluster answers is at fault itself.
async fn own_fault(aws: &AwsAnswers, seen: &StatusInput) -> Option<String> {
    let (Err(why) | Ok(Etcd::Silent { why, .. })) = &seen.etcd else { return None };
    let published = seen.record.as_ref().ok()?.as_ref()?.published()?;
    let is_member = matches!(seen.here.local, Ok(Local::Made { .. }));
    if is_member { aws.own_fault(why, published).await } else { None }
}

/// Who answers as an API server where `up` would ask that before it claims.
async fn beside(
    settings: &Settings,
    peers: &[Peer],
    api_port: u16,
    record: &Known<Option<ClusterRecord>>,
) -> Vec<ApiServerAt> {
    match record {
        Ok(record) if ClusterRecord::is_claimed_anew(record.as_ref()) => {
            let Endpoint { host, port } = settings.endpoint.clone();
            let machines = peers.iter().map(|peer| (peer.instance.clone(), peer.address)).collect();
            api_servers::ask(host, port, api_port, machines).await
        }
        Ok(_) | Err(_) => Vec::new(),
    }
}

/// The record's cluster, where there is one.
fn published_of(seen: &StatusInput) -> Option<Published> {
    seen.record.as_ref().ok()?.as_ref()?.published().cloned()
}

/// Public-key hashes of the certificate authority of the record's cluster.
fn recorded_authority(seen: &StatusInput) -> Vec<String> {
    published_of(seen).map(|published| published.ca_hashes).unwrap_or_default()
}

/// The etcd that is meant: by the record, or else by what this machine knows of its own.
fn recorded_etcd(seen: &StatusInput) -> Option<RecordedEtcd> {
    match &seen.record {
        Ok(Some(record)) if record.published().is_some() => RecordedEtcd::of(record),
        Ok(_) | Err(_) => Marker::load(Path::new("/")).ok().flatten()?.recorded_etcd(),
    }
}
