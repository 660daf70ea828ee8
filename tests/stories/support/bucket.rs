//! The bucket by hand, past every condition.

use super::control;
use super::world::{RUN, World};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The world's bucket.
pub const BUCKET: &str = "kubeboot-demo";
/// The folder that the world's settings give the cluster.
pub const PREFIX: &str = "demo";
/// The cluster record.
pub const RECORD: &str = "control-plane/cluster.json";
/// The membership lease.
pub const LEASE: &str = "control-plane/membership-lease.json";
/// The published hash of the CA's public key.
pub const HASH: &str = "join/discovery-token-ca-cert-hash";

impl World {
    /// The cluster record.
    pub fn record(&self) -> Result<Value> {
        self.object(RECORD)
    }

    /// What a machine says about itself, or has said before it was gone.
    pub fn registration(&self, node: usize) -> Result<Value> {
        let key = self.registration_key(node)?;
        let there = self.keys()?.contains(&format!("{PREFIX}/{key}"));
        self.object(&if there { key } else { key.replace("/nodes/", "/former/") })
    }

    /// Where a machine says it.
    pub fn registration_key(&self, node: usize) -> Result<String> {
        Ok(format!("control-plane/nodes/{}.json", self.id(node)?))
    }

    /// An object below the prefix, as JSON.
    pub fn object(&self, key: &str) -> Result<Value> {
        let text = self.text(key)?;
        serde_json::from_str(&text).with_context(|| format!("'{key}' is no JSON: {text}"))
    }

    /// An object below the prefix, as text.
    pub fn text(&self, key: &str) -> Result<String> {
        Ok(String::from_utf8(self.bytes(key)?)?)
    }

    /// The bytes of an object below the prefix.
    pub fn bytes(&self, key: &str) -> Result<Vec<u8>> {
        let answer = self.ask(&["s3", "get", &format!("{PREFIX}/{key}")])?;
        let body = answer["body"].as_str().with_context(|| format!("'{key}' has no body"))?;
        Ok(STANDARD.decode(body)?)
    }

    /// Writes an object below the prefix.
    pub fn put(&self, key: &str, body: impl AsRef<[u8]>) -> Result<()> {
        let file = self.path("body");
        std::fs::write(&file, body)?;
        self.ask(&["s3", "put", &format!("{PREFIX}/{key}"), &file.display().to_string()]).map(drop)
    }

    /// Writes many objects below the prefix.
    pub fn put_all(&self, bodies: impl Iterator<Item = (String, String)>) -> Result<()> {
        let encoded = bodies.map(|(key, body)| (format!("{PREFIX}/{key}"), Value::from(STANDARD.encode(body))));
        let bodies: Value = encoded.collect::<serde_json::Map<_, _>>().into();
        control::verb(&self.path(""), "s3_put_all", &json!({"bodies": bodies}), RUN).map(drop)
    }

    /// Deletes an object below the prefix.
    pub fn remove(&self, key: &str) -> Result<()> {
        self.ask(&["s3", "rm", &format!("{PREFIX}/{key}")]).map(drop)
    }

    /// Deletes every object with all its versions: nothing tells that one ever was.
    pub fn empty_the_bucket(&self) -> Result<()> {
        self.ask(&["s3", "empty", "--forget"]).map(drop)
    }

    /// Every version of the cluster record that was ever written, the first one first.
    pub fn records(&self) -> Result<Vec<Value>> {
        let events = self.journal("events")?;
        let written = events.iter().filter(|event| event["event"] == "record-written");
        written.map(|event| Ok(serde_json::from_str(event["body"].as_str().unwrap_or_default())?)).collect()
    }

    /// All keys of the bucket.
    pub fn keys(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.ask(&["s3", "ls"])?)?)
    }

    /// Makes calls to AWS go wrong: an effect of `dev/world fault add`, and which calls it is about.
    pub fn fault(&self, effect: &str, which: &[&str]) -> Result<()> {
        self.ask(&[&["fault", "add", effect], which].concat()).map(drop)
    }

    /// Whether any rule in force was met by now.
    pub fn has_met_a_fault(&self) -> Result<bool> {
        let rules = self.ask(&["fault", "list"])?;
        Ok(rules.as_array().into_iter().flatten().any(|rule| rule["hits"] != 0))
    }

    /// Fails unless every fault that was ordered a number of times was met that often: otherwise the story proved nothing.
    pub fn every_fault_was_met(&self) -> Result<()> {
        let rules = self.ask(&["fault", "list"])?;
        let missed: Vec<_> = rules
            .as_array()
            .into_iter()
            .flatten()
            .filter(|rule| rule["times"].is_number() && rule["times"] != rule["hits"])
            .collect();
        ensure!(missed.is_empty(), "these faults were not met as often as ordered: {missed:?}");
        Ok(())
    }

    /// Waits until all writes that a fault has made late were carried out, and returns S3's words on each: key and status.
    pub fn landed(&self, writes: usize) -> Result<Vec<(String, i64)>> {
        self.until(&format!("{writes} late writes land"), RUN, || {
            let requests = self.journal("requests")?;
            let landed: Vec<_> = requests
                .iter()
                .filter(|call| call["landed"] == true)
                .map(|call| {
                    (call["key"].as_str().unwrap_or_default().to_owned(), call["status"].as_i64().unwrap_or_default())
                })
                .collect();
            Ok((landed.len() >= writes).then_some(landed))
        })
    }

    /// The keys of all manifests.
    pub fn manifest_keys(&self) -> Result<Vec<String>> {
        let keys = self.keys()?;
        let keys = keys.iter().filter_map(|key| key.strip_prefix("demo/"));
        Ok(keys.filter(|key| key.starts_with("snapshots/") && key.ends_with(".json")).map(str::to_owned).collect())
    }

    /// The manifests of all snapshots of this kind.
    pub fn manifests(&self, kind: &str) -> Result<Vec<Value>> {
        let all = self.manifest_keys()?.iter().map(|key| self.object(key)).collect::<Result<Vec<_>>>()?;
        Ok(all.into_iter().filter(|manifest| manifest["kind"] == kind).collect())
    }
}
