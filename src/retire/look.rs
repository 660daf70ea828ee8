//! One look at everything that a retirement depends on.

use crate::aws::Session;
use crate::aws::ec2::Described;
use crate::aws::imds::{InstanceMetadata, this_machine};
use crate::bucket::{self, registrations};
use crate::kube;
use crate::kubeadm::state;
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::machine::local::Local;
use crate::model::membership::instances::Presence;
use crate::model::membership::registration::RegistrationPhase;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::retire::{AskedIn, Responder, RetireDecision, RetireInput, RetireMachine, ServedCluster, judge};
use crate::node::facts::read_documents;
use crate::settings::Settings;
use anyhow::Result;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How long a machine may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Looks again and again, and remembers since when EC2 leaves machines out.
pub(super) struct RetireObserver {
    pub(super) session: Session,
    settings: Settings,
    cluster_id: ClaimId,
    here: Option<InstanceMetadata>,
    asked_in: AskedIn,
    absent_since: BTreeMap<InstanceId, Instant>,
}

/// What was seen, and what it means.
#[derive(Debug, Clone)]
pub(super) struct RetireObservation {
    /// The record and its version.
    pub(super) record: Option<(ClusterRecord, String)>,
    pub(super) machines: Vec<RetireMachine>,
    pub(super) answers: Vec<Responder>,
    pub(super) verdict: RetireDecision,
}

impl RetireObserver {
    /// Connects to AWS.
    ///
    /// # Errors
    /// No Region, no credentials, no answer.
    pub(super) async fn new(settings: Settings, cluster_id: ClaimId) -> Result<Self> {
        let here = this_machine().await.ok();
        let session = Session::connect(&settings, here.as_ref().map(|machine| machine.region.as_str())).await?;
        let region = session.region()?.to_owned();
        let account = match &here {
            Some(machine) => machine.account.clone(),
            None => session.account().await?,
        };
        let asked_in = AskedIn { account, region };
        Ok(Self { session, settings, cluster_id, here, asked_in, absent_since: BTreeMap::new() })
    }

    /// Looks. The record is read first, and its version is the condition of the write: what follows is never older.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub(super) async fn look(&mut self) -> Result<RetireObservation> {
        let record = bucket::record::read(&self.session.store).await?;
        let mut says: BTreeMap<InstanceId, Option<RegistrationPhase>> = BTreeMap::new();
        for entry in registrations::all(&self.session.store).await? {
            says.insert(entry.instance, entry.registration.ok().map(|registration| registration.phase));
        }
        if let Some((ClusterRecord { state: RecordState::Ready(published), .. }, _)) = &record {
            says.entry(published.initialised_by.clone()).or_default();
        }
        let group = match record.as_ref().and_then(|(record, _)| record.identity.group_name()) {
            Some(name) => self.session.group(name).await?,
            None => None,
        };
        let members = group.iter().flat_map(|group| &group.members).map(|member| member.instance.clone());
        let mut ids: Vec<InstanceId> = says.keys().cloned().chain(members).collect();
        ids.sort();
        ids.dedup();
        let described = self.session.instances(&ids).await?;
        let machines: Vec<RetireMachine> =
            says.into_iter().map(|(id, says)| self.machine(id, says, &described)).collect();
        let answers = self.answers(record.as_ref().map(|(record, _)| record), &described).await;
        let verdict = judge(&RetireInput {
            cluster_id: &self.cluster_id,
            record: record.as_ref().map(|(record, _)| record),
            asked_in: self.asked_in.clone(),
            machines: &machines,
            answers: &answers,
            gone_grace: self.settings.gone_grace,
        });
        Ok(RetireObservation { record, machines, answers, verdict })
    }

    fn machine(
        &mut self,
        instance: InstanceId,
        says: Option<RegistrationPhase>,
        described: &BTreeMap<InstanceId, Described>,
    ) -> RetireMachine {
        let ec2 = match described.get(&instance) {
            Some(found) => {
                self.absent_since.remove(&instance);
                Presence::State(found.state.clone())
            }
            None => {
                Presence::AbsentFor(self.absent_since.entry(instance.clone()).or_insert_with(Instant::now).elapsed())
            }
        };
        let is_here = self.here.as_ref().is_some_and(|here| here.instance == instance);
        RetireMachine { last_phase: says, ec2: Some(ec2), is_here_and_fresh: is_here && self.is_fresh(), instance }
    }

    /// Whether this disk holds nothing of a control plane.
    fn is_fresh(&self) -> bool {
        let documents = read_documents(self.settings.kubeadm_config.as_deref());
        documents
            .is_ok_and(|documents| matches!(state::observe(Path::new("/"), documents.data_dir()), Ok(Local::Fresh)))
    }

    /// What answers: at the endpoint, and at every machine that lives. A dead one's address may be another cluster's by now.
    async fn answers(
        &self,
        record: Option<&ClusterRecord>,
        described: &BTreeMap<InstanceId, Described>,
    ) -> Vec<Responder> {
        let Some(record) = record else { return Vec::new() };
        let endpoint = kube::answers_at(&record.identity.endpoint);
        let living = described.iter().filter(|(_, found)| matches!(found.state, Ec2State::Running | Ec2State::Pending));
        let ports = [crate::etcd::CLIENT_PORT, self.settings.endpoint.port];
        let asked = living.filter_map(|(instance, found)| Some((instance, *found.addresses.first()?)));
        let asked = asked.flat_map(|(instance, address)| ports.map(|port| (instance, address, port)));
        let machines = join_all(asked.map(|(instance, address, port)| async move {
            let listens = matches!(timeout(CONNECT_TIMEOUT, TcpStream::connect((address, port))).await, Ok(Ok(_)));
            listens.then(|| Responder::Machine { instance: instance.clone(), address, port })
        }));
        let (endpoint, machines) = tokio::join!(endpoint, machines);
        let ca_hashes = record.published().map_or(&[][..], |published| &published.ca_hashes);
        let endpoint = endpoint.map(|anyone| Responder::Endpoint {
            endpoint: record.identity.endpoint.clone(),
            address: anyone.address,
            status: anyone.status,
            serves: ServedCluster::of(&anyone.ca_hashes, ca_hashes),
        });
        endpoint.into_iter().chain(machines.into_iter().flatten()).collect()
    }
}
