//! What is looked at before a group is set to zero: nothing of it is changed.

use crate::aws::Session;
use crate::aws::hook::Transition;
use crate::bucket::Roll;
use crate::etcd::{self, Access};
use crate::exit::Exit;
use crate::host::systemd::unit;
use crate::kubeadm::state;
use crate::model::hibernate::HibernateInput;
use crate::model::machine::local::Local;
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::membership::record_schema::cannot_read;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, SCHEMA};
use crate::node::credentials::MEMBER_ETCD;
use crate::node::fitness::room;
use crate::node::group::GroupWatch;
use crate::node::{AGENT_UNIT, Facts, settling};
use crate::settings::Settings;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// All that was found.
pub(super) struct Look {
    pub(super) facts: Facts,
    pub(super) session: Session,
    pub(super) record: ClusterRecord,
    /// The group's name.
    pub(super) group: String,
    pub(super) input: HibernateInput,
}

impl Look {
    /// Asks everybody.
    ///
    /// # Errors
    /// AWS does not answer, or this is no machine of a group with a cluster.
    pub(super) async fn take(settings: Settings) -> Result<Self> {
        let facts = Facts::gather(settings).await?;
        let session = facts.connect().await?;
        let (record, _) = settling::read(&session.store).await?;
        let mut watch = GroupWatch::new(&session, facts.machine.instance.clone(), facts.settings.group.clone());
        let (registrations, unreadable) = Roll::new(&session.store).all_or_none().await?;
        let instances: Vec<_> =
            registrations.iter().map(|found| found.instance.clone()).chain(unreadable.iter().cloned()).collect();
        let view = watch.look(&instances, None).await?;
        let group = view.group.clone().context("this machine is in no Auto Scaling group").context(Exit::Usage)?;
        let too_old = cannot_read(SCHEMA, &registrations, &unreadable, |instance| {
            view.instances.is_gone(instance, Duration::ZERO)
        });
        let local = state::observe(Path::new("/"), facts.documents.data_dir()).context(Exit::Operator)?;
        let access = RecordedEtcd::of(&record)
            .map(|recorded| Access::from_folder(Path::new(MEMBER_ETCD), recorded))
            .transpose()
            .context(Exit::Usage)?;
        let own = facts.node.address;
        let cluster = match &access {
            Some(access) => etcd::observe(access, &[own]).await,
            None => ClusterView::NotAsked,
        };
        let status = match &access {
            Some(access) => etcd::status(access, own).await.ok(),
            None => None,
        };
        let hook = facts.settings.terminate_hook.clone();
        let times = match &hook {
            Some(name) => {
                session
                    .hook(Transition::Terminate, name.clone(), facts.machine.instance.clone())
                    .times(&group.name)
                    .await?
            }
            None => None,
        };
        let input = HibernateInput {
            external_etcd: facts.external_etcd(),
            voters: voters(&cluster),
            cluster: of_cluster(&record, &local, &cluster, &facts),
            too_old: too_old.iter().map(ToString::to_string).collect(),
            hook,
            times,
            retains: group.retains,
            agent_runs: unit::show(AGENT_UNIT).await.is_ok_and(|unit| unit.is_active()),
            room: status.and_then(|status| Some((status.size, room(facts.documents.data_dir()?).ok()?.bytes))),
        };
        Ok(Self { facts, session, record, group: group.name, input })
    }
}

fn of_cluster(record: &ClusterRecord, local: &Local, cluster: &ClusterView, facts: &Facts) -> Result<(), String> {
    let is_member = matches!(local, Local::Made { claim_id, .. } if *claim_id == record.claim_id);
    match cluster {
        _ if record.published().is_none() => Err("the cluster record does not say 'ready'".into()),
        _ if !is_member => Err("this machine is no member of the cluster: run it on one that is".into()),
        ClusterView::Listed(members) if members.at(&facts.machine.addresses).is_some() => Ok(()),
        ClusterView::Listed(_) => Err("etcd does not list this machine".into()),
        ClusterView::NoQuorum(_) => Err("etcd has lost its quorum".into()),
        ClusterView::Unknown { why } => Err(format!("etcd does not answer: {why}")),
        ClusterView::NotAsked | ClusterView::External => Err("etcd was not asked".into()),
    }
}

fn voters(cluster: &ClusterView) -> (usize, usize) {
    match cluster {
        ClusterView::Listed(members) | ClusterView::NoQuorum(members) => {
            (members.answering(), members.voters().count())
        }
        ClusterView::NotAsked | ClusterView::External | ClusterView::Unknown { .. } => (0, 0),
    }
}
