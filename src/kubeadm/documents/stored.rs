//! A `ClusterConfiguration` as kubeadm stores it in the ConfigMap `kubeadm-config`, in a form in which two can be compared.
//!
//! kubeadm fills in its defaults and writes what its types hold: a `false`, an empty text and an empty list are left out, durations are
//! written as Go writes them, and an add-on whose phase is skipped is disabled. Taken from `v1beta4/defaults.go`, `v1beta4/types.go`
//! and `manageSkippedAddons` in `cmd/init.go`.

use serde_json::{Map, Value, json};

use super::read::{DEFAULT_DATA_DIR, DEFAULT_SERVICE_SUBNET};
use super::value::{at, mapping, text, texts};
use super::{CLUSTER_TOKEN, DocumentRefusal};
use crate::kubeadm::pki::PKI_DIR;

/// The phases of init that install an add-on, and the sections that are disabled when one is skipped.
const ADD_ONS: [(&str, &[&str]); 3] =
    [("addon", &["dns", "proxy"]), ("addon/coredns", &["dns"]), ("addon/kube-proxy", &["proxy"])];
/// Fields of the type `metav1.Duration`.
const DURATIONS: [&str; 2] = ["/certificateValidityPeriod", "/caCertificateValidityPeriod"];
/// Fields that name a folder, with or without a slash at the end.
const FOLDERS: [&str; 2] = ["/certificatesDir", "/etcd/local/dataDir"];
/// How a text is written anew.
type Rewrite = fn(&str) -> String;

/// A map whose `false` is stored.
const FEATURE_GATES: &str = "featureGates";

/// Disables the add-ons whose phases this `InitConfiguration` skips, as `kubeadm init` does before it stores the document.
pub(super) fn disable_skipped_add_ons(document: &mut Value, init: &Value) -> Result<(), DocumentRefusal> {
    let skipped = ADD_ONS.iter().filter(|(phase, _)| texts(init, "skipPhases").any(|skipped| skipped == *phase));
    for section in skipped.flat_map(|(_, sections)| *sections) {
        mapping(document, section)?.insert("disabled".into(), true.into());
    }
    Ok(())
}

/// The document in the form in which two can be compared. Lists are in a fixed order; those of named things (arguments, variables,
/// volumes) are by their names. Leaves out `apiVersion` and `kind`, and the token of etcd's initial cluster, which is kubeboot's claim.
pub(super) fn comparable(document: &Value) -> Value {
    let mut stored = with_defaults(document.clone(), &defaults());
    if at(&stored, "etcd.external").is_none() {
        stored = with_defaults(stored, &json!({"etcd": {"local": {"dataDir": DEFAULT_DATA_DIR}}}));
    }
    if let Some(Value::Array(arguments)) = stored.pointer_mut("/etcd/local/extraArgs") {
        arguments.retain(|argument| text(argument, "name") != Some(CLUSTER_TOKEN));
    }
    let rewrites: [(&[&str], Rewrite); 4] = [
        (&DURATIONS, duration),
        (&FOLDERS, |folder| folder.trim_end_matches('/').to_owned()),
        (&["/kubernetesVersion"], |version| version.trim_start_matches('v').to_owned()),
        // A host name, which has no case.
        (&["/controlPlaneEndpoint"], str::to_ascii_lowercase),
    ];
    for (field, rewrite) in
        rewrites.iter().flat_map(|(fields, rewrite)| fields.iter().map(move |field| (field, rewrite)))
    {
        if let Some(Value::String(value)) = stored.pointer_mut(field) {
            *value = rewrite(value);
        }
    }
    let Some(Value::Object(mut map)) = kept(stored, false) else { return Value::Null };
    map.remove("apiVersion");
    map.remove("kind");
    Value::Object(map)
}

/// The fields that kubeadm fills in.
fn defaults() -> Value {
    json!({
        "certificatesDir": PKI_DIR,
        "clusterName": "kubernetes",
        "imageRepository": "registry.k8s.io",
        "encryptionAlgorithm": "RSA-2048",
        "certificateValidityPeriod": "8760h0m0s",
        "caCertificateValidityPeriod": "87600h0m0s",
        "networking": {"dnsDomain": "cluster.local", "serviceSubnet": DEFAULT_SERVICE_SUBNET},
    })
}

