//! Commands of an operator: reaping members and retiring a cluster; and the messages when only an operator can go on.

use crate::support::World;
use crate::support::bucket::{LEASE, RECORD};
use crate::support::command::Ended;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const UP_BRIEFLY: [&str; 8] = ["kubeboot", "up", "--claim-ttl", "3s", "--lease-ttl", "3s", "--deadline", "8s"];
/// An address that no machine has.
const NOWHERE: &str = "10.255.255.99";

/// Runs `kubeboot` with these words on a machine; it must end with this exit code and say each of these texts.
fn says(world: &World, node: usize, words: &[&str], code: i32, texts: &[&str]) -> Result<Ended> {
    let ended = world.on(node, &[&["kubeboot"][..], words].concat())?;
    ensure!(ended.code == code, "{words:?} ended with {}, not {code}: {}", ended.code, ended.text());
    for text in texts {
        ensure!(ended.says(text), "{words:?} does not say '{text}': {}", ended.text());
    }
    Ok(ended)
}

/// The etcd member of a machine, as it registered it.
fn member_of(world: &World, node: usize) -> Result<String> {
    let registration = world.registration(node)?;
    registration["member_id"].as_str().map(str::to_owned).with_context(|| format!("no member: {registration}"))
}

/// Announces a learner at an address that no machine has, by machine 1's etcd, and returns its ID.
fn plant(world: &World) -> Result<String> {
    let registration = world.registration(1)?;
    let address = registration["addresses"][0].as_str().context("an address")?;
    let endpoint = format!("--endpoints=https://{address}:2379");
    let peer = format!("--peer-urls=https://{NOWHERE}:2380");
    let pki = "/etc/kubernetes/pki/etcd";
    let (ca, certificate, key) = (
        format!("--cacert={pki}/ca.crt"),
        format!("--cert={pki}/healthcheck-client.crt"),
        format!("--key={pki}/healthcheck-client.key"),
    );
    let add = ["member", "add", "ghost", "--learner", &peer];
    // etcd adds no member before it has been connected to every voter for a while.
    let ended = world.until("etcd takes a learner in", RUN, || {
        let ended = world.on(1, &[&["etcdctl", &endpoint, &ca, &certificate, &key][..], &add].concat())?;
        Ok((ended.code == 0).then_some(ended))
    })?;
    let id = ended.stdout.split_whitespace().nth(1).context("'Member ID added ...'")?;
    Ok(id.to_owned())
}

/// The members of a report, or of a plan.
fn members(ended: &Ended) -> Result<Vec<Value>> {
    let report: Value = serde_json::from_str(&ended.stdout).with_context(|| format!("no JSON: {}", ended.text()))?;
    report["members"].as_array().cloned().with_context(|| format!("no members: {report}"))
}

#[test]
fn a_dead_machines_member_is_planned_for_and_then_reaped() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.ask(&["kill", "2"])?;
        world.ask(&["ec2-state", "2", "terminated"])?;
        let before = world.before(1)?;
        let plan = members(&says(world, 1, &["reap", "--dry-run", "--json"], 0, &[])?)?;
        let goes: Vec<&Value> = plan.iter().filter(|member| member["verdict"] == "remove").collect();
        ensure!(plan.len() == 3 && goes.len() == 1, "{plan:?}");
        ensure!(goes[0]["instance"] == world.id(2)?.as_str() && goes[0]["code"] == "gone", "{goes:?}");
        ensure!(goes[0]["removed"] == false, "{goes:?}");
        says(world, 1, &["reap", "--dry-run"], 0, &["would be removed: its machine", "kept: it answers"])?;
        before.nothing_at_all_changed()?;
        says(world, 1, &["reap"], 0, &["removed: its machine", "its Node: deleted"])?;
        world.are_the_voters(&[1, 3])?;
        ensure!(world.registration(2)?["phase"] == "reaped", "{}", world.registration(2)?);
        ensure!(world.object(LEASE)?["holder"].is_null(), "the lease was not given back: {}", world.object(LEASE)?);
        let again = members(&says(world, 1, &["reap", "--json"], 0, &[])?)?;
        ensure!(again.iter().all(|member| member["verdict"] == "keep"), "{again:?}");
        Ok(())
    })
}

