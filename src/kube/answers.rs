//! Parses the answers of API servers. Pure: text in, values out. An answer is not trusted until it is parsed.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

use crate::kubeadm::documents::yaml;
use crate::kubeadm::output::redact;
use crate::kubeadm::pki::ca_hashes;
use crate::model::machine::node_marks::{LABELS, Lacking, NodeMarks, Taint};

/// By this annotation kubeboot knows of a Node that is closed for new pods that it was itself that has closed it.
pub(super) const CORDONED: &str = "kubeboot/cordoned";
/// The longest message of a server that is shown, in characters.
const SHOWN: usize = 300;

/// A Node object, as far as kubeboot needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeNode {
    /// Its name.
    pub name: String,
    /// Its UID. Names are reused, UIDs are not.
    pub uid: String,
    /// Whether its kubelet reports that it is ready.
    pub ready: bool,
    /// Whether Kubernetes says that it hears nothing of its kubelet any more, which it does after some 40 seconds.
    pub silent: bool,
    /// The provider ID, once kubelet or the cloud provider has set it.
    pub provider_id: Option<String>,
    /// The version of its kubelet.
    pub kubelet_version: Option<String>,
    /// The addresses that its kubelet gives.
    pub addresses: Vec<IpAddr>,
    /// How it is marked.
    pub marks: NodeMarks,
    /// Whether it is closed for new pods, and kubeboot has closed it.
    pub is_cordoned: bool,
}

/// The cluster's own configuration, from the `ConfigMap` called `kubeadm-config`.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterConfiguration {
    /// The document.
    pub document: Value,
    /// The cluster's version, such as `v1.36.1`.
    pub kubernetes_version: String,
    /// The document as it is written.
    pub text: String,
    /// The `resourceVersion` of the `ConfigMap`.
    pub resource_version: String,
}

pub(super) fn json(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).ok().context("the answer is not JSON")
}

/// The UID of any object.
pub(super) fn uid(object: &Value) -> Result<String> {
    text(object, "/metadata/uid").context("the answer holds no metadata.uid")
}

pub(super) fn node(object: &Value) -> Result<KubeNode> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_ready = |word: &str| conditions.iter().any(|found| found["type"] == "Ready" && found["status"] == word);
    Ok(KubeNode {
        name: text(object, "/metadata/name").context("the answer holds no metadata.name")?,
        uid: uid(object)?,
        ready: is_ready("True"),
        silent: is_ready("Unknown"),
        provider_id: text(object, "/spec/providerID"),
        kubelet_version: text(object, "/status/nodeInfo/kubeletVersion"),
        addresses: addresses(object),
        marks: marks(object),
        // One that somebody has opened since keeps the word, which must not count for whoever closes it later.
        is_cordoned: object["metadata"]["annotations"][CORDONED].is_string(),
    })
}

fn marks(node: &Value) -> NodeMarks {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    NodeMarks {
        labels: labels.map(|(name, _)| name.clone()).filter(|name| LABELS.contains(&name.as_str())).collect(),
        taints: taints(node).iter().map(taint).collect(),
    }
}

