//! The documents of a worker: its `JoinConfiguration` alone, judged and completed by the same code as a control-plane machine's.
//!
//! One file may serve machines of both roles: what it says of init and of the cluster is no business of a worker, but for the two
//! families of a dual-stack cluster's addresses.

use super::value::{at, mapping};
use super::{DocumentRefusal, Documents, HostFile, JOIN, NodeFacts};
use serde_json::{Value, json};
use std::path::Path;

/// The documents that concern a worker.
const CONCERNING: [&str; 2] = [JOIN, "KubeletConfiguration"];

impl Documents {
    /// Everything in the documents that kubeboot refuses on every worker.
    #[must_use]
    pub fn worker_refusals(&self) -> Vec<DocumentRefusal> {
        let all = [self.reserved_fields(), self.phases(), self.fixed_paths(), self.of_one_machine()].concat();
        let concerning = all.into_iter().filter(|refusal| CONCERNING.contains(&refusal.document.as_str()));
        concerning.chain(self.makes_control_plane()).collect()
    }

    /// kubeadm makes a control-plane node of a machine whose document has this section, empty or not.
    fn makes_control_plane(&self) -> Option<DocumentRefusal> {
        at(self.kubeadm(JOIN), "controlPlane")?;
        let reason = "makes a control-plane node of this machine, whose role is 'worker'";
        Some(DocumentRefusal::new(JOIN, "controlPlane", reason, "remove it, or correct the setting 'role'"))
    }

    /// The document for `kubeadm join` of this machine as a worker. `kubeconfig` is the file with which it finds and trusts the cluster,
    /// and which has the token.
    ///
    /// # Errors
    /// When a document contradicts what kubeboot knows of the machine.
    pub fn join_worker(&self, node: &NodeFacts, kubeconfig: &Path) -> Result<String, DocumentRefusal> {
        if let Some(refusal) = self.worker_refusals().into_iter().next() {
            return Err(refusal);
        }
        let mut join = self.skeleton(JOIN);
        self.register(&mut join, node)?;
        let discovery: Value = json!({"file": {"kubeConfigPath": kubeconfig.to_string_lossy()}});
        mapping(&mut join, "")?.insert("discovery".into(), discovery);
        Ok(super::complete::json_text(&join))
    }

    /// The files and folders of the machine that a worker's documents name.
    #[must_use]
    pub fn worker_host_files(&self) -> Vec<HostFile> {
        let concerning = |file: &HostFile| CONCERNING.iter().any(|kind| file.field.starts_with(kind));
        self.host_files().into_iter().filter(concerning).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeFacts {
        NodeFacts {
            name: "w1".into(),
            address: [10, 0, 2, 11].into(),
            other_address: None,
            provider_id: "aws:///eu-central-1a/i-00000001".into(),
            external_cloud: false,
            cri_socket: None,
            has_harmless_folder: false,
        }
    }

    fn joined(file: &str) -> Result<Value, String> {
        let documents = Documents::parse(file).map_err(|refusal| refusal.to_string())?;
        let text = documents.join_worker(&node(), Path::new("/run/kubeboot/worker.conf"));
        serde_json::from_str(&text.map_err(|refusal| refusal.to_string())?).map_err(|error| error.to_string())
    }

    #[test]
    fn a_worker_joins_without_a_control_plane_and_without_a_token_of_its_own() -> Result<(), String> {
        let join = joined("")?;
        let keys: Vec<&String> = join.as_object().map(|fields| fields.keys().collect()).unwrap_or_default();
        assert_eq!(keys, ["apiVersion", "discovery", "kind", "nodeRegistration"]);
        assert_eq!(join["discovery"], json!({"file": {"kubeConfigPath": "/run/kubeboot/worker.conf"}}));
        assert_eq!(join["nodeRegistration"]["name"], "w1");
        let arguments = &join["nodeRegistration"]["kubeletExtraArgs"];
        assert_eq!(*arguments, json!([{"name": "provider-id", "value": "aws:///eu-central-1a/i-00000001"}]));
        Ok(())
    }

    #[test]
    fn what_a_control_plane_is_told_is_none_of_its_business() -> Result<(), String> {
        let shared = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {taints: [], criSocket: 'unix:///a'}\n\
                      skipPhases: [certs]\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n\
                      controlPlaneEndpoint: other:1\netcd: {local: {dataDir: etcd}}\n---\n\
                      apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration: {taints: [{key: a, effect: NoSchedule}]}\n\
                      timeouts: {tlsBootstrap: 9m0s}\n";
        let join = joined(shared)?;
        assert_eq!(join["nodeRegistration"]["taints"], json!([{"key": "a", "effect": "NoSchedule"}]));
        assert_eq!(join["nodeRegistration"].get("criSocket"), None);
        assert_eq!(join["timeouts"]["tlsBootstrap"], "9m0s");
        Ok(())
    }

    #[test]
    fn the_same_things_are_refused_as_on_a_control_plane_machine() {
        let join = |fields: &str| format!("apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n{fields}\n");
        let rows = [
            (join("controlPlane: {localAPIEndpoint: {bindPort: 6443}}"), "whose role is 'worker'"),
            (join("controlPlane: {}"), "whose role is 'worker'"),
            (join("discovery: {bootstrapToken: {token: SECRET}}"), "discovery.bootstrapToken is set by kubeboot"),
            (join("discovery: {tlsBootstrapToken: SECRET}"), "discovery.tlsBootstrapToken is set by kubeboot"),
            (join("nodeRegistration: {name: w1}"), "nodeRegistration.name is one machine's own"),
            (join("skipPhases: [kubelet-start]"), "skips 'kubelet-start'"),
            (join("caCertPath: /etc/other.crt"), "caCertPath is '/etc/other.crt'"),
            (join("dryRun: true"), "dryRun is true"),
            (
                join("nodeRegistration: {kubeletExtraArgs: [{name: kubeconfig, value: /x}]}"),
                "kubeletExtraArgs[kubeconfig] moves what",
            ),
            (
                "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nproviderID: x\n".to_owned(),
                "KubeletConfiguration: providerID is one machine's own",
            ),
        ];
        for (file, expected) in rows {
            let refusal = joined(&file).expect_err(&file);
            assert!(refusal.contains(expected) && !refusal.contains("SECRET"), "{refusal} does not say: {expected}");
        }
    }
}
