//! A last voter that cannot save as it should: what the record says decides, and what nothing keeps is uploaded before it goes.

use crate::support::World;
use crate::support::agent::HOOK;
use crate::support::bucket::{LEASE, RECORD};
use crate::support::command::Running;
use crate::support::leaving::STAYED;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

impl World {
    /// Starts the agent of a machine anew: what it remembers of a saving that has failed is gone.
    fn start_agent_anew(&self, node: usize, agent: Running) -> Result<Running> {
        self.signal_program_with(node, "kubeboot", "agent", Signal::KILL)?;
        drop(agent);
        self.start_agent(node)
    }

    /// Fails unless the cluster of a machine goes on as before, whose saving has failed with these words.
    fn serves_again(&self, node: usize, agent: &Running, words: &str) -> Result<()> {
        self.until_agent_says(agent, words)?;
        self.until_agent_says(agent, "the cluster was not saved: etcd and API server start again on this machine")?;
        self.until("the API server serves again", RUN, || {
            Ok(self.on(node, &["kubeboot", "status"])?.says("1 voter").then_some(()))
        })?;
        ensure!(self.record()?["phase"] == "ready", "{}", self.record()?);
        ensure!(self.hook_calls("CompleteLifecycleAction", node)?.is_empty(), "the hook was completed");
        self.have_the_word(&[node])
    }
}

#[test]
fn a_record_that_cannot_be_written_or_is_written_too_late_leaves_the_cluster_as_it_was() -> Result<()> {
    World::of(1).with_terminate_hook().tell(|world| {
        world.all_up(&[1])?;
        world.keep_a_word(1)?;
        let agent = world.start_agent(1)?;
        world.until_agent_says(&agent, "the group says InService")?;
        let key = format!("*/{RECORD}");
        let saved = ["--action", "PutObject", "--key", &key, "--body", "*\"saved\"*"];
        world.fault("error=403/AccessDenied", &[&saved[..], &["--times", "1"]].concat())?;
        world.ask(&["desired", "0"])?;
        world.serves_again(1, &agent, "AccessDenied")?;
        world.every_fault_was_met()?;
        ensure!(world.manifests("final")?.len() == 1, "it was not the record that was denied");

        // One write is on its way for longer than this machine waits, and no other one comes through.
        let before = world.record()?;
        world.fault("late=15", &[&saved[..], &["--times", "1"]].concat())?;
        world.fault("cut", &saved)?;
        let agent = world.start_agent_anew(1, agent)?;
        world.serves_again(1, &agent, "S3 does not say whether the cluster record was written")?;
        let put = world.etcdctl(1, &["put", "--write-out", "json", "/story/later", "acknowledged"])?;
        let put: Value = serde_json::from_str(&put)?;
        let written = put["header"]["revision"].as_u64().context("etcd tells the revision of a write")?;
        let landed = world.landed(1)?;
        ensure!(landed.iter().all(|(_, status)| *status == 412), "a late 'saved' has landed: {landed:?}");
        let record = world.record()?;
        ensure!(record["phase"] == "ready" && record["claim_id"] == before["claim_id"], "{record}");
        world.ask(&["fault", "clear"])?;

        // Somebody else's snapshot is under way, and stands in nobody's way.
        world.fault("delay=10", &["--action", "UploadPart", "--key", "*/snapshots/0*", "--times", "1"])?;
        let other = world.start_on(1, &["kubeboot", "snapshot", "save"])?;
        world.until("it uploads", RUN, || Ok(world.has_met_a_fault()?.then_some(())))?;
        let agent = world.start_agent_anew(1, agent)?;
        world.until_terminated(1, &agent)?;
        world.has_continued(1)?;
        world.has_gone_down_at_once(1)?;
        drop(other);
        let record = world.record()?;
        let key = record["snapshot"]["key"].as_str().with_context(|| format!("it was not saved: {record}"))?;
        ensure!(world.object(key)?["kind"] == "final", "{key}");
        let last = record["snapshot"]["revision"].as_u64();
        ensure!(last >= Some(written), "what was written at revision {written} is not in it: {record}");
        World::meant_one_cluster(&world.records()?)
    })
}