fn with_defaults(value: Value, defaults: &Value) -> Value {
    match (value, defaults) {
        (Value::Null, default) => default.clone(),
        (Value::String(text), default) if text.is_empty() => default.clone(),
        (Value::Object(mut map), Value::Object(defaults)) => {
            for (key, default) in defaults {
                let given = map.remove(key).unwrap_or_default();
                map.insert(key.clone(), with_defaults(given, default));
            }
            Value::Object(map)
        }
        (given, _) => given,
    }
}

/// What is stored of a value; `None` when it is left out.
fn kept(value: Value, is_gate: bool) -> Option<Value> {
    let value = match value {
        Value::Object(map) => {
            let field = |(key, value): (String, Value)| {
                let value = kept(value, key == FEATURE_GATES || is_gate)?;
                Some((key, value))
            };
            Value::Object(map.into_iter().filter_map(field).collect())
        }
        Value::Array(list) => {
            // An argument without a value is one.
            let mut list: Vec<Value> = list.into_iter().map(|value| kept(value, false).unwrap_or_default()).collect();
            list.sort_by_key(Value::to_string);
            by_name(&list).unwrap_or(Value::Array(list))
        }
        other => other,
    };
    let is_empty = match &value {
        Value::Null => true,
        Value::Bool(value) => !value && !is_gate,
        Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    };
    (!is_empty).then_some(value)
}

/// `None` when an element has no name, or two have the same.
fn by_name(list: &[Value]) -> Option<Value> {
    let mut named = Map::new();
    for element in list {
        let mut rest = element.as_object()?.clone();
        let Some(Value::String(name)) = rest.remove("name") else { return None };
        if named.insert(name, Value::Object(rest)).is_some() {
            return None;
        }
    }
    Some(Value::Object(named))
}

/// The duration as Go writes one of whole seconds (`2h45m0s`); a text that is none, or has fractions of a second, as it is.
fn duration(text: &str) -> String {
    let Some(seconds) = seconds(text) else { return text.to_owned() };
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        (..) => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// Reads what Go's `time.ParseDuration` reads, in whole seconds; `None` for anything finer.
pub(super) fn seconds(text: &str) -> Option<u64> {
    // In nanoseconds; the longer names first.
    const UNITS: [(&str, f64); 7] =
        [("ns", 1.0), ("us", 1e3), ("\u{b5}s", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|end| *end > 0)?;
        let number: f64 = rest[..end].parse().ok()?;
        let (unit, size) = UNITS.iter().find(|(unit, _)| rest[end..].starts_with(unit))?;
        sum += number * size;
        rest = &rest[end + unit.len()..];
    }
    let whole = sum / 1e9;
    // Up to what Go's duration holds: 292 years.
    (whole.fract() == 0.0 && whole < 9.2e9).then_some(whole as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let rows = [
            ("5m", "5m0s"),
            ("5m0s", "5m0s"),
            ("300s", "5m0s"),
            ("8760h", "8760h0m0s"),
            ("8760h0m0s", "8760h0m0s"),
            ("1.5h", "1h30m0s"),
            ("90m", "1h30m0s"),
            ("+2h45m", "2h45m0s"),
            ("60000ms", "1m0s"),
            ("0s", "0s"),
            ("365d", "365d"),
            ("1500ms", "1500ms"),
            ("8760", "8760"),
            ("h", "h"),
            ("", ""),
            ("1..5h", "1..5h"),
            ("-5m", "-5m"),
        ];
        for (given, expected) in rows {
            assert_eq!(duration(given), expected, "{given}");
        }
    }

    #[test]
    fn what_is_false_or_empty_is_left_out_but_for_a_feature_gate_and_a_named_thing() {
        let document = json!({
            "kind": "ClusterConfiguration",
            "dns": {"disabled": false},
            "featureGates": {"NodeLocalCRISocket": false},
            "scheduler": {"extraArgs": [{"name": "v", "value": ""}], "extraEnvs": []},
        });
        let found = comparable(&document);
        assert_eq!(found.get("kind").or(found.get("dns")), None);
        assert_eq!(found["featureGates"], json!({"NodeLocalCRISocket": false}));
        assert_eq!(found["scheduler"], json!({"extraArgs": {"v": {}}}));
    }
}
