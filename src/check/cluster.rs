//! What the bucket already says about a cluster, and whether one answers that it does not know.

use super::Check;
use super::finding::{CheckVerdict, Finding, Found};
use super::input::CheckInput;
use crate::aws::store::{Store, Stored};
use crate::bucket::{Roll, keys};
use crate::kubeadm::pki;
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::InstanceId;
use crate::model::membership::later_truth::LaterTruth;
use crate::model::membership::registration::{Registration, witnesses};
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::identity::{Identity, Mismatch};
use crate::model::up::snapshot::ApiServerAt;
use crate::model::up::step::{Stop, Wait};
use crate::node::api_servers;
use anyhow::Result;
use std::net::IpAddr;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "record", run: |input| Box::pin(record(input)) },
    Check { name: "other-cluster", run: |input| Box::pin(other_cluster(input)) },
    Check { name: "pki-bundle", run: |input| Box::pin(bundle(input)) },
];

/// Whether the cluster record may be read, is one, is this group's, and is not behind what is left of a cluster.
async fn record(input: &CheckInput) -> Found {
    let record = input.record.own()?.as_ref();
    let finding = match record {
        None => Finding::ok("may be read (s3:GetObject); there is none yet: the first claim makes it"),
        Some(record) => judge_record(record, &input.facts.needed()?.identity(&input.group.needed()?.arn)),
    };
    if finding.verdict != CheckVerdict::Ok {
        return Ok(vec![finding]);
    }
    Ok(vec![match Remains::look(&input.aws.needed()?.session.store).await {
        Ok(remains) => remains.judge(record, finding),
        Err(error) => {
            let text = format!("{}; whether it is the last version is not known: {error:#}", finding.text);
            Finding::warning(text, "see the check 'bucket-list'")
        }
    }])
}

/// What is left in the bucket of a cluster, beside its record.
struct Remains {
    /// The record, read after everything else.
    record: Option<ClusterRecord>,
    was_deleted: bool,
    registrations: Vec<Registration>,
    unreadable: Vec<InstanceId>,
    hash: Option<String>,
}

impl Remains {
    async fn look(store: &Store) -> Result<Self> {
        let roll = Roll::new(store);
        let (registrations, hash) = tokio::join!(roll.all_or_none(), store.get(keys::HASH));
        let (registrations, unreadable) = registrations?;
        let stored = store.read(keys::RECORD).await?;
        let hash = hash?.map(|object| String::from_utf8_lossy(&object.body).trim_end().to_owned());
        Ok(Self {
            was_deleted: matches!(stored, Stored::Deleted),
            record: match stored {
                Stored::Object(object) => Some(ClusterRecord::parse(&object.body)?),
                Stored::Nothing | Stored::Deleted => None,
            },
            registrations,
            unreadable,
            hash: hash.filter(|hash| !hash.is_empty()),
        })
    }

    /// The finding, unless `up` would stop. A flip in between looks like a record that has gone back.
    fn judge(&self, record: Option<&ClusterRecord>, found: Finding) -> Finding {
        match self.stop(record) {
            None if !self.unreadable.is_empty() && record.is_none_or(|record| record.published().is_none()) => {
                let wait = Wait::Registrations { instances: self.unreadable.clone() };
                let text = format!("{}; 'kubeboot up' waits for {wait}", found.text);
                Finding::warning(
                    text,
                    "restore or delete the objects that are named, as soon as it is clear what they were",
                )
            }
            None => found,
            Some(_) if self.record.as_ref() != record => {
                let text = format!("{}; it was written anew while this was checked", found.text);
                Finding::warning(text, "run 'kubeboot check' again")
            }
            Some(why) => Finding::stop(&why),
        }
    }

    /// Where `up` would stop, because the record is gone or is an older version.
    fn stop(&self, record: Option<&ClusterRecord>) -> Option<Stop> {
        let Some(record) = record else {
            let witnesses = witnesses(&self.registrations);
            let is_gone = self.was_deleted || self.hash.is_some() || !witnesses.is_empty();
            return is_gone.then_some(Stop::RecordGone { witnesses });
        };
        LaterTruth::than(record, &self.registrations, self.hash.as_deref()).map(Stop::RecordWentBack)
    }
}