#[test]
fn whoever_nothing_keeps_uploads_what_it_has_and_a_newcomer_that_stood_by_restores_what_was_saved() -> Result<()> {
    let plan = World::of(2).option("--etcd", "3.5.30").set("lease_ttl", "3s").set("claim_stagger", "1s");
    plan.tell(|world| {
        world.all_up(&[1, 2])?;
        world.keep_a_word(1)?;
        let ready = world.record()?;
        // Without a quorum nobody knows whether it has everything.
        world.ask(&["kill", "2"])?;
        let agent = world.start_agent(1)?;
        world.announce(1, &["spot"])?;
        world.until_agent_says(&agent, "saved this machine's etcd, unconfirmed")?;
        world.until_agent_says(&agent, "etcd has lost its quorum")?;
        let uploaded = world.manifests("unconfirmed")?;
        ensure!(uploaded.len() == 1 && uploaded[0]["saved_by"] == world.id(1)?.as_str(), "{uploaded:?}");
        ensure!(world.record()? == ready, "the record has changed: {}", world.record()?);
        // It comes back, and the other one goes.
        world.announce(1, &["spot", "--gone"])?;
        world.boot(2, true)?;
        world.all_up(&[2])?;
        world.ask(&["lifecycle", "2", "Terminating"])?;
        let second = world.start_agent(2)?;
        world.until_agent_says(&second, "this machine has left its cluster")?;
        world.has_left(2, &[1])?;
        ensure!(world.manifests("unconfirmed")?.len() == 1, "{:?}", world.manifests("unconfirmed")?);

        // The last one is taken, and the newcomer does not come in before that: it cannot write what it queues by.
        let next = json!(world.ask(&["launch", "--no-up"])?["index"]);
        ensure!(next == 3, "{next}");
        let id = world.id(3)?;
        world.fault("error=503/SlowDown", &["--node", &id, "--action", "PutObject", "--key", &format!("*/{LEASE}")])?;
        world.run_up(3)?;
        world.until("it wants to come in", RUN, || Ok(world.has_met_a_fault()?.then_some(())))?;
        world.announce(1, &["spot", "--raw", &spot_notice(Duration::from_secs(20))?])?;
        world.until_agent_says(&agent, "saved the cluster: the next machines restore it")?;
        world.ask(&["fault", "clear"])?;
        world.until("it is saved", RUN, || Ok((!world.manifests("final")?.is_empty()).then_some(())))?;
        world.lose_by_spot(1)?;
        world.all_up(&[3])?;
        world.are_restored(&ready, &[3])?;

        // One that goes down without a hook has no time for more than this.
        world.goes_down(3, "poweroff")?.is(STAYED, &["the last voter", "saved this machine's etcd, unconfirmed"])?;
        let uploaded = world.manifests("unconfirmed")?;
        let by: Vec<_> = uploaded.iter().filter(|manifest| manifest["saved_by"] == id.as_str()).collect();
        ensure!(by.len() == 1 && uploaded.len() == 2, "{uploaded:?}");
        ensure!(world.record()?["phase"] == "ready", "{}", world.record()?);
        world.kept_one_line()
    })
}

/// A Spot notice for a moment that is so far away.
fn spot_notice(ahead: Duration) -> Result<String> {
    let at = humantime::format_rfc3339_seconds(SystemTime::now() + ahead).to_string();
    Ok(json!({"action": "terminate", "time": at}).to_string())
}

#[test]
fn an_operator_asks_whether_the_group_may_be_set_to_zero_and_what_is_said_happens() -> Result<()> {
    World::of(1).with_agents().tell(|world| {
        world.all_up(&[1])?;
        world.keep_a_word(1)?;
        let (record, group) = (world.record()?, world.ask(&["status"])?["group"].clone());
        let asked = |code: i32, words: &[&str]| -> Result<()> {
            let ended = world.on(1, &["kubeboot", "hibernate"])?;
            ensure!(ended.code == code, "it ended with {}: {}", ended.code, ended.text());
            for word in words {
                ensure!(ended.text().contains(word), "it does not say '{word}': {}", ended.text());
            }
            ensure!(world.record()? == record, "the record has changed: {}", world.record()?);
            ensure!(world.ask(&["status"])?["group"] == group, "the group has changed");
            Ok(())
        };
        asked(2, &["failed   the agent does not run on this machine", "'systemctl enable --now kubeboot-agent'"])?;
        // The stand-in for systemd knows nothing of what the machine's init runs.
        let started = world.on(1, &["systemctl", "start", "kubeboot-agent"])?;
        ensure!(started.code == 0, "{}", started.text());
        for (action, words) in [
            ("CreateMultipartUpload", "failed   no snapshot could be saved and read back"),
            ("GetObject", "failed to verify the snapshot"),
        ] {
            world.fault("error=403/AccessDenied", &["--action", action, "--key", "*/snapshots/*"])?;
            asked(2, &[words, "AccessDenied", "the group must not be set to zero"])?;
            world.ask(&["fault", "clear"])?;
        }
        world.ask(&["hook", "rm", HOOK])?;
        asked(2, &["failed   the group has no lifecycle hook 'leave' -> add it"])?;
        world.ask(&["hook", "add", HOOK, "terminating", "--seconds", "1"])?;
        asked(2, &["lasts 1 min 40 s in all"])?;
        world.ask(&["hook", "add", HOOK, "terminating", "--seconds", "300"])?;
        asked(0, &["warning  the group terminates a machine whose hook is abandoned", "read back: snapshots/"])?;
        world.ask(&["retention", "on"])?;
        asked(
            0,
            &[
                "ok       the cluster is ready, and all of its 1 voters answer",
                "ok       every registered machine reads the record",
                "ok       the terminate hook 'leave' has 5 min after each heartbeat",
                "ok       the group keeps a machine whose hook is abandoned",
                "ok       the agent runs on this machine",
                "ok       etcd's database has ",
                "--min-size 0 --desired-capacity 0",
                "--min-size 1 --desired-capacity 1",
            ],
        )?;
        ensure!(world.manifests("final")?.is_empty(), "a rehearsal is no final snapshot");
        world.ask(&["desired", "0"])?;
        world.until_gone(1)?;
        ensure!(world.record()?["phase"] == "saved", "{}", world.record()?);
        ensure!(world.manifests("final")?.len() == 1, "{:?}", world.manifests("final")?);
        world.has_continued(1)?;
        world.has_gone_down_at_once(1)
    })
}

impl World {
    /// Fails unless the leaving unit of a machine that has saved its cluster had nothing to do.
    fn has_gone_down_at_once(&self, node: usize) -> Result<()> {
        let events = self.journal("events")?;
        let left = events.iter().find(|event| event["event"] == "leaving-unit" && event["index"] == node);
        ensure!(left.is_some_and(|left| left["exit"] == STAYED), "it has tried to leave what is gone: {left:?}");
        Ok(())
    }

    /// EC2 takes a machine, and the group another one in its place.
    fn lose_by_spot(&self, node: usize) -> Result<()> {
        self.ask(&["ec2-state", &node.to_string(), "terminated"])?;
        self.ask(&["kill", &node.to_string()]).map(drop)
    }
}
