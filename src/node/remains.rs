//! One look at everything that may remain of a cluster: what giving it up, and restoring it from a snapshot, depend on.

use crate::aws::Session;
use crate::aws::ec2::Described;
use crate::aws::imds::{InstanceMetadata, this_machine};
use crate::bucket::record::{self, StoredRecord};
use crate::bucket::{RegistrationEntry, Roll, keys};
use crate::exit::Exit;
use crate::kube;
use crate::kubeadm::state;
use crate::model::duration::in_words;
use crate::model::machine::group::{Ec2State, Group};
use crate::model::machine::ids::InstanceId;
use crate::model::machine::local::Local;
use crate::model::membership::instances::Presence;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::identity::Identity;
use crate::model::retire::{AskedIn, KnownBy, Responder, RetireMachine, ServedCluster};
use crate::node::api_servers;
use crate::node::facts::read_documents;
use crate::settings::Settings;
use anyhow::{Result, anyhow};
use futures::future::join_all;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// How long a machine may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Between two looks while machines that EC2 leaves out do not count as gone yet.
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Looks again and again, and remembers since when EC2 leaves machines out.
pub struct RemainsObserver {
    /// The connection to AWS.
    pub session: Session,
    roll: Roll,
    /// The settings.
    pub settings: Settings,
    whose: Whose,
    here: Option<InstanceMetadata>,
    /// The account and Region in which it asks.
    pub asked_in: AskedIn,
    absent_since: BTreeMap<InstanceId, Instant>,
}

/// Which machines are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of the record's cluster.
    Recorded,
    /// Those of a cluster whose record is lost: all of the group.
    Lost,
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Remains {
    /// The record and its version.
    pub record: StoredRecord,
    /// What the machines said about themselves, as far as it can be read.
    pub registrations: Vec<Registration>,
    /// The published discovery hash.
    pub hash: Option<String>,
    /// The group whose machines were looked at.
    pub group_arn: Option<String>,
    /// Every machine that has registered, or that the record or the group names, with EC2's word on it.
    pub machines: Vec<RetireMachine>,
    /// What still answers.
    pub answers: Vec<Responder>,
}

impl Remains {
    /// The record, where there is one.
    #[must_use]
    pub fn record(&self) -> Option<&ClusterRecord> {
        match &self.record {
            StoredRecord::Found(record, _) => Some(record),
            StoredRecord::Nothing | StoredRecord::Deleted => None,
        }
    }
}

/// The machines that are judged, by what tells of them.
type Known = BTreeMap<InstanceId, (KnownBy, Option<RegistrationPhase>)>;

impl RemainsObserver {
    /// Connects to AWS.
    ///
    /// # Errors
    /// No Region, no credentials, no answer.
    pub async fn new(settings: Settings, whose: Whose) -> Result<Self> {
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
            whose,
            here,
            asked_in,
            absent_since: BTreeMap::new(),
        })
    }

    /// Looks. The record is read first, and its version is the condition of the write: what follows is never older.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn look(&mut self) -> Result<Remains> {
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
        if self.whose == Whose::Lost {
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
        Ok(Remains {
            registrations: entries.into_iter().filter_map(|entry| entry.registration.ok()).collect(),
            hash: hash.filter(|hash| !hash.is_empty()),
            group_arn: group.map(|group| group.arn),
            record: stored,
            machines,
            answers,
        })
    }

    /// The group: the record's, or where that is lost the one of the settings, or else this machine's, or else the older record's.
    async fn group(&self, record: Option<&ClusterRecord>) -> Result<Option<Group>> {
        let recorded = record.and_then(|record| record.identity.group_name()).map(str::to_owned);
        let name = match (self.whose, &self.settings.group, &self.here) {
            (Whose::Recorded, _, _) => recorded,
            (Whose::Lost, Some(name), _) => Some(name.clone()),
            (Whose::Lost, None, Some(here)) => self.session.group_name_of(&here.instance).await?.or(recorded),
            (Whose::Lost, None, None) => recorded,
        };
        Ok(match name {
            Some(name) => self.session.group(&name).await?,
            None => None,
        })
    }

    /// What is written into a record of which only the settings are known.
    #[must_use]
    pub fn identity(&self, group_arn: String) -> Identity {
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
            None if self.whose == Whose::Lost => own,
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

/// Looks until every machine that EC2 leaves out has been left out for `gone_grace`. `waits` says of a look for whom it waits, and how long
/// yet.
///
/// # Errors
/// With [`Exit::TryAgain`] when it has not by `deadline`; those of `look`.
pub async fn settled<T, N: Display>(
    deadline: Instant,
    mut look: impl AsyncFnMut() -> Result<T>,
    waits: impl Fn(&T) -> Option<(&[N], Duration)>,
) -> Result<T> {
    let mut logged = false;
    loop {
        let observed = look().await?;
        let Some((absent, left)) = waits(&observed) else { return Ok(observed) };
        let absent: Vec<_> = absent.iter().map(ToString::to_string).collect();
        let left_for = in_words(Duration::from_secs(left.as_secs() + 1));
        let reason = format!(
            "EC2 does not know {}; what it leaves out counts as gone after another {left_for} (gone_grace)",
            absent.join(", ")
        );
        if Instant::now() >= deadline {
            return Err(anyhow!("gave up: {reason}").context(Exit::TryAgain));
        }
        if !std::mem::replace(&mut logged, true) {
            tracing::info!("waiting: {reason}");
        }
        sleep(POLL_INTERVAL.min(left)).await;
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
    let made = record.filter(|record| !matches!(record.state, RecordState::Retired(_)));
    let made = made.and_then(ClusterRecord::known_cluster).map(|published| &published.initialised_by);
    let holder = record.and_then(ClusterRecord::holder).map(|holder| &holder.instance);
    for named in made.into_iter().chain(holder) {
        known.entry(named.clone()).or_insert((KnownBy::Record, None));
    }
    known
}
