//! Finds what holds for one machine only. The file is the same on every machine of the group: what is right here is wrong on the next
//! one, or makes two machines one.

use super::value::{Flag, at, flags, text};
use super::{CLUSTER, DocumentRefusal, Documents, INIT, JOIN};
use std::net::IpAddr;

/// Where kubeadm and kubelet look for static pods.
const STATIC_PODS: &str = "/etc/kubernetes/manifests";
/// kubelet's own document.
const KUBELET: (&str, &str) = ("kubelet.config.k8s.io", "KubeletConfiguration");
/// The two documents with a section about the node.
const NODES: [&str; 2] = [INIT, JOIN];

const FILLED_IN: &str = "remove it: kubeboot fills it in on each machine";

/// Fields of one machine.
const FIELDS: [(&str, &str, &str); 4] = [
    (INIT, "nodeRegistration.name", "remove it; the setting 'node_name' names one machine's Node"),
    (JOIN, "nodeRegistration.name", "remove it; the setting 'node_name' names one machine's Node"),
    (INIT, "localAPIEndpoint.advertiseAddress", FILLED_IN),
    (JOIN, "controlPlane.localAPIEndpoint.advertiseAddress", FILLED_IN),
];

/// Arguments of the API server's that kubeadm sets from the node's own address and port.
const API_SERVER: [&str; 3] = ["advertise-address", "bind-address", "secure-port"];

impl Documents {
    /// Everything in the documents that is one machine's own.
    pub(super) fn of_one_machine(&self) -> Vec<DocumentRefusal> {
        let mut found: Vec<DocumentRefusal> = FIELDS
            .iter()
            .filter(|(kind, field, _)| at(self.kubeadm(kind), field).is_some())
            .map(|(kind, field, remedy)| DocumentRefusal::new(kind, field, "is one machine's own", *remedy))
            .collect();
        found.extend(self.kubelet_arguments());
        found.extend(self.kubelet_document());
        found.extend(self.api_server_arguments());
        found
    }

    fn kubelet_arguments(&self) -> Vec<DocumentRefusal> {
        let field = "nodeRegistration.kubeletExtraArgs";
        let given = NODES.iter().flat_map(|kind| flags(self.kubeadm(kind), field).map(move |flag| (*kind, flag)));
        let refuse = |(kind, flag): (&str, Flag<'_>)| {
            let (reason, remedy) = match flag.name.as_str() {
                "hostname-override" => {
                    ("is one machine's own", "remove it; the setting 'node_name' names one machine's Node")
                }
                "node-ip" if !is_for_every_machine(flag.value) => ("is one machine's own", FILLED_IN),
                "provider-id" => ("is one machine's own", FILLED_IN),
                "address" if !is_for_every_machine(flag.value) => ("is one machine's own", "remove it"),
                "pod-manifest-path" | "config" | "root-dir" | "bootstrap-kubeconfig" | "kubeconfig" => {
                    ("moves what kubeadm and kubeboot look for in its usual place", "remove it")
                }
                _ => return None,
            };
            Some(DocumentRefusal::new(kind, &format!("{field}[{}]", flag.written), reason, remedy))
        };
        given.filter_map(refuse).collect()
    }

    fn kubelet_document(&self) -> Vec<DocumentRefusal> {
        let (group, kind) = KUBELET;
        let Some(kubelet) = self.all.iter().find(|document| document.group() == group && document.kind == kind) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let mut refuse = |field: &str, reason: &str, remedy: &str| {
            found.push(DocumentRefusal::new(kind, field, reason, remedy));
        };
        if text(&kubelet.value, "staticPodPath").is_some_and(|path| path.trim_end_matches('/') != STATIC_PODS) {
            refuse("staticPodPath", "is not where kubeadm puts etcd and the API server", "remove it");
        }
        if at(&kubelet.value, "providerID").is_some() {
            refuse("providerID", "is one machine's own", "remove it, and set 'cloud_provider' to external");
        }
        for field in ["address", "healthzBindAddress"] {
            if text(&kubelet.value, field).is_some_and(|address| !is_for_every_machine(address)) {
                refuse(field, "is one machine's own", "remove it");
            }
        }
        found
    }

    fn api_server_arguments(&self) -> Vec<DocumentRefusal> {
        let field = "apiServer.extraArgs";
        let given = flags(self.kubeadm(CLUSTER), field).filter(|flag| API_SERVER.contains(&flag.name.as_str()));
        let of_one = given.filter(|flag| flag.name != "bind-address" || !is_for_every_machine(flag.value));
        let refuse = |flag: Flag<'_>| {
            let (reason, remedy) = match flag.name.as_str() {
                "secure-port" => ("is set by kubeadm from localAPIEndpoint.bindPort", "set that one instead"),
                _ => ("is one machine's own", FILLED_IN),
            };
            DocumentRefusal::new(CLUSTER, &format!("{field}[{}]", flag.written), reason, remedy)
        };
        of_one.map(refuse).collect()
    }
}

/// Whether every machine has these addresses: all of its own, or the one that leads back to itself.
fn is_for_every_machine(addresses: &str) -> bool {
    addresses.split(',').all(|address| is_every_machines(address.trim()))
}

/// The same of one address.
pub(super) fn is_every_machines(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified() || address.is_loopback())
}
