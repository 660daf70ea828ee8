//! What is known of the versions of a cluster: asked of etcd's members, API servers and registrations, for whoever joins, for
//! `kubeboot upgrade` and for the leader.

use super::{Facts, images};
use crate::etcd::{self, Access};
use crate::kube::{Client, ClusterConfiguration, Kubeconfig};
use crate::kubeadm::run::Kubeadm;
use crate::model::machine::ids::InstanceId;
use crate::model::membership::instances::Instances;
use crate::model::membership::members::Members;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::restore::etcd_image::EtcdImage;
use crate::model::upgrade::{ApiServerSeen, EtcdLook, ImageVersions, KubernetesUpgrade, MachineSeen};
use crate::model::version::Release;
use anyhow::{Context, Result};
use futures::future::join_all;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long an API server, and a member of etcd, may take to tell its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);
/// The document by which kubeadm names its images.
const DOCUMENT: &str = "upgrade-images.yaml";

/// The versions of this machine's own programs: of its image, whatever cluster it joins.
#[derive(Debug, Clone, Copy)]
pub struct OwnVersions {
    /// kubeadm, kubelet, and the version that the documents want.
    pub image: ImageVersions,
    /// The etcd that kubeadm would start by this machine's documents.
    etcd: Option<Release>,
}

impl OwnVersions {
    /// Asks kubelet, and where images upgrade the cluster kubeadm, too.
    ///
    /// # Errors
    /// kubeadm's own version, or that of the documents, is none.
    pub async fn ask(facts: &Facts) -> Result<Self> {
        let image = ImageVersions { kubelet: kubelet().await, ..kubeadm_alone(facts)? };
        let asks = facts.settings.kubernetes_upgrade == KubernetesUpgrade::ByImage && !facts.external_etcd();
        let etcd = match asks {
            false => None,
            true => match images::listed(facts, DOCUMENT).await {
                Ok(listed) => EtcdImage::among(&listed).map(|image| release(image.version)),
                Err(error) => {
                    tracing::warn!("kubeadm does not tell which etcd it starts: {error:#}");
                    None
                }
            },
        };
        Ok(Self { image, etcd })
    }

    /// The etcd that this machine would start in a cluster of this configuration, whose own tag counts for every machine.
    #[must_use]
    pub fn etcd(&self, cluster: &ClusterConfiguration) -> EtcdLook {
        if cluster.document.pointer("/etcd/external").is_some() {
            return EtcdLook::External;
        }
        let tag =
            cluster.document.pointer("/etcd/local/imageTag").and_then(|tag| tag.as_str()).filter(|tag| !tag.is_empty());
        EtcdLook::Local(match tag {
            Some(tag) => Release::parse(tag),
            None => self.etcd,
        })
    }
}

/// The versions of kubeadm and the documents alone, which no program has to be asked for.
///
/// # Errors
/// One of them is none.
pub fn kubeadm_alone(facts: &Facts) -> Result<ImageVersions> {
    let (kubeadm, wanted) = (&facts.cluster.kubernetes_version, facts.documents.installed_version(&facts.cluster));
    let read = |text: &str| Release::parse(text).with_context(|| format!("'{}' is no version", text.escape_debug()));
    Ok(ImageVersions { kubeadm: read(kubeadm)?, kubelet: None, wanted: read(&wanted)? })
}

/// The version that a cluster's configuration names.
///
/// # Errors
/// It is none.
pub fn cluster_version(cluster: &ClusterConfiguration) -> Result<Release> {
    let text = &cluster.kubernetes_version;
    Release::parse(text).with_context(|| {
        format!("the cluster's configuration names the version '{}', which is none", text.escape_debug())
    })
}

async fn kubelet() -> Option<Release> {
    match Kubeadm::read_only().kubelet_version().await {
        Ok(version) => Release::parse(&version.to_string()),
        Err(error) => {
            tracing::warn!("kubelet does not tell its version: {error:#}");
            None
        }
    }
}

fn release((major, minor, patch): (u32, u32, u32)) -> Release {
    Release::new(major, minor, patch)
}

