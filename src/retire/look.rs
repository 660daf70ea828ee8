//! One look at everything that a retirement depends on.

use super::RetireTarget;
use crate::aws::Session;
use crate::aws::ec2::Described;
use crate::aws::imds::{InstanceMetadata, this_machine};
use crate::bucket::record::{self, StoredRecord};
use crate::bucket::{RegistrationEntry, Roll, keys};
use crate::kube;
use crate::kubeadm::state;
use crate::model::machine::group::{Ec2State, Group};
use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::machine::local::Local;
use crate::model::membership::instances::Presence;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::identity::Identity;
use crate::model::retire::{
    AskedIn, KnownBy, LostRecordInput, Responder, RetireDecision, RetireInput, RetireMachine, ServedCluster, judge,
    judge_lost,
};
use crate::node::api_servers;
use crate::node::facts::read_documents;
use crate::settings::Settings;
use anyhow::Result;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How long a machine may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Looks again and again, and remembers since when EC2 leaves machines out.
pub(super) struct RetireObserver {
    pub(super) session: Session,
    roll: Roll,
    settings: Settings,
    target: RetireTarget,
    here: Option<InstanceMetadata>,
    asked_in: AskedIn,
    absent_since: BTreeMap<InstanceId, Instant>,
}

/// What was seen, and what it means.
#[derive(Debug, Clone)]
pub(super) struct RetireObservation {
    /// The record and its version.
    pub(super) record: StoredRecord,
    /// Every claim that a registration carries.
    pub(super) claims: BTreeSet<ClaimId>,
    /// The group whose machines were looked at.
    pub(super) group_arn: Option<String>,
    pub(super) machines: Vec<RetireMachine>,
    pub(super) answers: Vec<Responder>,
    pub(super) verdict: RetireDecision,
}

/// The machines that are judged, by what tells of them.
type Known = BTreeMap<InstanceId, (KnownBy, Option<RegistrationPhase>)>;

impl RetireObserver {
    /// Connects to AWS.
    ///
    /// # Errors
    /// No Region, no credentials, no answer.
    pub(super) async fn new(settings: Settings, target: RetireTarget) -> Result<Self> {
        let here = this_machine().await.ok();
        let session = Session::connect(&settings, here.as_ref().map(|machine| machine.region.as_str())).await?;
        let region = session.region()?.to_owned();
        let account = match &here {
            Some(machine) => machine.account.clone(),
            None => session.account().await?,
        };
        let asked_in = AskedIn { account, region };
        Ok(Self {
            roll: Roll::new(&session.store),
            session,
            settings,
            target,
            here,
            asked_in,
            absent_since: BTreeMap::new(),
        })
    }

