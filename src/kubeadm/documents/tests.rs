//! The operator's file in, kubeadm's documents out, compared with those that are checked in.
//!
//! `KUBEBOOT_UPDATE_FIXTURES=1 cargo test documents` writes them anew; read the difference before you commit it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::*;
use crate::model::joining::BootstrapToken;

const KUBECONFIG: &str = "/run/kubeboot/kubeconfig";

fn cluster(host: &str) -> ClusterFacts {
    ClusterFacts { name: Some("lab".into()), host: host.into(), port: 6443, kubernetes_version: "v1.36.1".into() }
}

fn lab() -> ClusterFacts {
    cluster("api.lab.internal")
}

fn node() -> NodeFacts {
    NodeFacts {
        name: "ip-10-0-1-11.eu-central-1.compute.internal".into(),
        address: [10, 0, 1, 11].into(),
        other_address: None,
        provider_id: "aws:///eu-central-1a/i-0123456789abcdef0".into(),
        external_cloud: false,
        cri_socket: None,
        has_harmless_folder: false,
    }
}

fn cloud_node() -> NodeFacts {
    NodeFacts { external_cloud: true, ..node() }
}

fn claim() -> crate::model::machine::ids::ClaimId {
    crate::model::machine::ids::ClaimId::parse("00000000-0000-4000-8000-000000000001").expect("a UUID")
}

fn token() -> BootstrapToken {
    BootstrapToken::of_random(&[7; 22]).unwrap()
}

fn fixture(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/documents").join(name).join(file)
}

fn operator(name: &str) -> Result<Documents> {
    Ok(Documents::parse(&std::fs::read_to_string(fixture(name, "operator.yaml"))?)?)
}

/// Every fixture: its name, the cluster and the machine.
fn fixtures() -> Vec<(&'static str, ClusterFacts, NodeFacts)> {
    let v6 = NodeFacts { address: [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x11].into(), ..node() };
    vec![
        ("none", lab(), node()),
        ("ipv6", cluster("2001:db8::10"), v6),
        ("external-etcd", lab(), NodeFacts { cri_socket: Some("unix:///run/crio/crio.sock".into()), ..node() }),
        ("own-join", lab(), cloud_node()),
        ("everything", lab(), cloud_node()),
    ]
}

#[test]
fn completed_documents_are_those_checked_in() -> Result<()> {
    for (name, cluster, node) in fixtures() {
        let documents = operator(name)?;
        let init = documents.init(&cluster, &node, &token(), &claim())?;
        let join = documents.join(&cluster, &node, Path::new(KUBECONFIG))?;
        for (file, text) in [("init.yaml", init), ("join.yaml", join)] {
            let path = fixture(name, file);
            if std::env::var_os("KUBEBOOT_UPDATE_FIXTURES").is_some() {
                std::fs::write(&path, &text)?;
            }
            let expected = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
            assert_eq!(text, expected, "{}", path.display());
        }
    }
    Ok(())
}

/// What is written is read back, and every value of the operator's is still in it.
#[test]
fn no_field_is_lost() -> Result<()> {
    for (name, cluster, node) in fixtures() {
        let given = operator(name)?;
        let init = Documents::parse(&given.init(&cluster, &node, &token(), &claim())?)?;
        let join = Documents::parse(&given.join(&cluster, &node, Path::new(KUBECONFIG))?)?;
        for (kind, written) in [(INIT, &init), (CLUSTER, &init), (JOIN, &join)] {
            let lost = lost("", given.kubeadm(kind), written.kubeadm(kind));
            assert!(lost.is_empty(), "{name}: {kind} lost {lost:?}");
        }
        for registration in ["nodeRegistration", "patches", "timeouts"] {
            if given.kubeadm(JOIN).is_null() {
                let lost = lost("", &given.kubeadm(INIT)[registration], &join.kubeadm(JOIN)[registration]);
                assert!(lost.is_empty(), "{name}: {registration} does not serve join: {lost:?}");
            }
        }
        for other in given.all.iter().filter(|document| document.group() != KUBEADM_GROUP) {
            assert!(init.all.iter().any(|written| written.text == other.text), "{name}: {} changed", other.kind);
        }
    }
    Ok(())
}