/// Whether an API server answers where the next claim would make a cluster.
async fn other_cluster(input: &CheckInput) -> Found {
    if !ClusterRecord::is_claimed_anew(input.record.needed()?.as_ref()) {
        return Ok(vec![Finding::ok("not asked: the record names a cluster, or who makes it")]);
    }
    let (facts, session) = (input.facts.needed()?, &input.aws.needed()?.session);
    let members: Vec<InstanceId> = input.group.needed()?.members.iter().map(|member| member.instance.clone()).collect();
    let described = session.instances(&members).await?;
    let living = described.iter().filter(|(_, found)| matches!(found.state, Ec2State::Running | Ec2State::Pending));
    let living: Vec<(InstanceId, IpAddr)> =
        living.filter_map(|(instance, found)| Some((instance.clone(), *found.addresses.first()?))).collect();
    let (host, port) = (facts.cluster.host.clone(), facts.cluster.port);
    Ok(vec![judge_answers(api_servers::ask(host, port, facts.api_port(), living).await)])
}

fn judge_answers(at: Vec<ApiServerAt>) -> Finding {
    if at.is_empty() {
        return Finding::ok("no API server answers at the endpoint or at a machine of the group");
    }
    Finding::stop(&Stop::ClusterAnswers { at })
}

fn judge_record(record: &ClusterRecord, here: &Identity) -> Finding {
    let claim = &record.claim_id;
    let text = match &record.state {
        RecordState::Retired(_) => {
            return Finding::ok(format!("a retired cluster, of claim {claim}: the next claim follows it"));
        }
        RecordState::Saved(saved) => format!(
            "a cluster of {}, saved in '{}' at {} under claim {claim}: the next machines restore it",
            saved.published.kubernetes_version, saved.snapshot.key, saved.snapshot.taken_at
        ),
        RecordState::Initializing { holder: Some(holder), restoring: Some(saved), .. } => {
            format!("{} is about to restore '{}', under claim {claim}", holder.instance, saved.snapshot.key)
        }
        RecordState::Initializing { holder: Some(holder), .. } => {
            format!("{} is about to initialise, under claim {claim}", holder.instance)
        }
        RecordState::Initializing { holder: None, .. } => format!("the holder of claim {claim} has stepped down"),
        RecordState::Ready(made) => format!(
            "a cluster of {}, made by {} at {} under claim {claim}",
            made.kubernetes_version, made.initialised_by, made.initialised_at
        ),
    };
    match record.identity.mismatch(here) {
        None => Finding::ok(text),
        Some(Mismatch::Settings(difference)) => Finding::stop(&Stop::OtherIdentity(difference)),
        Some(Mismatch::Group(difference)) => Finding::stop(&Stop::OtherGroup(difference)),
    }
}