#[test]
fn a_member_that_nobody_explains_is_kept_until_an_operator_names_it() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        let id = plant(world)?;
        says(world, 1, &["reap"], 6, &[&id, "no registration explains it", "kubeboot reap --member ID"])?;
        says(world, 1, &["reap", "--member", &id, "--dry-run"], 0, &["would be removed: no registration explains it"])?;
        says(world, 1, &["reap", "--member", &id], 2, &["add --yes", "nothing was changed"])?;
        let still = members(&says(world, 2, &["reap", "--dry-run", "--json"], 0, &[])?)?;
        ensure!(still.iter().any(|member| member["id"] == id.as_str()), "{still:?}");
        says(world, 1, &["reap", "--member", &id, "--yes"], 0, &["removed: no registration explains it"])?;
        says(world, 1, &["reap", "--member", &id, "--yes"], 0, &["etcd lists no member"])?;
        says(world, 2, &["reap"], 0, &[])?;
        world.are_the_voters(&[1, 2])
    })
}

#[test]
fn an_operators_word_removes_nobody_who_lives_and_costs_no_quorum() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let (second, third) = (member_of(world, 2)?, member_of(world, 3)?);
        world.refuses(1, &["kubeboot", "reap", "--member", &second, "--yes"], 6, &["it answers"])?;
        world.ask(&["kill", "2"])?;
        world.refuses(1, &["kubeboot", "reap", "--member", &second, "--yes"], 6, &["is not certainly gone"])?;
        says(world, 1, &["reap"], 3, &["is not certainly gone"])?;
        world.ask(&["kill", "3"])?;
        world.ask(&["ec2-state", "3", "terminated"])?;
        for words in [&["reap"][..], &["reap", "--member", &third, "--yes"]] {
            says(world, 1, words, 6, &["quorum lost: 1 of 3 answers"])?;
        }
        Ok(())
    })
}

#[test]
fn a_lost_quorum_is_told_with_all_that_is_known() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let record = world.record()?;
        world.ask(&["kill", "2"])?;
        world.ask(&["kill", "3"])?;
        world.ask(&["ec2-state", "2", "terminated"])?;
        world.ask(&["ec2-state", "3", "stopped"])?;
        let ended = world.on(1, &UP_BRIEFLY)?;
        ensure!(ended.code == 6, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        let (second, third) = (world.id(2)?, world.id(3)?);
        for text in [
            "quorum lost: 1 of 3 answers",
            &format!("- {second}, etcd member {}", member_of(world, 2)?),
            "EC2 says terminated",
            "it last wrote about itself at",
            &format!("- {third}: start it"),
            RECORD,
            record["cluster"]["pki_key"].as_str().context("the key of the keys")?,
            record["claim_id"].as_str().context("a claim")?,
        ] {
            ensure!(ended.stderr.contains(text), "it does not say '{text}': {}", ended.stderr);
        }
        Ok(())
    })
}

/// A group of two is terminated, and one new machine is launched, on which nothing has run yet.
fn everything_lost(story: impl FnOnce(&World, &str) -> Result<()>) -> Result<()> {
    World::of(2).without_up().set("gone_grace", "5s").tell(|world| {
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        let claim = world.record()?["claim_id"].as_str().context("a claim")?.to_owned();
        // Both at once and without a word: of two that go down in good order one would leave first.
        for node in [1, 2] {
            world.cut_power(node)?;
        }
        world.ask(&["desired", "0"])?;
        world.ask(&["desired", "1"])?;
        story(world, &claim)
    })
}

#[test]
fn a_cluster_is_retired_when_all_its_machines_are_gone_and_the_next_ones_make_another() -> Result<()> {
    everything_lost(|world, claim| {
        let first = world.record()?;
        let lost = world.on(3, &UP_BRIEFLY)?;
        ensure!(lost.code == 6, "'kubeboot up' ended with {}: {}", lost.code, lost.text());
        let (one, two) = (world.id(1)?, world.id(2)?);
        let retire = format!("kubeboot retire --cluster-id {claim}");
        for text in
            ["every machine that ever was a voter is gone", &one, &two, "EC2 says terminated", RECORD, "pki/", &retire]
        {
            ensure!(lost.stderr.contains(text), "it does not say '{text}': {}", lost.stderr);
        }
        world.refuses(3, &["kubeboot", "retire", "--cluster-id", claim], 2, &["gives the cluster", "add --yes"])?;
        let other = "00000000-0000-4000-8000-000000000000";
        world.refuses(
            3,
            &["kubeboot", "retire", "--cluster-id", other, "--yes"],
            2,
            &[claim, "correct --cluster-id"],
        )?;
        // The reply to the one write is lost; what stands in the bucket counts.
        world.fault("lost-reply", &["--action", "PutObject", "--key", "*/cluster.json", "--times", "1"])?;
        says(world, 3, &["retire", "--cluster-id", claim, "--yes"], 0, &["retired"])?;
        ensure!(world.record()?["phase"] == "retired", "{}", world.record()?);
        says(world, 3, &["retire", "--cluster-id", claim, "--yes"], 0, &["is retired already"])?;
        // So is the reply to the claim over it.
        world.fault("lost-reply", &["--action", "PutObject", "--key", "*/cluster.json", "--times", "1"])?;
        world.run_up(3)?;
        world.all_up(&[3])?;
        world.are_the_voters(&[3])?;
        let second = world.record()?;
        ensure!(second["phase"] == "ready" && second["generation"] == 2, "{second}");
        for place in ["/claim_id", "/cluster/kube_system_uid", "/cluster/pki_key"] {
            ensure!(second.pointer(place) != first.pointer(place), "{place} is the old cluster's: {second}");
        }
        world
            .refuses(3, &["kubeboot", "retire", "--cluster-id", claim, "--yes"], 2, &["correct --cluster-id"])
            .map(drop)
    })
}