/// Paths of the values of `given` that are not in `written`. Lists may have grown, an endpoint may have gained its port.
fn lost(path: &str, given: &Value, written: &Value) -> Vec<String> {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => given
            .iter()
            .flat_map(|(key, value)| lost(&format!("{path}/{key}"), value, written.get(key).unwrap_or(&Value::Null)))
            .collect(),
        (Value::Array(given), Value::Array(written)) if given.iter().all(|one| written.contains(one)) => Vec::new(),
        (Value::String(given), Value::String(written)) if *written == format!("{given}:6443") => Vec::new(),
        (given, written) if given == written || given.is_null() => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

fn refusals(file: &str) -> String {
    let said = match Documents::parse(file) {
        Ok(documents) => documents.refusals(&lab()),
        Err(refusal) => vec![refusal],
    };
    said.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn kubelet_is_told_both_addresses_of_a_dual_stack_machine() {
    let v4 = node();
    let both = NodeFacts { other_address: Some("2001:db8::11".parse().unwrap()), ..node() };
    let v6_first =
        NodeFacts { address: "2001:db8::11".parse().unwrap(), other_address: Some([10, 0, 1, 11].into()), ..node() };
    let dual = "networking: {podSubnet: '10.244.0.0/16,fd00:1::/56'}";
    let services = "networking: {serviceSubnet: '10.96.0.0/16,fd00:2::/112'}";
    let single = "networking: {podSubnet: '10.244.0.0/16'}";
    let chosen = "networking: {podSubnet: '10.244.0.0/16,fd00:1::/56'}\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n\
                  nodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: '::'}]}";
    for (networking, node, told) in [
        (dual, &both, Some("10.0.1.11,2001:db8::11")),
        (services, &both, Some("10.0.1.11,2001:db8::11")),
        (dual, &v6_first, Some("2001:db8::11,10.0.1.11")),
        (single, &v6_first, Some("2001:db8::11")),
        (single, &both, None),
        (dual, &v4, None),
        (chosen, &both, Some("::")),
    ] {
        let documents = Documents::parse(&of(CLUSTER, networking)).unwrap();
        let init = documents.init(&lab(), node, &token(), &claim()).unwrap();
        let join = documents.join(&lab(), node, Path::new(KUBECONFIG)).unwrap();
        for text in [init, join] {
            let found = text.split_once("\"name\": \"node-ip\",").map(|(_, rest)| rest.split('"').nth(3).unwrap());
            assert_eq!(found, told, "{networking}: {text}");
        }
    }
}

fn of(kind: &str, field: &str) -> String {
    format!("apiVersion: {KUBEADM_VERSION}\nkind: {kind}\n{field}\n")
}

#[test]
fn a_field_that_contradicts_kubeboot_is_refused_by_name() {
    let secret = "abcdef.0123456789abcdef";
    let key = "0a".repeat(32);
    let kubelet = |name, value| format!("nodeRegistration: {{kubeletExtraArgs: [{{name: {name}, value: '{value}'}}]}}");
    let etcd = |name, value| format!("etcd: {{local: {{extraArgs: [{{name: {name}, value: '{value}'}}]}}}}");
    let table = [
        (INIT, format!("bootstrapTokens: [{{token: {secret}}}]"), "InitConfiguration: bootstrapTokens"),
        (INIT, format!("certificateKey: {key}"), "InitConfiguration: certificateKey"),
        (JOIN, format!("controlPlane: {{certificateKey: {key}}}"), "JoinConfiguration: controlPlane.certificateKey"),
        (JOIN, format!("discovery: {{bootstrapToken: {{token: {secret}}}}}"), "discovery.bootstrapToken"),
        (JOIN, format!("discovery: {{tlsBootstrapToken: {secret}}}"), "discovery.tlsBootstrapToken"),
        (JOIN, "discovery: {file: {kubeConfigPath: /x}}".into(), "discovery.file"),
        (JOIN, "dryRun: true".into(), "JoinConfiguration: dryRun"),
        (INIT, "dryRun: true".into(), "InitConfiguration: dryRun"),
        (INIT, "skipPhases: [upload-config]".into(), "skips 'upload-config'"),
        (JOIN, "skipPhases: [etcd-join]".into(), "skips 'etcd-join'"),
        (
            JOIN,
            "caCertPath: /tmp/ca.crt".into(),
            "caCertPath is '/tmp/ca.crt', but here it is '/etc/kubernetes/pki/ca.crt'",
        ),
        (CLUSTER, "certificatesDir: /srv/pki".into(), "certificatesDir is '/srv/pki'"),
        (CLUSTER, "controlPlaneEndpoint: other:6443".into(), "controlPlaneEndpoint is 'other:6443'"),
        (CLUSTER, "controlPlaneEndpoint: 'api.lab.internal:443'".into(), "but here it is 'api.lab.internal:6443'"),
        (CLUSTER, "etcd: {local: {}, external: {endpoints: [a]}}".into(), "etcd is both local and external"),
        (CLUSTER, "etcd: {external: {}}".into(), "etcd.external.endpoints is missing"),
        (CLUSTER, "etcd: {local: {dataDir: here}}".into(), "etcd.local.dataDir is not an absolute path"),
        (
            CLUSTER,
            "etcd: {local: {extraArgs: [{name: strict-reconfig-check, value: 'false'}]}}".into(),
            "is switched off",
        ),
        (CLUSTER, "etcd: {local: {extraArgs: [{name: data-dir, value: /x}]}}".into(), "set etcd.local.dataDir instead"),
        (
            CLUSTER,
            "etcd: {local: {extraEnvs: [{name: ETCD_STRICT_RECONFIG_CHECK, value: '0'}]}}".into(),
            "is switched off",
        ),
        (
            CLUSTER,
            "etcd: {local: {extraEnvs: [{name: ETCD_WAL_DIR, value: /x}]}}".into(),
            "etcd.local.extraEnvs[ETCD_WAL_DIR] moves etcd's log",
        ),
        (
            CLUSTER,
            "etcd: {local: {extraArgs: [{name: wal-dir, value: /x}]}}".into(),
            "extraArgs[wal-dir] moves etcd's log",
        ),
        (
            CLUSTER,
            "etcd: {local: {extraArgs: [{name: initial-cluster-token, value: own}]}}".into(),
            "etcd.local.extraArgs[initial-cluster-token] is kubeboot's business",
        ),
        (
            CLUSTER,
            "etcd: {local: {extraArgs: [{name: force-new-cluster, value: 'true'}]}}".into(),
            "makes each member a cluster of its own",
        ),
        (
            CLUSTER,
            "etcd: {local: {extraArgs: [{name: config-file, value: /x}]}}".into(),
            "has etcd ignore every argument",
        ),
        (
            CLUSTER,
            "apiServer: {extraArgs: [{name: etcd-servers, value: 'https://10.0.0.1:2379'}]}".into(),
            "apiServer.extraArgs[etcd-servers] has the API server ask another etcd",
        ),
        (INIT, "nodeRegistration: {name: n1}".into(), "InitConfiguration: nodeRegistration.name is one machine's own"),
        (JOIN, "nodeRegistration: {name: n1}".into(), "JoinConfiguration: nodeRegistration.name is one machine's own"),
        (INIT, "localAPIEndpoint: {advertiseAddress: 10.0.1.11}".into(), "localAPIEndpoint.advertiseAddress is one"),
        (
            JOIN,
            "controlPlane: {localAPIEndpoint: {advertiseAddress: 10.0.1.11}}".into(),
            "controlPlane.localAPIEndpoint.advertiseAddress is one machine's own",
        ),
        (INIT, kubelet("hostname-override", "n1"), "kubeletExtraArgs[hostname-override] is one machine's own"),
        (INIT, kubelet("node-ip", "10.0.1.11"), "kubeletExtraArgs[node-ip] is one machine's own"),
        (JOIN, kubelet("node-ip", "10.0.1.11,fd00::1"), "kubeletExtraArgs[node-ip] is one machine's own"),
        (JOIN, kubelet("provider-id", "aws:///z/i-1"), "kubeletExtraArgs[provider-id] is one machine's own"),
        (INIT, kubelet("pod-manifest-path", "/x"), "kubeletExtraArgs[pod-manifest-path] moves what kubeadm"),
        (
            CLUSTER,
            "apiServer: {extraArgs: [{name: advertise-address, value: 10.0.1.11}]}".into(),
            "apiServer.extraArgs[advertise-address] is one machine's own",
        ),
        (
            CLUSTER,
            "apiServer: {extraArgs: [{name: bind-address, value: 10.0.1.11}]}".into(),
            "apiServer.extraArgs[bind-address] is one machine's own",
        ),
        (
            CLUSTER,
            "apiServer: {extraArgs: [{name: secure-port, value: '443'}]}".into(),
            "apiServer.extraArgs[secure-port] is set by kubeadm",
        ),
        (CLUSTER, etcd("name", "n1"), "etcd.local.extraArgs[name] forms the cluster"),
        (CLUSTER, etcd("initial-cluster-state", "new"), "extraArgs[initial-cluster-state] forms the cluster"),
        (CLUSTER, etcd("listen-peer-urls", "https://0.0.0.0:2380"), "extraArgs[listen-peer-urls] forms the cluster"),
        (CLUSTER, etcd("advertise-client-urls", "https://a:1"), "extraArgs[advertise-client-urls] forms the cluster"),
        (CLUSTER, etcd("listen-metrics-urls", "http://10.0.1.11:2381"), "listen-metrics-urls] is one machine's own"),
        (CLUSTER, "etcd: {local: {dataDir: /var/lib/}}".into(), "etcd.local.dataDir is a folder of the system's"),
        (CLUSTER, "etcd: {local: {dataDir: \"/data/a\\nb\"}}".into(), "etcd.local.dataDir has characters in it"),
        (CLUSTER, "apiServer: []".into(), "apiServer is not a mapping"),
        (CLUSTER, "kubernetesVersion: stable-1".into(), "kubernetesVersion is 'stable-1', which is no version"),
        (INIT, "localAPIEndpoint: {bindPort: 443}".into(), "bindPort is 443 and the endpoint's port is 6443"),
        (INIT, "localAPIEndpoint: {bindPort: '6443'}".into(), "bindPort is '6443'"),
        (JOIN, "controlPlane: {localAPIEndpoint: {bindPort: 1}}".into(), "controlPlane.localAPIEndpoint.bindPort is 1"),
    ];
    for (kind, field, expected) in table {
        let said = refusals(&of(kind, &field));
        assert!(said.contains(expected), "{said} does not say: {expected}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains(secret) && !said.contains(&key), "{said}");
    }
    assert_eq!(refusals(""), "");
    // What every machine has.
    for (kind, field) in [
        (INIT, kubelet("node-ip", "::")),
        (JOIN, kubelet("node-ip", "0.0.0.0")),
        (CLUSTER, etcd("listen-metrics-urls", "http://127.0.0.1:2381,http://[::]:2381")),
        (CLUSTER, "apiServer: {extraArgs: [{name: bind-address, value: '::'}]}".into()),
    ] {
        assert_eq!(refusals(&of(kind, &field)), "", "{field}");
    }
}

#[test]
fn an_underscore_in_a_flag_of_kubernetes_own_programs_is_a_dash() -> Result<()> {
    let kubelet = |name: &str| format!("nodeRegistration: {{kubeletExtraArgs: [{{name: {name}, value: a}}]}}");
    let server = |name: &str, value: &str| format!("apiServer: {{extraArgs: [{{name: {name}, value: '{value}'}}]}}");
    let moves = "moves what kubeadm and kubeboot look for";
    let table = [
        (CLUSTER, server("etcd_servers", "https://10.0.0.1:2379"), "extraArgs[etcd_servers] has the API server ask"),
        (CLUSTER, server("advertise_address", "10.0.1.11"), "extraArgs[advertise_address] is one machine's own"),
        (CLUSTER, server("bind_address", "10.0.1.11"), "extraArgs[bind_address] is one machine's own"),
        (CLUSTER, server("secure_port", "443"), "extraArgs[secure_port] is set by kubeadm"),
        (INIT, kubelet("hostname_override"), "kubeletExtraArgs[hostname_override] is one machine's own"),
        (JOIN, kubelet("node_ip"), "kubeletExtraArgs[node_ip] is one machine's own"),
        (JOIN, kubelet("provider_id"), "kubeletExtraArgs[provider_id] is one machine's own"),
        (JOIN, kubelet("root_dir"), &format!("kubeletExtraArgs[root_dir] {moves}")),
        (INIT, kubelet("pod_manifest-path"), &format!("kubeletExtraArgs[pod_manifest-path] {moves}")),
        (INIT, kubelet("bootstrap_kubeconfig"), &format!("kubeletExtraArgs[bootstrap_kubeconfig] {moves}")),
    ];
    for (kind, field, expected) in table {
        let said = refusals(&of(kind, &field));
        assert!(said.contains(expected) && said.lines().count() == 1, "{said} does not say: {expected}");
    }
    assert_eq!(refusals(&of(CLUSTER, &server("bind_address", "::"))), "", "every machine has it");
    // etcd takes names as they are, and refuses to start with one that it does not know.
    let etcd = "etcd: {local: {extraArgs: [{name: wal_dir, value: /x}]}}";
    assert_eq!(refusals(&of(CLUSTER, etcd)), "");
    assert!(Documents::parse(&of(CLUSTER, &server("anonymous_auth", "false")))?.refuses_the_anonymous());
    let swap = "nodeRegistration: {kubeletExtraArgs: [{name: fail_swap_on, value: 'false'}]}";
    assert!(Documents::parse(&of(JOIN, swap))?.allows_swap());
    let encrypted =
        Documents::parse(&of(CLUSTER, &server("encryption_provider_config", "/etc/kubernetes/pki/e.yaml")))?;
    assert_eq!(encrypted.encryption_config().as_deref(), Some(Path::new("/etc/kubernetes/pki/e.yaml")));
    // What kubeboot gives itself is given once.
    let theirs = "nodeRegistration: {kubeletExtraArgs: [{name: cloud_provider, value: aws}]}";
    let refused = Documents::parse(&of(INIT, theirs))?.init(&lab(), &cloud_node(), &token(), &claim());
    let refused = refused.err().map(|refusal| refusal.to_string()).unwrap_or_default();
    assert!(refused.contains("kubeletExtraArgs[cloud_provider] is 'aws'"), "{refused}");
    Ok(())
}

#[test]
fn what_kubelets_own_document_says_of_one_machine_is_refused() {
    let of = |field: &str| format!("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n{field}\n");
    let table = [
        ("staticPodPath: /srv/pods", "KubeletConfiguration: staticPodPath is not where kubeadm puts"),
        ("providerID: aws:///z/i-1", "KubeletConfiguration: providerID is one machine's own"),
        ("address: 10.0.1.11", "KubeletConfiguration: address is one machine's own"),
        ("healthzBindAddress: 10.0.1.11", "KubeletConfiguration: healthzBindAddress is one machine's own"),
    ];
    for (field, expected) in table {
        let said = refusals(&of(field));
        assert!(said.contains(expected) && said.lines().count() == 1, "{said} does not say: {expected}");
    }
    for field in ["staticPodPath: /etc/kubernetes/manifests/", "address: 0.0.0.0", "healthzBindAddress: 127.0.0.1"] {
        assert_eq!(refusals(&of(field)), "");
    }
}

#[test]
fn a_given_value_that_contradicts_the_settings_or_has_another_shape_is_refused() -> Result<()> {
    let table = [
        (
            "nodeRegistration: {kubeletExtraArgs: [{name: cloud-provider, value: aws}]}",
            "kubeletExtraArgs[cloud-provider] is 'aws'",
        ),
        ("nodeRegistration: {kubeletExtraArgs: {v: '2'}}", "kubeletExtraArgs is not a list"),
        ("nodeRegistration: text", "nodeRegistration is not a mapping"),
    ];
    for (field, expected) in table {
        let documents = Documents::parse(&of(INIT, field))?;
        for done in [
            documents.init(&lab(), &cloud_node(), &token(), &claim()),
            documents.join(&lab(), &cloud_node(), Path::new(KUBECONFIG)),
        ] {
            let refused = done.err().map(|refusal| refusal.to_string());
            assert!(refused.as_deref().is_some_and(|said| said.contains(expected)), "{refused:?}");
        }
    }
    Ok(())
}

#[test]
fn over_restored_data_kubeadm_keeps_what_the_cluster_has_of_its_own() -> Result<()> {
    let rows = [
        (String::new(), json!(["upload-config", "addon"])),
        (of(INIT, "skipPhases: [addon, addon/kube-proxy]"), json!(["addon", "addon/kube-proxy", "upload-config"])),
    ];
    for (given, skipped) in rows {
        let given = Documents::parse(&given)?;
        let restored = Documents::parse(&given.init_restored(&lab(), &node(), &token(), &claim())?)?;
        assert_eq!(restored.kubeadm(INIT)["skipPhases"], skipped);
        let ignored = &restored.kubeadm(INIT)["nodeRegistration"]["ignorePreflightErrors"];
        assert_eq!(*ignored, json!(["DirAvailable--var-lib-etcd"]));
        // What is not about the data is as for a new cluster, the token of its etcd among it.
        let new = Documents::parse(&given.init(&lab(), &node(), &token(), &claim())?)?;
        assert_eq!(restored.kubeadm(CLUSTER), new.kubeadm(CLUSTER));
        assert_eq!(restored.kubeadm(INIT)["localAPIEndpoint"], new.kubeadm(INIT)["localAPIEndpoint"]);
    }
    Ok(())
}

/// kubeadm's check is named after the folder, and wants it empty.
#[test]
fn a_volume_of_etcds_own_may_have_its_lost_and_found() -> Result<()> {
    let volume = NodeFacts { has_harmless_folder: true, ..node() };
    let ignored = |documents: &Documents, node: &NodeFacts| -> Result<[Value; 2]> {
        let init = Documents::parse(&documents.init(&lab(), node, &token(), &claim())?)?;
        let join = Documents::parse(&documents.join(&lab(), node, Path::new(KUBECONFIG))?)?;
        Ok([(&init, INIT), (&join, JOIN)]
            .map(|(written, kind)| written.kubeadm(kind)["nodeRegistration"]["ignorePreflightErrors"].clone()))
    };
    let none = Documents::default();
    assert_eq!(ignored(&none, &node())?, [Value::Null, Value::Null], "kubeadm sees to it that the folder is empty");
    assert_eq!(
        ignored(&none, &volume)?,
        [json!(["DirAvailable--var-lib-etcd"]), json!(["DirAvailable--var-lib-etcd"])]
    );
    let own = Documents::parse(&of(INIT, "nodeRegistration: {ignorePreflightErrors: [Swap]}"))?;
    assert_eq!(ignored(&own, &volume)?[0], json!(["Swap", "DirAvailable--var-lib-etcd"]));
    assert_eq!(ignored(&operator("external-etcd")?, &volume)?, ignored(&operator("external-etcd")?, &node())?);
    Ok(())
}

#[test]
fn a_port_that_is_not_the_default_must_be_written_down() -> Result<()> {
    let cluster = ClusterFacts { port: 8443, ..lab() };
    let said = Documents::default().refusals(&cluster);
    assert!(
        said.len() == 1 && said[0].reason.contains("6443, its default, and the endpoint's port is 8443"),
        "{said:?}"
    );
    let written = Documents::parse(&of(INIT, "localAPIEndpoint: {bindPort: 8443}"))?;
    assert!(written.refusals(&cluster).is_empty());
    assert!(written.join(&cluster, &node(), Path::new(KUBECONFIG))?.contains("\"bindPort\": 8443"));
    Ok(())
}

#[test]
fn the_values_that_kubeboot_needs_are_read() -> Result<()> {
    let none = Documents::default();
    assert_eq!(
        (none.service_subnet(), none.bind_port(), none.data_dir()),
        ("10.96.0.0/12", Some(6443), Some(Path::new("/var/lib/etcd")))
    );
    assert!(none.external_etcd().is_none() && none.kubernetes_version().is_none() && none.cri_socket().is_none());
    let all = operator("everything")?;
    assert_eq!((all.service_subnet(), all.data_dir()), ("10.32.0.0/16", Some(Path::new("/data/etcd"))));
    assert_eq!(all.kubernetes_version(), Some("v1.36.1"));
    assert_eq!(operator("external-etcd")?.installed_version(&lab()), "v1.36.0");
    assert_eq!(none.installed_version(&lab()), "v1.36.1");
    assert_eq!(all.encryption_algorithm(), Some("ECDSA-P256"));
    assert_eq!(all.cluster_name(), Some("everything"));
    assert_eq!(all.cri_socket(), Some("unix:///run/containerd/containerd.sock"));
    assert!(none.pulls_images());
    for (policy, pulls) in [("Never", false), ("Always", true), ("IfNotPresent", true)] {
        let init = format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration: {{imagePullPolicy: {policy}}}\n"
        );
        assert_eq!(Documents::parse(&init).unwrap().pulls_images(), pulls, "{policy}");
    }
    assert_eq!(operator("external-etcd")?.data_dir(), None);
    let external = operator("external-etcd")?.external_etcd().context("external")?;
    assert_eq!((external.endpoints.len(), external.files().count()), (2, 3));
    Ok(())
}

#[test]
fn no_token_is_in_the_join_document() -> Result<()> {
    let join = Documents::default().join(&lab(), &node(), Path::new(KUBECONFIG))?;
    assert!(!join.contains("token"), "{join}");
    Ok(())
}

#[test]
fn the_smallest_documents_make_a_credential_without_the_network() -> Result<()> {
    let text = operator("everything")?.client(&lab(), &node(), Path::new("/run/kubeboot/pki"))?;
    let read = Documents::parse(&text)?;
    let expected = json!({
        "apiVersion": KUBEADM_VERSION,
        "kind": CLUSTER,
        "certificatesDir": "/run/kubeboot/pki",
        "controlPlaneEndpoint": "api.lab.internal:6443",
        "encryptionAlgorithm": "ECDSA-P256",
        "kubernetesVersion": "v1.36.1",
    });
    assert_eq!(read.kubeadm(CLUSTER), &expected);
    assert_eq!(read.kubeadm(INIT)["localAPIEndpoint"]["advertiseAddress"], "10.0.1.11");
    Ok(())
}

#[test]
fn every_file_of_the_host_is_named_with_its_field() -> Result<()> {
    let found: Vec<String> = operator("everything")?
        .host_files()
        .into_iter()
        .map(|file| format!("{:?} {} ({})", file.expected, file.path.display(), file.field))
        .collect();
    let expected = [
        "Folder /etc/kubernetes/encryption (ClusterConfiguration apiServer.extraVolumes[encryption])",
        "File /etc/kubernetes/audit-policy.yaml (ClusterConfiguration apiServer.extraVolumes[audit])",
        "FolderOrNothing /var/log/kubernetes (ClusterConfiguration apiServer.extraVolumes[logs])",
        "File /etc/kubernetes/encryption/config.yaml (ClusterConfiguration apiServer.extraArgs[encryption-provider-config])",
        "File /etc/kubernetes/audit-policy.yaml (ClusterConfiguration apiServer.extraArgs[audit-policy-file])",
        "NoVolume /etc/kubernetes/authentication.yaml (ClusterConfiguration apiServer.extraArgs[authentication-config])",
        "File /etc/ssl/certs/oidc.pem (ClusterConfiguration apiServer.extraArgs[oidc-ca-file])",
        "Anything /usr/libexec/kubernetes (ClusterConfiguration controllerManager.extraVolumes[flexvolume])",
        "FileOrNothing /etc/kubernetes/scheduler-config.yaml (ClusterConfiguration scheduler.extraVolumes[config])",
        "File /etc/kubernetes/scheduler-config.yaml (ClusterConfiguration scheduler.extraArgs[config])",
        "Folder /etc/kubernetes/patches (InitConfiguration patches.directory)",
        "Socket /run/containerd/containerd.sock (InitConfiguration nodeRegistration.criSocket)",
        "File /etc/kubernetes/credential-provider.yaml (InitConfiguration kubeletExtraArgs[image-credential-provider-config])",
        "Folder /usr/local/bin/credential-provider (InitConfiguration kubeletExtraArgs[image-credential-provider-bin-dir])",
        "File /run/systemd/resolve/resolv.conf (KubeletConfiguration resolvConf)",
    ];
    assert_eq!(found, expected);
    let external = operator("external-etcd")?.host_files();
    assert_eq!(external.iter().filter(|file| file.field == "ClusterConfiguration etcd.external").count(), 3);
    Ok(())
}

#[test]
fn a_cluster_that_keeps_etcds_data_elsewhere_is_not_joined() -> Result<()> {
    let stored = yaml(include_str!("../../../tests/fixtures/documents/stored.yaml")).map_err(anyhow::Error::msg)?;
    let elsewhere = json!({"etcd": {"local": {"dataDir": "/data/etcd"}}});
    let external = json!({"etcd": {"external": {"endpoints": ["https://e:2379"]}}});
    let (default, there) = ("clusterName: demo", "etcd: {local: {dataDir: /data/etcd}}");
    let outside = "etcd: {external: {endpoints: ['https://other:2379']}}";
    // (documents, the cluster's, what is said)
    let rows = [
        (default, &stored, None),
        (default, &json!({}), None),
        (there, &elsewhere, None),
        (outside, &external, None),
        (
            default,
            &elsewhere,
            Some("etcd.local.dataDir says that etcd is in '/var/lib/etcd', and the cluster's etcd is in '/data/etcd'"),
        ),
        (
            there,
            &stored,
            Some("etcd.local.dataDir says that etcd is in '/data/etcd', and the cluster's etcd is in '/var/lib/etcd'"),
        ),
        (default, &external, Some("etcd says that etcd is in '/var/lib/etcd', and the cluster's etcd is external")),
        (outside, &stored, Some("etcd says that etcd is external, and the cluster's etcd is in '/var/lib/etcd'")),
    ];
    for (ours, theirs, expected) in rows {
        let found = Documents::parse(&of(CLUSTER, ours))?.etcd_elsewhere(theirs).map(|refusal| refusal.to_string());
        let expected = expected.map(|says| format!("ClusterConfiguration: {says}; write what the cluster has"));
        assert_eq!(found, expected, "{ours} {theirs}");
    }
    Ok(())
}

#[test]
fn drift_is_what_the_operator_wrote_differently() -> Result<()> {
    let stored = yaml(include_str!("../../../tests/fixtures/documents/stored.yaml")).map_err(anyhow::Error::msg)?;
    let ours = |field: &str| -> Result<Vec<String>> {
        let documents = Documents::parse(&of(CLUSTER, field))?;
        let found = documents.drift(&lab(), &stored)?;
        Ok(found.into_iter().map(|one| format!("{}: {} / {}", one.field, one.ours, one.cluster)).collect())
    };
    let same = "clusterName: kubernetes\nnetworking: {podSubnet: 10.244.0.0/16}";
    assert_eq!(ours(same)?, Vec::<String>::new(), "kubeadm's defaults are no drift");
    assert_eq!(ours(&format!("{same}\nkubernetesVersion: 1.36.1"))?, Vec::<String>::new());
    // As an init of kubeboot's leaves it: with the token of that init, which is in no operator's file.
    let mut with_token = stored.clone();
    with_token["etcd"]["local"]["extraArgs"] = json!([{"name": "initial-cluster-token", "value": "claim"}]);
    let documents = Documents::parse(&of(CLUSTER, same))?;
    assert_eq!(documents.drift(&lab(), &with_token)?, []);
    with_token["etcd"]["local"]["extraArgs"] =
        json!([{"name": "initial-cluster-token", "value": "claim"}, {"name": "metrics", "value": "extensive"}]);
    let fields: Vec<_> = documents.drift(&lab(), &with_token)?.into_iter().map(|one| one.field).collect();
    assert_eq!(fields, ["etcd.local.extraArgs.metrics.value"], "other arguments are drift as ever");
    assert_eq!(ours(&format!("{same}\nkubernetesVersion: v1.36.2"))?, ["kubernetesVersion: \"1.36.2\" / \"1.36.1\""]);
    let newer = ClusterFacts { kubernetes_version: "v1.36.9".into(), ..lab() };
    let found = Documents::parse(&of(CLUSTER, same))?.drift(&newer, &stored)?;
    assert_eq!(found, [], "a newer kubeadm is no drift");
    assert_eq!(ours("clusterName: kubernetes")?, ["networking.podSubnet: null / \"10.244.0.0/16\""]);
    assert_eq!(
        ours(&format!("{same}\nencryptionAlgorithm: ECDSA-P256\netcd: {{local: {{dataDir: /data}}}}"))?,
        ["encryptionAlgorithm: \"ECDSA-P256\" / \"RSA-2048\"", "etcd.local.dataDir: \"/data\" / \"/var/lib/etcd\""]
    );
    let env = "apiServer: {extraArgs: [{name: v, value: '2'}], extraEnvs: [{name: HTTPS_PROXY, value: 'http://me:secret@proxy'}]}";
    assert_eq!(
        ours(&format!("{same}\n{env}"))?,
        ["apiServer.extraArgs.v.value: \"2\" / null", "apiServer.extraEnvs.HTTPS_PROXY.value: \"[hidden]\" / null"]
    );
    Ok(())
}

#[test]
fn what_kubeadm_would_store_is_no_drift() -> Result<()> {
    let stored = |field: &str| -> Result<Value> {
        let mut all =
            yaml(include_str!("../../../tests/fixtures/documents/stored.yaml")).map_err(anyhow::Error::msg)?;
        let field = yaml(field).map_err(anyhow::Error::msg)?;
        for (name, value) in field.as_object().context("a mapping")? {
            all[name] = value.clone();
        }
        Ok(all)
    };
    // What the operator wrote, what kubeadm has stored, and what differs.
    let rows: [(&str, &str, &[&str]); 24] = [
        ("certificateValidityPeriod: 8760h", "{}", &[]),
        ("caCertificateValidityPeriod: 87600h0m", "{}", &[]),
        ("certificateValidityPeriod: 5m", "certificateValidityPeriod: 5m0s", &[]),
        ("certificateValidityPeriod: 4380h", "{}", &["certificateValidityPeriod: \"4380h0m0s\" / \"8760h0m0s\""]),
        ("certificatesDir: ''", "{}", &[]),
        ("certificatesDir: /etc/kubernetes/pki/", "{}", &[]),
        ("encryptionAlgorithm: ''", "{}", &[]),
        ("etcd: {local: {dataDir: ''}, external: null}", "{}", &[]),
        ("etcd: {local: {dataDir: /var/lib/etcd/, extraArgs: []}}", "{}", &[]),
        ("etcd: {}", "{}", &[]),
        ("apiServer: {}\ncontrollerManager: {extraArgs: []}\nscheduler: null", "{}", &[]),
        ("dns: {disabled: false, imageTag: ''}\nproxy: {disabled: false}", "{}", &[]),
        ("proxy: {disabled: true}", "proxy: {disabled: true}", &[]),
        ("proxy: {}", "proxy: {disabled: true}", &["proxy.disabled: null / true"]),
        ("featureGates: {}", "{}", &[]),
        ("featureGates: {NodeLocalCRISocket: no}", "featureGates: {NodeLocalCRISocket: false}", &[]),
        ("featureGates: {NodeLocalCRISocket: false}", "{}", &["featureGates.NodeLocalCRISocket: false / null"]),
        ("controlPlaneEndpoint: API.lab.internal", "{}", &[]),
        ("kubernetesVersion: 1.36.1", "{}", &[]),
        (
            "scheduler: {extraVolumes: [{name: a, hostPath: /a, mountPath: /a, readOnly: false, pathType: ''}]}",
            "scheduler: {extraVolumes: [{name: a, hostPath: /a, mountPath: /a}]}",
            &[],
        ),
        (
            "scheduler: {extraArgs: [{name: v, value: '2'}, {name: a, value: ''}]}",
            "scheduler: {extraArgs: [{name: a, value: ''}, {name: v, value: '2'}]}",
            &[],
        ),
        ("scheduler: {extraArgs: [{name: a, value: ''}]}", "{}", &["scheduler.extraArgs.a: {} / null"]),
        ("networking: {podSubnet: 10.244.0.0/16, dnsDomain: ''}", "{}", &[]),
        ("networking: {}", "{}", &["networking.podSubnet: null / \"10.244.0.0/16\""]),
    ];
    for (wrote, has, expected) in rows {
        let subnet = if wrote.contains("networking") { "" } else { "networking: {podSubnet: 10.244.0.0/16}\n" };
        let found = Documents::parse(&of(CLUSTER, &format!("clusterName: kubernetes\n{subnet}{wrote}")))?
            .drift(&lab(), &stored(has)?)?;
        let found: Vec<_> = found.iter().map(|one| format!("{}: {} / {}", one.field, one.ours, one.cluster)).collect();
        assert_eq!(found, expected, "{wrote} / {has}");
    }
    Ok(())
}

#[test]
fn an_add_on_whose_phase_is_skipped_is_disabled_and_no_drift() -> Result<()> {
    let all = yaml(include_str!("../../../tests/fixtures/documents/stored.yaml")).map_err(anyhow::Error::msg)?;
    let rows = [
        ("[addon/kube-proxy]", json!({}), json!({"disabled": true})),
        ("[addon/coredns]", json!({"disabled": true}), json!({})),
        ("[addon]", json!({"disabled": true}), json!({"disabled": true})),
        ("[mark-control-plane]", json!({}), json!({})),
    ];
    for (skipped, dns, proxy) in rows {
        let mut stored = all.clone();
        (stored["dns"], stored["proxy"]) = (dns, proxy);
        let configuration = of(CLUSTER, "clusterName: kubernetes\nnetworking: {podSubnet: 10.244.0.0/16}");
        let file = format!("{configuration}\n---\n{}", of(INIT, &format!("skipPhases: {skipped}")));
        assert_eq!(Documents::parse(&file)?.drift(&lab(), &stored)?, [], "{skipped}");
    }
    Ok(())
}

#[test]
fn a_node_is_given_the_taints_of_the_document_that_made_it() -> Result<()> {
    const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane:NoSchedule";
    let taints = |init: &str, join: &str, initialised| -> Result<Option<Vec<String>>> {
        let documents = Documents::parse(&format!("{}\n---\n{}", of(INIT, init), of(JOIN, join)))?;
        let found = documents.node_taints(initialised);
        Ok(found.map(|taints| taints.iter().map(ToString::to_string).collect()))
    };
    let given = "nodeRegistration: {taints: [{key: a, value: b, effect: NoExecute}]}";
    let (none, null) = ("nodeRegistration: {taints: []}", "nodeRegistration: {taints: null}");
    // (InitConfiguration, JoinConfiguration, that of the machine that made the cluster, that of one that joined)
    type Taints<'a> = Option<&'a [&'a str]>;
    let rows: [(&str, &str, Taints<'_>, Taints<'_>); 9] = [
        ("", "", Some(&[CONTROL_PLANE]), Some(&[CONTROL_PLANE])),
        (given, "", Some(&["a=b:NoExecute"]), Some(&["a=b:NoExecute"])),
        (none, "", Some(&[]), Some(&[])),
        (null, "", Some(&[CONTROL_PLANE]), Some(&[CONTROL_PLANE])),
        ("", none, Some(&[CONTROL_PLANE]), Some(&[])),
        (none, given, Some(&[]), Some(&["a=b:NoExecute"])),
        ("skipPhases: [mark-control-plane]", "", None, None),
        ("", "skipPhases: [control-plane-join/mark-control-plane]", Some(&[CONTROL_PLANE]), None),
        ("skipPhases: [addon]", "skipPhases: [preflight]", Some(&[CONTROL_PLANE]), Some(&[CONTROL_PLANE])),
    ];
    for (init, join, made, joined) in rows {
        for (initialised, expected) in [(true, made), (false, joined)] {
            let expected = expected.map(|taints| taints.iter().map(|taint| (*taint).to_owned()).collect::<Vec<_>>());
            assert_eq!(taints(init, join, initialised)?, expected, "{init} / {join} / {initialised}");
        }
    }
    Ok(())
}

#[test]
fn files_are_made_anew_by_the_clusters_configuration_and_this_machines_patches() -> Result<()> {
    let stored = json!({"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": CLUSTER, "kubernetesVersion": "v1.36.1"});
    let file =
        format!("{}\n---\n{}", of(INIT, "patches: {directory: /etc/patches}"), of(CLUSTER, "clusterName: other"));
    let text = Documents::parse(&file)?.own_files(&lab(), &node(), &stored, false)?;
    let (init, cluster) = text.split_once("---\n").context("two documents")?;
    let init: Value = serde_json::from_str(init)?;
    assert_eq!(init["patches"]["directory"], "/etc/patches", "a joiner takes what init names, too");
    assert_eq!(init["localAPIEndpoint"], json!({"advertiseAddress": "10.0.1.11", "bindPort": 6443}));
    assert_eq!(init["nodeRegistration"]["name"], node().name);
    assert_eq!(serde_json::from_str::<Value>(cluster)?, stored, "as kubeadm stored it");
    Ok(())
}

#[test]
fn whoever_skips_a_phase_that_makes_files_misses_none_of_them() -> Result<()> {
    let rows = [
        ("", "", true, true),
        ("skipPhases: [addon/kube-proxy, mark-control-plane, preflight]", "", true, true),
        ("skipPhases: [certs/apiserver]", "", false, true),
        ("skipPhases: [control-plane/scheduler]", "skipPhases: []", false, true),
        ("", "skipPhases: [control-plane-prepare/kubeconfig]", true, false),
        ("", "skipPhases: [control-plane-join]", true, false),
        ("", "skipPhases: [control-plane-join/mark-control-plane]", true, true),
    ];
    for (init, join, made, joined) in rows {
        let documents = Documents::parse(&format!("{}\n---\n{}", of(INIT, init), of(JOIN, join)))?;
        assert_eq!(
            (documents.makes_all_files(true), documents.makes_all_files(false)),
            (made, joined),
            "{init} {join}"
        );
    }
    Ok(())
}

#[test]
fn an_upgrade_leaves_out_what_init_or_the_operators_own_upgrades_skip() -> Result<()> {
    let phases: [&[&str]; 3] = [&["addon", "coredns"], &["addon", "kube-proxy"], &["bootstrap-token"]];
    let rows = [
        ("", "", [false, false, false]),
        ("skipPhases: [addon/kube-proxy]", "", [false, true, false]),
        ("skipPhases: [addon]", "", [true, true, false]),
        ("", "apply: {skipPhases: [addon/coredns, bootstrap-token]}", [true, false, true]),
        ("skipPhases: [addon/coredns]", "apply: {skipPhases: [addon/all]}", [true, true, false]),
        ("skipPhases: [bootstrap-token, mark-control-plane]", "node: {skipPhases: [addon]}", [false, false, true]),
    ];
    for (init, upgrade, expected) in rows {
        let documents = Documents::parse(&format!("{}\n---\n{}", of(INIT, init), of(UPGRADE, upgrade)))?;
        assert_eq!(phases.map(|phase| documents.skips_on_upgrade(phase)), expected, "{init} {upgrade}");
    }
    let patches = [
        ("", "", None),
        ("patches: {directory: /etc/patches}", "", Some("/etc/patches")),
        ("patches: {directory: /etc/patches}", "apply: {patches: {directory: /etc/other}}", Some("/etc/other")),
    ];
    for (init, upgrade, expected) in patches {
        let documents = Documents::parse(&format!("{}\n---\n{}", of(INIT, init), of(UPGRADE, upgrade)))?;
        assert_eq!(documents.upgrade_patches(), expected.map(std::path::Path::new), "{init} {upgrade}");
    }
    Ok(())
}