    /// Looks. The record is read first, and its version is the condition of the write: what follows is never older.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub(super) async fn look(&mut self) -> Result<RetireObservation> {
        let stored = record::look(&self.session.store).await?;
        let record = match &stored {
            StoredRecord::Found(record, _) => Some(record),
            StoredRecord::Nothing | StoredRecord::Deleted => None,
        };
        let entries = self.roll.all().await?;
        let hash = self.session.store.get(keys::HASH).await?;
        let hash = hash.map(|object| String::from_utf8_lossy(&object.body).trim_end().to_owned());
        let group = self.group(record).await?;
        let members: Vec<InstanceId> =
            group.iter().flat_map(|group| &group.members).map(|member| member.instance.clone()).collect();
        let mut known = known(&entries, record);
        if self.target == RetireTarget::LostRecord {
            for member in &members {
                known.entry(member.clone()).or_insert((KnownBy::Group, None));
            }
        }
        let mut ids: Vec<InstanceId> = known.keys().cloned().chain(members).collect();
        ids.sort();
        ids.dedup();
        let described = self.session.instances(&ids).await?;
        let machines: Vec<RetireMachine> =
            known.into_iter().map(|(id, known)| self.machine(id, known, &described)).collect();
        let answers = self.answers(record, &described).await;
        let registrations: Vec<Registration> =
            entries.into_iter().filter_map(|entry| entry.registration.ok()).collect();
        let (asked_in, gone_grace) = (self.asked_in.clone(), self.settings.gone_grace);
        let (machines, answers) = (machines.as_slice(), answers.as_slice());
        let verdict = match &self.target {
            RetireTarget::Cluster(cluster_id) => {
                judge(&RetireInput { cluster_id, record, asked_in, machines, answers, gone_grace })
            }
            RetireTarget::LostRecord => judge_lost(&LostRecordInput {
                record,
                was_deleted: matches!(stored, StoredRecord::Deleted),
                registrations: &registrations,
                hash: hash.as_deref().filter(|hash| !hash.is_empty()),
                is_group_known: group.is_some(),
                asked_in,
                machines,
                answers,
                gone_grace,
            }),
        };
        let (machines, answers) = (machines.to_vec(), answers.to_vec());
        let claims =
            registrations.into_iter().flat_map(|found| [found.claim_id, found.ready_claim]).flatten().collect();
        Ok(RetireObservation {
            group_arn: group.map(|group| group.arn),
            record: stored,
            claims,
            machines,
            answers,
            verdict,
        })
    }

    /// The group: the record's, or where that is lost the one of the settings, or else this machine's, or else the older record's.
    async fn group(&self, record: Option<&ClusterRecord>) -> Result<Option<Group>> {
        let recorded = record.and_then(|record| record.identity.group_name()).map(str::to_owned);
        let name = match (&self.target, &self.settings.group, &self.here) {
            (RetireTarget::Cluster(_), _, _) => recorded,
            (RetireTarget::LostRecord, Some(name), _) => Some(name.clone()),
            (RetireTarget::LostRecord, None, Some(here)) => {
                self.session.group_name_of(&here.instance).await?.or(recorded)
            }
            (RetireTarget::LostRecord, None, None) => recorded,
        };
        Ok(match name {
            Some(name) => self.session.group(&name).await?,
            None => None,
        })
    }

    /// What is written into a record of which only the settings are known.
    pub(super) fn identity(&self, group_arn: String) -> Identity {
        let documents = read_documents(self.settings.kubeadm_config.as_deref()).unwrap_or_default();
        Identity {
            account: self.asked_in.account.clone(),
            region: self.asked_in.region.clone(),
            group_arn,
            endpoint: self.settings.endpoint.to_string(),
            service_subnet: documents.service_subnet().to_owned(),
        }
    }

    fn machine(
        &mut self,
        instance: InstanceId,
        (known_by, last_phase): (KnownBy, Option<RegistrationPhase>),
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
        let is_here_and_fresh = is_here && self.is_fresh();
        RetireMachine { instance, known_by, last_phase, ec2: Some(ec2), is_here_and_fresh }
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
        let own = self.settings.endpoint.to_string();
        let endpoint = match record {
            Some(record) => record.identity.endpoint.clone(),
            None if self.target == RetireTarget::LostRecord => own,
            None => return Vec::new(),
        };
        let living = described.iter().filter(|(_, found)| matches!(found.state, Ec2State::Running | Ec2State::Pending));
        let living: Vec<(InstanceId, IpAddr)> =
            living.filter_map(|(instance, found)| Some((instance.clone(), *found.addresses.first()?))).collect();
        let (host, port) = (self.settings.endpoint.host.clone(), self.settings.endpoint.port);
        let machine_port = read_documents(self.settings.kubeadm_config.as_deref())
            .ok()
            .and_then(|documents| documents.bind_port())
            .unwrap_or(port);
        let (answered, listening, api_servers) = tokio::join!(
            kube::answers_at(&endpoint),
            listening(&living, [crate::etcd::CLIENT_PORT, machine_port]),
            api_servers::ask(host, port, machine_port, living.clone())
        );
        let ca_hashes = record.and_then(ClusterRecord::published).map_or(&[][..], |published| &published.ca_hashes);
        let answered = answered.map(|anyone| Responder::Endpoint {
            endpoint: endpoint.clone(),
            address: anyone.address,
            status: anyone.status,
            serves: ServedCluster::of(&anyone.ca_hashes, ca_hashes),
        });
        let is_told = |address: &str| answered.is_some() && address == endpoint;
        let api_servers: Vec<Responder> = api_servers
            .into_iter()
            .filter(|at| at.instance.is_some() || !is_told(&at.address))
            .map(|at| Responder::ApiServer { instance: at.instance, address: at.address })
            .collect();
        answered.into_iter().chain(api_servers).chain(listening).collect()
    }
}

/// The machines that accept connections at one of these ports.
async fn listening(machines: &[(InstanceId, IpAddr)], ports: [u16; 2]) -> Vec<Responder> {
    let asked = machines.iter().flat_map(|(instance, address)| ports.map(|port| (instance, *address, port)));
    let answers = join_all(asked.map(|(instance, address, port)| async move {
        let listens = matches!(timeout(CONNECT_TIMEOUT, TcpStream::connect((address, port))).await, Ok(Ok(_)));
        listens.then(|| Responder::Machine { instance: instance.clone(), address, port })
    }));
    answers.await.into_iter().flatten().collect()
}

/// Every machine that has registered, and those that the record names.
fn known(entries: &[RegistrationEntry], record: Option<&ClusterRecord>) -> Known {
    let phase = |entry: &RegistrationEntry| entry.registration.as_ref().ok().map(|registration| registration.phase);
    let registered = entries.iter().map(|entry| (entry.instance.clone(), (KnownBy::Registration, phase(entry))));
    let mut known: Known = registered.collect();
    let named = record.and_then(|record| match &record.state {
        RecordState::Ready(published) => Some(&published.initialised_by),
        RecordState::Initializing { holder, .. } => holder.as_ref().map(|holder| &holder.instance),
        RecordState::Retired(_) => None,
    });
    if let Some(named) = named {
        known.entry(named.clone()).or_insert((KnownBy::Record, None));
    }
    known
}
