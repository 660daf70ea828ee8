//! Checks of what must be true, by etcd, S3 and the stand-in for kubeadm.

use super::bucket::HASH;
use super::world::{RUN, World};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A kubeadm command that has ended: on which machine, its words, its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubeadm {
    pub node: String,
    pub argv: Vec<String>,
    pub exit: i64,
}

impl World {
    /// Every kubeadm command that has ended so far and changed a machine or a cluster: init, join, reset.
    pub fn kubeadm(&self) -> Result<Vec<Kubeadm>> {
        let lines = self.journal("standin")?;
        let ended = lines.iter().filter(|line| line["end"].is_number());
        let all = ended.map(|line| Kubeadm {
            node: line["node"].as_str().unwrap_or_default().to_owned(),
            argv: line["argv"]
                .as_array()
                .into_iter()
                .flatten()
                .skip(1)
                .filter_map(|w| w.as_str().map(str::to_owned))
                .collect(),
            exit: line["exit"].as_i64().unwrap_or(-1),
        });
        Ok(all.filter(Kubeadm::changes_something).collect())
    }

    /// Fails unless these machines are one control plane, made by the only init that ever went well.
    pub fn is_one_control_plane(&self, nodes: &[usize]) -> Result<()> {
        let inits =
            self.kubeadm()?.into_iter().filter(|command| command.argv[0] == "init" && command.exit == 0).count();
        ensure!(inits == 1, "kubeadm init succeeded {inits} times, not once");
        self.are_whole(nodes)
    }

    /// Fails unless these machines are all voters of one etcd and nobody else, and all Nodes and nobody else, under a ready
    /// record, with the hash published and everybody registered; however often kubeadm init went well, for what an init
    /// has made before its claim was lost is nobody's.
    pub fn are_whole(&self, nodes: &[usize]) -> Result<()> {
        let outcome = self.outcome()?;
        self.shows_the_voters(&outcome, nodes)?;
        self.shows_the_nodes(&outcome, nodes)?;
        let record = self.record()?;
        ensure!(record["phase"] == "ready", "the record is not ready: {record}");
        let hash = self.text(HASH)?;
        ensure!(
            record["cluster"]["ca_hashes"][0] == hash.trim_end(),
            "the published hash {hash:?} is not that of {record}"
        );
        for node in nodes {
            let registration = self.registration(*node)?;
            ensure!(registration["phase"] == "joined", "node {node} has not registered as joined: {registration}");
            ensure!(
                registration["claim_id"] == record["claim_id"],
                "node {node} follows another claim: {registration}"
            );
        }
        Ok(())
    }

    /// Fails unless the etcd of each of these machines says that it is a started voter, and that there are no others.
    pub fn are_the_voters(&self, nodes: &[usize]) -> Result<()> {
        self.shows_the_voters(&self.outcome()?, nodes)
    }

    fn shows_the_voters(&self, outcome: &[Value], nodes: &[usize]) -> Result<()> {
        let mut clusters = Vec::new();
        for node in nodes {
            let id = self.id(*node)?;
            let found = outcome.iter().find(|each| each["instance"] == id.as_str());
            let found = found.with_context(|| format!("node {node} is not on"))?;
            ensure!(found["voter"] == true, "the etcd of node {node} does not answer as a voter: {found}");
            ensure!(
                found["voters_known"] == nodes.len(),
                "the etcd of node {node} knows other voters than {nodes:?}: {found}"
            );
            clusters.push(found["cluster"].clone());
        }
        clusters.dedup();
        ensure!(clusters.len() == 1, "the machines are in several clusters: {clusters:?}");
        Ok(())
    }

    /// Fails unless the etcd of each of these machines knows so many voters, answering or not.
    pub fn are_the_voters_known(&self, voters: usize, nodes: &[usize]) -> Result<()> {
        let outcome = self.outcome()?;
        for node in nodes {
            let id = self.id(*node)?;
            let found = outcome.iter().find(|each| each["instance"] == id.as_str());
            let known = found.map(|each| &each["voters_known"]);
            ensure!(
                known.is_some_and(|known| *known == voters),
                "node {node} does not know {voters} voters: {found:?}"
            );
        }
        Ok(())
    }