/// Where the API servers of a cluster are: of its etcd's members, or with an external etcd of the machines of its group.
#[derive(Debug, Clone, Default)]
pub struct Places(Vec<(Option<IpAddr>, String)>);

impl Places {
    /// Those of listed members other than at `own` addresses, learners included; named after the instance that has registered the address. One
    /// whose peer URL names no address cannot be asked, and is silent.
    #[must_use]
    pub fn of_members(members: &Members, own: &[IpAddr], registrations: &[Registration]) -> Self {
        let others = || members.0.iter().filter(|member| !member.is_at(own));
        let unknown = others().filter(|member| member.peer_addresses.is_empty());
        let unknown = unknown.map(|member| (None, format!("etcd member {}, whose peer URL is no address", member.id)));
        let mut places = Self::at(others().filter_map(|member| member.peer_addresses.first().copied()), registrations);
        places.0.extend(unknown);
        places
    }

    /// At these addresses.
    #[must_use]
    pub fn at(addresses: impl IntoIterator<Item = IpAddr>, registrations: &[Registration]) -> Self {
        let named = addresses.into_iter().map(|address| {
            let known = registrations.iter().filter(|told| told.addresses.contains(&address) && !told.is_finished());
            let latest = known.max_by(|one, other| one.updated.cmp(&other.updated));
            (Some(address), latest.map_or_else(|| address.to_string(), |told| told.instance.to_string()))
        });
        Self(named.collect())
    }

    /// Asks everybody at once: each API server for its version, and each member of etcd where this can be asked.
    pub async fn ask(self, kubeconfig: &Kubeconfig, port: u16, etcd: Option<&Access>) -> Vec<ApiServerSeen> {
        join_all(self.0.into_iter().map(|(address, name)| async move {
            let Some(address) = address else { return ApiServerSeen { name, version: None, etcd: None } };
            let server = tokio::time::timeout(VERSION_TIMEOUT, version(kubeconfig, SocketAddr::new(address, port)));
            let member = async {
                let asked = tokio::time::timeout(VERSION_TIMEOUT, etcd::status(etcd?, address)).await;
                Release::parse(&asked.ok()?.ok()?.version)
            };
            let (server, etcd) = tokio::join!(server, member);
            ApiServerSeen { name, version: server.ok().flatten(), etcd }
        }))
        .await
    }
}

async fn version(kubeconfig: &Kubeconfig, address: SocketAddr) -> Option<Release> {
    Release::parse(&Client::new(kubeconfig, address).ok()?.version().await.ok()?)
}

/// What the registrations of the others tell.
#[derive(Debug, Clone, Copy)]
pub struct Others<'a> {
    /// This machine.
    pub me: &'a InstanceId,
    /// The registrations that can be read.
    pub registrations: &'a [Registration],
    /// Whose cannot.
    pub unreadable: &'a [InstanceId],
    /// What EC2 says of them. A machine of which it tells nothing lives.
    pub instances: &'a Instances,
    /// For how long it must not know one that is gone.
    pub grace: Duration,
}