#[test]
fn a_cluster_is_not_retired_while_one_of_its_machines_lives() -> Result<()> {
    World::of(2).without_up().tell(|world| {
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        let claim = world.record()?["claim_id"].as_str().context("a claim")?.to_owned();
        let argv = ["kubeboot", "retire", "--cluster-id", &claim, "--yes"];
        let ended = world.refuses(1, &argv, 6, &["is running: terminate it", "the endpoint"])?;
        for node in [1, 2] {
            ensure!(ended.text().contains(&world.id(node)?), "node {node} is not told of: {}", ended.text());
        }
        // One is gone, one is stopped and could be started again.
        world.ask(&["kill", "1"])?;
        world.ask(&["ec2-state", "1", "terminated"])?;
        world.ask(&["kill", "2"])?;
        world.ask(&["ec2-state", "2", "stopped"])?;
        world.ask(&["launch"])?;
        let ended = world.refuses(3, &argv, 6, &["is stopped: terminate it"])?;
        ensure!(ended.text().contains(&world.id(2)?), "{}", ended.text());
        Ok(())
    })
}

#[test]
fn another_cluster_at_the_endpoint_is_in_the_way_and_told_as_that() -> Result<()> {
    everything_lost(|world, claim| {
        let up = world.on(3, &["kubeboot", "up", "--prefix", "another"])?;
        ensure!(up.code == 0, "'kubeboot up' ended with {}: {}", up.code, up.text());
        let retire = ["kubeboot", "retire", "--cluster-id", claim, "--yes"];
        // The load balancer opens when it has found the machine healthy twice.
        world.until("the endpoint to lead to the other cluster", RUN, || {
            let ended = world.refuses(3, &retire, 6, &["accepts connections at port 6443"])?;
            Ok(ended.text().contains("the endpoint").then_some(()))
        })?;
        let words = [
            "the endpoint api.demo.internal:6443 answers with HTTP status 200 from 127.",
            "it serves another cluster, with the CA sha256:",
            "if that is an earlier cluster, retired while machines of it went on running, terminate those",
        ];
        world.refuses(3, &retire, 6, &words).map(drop)
    })
}

#[test]
fn both_work_from_a_laptop_as_far_as_they_can() -> Result<()> {
    const LAPTOP: [&str; 5] = [
        "env",
        "AWS_EC2_METADATA_DISABLED=true",
        "AWS_REGION=eu-central-1",
        "AWS_ACCESS_KEY_ID=AKIAOPERATOR00000001",
        "AWS_SECRET_ACCESS_KEY=secret",
    ];
    everything_lost(|world, claim| {
        let dry = world.on(3, &[&LAPTOP[..], &["kubeboot", "reap", "--dry-run"]].concat())?;
        ensure!(dry.code == 0 && dry.stdout.contains("etcd: unknown"), "{}", dry.text());
        ensure!(dry.stdout.contains(&world.id(2)?) && dry.stdout.contains("would be removed"), "{}", dry.text());
        let reap = world.on(3, &[&LAPTOP[..], &["kubeboot", "reap"]].concat())?;
        ensure!(reap.code == 2 && reap.stderr.contains("on a control-plane machine"), "{}", reap.text());
        let retire = ["kubeboot", "retire", "--cluster-id", claim, "--yes", "--json"];
        let ended = world.on(3, &[&LAPTOP[..], &retire].concat())?;
        ensure!(ended.code == 0, "{}", ended.text());
        let report: Value = serde_json::from_str(&ended.stdout)?;
        ensure!(report["retired"] == true && report["cluster_id"] == claim, "{report}");
        ensure!(world.record()?["phase"] == "retired", "{}", world.record()?);
        Ok(())
    })
}