    /// Fails unless the API server of each of these machines knows their Nodes, and no others.
    fn shows_the_nodes(&self, outcome: &[Value], nodes: &[usize]) -> Result<()> {
        let ids = nodes.iter().map(|node| self.id(*node)).collect::<Result<Vec<_>>>()?;
        let mine = |each: &&Value| ids.iter().any(|id| each["instance"] == id.as_str());
        let mut names: Vec<Value> = outcome.iter().filter(mine).map(|each| each["name"].clone()).collect();
        names.sort_by_key(Value::to_string);
        ensure!(names.len() == nodes.len(), "not all of {nodes:?} are on: {outcome:?}");
        for each in outcome.iter().filter(mine) {
            ensure!(each["nodes_known"] == Value::from(names.clone()), "it knows other Nodes than {names:?}: {each}");
        }
        Ok(())
    }

    /// Fails unless all these versions of the record ever meant one cluster: one that was saved comes back as the same.
    pub fn meant_one_cluster(records: &[Value]) -> Result<()> {
        let is_ready = |record: &&Value| record["phase"] == "ready";
        let first = records.iter().find(is_ready).context("the record was never ready")?;
        let mut last = first;
        for record in records.iter().skip_while(|record| !is_ready(record)) {
            for fact in ["kube_system_uid", "ca_hashes"] {
                let same = record["cluster"][fact] == first["cluster"][fact];
                ensure!(same, "the cluster has changed from {first} to {record}");
            }
            // While it is ready it stays what it is; and only a saved one is claimed anew.
            let goes_on = match (last["phase"].as_str(), record["phase"].as_str()) {
                (Some("ready"), Some("ready" | "saved")) => {
                    record["cluster"] == last["cluster"] && record["claim_id"] == last["claim_id"]
                }
                (Some("saved" | "initializing"), Some("initializing" | "saved")) => true,
                (Some("initializing"), Some("ready")) => record["claim_id"] == last["claim_id"],
                _ => false,
            };
            ensure!(goes_on, "{last} was followed by {record}");
            last = record;
        }
        Ok(())
    }

    /// Fails unless another `kubeboot up` on each of these machines finds nothing to do and does nothing.
    pub fn have_nothing_to_do(&self, nodes: &[usize]) -> Result<()> {
        let (commands, record) = (self.kubeadm()?, self.record()?);
        let runs = nodes.iter().map(|node| self.start_on(*node, &["kubeboot", "up"])).collect::<Result<Vec<_>>>()?;
        for run in runs {
            let again = run.wait(RUN)?;
            ensure!(again.code == 0 && again.stderr.contains("nothing to do"), "{}", again.text());
        }
        ensure!(self.kubeadm()? == commands, "another 'kubeboot up' ran kubeadm: {:?}", self.kubeadm()?);
        ensure!(self.record()? == record, "another 'kubeboot up' changed the record");
        Ok(())
    }

    /// What has come of every machine that is on, by etcd's and kubeadm's word.
    pub fn outcome(&self) -> Result<Vec<Value>> {
        let answer = self.ask(&["outcome"])?;
        answer.as_array().cloned().context("'dev/world outcome' is no list")
    }

    /// The same of one machine.
    pub fn said(&self, node: usize) -> Result<Value> {
        let id = self.id(node)?;
        let found = self.outcome()?.into_iter().find(|each| each["instance"] == id.as_str());
        found.with_context(|| format!("node {node} is not on"))
    }
}

impl Kubeadm {
    fn changes_something(&self) -> bool {
        let first = self.argv.first().map(String::as_str);
        matches!(first, Some("init" | "join" | "reset")) && self.argv.get(1).is_none_or(|word| word != "phase")
    }
}
