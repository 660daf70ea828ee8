//! `kubeboot upgrade`: shows the way of an upgrade of Kubernetes by a new image. The upgrade itself is done by the machines of that image,
//! by `kubeboot up`, and by the agent that leads.

mod back;

use crate::exit::Exit;
use crate::kubeadm::run::Kubeadm;
use crate::layout::{print_page, tell};
use crate::model::machine::ids::InstanceId;
use crate::model::membership::instances::{Instances, Presence};
use crate::model::restore::etcd_image::EtcdImage;
use crate::model::status::{self, StatusInput};
use crate::model::upgrade::{
    EtcdLook, ImageVersions, KubernetesUpgrade, MachineSeen, WayLook, WayObstacle, upgrade_way,
};
use crate::model::version::Release;
use crate::node::upgrade_look::Others;
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow};
use std::time::Duration;

/// What the command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpgradeOptions {
    /// Says how Kubernetes is upgraded.
    Explain,
    /// Shows the way to this version, or to that of this machine's kubeadm.
    DryRun {
        /// The version.
        to: Option<Release>,
    },
    /// Takes back what has begun, as long as no machine of the new version has joined.
    Back {
        /// The operator has confirmed.
        yes: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in: nothing was asked for, a machine of that image may not join, or nobody can tell.
pub async fn run(settings: Settings, options: UpgradeOptions) -> Result<()> {
    match options {
        UpgradeOptions::Explain => Err(anyhow!(
            "no command upgrades Kubernetes: machines of a new image do, one by one, as the group replaces its machines. 'kubeboot upgrade \
             --dry-run --to VERSION' on a control-plane machine shows the whole way"
        )
        .context(Exit::Usage)),
        UpgradeOptions::DryRun { to } => show(&settings, to).await,
        UpgradeOptions::Back { yes } => back::run(settings, yes).await,
    }
}

async fn show(settings: &Settings, to: Option<Release>) -> Result<()> {
    let input = Box::pin(crate::status::gather(settings)).await?;
    let look = look(&input, to).await?;
    let way = upgrade_way(&look);
    print_page(&format!("{way}\n"))?;
    if look.versions.setting == KubernetesUpgrade::Off {
        tell("kubernetes_upgrade is 'off' on this machine: what its own image does is not what is shown");
    }
    if look.etcd == EtcdLook::External && !matches!(input.etcd, Ok(status::Etcd::External)) {
        tell("which etcd that image brings is not known here, and is compared on a machine of it");
    }
    match way.obstacle {
        Some(WayObstacle::Refused(_)) => {
            Err(anyhow!("a machine of v{} may not join this cluster", way.to).context(Exit::Usage))
        }
        Some(WayObstacle::Waits(_)) | None => Ok(()),
    }
}

async fn look(input: &StatusInput, to: Option<Release>) -> Result<WayLook> {
    let elsewhere =
        "no API server of the cluster is ready and can be asked here: try on a control-plane machine, as root";
    let versions = match &input.upgrade {
        Ok(Some(versions)) => versions.clone(),
        Ok(None) => return Err(anyhow!(elsewhere).context(Exit::TryAgain)),
        Err(why) => return Err(anyhow!("failed to read the cluster's version: {why}").context(Exit::TryAgain)),
    };
    let own = own(to, versions.cluster).await?;
    // Of a machine of before, what is asked is the way that has begun.
    let to = to.or(Some(versions.cluster).filter(|_| own.is_none()));
    let (image, etcd) = match (own, to) {
        (Some(own), _) => own,
        (None, Some(to)) => (ImageVersions { kubeadm: to, kubelet: Some(to), wanted: to }, EtcdLook::External),
        (None, None) => return Err(anyhow!("kubeadm does not tell its version: name one by --to").context(Exit::Usage)),
    };
    let etcd = if matches!(input.etcd, Ok(status::Etcd::External)) { EtcdLook::External } else { etcd };
    Ok(WayLook { image, etcd, versions, machines: status::versions(input), registered: registered(input) })
}

/// The machines that have registered, but for this one, and not as joined.
fn registered(input: &StatusInput) -> Vec<MachineSeen> {
    let (Ok(told), Ok(ec2), Ok(machine)) = (&input.registrations, &input.ec2, &input.here.machine) else {
        return Vec::new();
    };
    let (mut registrations, mut unreadable) = (Vec::new(), Vec::new());
    for (instance, told) in told {
        match told {
            Ok(told) => registrations.push(told.clone()),
            Err(_) => unreadable.push(instance.clone()),
        }
    }
    // It has asked EC2 of all of them, once.
    let presence = |id: &InstanceId| {
        ec2.get(id).map_or(Presence::AbsentFor(Duration::ZERO), |state| Presence::State(state.clone()))
    };
    let instances = Instances(told.keys().map(|id| (id.clone(), presence(id))).collect());
    let me = &machine.instance;
    Others { me, registrations: &registrations, unreadable: &unreadable, instances: &instances, grace: Duration::ZERO }
        .machines()
}

/// This machine's programs, where they are of the version that is asked for, or of no older one than the cluster's.
async fn own(to: Option<Release>, cluster: Release) -> Result<Option<(ImageVersions, EtcdLook)>> {
    let program = Kubeadm::read_only();
    let installed = match program.version().await {
        Ok(installed) => installed,
        Err(_) if to.is_some() => return Ok(None),
        Err(error) => return Err(error.context(Exit::Usage)),
    };
    let kubeadm = Release::parse(&installed.to_string()).context("kubeadm tells no version").context(Exit::Usage)?;
    if to.map_or(kubeadm < cluster, |to| to != kubeadm) {
        return Ok(None);
    }
    let kubelet = program.kubelet_version().await.ok().and_then(|version| Release::parse(&version.to_string()));
    let listed = program.images_of(&installed).await.unwrap_or_default();
    let etcd = EtcdImage::among(&listed).map(|image| {
        let (major, minor, patch) = image.version;
        Release::new(major, minor, patch)
    });
    Ok(Some((ImageVersions { kubeadm, kubelet, wanted: kubeadm }, EtcdLook::Local(etcd))))
}