fn taints(node: &Value) -> &[Value] {
    node.pointer("/spec/taints").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn taint(given: &Value) -> Taint {
    let field = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
    Taint { key: field("key"), value: field("value"), effect: field("effect") }
}

/// The merge patch that gives these labels and taints to this very version of a Node. Taints that it has stay as they are.
pub(super) fn marked(node: &Value, lacking: &Lacking) -> Value {
    let wanted = lacking.taints.iter().map(|taint| match taint.value.as_str() {
        "" => json!({"key": taint.key, "effect": taint.effect}),
        value => json!({"key": taint.key, "value": value, "effect": taint.effect}),
    });
    let labels: Map<String, Value> = lacking.labels.iter().map(|label| ((*label).to_owned(), json!(""))).collect();
    let mut patch = json!({
        "metadata": {
            "uid": node["metadata"]["uid"], "resourceVersion": node["metadata"]["resourceVersion"], "labels": labels,
        },
    });
    if !lacking.taints.is_empty() {
        patch["spec"] = json!({"taints": wanted.chain(taints(node).iter().cloned()).collect::<Vec<_>>()});
    }
    patch
}

/// The IP addresses of a Node; its other addresses are host names.
fn addresses(node: &Value) -> Vec<IpAddr> {
    let given = node.pointer("/status/addresses").and_then(Value::as_array).into_iter().flatten();
    given.filter_map(|entry| entry["address"].as_str()?.parse().ok()).collect()
}

pub(super) fn cluster_configuration(config_map: &Value) -> Result<ClusterConfiguration> {
    let written =
        text(config_map, "/data/ClusterConfiguration").context("the ConfigMap holds no ClusterConfiguration")?;
    let document = yaml(&written).map_err(|reason| anyhow::anyhow!("the cluster's ClusterConfiguration {reason}"))?;
    let kubernetes_version = text(&document, "/kubernetesVersion")
        .context("the cluster's ClusterConfiguration holds no kubernetesVersion")?;
    let resource_version = text(config_map, "/metadata/resourceVersion").unwrap_or_default();
    Ok(ClusterConfiguration { document, kubernetes_version, text: written, resource_version })
}

/// The claim in the `ConfigMap` called `kubeboot`.
pub(super) fn claim(config_map: &Value) -> Result<String> {
    text(config_map, "/data/claim").context("the ConfigMap kube-system/kubeboot holds no claim")
}

/// The public-key hashes of the CA in the `ConfigMap` called `cluster-info`, which holds a kubeconfig without a user.
pub(super) fn authority(config_map: &Value) -> Result<Vec<String>> {
    let written = text(config_map, "/data/kubeconfig").context("the ConfigMap holds no kubeconfig")?;
    let document = yaml(&written).map_err(|reason| anyhow::anyhow!("the cluster's kubeconfig {reason}"))?;
    let data = text(&document, "/clusters/0/cluster/certificate-authority-data").context("it names no authority")?;
    ca_hashes(&STANDARD.decode(data).ok().context("its authority is not base64")?)
}

pub(super) fn version(object: &Value) -> Result<String> {
    text(object, "/gitVersion").context("the answer holds no gitVersion")
}

/// What the query for the next page of a list ends with; `None` after the last one.
///
/// # Errors
/// A token that is none.
pub(super) fn next_page(list: &Value) -> Result<Option<String>> {
    let Some(token) = text(list, "/metadata/continue") else { return Ok(None) };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.~=".contains(letter);
    ensure!(token.chars().all(plain), "the answer holds a token that is none");
    Ok(Some(format!("&continue={token}")))
}

/// What an API server says in the place of an answer, in one sentence. One that starts knows nobody's rights at first (403), and is
/// not ready for some seconds more (500, with the names of its checks).
pub(super) fn refusal(status: u16, body: &[u8]) -> String {
    let said = message(body);
    match status {
        403 => format!(
            "it answered 403: one that has just started has not loaded its access rules yet, which takes seconds; if that stays so, see \
             whether the ClusterRoleBinding 'kubeadm:cluster-admins' is there ({said})"
        ),
        500 if said.starts_with("[-]") => {
            format!("it answered 500: it is not ready yet, these of its checks fail: {said}")
        }
        _ => format!("it answered {status}: {said}"),
    }
}

/// The reason that a server gave: the message of a Status object, or the failed checks of `/readyz`, or else the beginning of the
/// body. Shortened, on one line, and without secrets.
pub(super) fn message(body: &[u8]) -> String {
    let status = json(body).ok().and_then(|status| text(&status, "/message"));
    let reason = status.unwrap_or_else(|| {
        let body = String::from_utf8_lossy(body);
        let failed: Vec<&str> = body.lines().filter(|line| line.starts_with("[-]")).collect();
        if failed.is_empty() { body.into_owned() } else { failed.join(", ") }
    });
    let line: String = redact(&reason).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    let text = value.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_server_that_starts_is_told_from_one_that_refuses() {
        let forbidden =
            br#"{"kind":"Status","message":"forbidden: User \"kubernetes-admin\" cannot get path \"/readyz\""}"#;
        let checks = b"[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n";
        let rows: [(u16, &[u8], &str); 4] = [
            (403, forbidden, "it answered 403: one that has just started"),
            (
                500,
                checks,
                "it answered 500: it is not ready yet, these of its checks fail: [-]etcd failed: reason withheld, [-]poststarthook/rbac",
            ),
            (500, b"odd", "it answered 500: odd"),
            (404, b"", "it answered 404: "),
        ];
        for (status, body, expected) in rows {
            let told = refusal(status, body);
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn a_node_is_parsed_with_whatever_fields_it_has() -> Result<()> {
        let full = json!({
            "metadata": {"name": "n1", "uid": "u1"},
            "spec": {"providerID": "aws:///eu-central-1a/i-1"},
            "status": {
                "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
                "nodeInfo": {"kubeletVersion": "v1.36.1"},
                "addresses": [
                    {"type": "InternalIP", "address": "10.0.1.11"},
                    {"type": "InternalIP", "address": "fd00::11"},
                    {"type": "Hostname", "address": "n1"},
                ],
            },
        });
        let read = node(&full)?;
        assert!(read.ready && read.provider_id.is_some() && read.kubelet_version.as_deref() == Some("v1.36.1"));
        assert_eq!(read.addresses, ["10.0.1.11".parse::<IpAddr>()?, "fd00::11".parse()?]);
        let bare = node(&json!({"metadata": {"name": "n1", "uid": "u1"}}))?;
        assert!(!bare.ready && !bare.silent && bare.provider_id.is_none() && bare.addresses.is_empty());
        for (word, ready, silent) in [("True", true, false), ("False", false, false), ("Unknown", false, true)] {
            let conditions = json!([{"type": "DiskPressure", "status": "Unknown"}, {"type": "Ready", "status": word}]);
            let read = node(&json!({"metadata": {"name": "n1", "uid": "u1"}, "status": {"conditions": conditions}}))?;
            assert_eq!((read.ready, read.silent), (ready, silent), "{word}");
        }
        for wrong in
            [json!(null), json!([]), json!({"metadata": {"name": "n1"}}), json!({"metadata": {"uid": 5, "name": "n"}})]
        {
            assert!(node(&wrong).is_err(), "{wrong}");
        }
        Ok(())
    }

    #[test]
    fn a_node_is_marked_in_the_version_that_was_read_and_keeps_its_other_taints() -> Result<()> {
        let late =
            json!({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "2026-01-02T03:04:05Z"});
        let found = json!({
            "metadata": {"name": "n1", "uid": "u1", "resourceVersion": "7", "labels": {LABELS[1]: "", "other": "x"}},
            "spec": {"taints": [late]},
        });
        let read = node(&found)?.marks;
        assert_eq!(read.labels.iter().collect::<Vec<_>>(), [LABELS[1]]);
        assert_eq!(read.taints[0].to_string(), "node.kubernetes.io/not-ready:NoExecute");
        let value = Taint { key: "a".into(), value: "b".into(), effect: "NoSchedule".into() };
        let lacking = Lacking { labels: vec![LABELS[0]], taints: vec![Taint::of_control_plane(), value] };
        let expected = json!({
            "metadata": {"uid": "u1", "resourceVersion": "7", "labels": {LABELS[0]: ""}},
            "spec": {"taints": [
                {"key": LABELS[0], "effect": "NoSchedule"}, {"key": "a", "value": "b", "effect": "NoSchedule"}, late,
            ]},
        });
        assert_eq!(marked(&found, &lacking), expected);
        let labels_alone = marked(&found, &Lacking { labels: vec![LABELS[0]], taints: Vec::new() });
        assert_eq!(labels_alone.get("spec"), None, "nobody's taints are written");
        Ok(())
    }

    #[test]
    fn the_clusters_configuration_is_read_out_of_its_config_map() -> Result<()> {
        let map = json!({"data": {"ClusterConfiguration": "kind: ClusterConfiguration\nkubernetesVersion: v1.36.1\n"}});
        assert_eq!(cluster_configuration(&map)?.kubernetes_version, "v1.36.1");
        for wrong in [
            json!({}),
            json!({"data": {"ClusterConfiguration": "["}}),
            json!({"data": {"ClusterConfiguration": "a: b"}}),
        ] {
            assert!(cluster_configuration(&wrong).is_err(), "{wrong}");
        }
        Ok(())
    }

    #[test]
    fn the_authority_is_read_out_of_cluster_info() -> Result<()> {
        let ca = STANDARD.encode(include_bytes!("../../tests/fixtures/pki/ca.crt"));
        let config = json!({"clusters": [{"name": "", "cluster": {"certificate-authority-data": ca}}], "users": null});
        let map = json!({"data": {"kubeconfig": config.to_string()}});
        assert_eq!(authority(&map)?, ca_hashes(include_bytes!("../../tests/fixtures/pki/ca.crt"))?);
        for wrong in [
            json!({}),
            json!({"data": {"kubeconfig": "["}}),
            json!({"data": {"kubeconfig": "clusters: []"}}),
            json!({"data": {"kubeconfig": "clusters: [{cluster: {certificate-authority-data: '%'}}]"}}),
            json!({"data": {"kubeconfig": "clusters: [{cluster: {certificate-authority-data: AAAA}}]"}}),
        ] {
            assert!(authority(&wrong).is_err(), "{wrong}");
        }
        Ok(())
    }

    #[test]
    fn refusals_are_shown_short_and_without_secrets() {
        let status = json!({"kind": "Status", "message": "secrets \"bootstrap-token-abcdef\" not found", "code": 404});
        assert_eq!(message(status.to_string().as_bytes()), "secrets \"bootstrap-token-abcdef\" not found");
        let readyz = b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n";
        assert_eq!(message(readyz), "[-]etcd failed: reason withheld");
        assert_eq!(message(b"abcdef.0123456789abcdef\nis wrong"), "[token] is wrong");
        assert_eq!(message(&[0xff, b'x']), "\u{fffd}x");
        assert_eq!(message("\u{e4} ".repeat(500).as_bytes()).chars().count(), SHOWN + 3);
        assert_eq!(message(b""), "");
    }
}