impl Others<'_> {
    /// The machines that live and are not registered as joined.
    #[must_use]
    pub fn machines(&self) -> Vec<MachineSeen> {
        let readable = self.registrations.iter().filter(|told| self.lives(&told.instance)).filter_map(|told| {
            let is_joining = match told.phase {
                RegistrationPhase::Joined | RegistrationPhase::Left | RegistrationPhase::Reaped => return None,
                RegistrationPhase::Joining | RegistrationPhase::Unknown(_) => true,
                RegistrationPhase::Waiting
                | RegistrationPhase::Initializing
                | RegistrationPhase::Leaving
                | RegistrationPhase::Failed => false,
            };
            let kubeadm = told.versions.kubeadm.as_deref().and_then(Release::parse);
            Some(self.machine(&told.instance, kubeadm, is_joining))
        });
        let hidden = self.unreadable.iter().filter(|instance| self.lives(instance));
        let hidden = hidden.map(|instance| self.machine(instance, None, true));
        readable.chain(hidden).collect()
    }

    fn machine(&self, instance: &InstanceId, kubeadm: Option<Release>, is_joining: bool) -> MachineSeen {
        let gone_in = self.instances.gone_in(instance, self.grace);
        MachineSeen { name: instance.to_string(), kubeadm, is_joining, gone_in }
    }

    /// Where those are that have joined by what is registered, the members that an external etcd does not list: also those that boot again.
    #[must_use]
    pub fn joined(&self) -> Vec<IpAddr> {
        let has_joined = |told: &&Registration| match told.phase {
            // Its API server is on its way, and it is waited for by its kubeadm.
            RegistrationPhase::Joining | RegistrationPhase::Initializing | RegistrationPhase::Unknown(_) => false,
            RegistrationPhase::Joined
            | RegistrationPhase::Leaving
            | RegistrationPhase::Waiting
            | RegistrationPhase::Failed
            | RegistrationPhase::Left
            | RegistrationPhase::Reaped => told.may_serve(),
        };
        let joined = self.registrations.iter().filter(has_joined);
        joined.filter(|told| self.lives(&told.instance)).filter_map(|told| told.addresses.first().copied()).collect()
    }

    fn lives(&self, instance: &InstanceId) -> bool {
        instance != self.me && !self.instances.is_gone(instance, self.grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::group::Ec2State;
    use crate::model::membership::instances::Presence;
    use crate::model::membership::registration::Versions;

    #[test]
    fn who_may_be_joining_lives_and_is_no_member() {
        use RegistrationPhase::{Failed, Initializing, Joined, Joining, Leaving, Left, Reaped, Waiting};
        let id = |n: usize| InstanceId::parse(format!("i-{n:08x}")).unwrap();
        let phases = [Waiting, Initializing, Joining, Joined, Leaving, Left, Failed, Reaped, Joining, Joining];
        let registrations: Vec<Registration> = phases
            .iter()
            .enumerate()
            .map(|(n, phase)| Registration {
                versions: Versions { kubeadm: Some("v1.36.1".into()), ..Versions::default() },
                addresses: vec![IpAddr::from([10, 0, 0, u8::try_from(n).unwrap()])],
                ..Registration::sample(id(n), *phase)
            })
            .collect();
        let gone = Presence::State(Ec2State::Terminated);
        let instances = Instances([(id(8), gone.clone()), (id(21), gone)].into());
        let unreadable = [id(20), id(21)];
        let grace = Duration::from_secs(300);
        let others =
            Others { me: &id(9), registrations: &registrations, unreadable: &unreadable, instances: &instances, grace };
        let seen: Vec<(String, bool)> =
            others.machines().into_iter().map(|machine| (machine.name, machine.is_joining)).collect();
        let expected = [(0, false), (1, false), (2, true), (4, false), (6, false), (20, true)];
        assert_eq!(seen, expected.map(|(n, joining)| (id(n).to_string(), joining)));
        assert_eq!(others.joined(), [IpAddr::from([10, 0, 0, 3]), IpAddr::from([10, 0, 0, 4])]);
    }

    #[test]
    fn a_member_without_an_address_is_there_and_cannot_be_asked() {
        use crate::model::machine::ids::MemberId;
        use crate::model::membership::members::Member;
        let member = |n: u8, peer_addresses: Vec<IpAddr>| Member {
            id: MemberId(n.into()),
            name: String::new(),
            peer_addresses,
            learner: false,
            answers: true,
        };
        let at = |n: u8| IpAddr::from([10, 0, 0, n]);
        let members = Members(vec![member(1, vec![at(1)]), member(2, Vec::new()), member(3, vec![at(3)])]);
        let places = Places::of_members(&members, &[at(1)], &[]);
        let named = [(Some(at(3)), "10.0.0.3"), (None, "etcd member 2, whose peer URL is no address")];
        assert_eq!(places.0, named.map(|(address, name)| (address, name.to_owned())));
    }
}
