//! What there is on this machine to renew, and whether everybody answers. Nothing of it writes.

use crate::etcd;
use crate::exit::Exit;
use crate::host::runtime;
use crate::kubeadm::state::{self, Marker};
use crate::model::machine::local::Local;
use crate::model::membership::view::ClusterView;
use crate::model::renew::{
    Authority, Dated, EveryVoter, KubeadmCertificate, MissingAnswer, RenewInput, RenewPlan, RenewStep,
    RestartedProgram, plan,
};
use crate::node::credentials::Credentials;
use crate::node::{Facts, certificates};
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow};
use std::path::Path;
use std::time::SystemTime;

/// One look at this machine.
pub(crate) struct Look {
    pub(crate) facts: Facts,
    pub(crate) now: SystemTime,
    /// The certificates that kubeadm renews, those that end first at the front.
    pub(crate) certificates: Vec<Dated>,
    pub(crate) kubelet_ends: Option<SystemTime>,
    keys: Vec<Authority>,
    outdated: Vec<RestartedProgram>,
}

impl Look {
    /// Looks at the disk and the container runtime; `None` where there is no control plane of this machine's.
    ///
    /// # Errors
    /// With the [`Exit`] it should end in.
    pub(crate) async fn take(settings: Settings) -> Result<Option<Self>> {
        let root = Path::new("/");
        let facts = Facts::gather(settings).await?;
        match state::observe(root, facts.documents.data_dir()).context(Exit::Operator)? {
            Local::Made { instance, .. } if instance == facts.machine.instance => {}
            Local::Made { instance, .. } | Local::HalfMade { instance, .. } if instance != facts.machine.instance => {
                return Err(anyhow!(
                    "the control plane on this disk was made by {instance}: 'kubeboot up' says what leads out of that"
                )
                .context(Exit::Operator));
            }
            Local::Unexplained { .. } => {
                return Err(anyhow!(
                    "the control plane on this machine was not made by kubeboot: run 'kubeadm certs renew all', then restart its pods"
                )
                .context(Exit::Operator));
            }
            Local::Fresh | Local::HalfMade { .. } | Local::Made { .. } => return Ok(None),
        }
        let certificates = renewable(&certificates::read(root)?, facts.external_etcd());
        let kubelet_ends = certificates::kubelet_ends(root)?;
        let keys = Authority::ALL.into_iter().filter(|authority| Path::new(authority.key()).exists()).collect();
        let outdated = outdated(&facts).await;
        Ok(Some(Self { facts, now: SystemTime::now(), certificates, kubelet_ends, keys, outdated }))
    }

    /// The plan of this machine. Whether everybody answers is asked where it matters.
    pub(crate) async fn plan(&self) -> RenewPlan {
        match self.plan_alone() {
            RenewPlan { step: RenewStep::Ask, .. } => self.plan_with(&others(&self.facts).await),
            planned => planned,
        }
    }

    /// The same as far as it can be made without asking.
    pub(crate) fn plan_alone(&self) -> RenewPlan {
        self.plan_with(&EveryVoter::NotAsked)
    }

    fn plan_with(&self, others: &EveryVoter) -> RenewPlan {
        plan(&RenewInput {
            now: self.now,
            renew_before: self.facts.settings.renew_before,
            validity: self.facts.documents.certificate_validity(),
            certificates: &self.certificates,
            keys: &self.keys,
            kubelet_ends: self.kubelet_ends,
            outdated: &self.outdated,
            others,
        })
    }
}

/// Those of the certificates on the disk that kubeadm renews. The client files of an external etcd are not its own.
fn renewable(all: &[certificates::CertificateFile], external_etcd: bool) -> Vec<Dated> {
    let known = |file: &str| KubeadmCertificate::ALL.iter().find(|certificate| certificate.file() == file).copied();
    let dated = all.iter().filter_map(|found| Some(Dated { certificate: known(&found.file)?, ends: found.ends }));
    dated.filter(|dated| !(external_etcd && dated.certificate.authority() == Authority::Etcd)).collect()
}

/// The programs whose container was made before their kubeconfig was written.
async fn outdated(facts: &Facts) -> Vec<RestartedProgram> {
    let mut found = Vec::new();
    for program in RestartedProgram::ALL {
        match is_outdated(facts, program).await {
            Ok(true) => found.push(program),
            Ok(false) => {}
            Err(error) => tracing::warn!("cannot tell whether {program} has read its certificate: {error:#}"),
        }
    }
    found
}

async fn is_outdated(facts: &Facts, program: RestartedProgram) -> Result<bool> {
    let file = program.certificate().file();
    let Ok(written) = std::fs::metadata(file).and_then(|metadata| metadata.modified()) else { return Ok(false) };
    let running = runtime::running(facts.documents.cri_socket(), program.container()).await?;
    Ok(running.iter().any(|container| container.created < written))
}

/// Whether every voter answers, by a certain list; with external etcd there is nobody to ask.
async fn others(facts: &Facts) -> EveryVoter {
    if facts.external_etcd() {
        return EveryVoter::Answer;
    }
    let no_list = |why: String| EveryVoter::Missing(MissingAnswer::NoList(why));
    let recorded = Marker::load(Path::new("/")).ok().flatten().and_then(|marker| marker.recorded_etcd());
    let access = match Credentials::from_disk(facts, recorded) {
        Ok(Credentials { etcd: Some(access), .. }) => access,
        Ok(Credentials { etcd: None, .. }) => return EveryVoter::Answer,
        Err(error) => return no_list(format!("{error:#}")),
    };
    match etcd::observe(&access, &facts.machine.addresses).await {
        ClusterView::Listed(members) if members.silent().is_empty() => EveryVoter::Answer,
        ClusterView::Listed(members) | ClusterView::NoQuorum(members) => {
            EveryVoter::Missing(MissingAnswer::Silent(members.silent()))
        }
        ClusterView::Unknown { why } => no_list(why),
        ClusterView::NotAsked | ClusterView::External => no_list("etcd was not asked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::certificates::CertificateFile;

    #[test]
    fn authorities_and_foreign_files_are_not_renewed() {
        let file = |file: &str| CertificateFile { file: file.into(), ends: SystemTime::UNIX_EPOCH };
        let all = [
            "/etc/kubernetes/pki/ca.crt",
            "/etc/kubernetes/pki/apiserver.crt",
            "/etc/kubernetes/pki/apiserver-etcd-client.crt",
            "/etc/kubernetes/pki/etcd/ca.crt",
            "/etc/kubernetes/pki/etcd/peer.crt",
            "/etc/kubernetes/pki/my.crt",
            "/etc/kubernetes/scheduler.conf",
        ]
        .map(file);
        let names = |external| -> Vec<&str> {
            renewable(&all, external).iter().map(|dated| dated.certificate.name()).collect()
        };
        assert_eq!(names(false), ["apiserver", "apiserver-etcd-client", "etcd-peer", "scheduler.conf"]);
        assert_eq!(names(true), ["apiserver", "scheduler.conf"]);
    }
}