/// Whether the keys that a joining machine needs are there, and those that the record means.
async fn bundle(input: &CheckInput) -> Found {
    let Some(published) = input.record.needed()?.as_ref().and_then(ClusterRecord::published) else {
        return Ok(vec![Finding::ok("not needed: there is no cluster yet")]);
    };
    let store = &input.aws.needed()?.session.store;
    let url = store.url(&published.pki_key);
    let remedy = "restore that version of the object, for without it no machine can join";
    match store.get(&published.pki_key).await? {
        None => Err(Finding::failed(format!("the PKI bundle '{url}' is missing"), remedy)),
        Some(object) if pki::digest(&object.body) != published.pki_digest => {
            Err(Finding::failed(format!("the PKI bundle '{url}' is not the one that the record means"), remedy))
        }
        Some(_) => Ok(vec![Finding::ok("may be read, and is the one that the record means")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn identity() -> Identity {
        Identity {
            account: "123456789012".into(),
            region: "eu-central-1".into(),
            group_arn: "arn:g".into(),
            endpoint: "api.demo.internal:6443".into(),
            service_subnet: "10.96.0.0/12".into(),
        }
    }

    #[test]
    fn a_record_is_ours_or_another_clusters() -> Result<()> {
        let record = json!({
            "schema": 1, "phase": "initializing", "claim_id": "0d3c3a46-2f0f-4a44-a3d3-6a6a1f6a9a55", "generation": 1,
            "beat": 0, "identity": identity(),
        });
        let record = ClusterRecord::parse(record.to_string().as_bytes())?;
        assert_eq!(judge_record(&record, &identity()).verdict, CheckVerdict::Ok);
        let other = Identity { endpoint: "other:6443".into(), ..identity() };
        assert!(judge_record(&record, &other).text.contains("endpoint 'api.demo.internal:6443'"));
        let replaced = Identity { group_arn: "arn:h".into(), ..identity() };
        assert!(judge_record(&record, &replaced).text.contains("--accept-group"));
        Ok(())
    }

    const CLAIM: &str = "0d3c3a46-2f0f-4a44-a3d3-6a6a1f6a9a55";

    fn record_of(phase: &str) -> Result<ClusterRecord> {
        let cluster = json!({"ca_hashes": ["sha256:01"], "kube_system_uid": CLAIM, "kubernetes_version": "v1.36.1",
            "pki_key": "k", "pki_digest": "d", "initialised_by": "i-00000001", "initialised_at": ""});
        let mut record =
            json!({"schema": 1, "phase": phase, "claim_id": CLAIM, "generation": 1, "identity": identity()});
        match phase {
            "initializing" => record["beat"] = json!(0),
            _ => record["cluster"] = cluster,
        }
        Ok(ClusterRecord::parse(record.to_string().as_bytes())?)
    }

    fn registration(phase: &str, claim: &str) -> Result<Registration> {
        let registration = json!({"schema": 1, "instance": "i-00000001", "phase": phase, "claim_id": claim,
            "provider_id": "aws:///eu-central-1a/i-00000001", "node_name": "n", "addresses": [], "versions": {"kubeboot": "0.1.0", "kubeadm": "v1.36.1"},
            "member_id": "7", "since": "", "updated": ""});
        Registration::parse(registration.to_string().as_bytes()).map_err(anyhow::Error::msg)
    }

    #[test]
    fn a_record_that_is_gone_or_behind_stops_as_up_does() -> Result<()> {
        let other = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
        let (making, ready, retired) = (record_of("initializing")?, record_of("ready")?, record_of("retired")?);
        let (gone, back) = (Some("control-plane/cluster.json is gone"), Some("an older version of the cluster record"));
        let hash = Some("sha256:02");
        // (record, delete marker, the claim of a voter, hash, what is said)
        let table = [
            (None, false, None, None, None),
            (None, true, None, None, gone),
            (None, false, None, hash, gone),
            (
                None,
                false,
                Some(CLAIM),
                None,
                Some("though i-00000001 registered under this prefix that there is a cluster"),
            ),
            (Some(&making), false, None, None, None),
            (Some(&making), false, Some(CLAIM), None, back),
            (Some(&making), false, None, hash, back),
            (Some(&retired), false, Some(CLAIM), Some("sha256:01"), None),
            (Some(&retired), false, Some(other), None, back),
            (Some(&retired), false, None, hash, back),
            (Some(&ready), false, Some(CLAIM), hash, None),
        ];
        for (record, was_deleted, voter, hash, expected) in table {
            let registrations = voter.map(|claim| registration("joined", claim)).transpose()?.into_iter().collect();
            let mut remains = Remains {
                record: record.cloned(),
                was_deleted,
                registrations,
                unreadable: Vec::new(),
                hash: hash.map(str::to_owned),
            };
            let says = remains.stop(record).map(|why| why.to_string());
            let verdict = |remains: &Remains| remains.judge(record, Finding::ok("found")).verdict;
            assert_eq!(verdict(&remains) == CheckVerdict::Ok, expected.is_none(), "{expected:?}");
            // What was written meanwhile explains what is later than the record that was read.
            remains.record = Some(if record == Some(&ready) { making.clone() } else { ready.clone() });
            assert!(!matches!(verdict(&remains), CheckVerdict::Failed(_)), "{expected:?}");
            assert_eq!(says.is_some(), expected.is_some(), "{says:?} {expected:?}");
            assert!(says.zip(expected).is_none_or(|(says, expected)| says.contains(expected)), "{expected:?}");
        }
        Ok(())
    }

    #[test]
    fn whoever_answers_is_another_cluster_where_the_next_claim_is_over_none() -> Result<()> {
        let rows = [("initializing", false), ("ready", false), ("retired", true)];
        for (phase, expected) in rows {
            assert_eq!(ClusterRecord::is_claimed_anew(Some(&record_of(phase)?)), expected, "{phase}");
        }
        assert!(ClusterRecord::is_claimed_anew(None));
        assert_eq!(judge_answers(Vec::new()).verdict, CheckVerdict::Ok);
        let found = judge_answers(vec![ApiServerAt { instance: None, address: "api:6443".into() }]);
        assert!(matches!(found.verdict, CheckVerdict::Failed(_)) && found.text.contains("the endpoint api:6443"));
        Ok(())
    }
}
