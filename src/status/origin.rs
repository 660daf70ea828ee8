//! Where the question is asked: this machine, or a laptop.

use super::certificates;
use super::within::within;
use crate::aws::imds;
use crate::etcd;
use crate::host::files;
use crate::host::systemd::{drop_ins, unit};
use crate::kubeadm::state;
use crate::model::machine::local::Local;
use crate::model::machine::own_files::LostFile;
use crate::model::status::{Known, LeavingUnitState, LostFiles, StatusOrigin, ThisMachine};
use crate::node::LEAVING_UNIT;
use crate::node::aside;
use crate::node::facts::read_documents;
use crate::node::lost_files;
use crate::settings::Settings;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// The static pod of this machine's etcd.
const ETCD_MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";
/// The largest manifest, in bytes.
const MANIFEST_LIMIT: u64 = 256 * 1024;
/// The annotation by which kubeadm itself finds a member's address.
const ADVERTISED: &str = "kubeadm.kubernetes.io/etcd.advertise-client-urls:";

/// This place, and what is needed to ask further.
pub(super) struct Place {
    /// What is shown.
    pub(super) here: StatusOrigin,
    /// The port of the API servers.
    pub(super) api_port: u16,
    /// Whether etcd is external.
    pub(super) external_etcd: bool,
}

/// Looks around: metadata, disk and systemd. What the metadata service has said once is kept in `known`: it does not change.
pub(super) async fn look(settings: &Settings, known: &mut Option<imds::InstanceMetadata>) -> Place {
    let (metadata, leaving_unit) = tokio::join!(metadata(known), leaving_unit());
    let documents = read_documents(settings.kubeadm_config.as_deref()).map_err(|error| format!("{error:#}"));
    let local = documents
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|documents| state::observe(Path::new("/"), documents.data_dir()).map_err(|error| as_root(&error)));
    let data = documents.as_ref().map_err(Clone::clone).map(|documents| etcd::data::observe(documents.data_dir()));
    let aside = documents.as_ref().map(|documents| aside::copies(documents.data_dir())).unwrap_or_default();
    let lost_files = match (&documents, &local) {
        (Ok(documents), Ok(Local::Made { .. })) => lost(&lost_files::of_member(documents, settings, None)),
        (_, _) => None,
    };
    let (addresses, machine) = match metadata {
        Ok(imds::InstanceMetadata { instance, account, region, addresses, .. }) => {
            (addresses, Ok(ThisMachine { instance, account, region }))
        }
        Err(why) => (by_manifest().into_iter().collect(), Err(why)),
    };
    let documents = documents.unwrap_or_default();
    let here = StatusOrigin {
        service_subnet: machine.is_ok().then(|| documents.service_subnet().to_owned()),
        machine,
        addresses,
        endpoint: settings.endpoint.to_string(),
        expected_size: settings.expected_size,
        marks_nodes: [true, false].into_iter().all(|initialised| documents.node_taints(initialised).is_some()),
        local,
        lost_files,
        data,
        aside,
        certificates: certificates::read(Path::new("/")).map_err(|error| as_root(&error)),
        leaving_unit,
        missing_drop_ins: drop_ins::missing(Path::new("/"), LEAVING_UNIT).into_iter().map(str::to_owned).collect(),
    };
    let api_port = documents.bind_port().unwrap_or(settings.endpoint.port);
    Place { here, api_port, external_etcd: documents.external_etcd().is_some() }
}

fn lost(files: &[LostFile]) -> Option<LostFiles> {
    let (named, remedy) = lost_files::told(files)?;
    Some(LostFiles { paths: files.iter().map(|file| file.path.display().to_string()).collect(), named, remedy })
}

/// A member's address when its metadata service is silent.
fn by_manifest() -> Option<IpAddr> {
    let manifest = files::read_bounded(Path::new(ETCD_MANIFEST), MANIFEST_LIMIT).ok()?;
    advertised(&String::from_utf8(manifest).ok()?)
}

/// The address in kubeadm's annotation of the etcd manifest.
fn advertised(manifest: &str) -> Option<IpAddr> {
    let url = manifest.lines().find_map(|line| line.trim().strip_prefix(ADVERTISED))?;
    let address: SocketAddr = url.trim().strip_prefix("https://")?.parse().ok()?;
    Some(address.ip())
}

async fn metadata(known: &mut Option<imds::InstanceMetadata>) -> Known<imds::InstanceMetadata> {
    if let Some(known) = known {
        return Ok(known.clone());
    }
    let found = within(imds::describe_where_it_is()).await?;
    Ok(known.insert(found).clone())
}

async fn leaving_unit() -> Known<LeavingUnitState> {
    let unit = within(unit::show(LEAVING_UNIT)).await?;
    Ok(match (unit.is_installed(), unit.is_active()) {
        (true, true) => LeavingUnitState::Armed,
        (true, false) => LeavingUnitState::NotArmed,
        (false, _) => LeavingUnitState::NotInstalled,
    })
}

/// The error, with the remedy for the one that is met most.
pub(super) fn as_root(error: &anyhow::Error) -> String {
    let denied = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied);
    if denied { format!("{error:#}; run it as root") } else { format!("{error:#}") }
}

#[cfg(test)]
mod tests {
    use super::advertised;

    #[test]
    fn a_member_knows_its_own_address() {
        let manifest = |url: &str| {
            format!("metadata:\n  annotations:\n    kubeadm.kubernetes.io/etcd.advertise-client-urls: {url}\n")
        };
        assert_eq!(advertised(&manifest("https://10.77.0.11:2379")), Some("10.77.0.11".parse().unwrap()));
        assert_eq!(advertised(&manifest("https://[fd00::1]:2379")), Some("fd00::1".parse().unwrap()));
        for bad in ["", "http://10.77.0.11:2379", "https://name:2379"] {
            assert_eq!(advertised(&manifest(bad)), None, "{bad}");
        }
        assert_eq!(advertised("{}"), None);
    }
}
