//! Machines that go down: which leave, which stay, and that a machine that comes back joins as new.

use crate::support::World;
use crate::support::bucket::{LEASE, RECORD};
use crate::support::leaving::{LEFT, STAYED};
use crate::support::terminal::Terminal;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::path::Path;

/// systemd's queue while the machine is powered off.
const POWEROFF: &str = "301 poweroff.target start waiting\n302 kubeboot-reset.service stop running\n";
const HALT: &str = "301 halt.target start waiting\n302 kubeboot-reset.service stop running\n";

#[test]
fn a_terminated_machine_of_three_leaves_two_healthy_voters() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.ask(&["terminate", "3"])?;
        let events = world.journal("events")?;
        let left: Vec<_> = events.iter().filter(|event| event["event"] == "leaving-unit").collect();
        ensure!(left.len() == 1 && left[0]["exit"] == LEFT, "{left:?}");
        println!("a graceful termination took {} s", left[0]["seconds"]);
        world.has_left(3, &[1, 2])?;
        ensure!(world.object(LEASE)?["holder"].is_null(), "the next one waits for the lease: {}", world.object(LEASE)?);
        let status = world.on(1, &["kubeboot", "status"])?;
        ensure!(status.says("2 voters") || status.says("can lose 0"), "{}", status.text());
        Ok(())
    })
}

#[test]
fn a_machine_that_left_and_is_started_again_joins_as_new() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let before = world.registration(2)?;
        let record = world.record()?;
        let left = world.goes_down(2, "poweroff")?;
        left.is(LEFT, &["left the cluster in"])?;
        // A machine whose removal turns out not to be lawful keeps its Node.
        let at = |words: &str| left.output.find(words).with_context(|| format!("'{words}': {}", left.output));
        ensure!(at("lists this machine no longer")? < at("deleted this machine's Node")?, "{}", left.output);
        ensure!(world.disk(2)?.join("var/lib/etcd/member").exists(), "a machine that goes down wipes nothing");
        world.has_left(2, &[1, 3])?;
        world.ask(&["boot", "2"])?;
        world.all_up(&[2])?;
        world.are_the_voters(&[1, 2, 3])?;
        let after = world.registration(2)?;
        ensure!(after["phase"] == "joined" && after["member_id"] != before["member_id"], "{before} then {after}");
        ensure!(world.record()? == record, "the record has changed");
        Ok(())
    })
}

#[test]
fn what_comes_back_stays() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        let before = world.before(2)?;
        for unit in ["reboot", "kexec", "soft-reboot", "rescue", "emergency", "factory-reset"] {
            for other in ["", POWEROFF] {
                let ended = world.reset_with_jobs(2, &format!("{other}300 {unit}.target start waiting\n"))?;
                let said = ended.text();
                ensure!(i64::from(ended.code) == STAYED && said.contains("it comes back"), "{unit}: {said}");
            }
        }
        let not_down = [
            "No jobs running.\n",
            "302 kubeboot-reset.service restart running\n",
            "301 poweroff.target stop waiting\n",
            "301 suspend.target start waiting\n",
            "Failed to list jobs: Transport endpoint is not connected\n",
        ];
        for jobs in not_down {
            let ended = world.reset_with_jobs(2, jobs)?;
            let said = ended.text();
            ensure!(i64::from(ended.code) == STAYED && said.contains("starts neither"), "{jobs}: {said}");
        }
        before.nothing_at_all_changed()?;
        world.are_the_voters(&[1, 2])?;
        world.goes_down(2, "restart")?.is(STAYED, &["starts neither"])?;
        world.goes_down(2, "reboot")?.is(STAYED, &["reboot.target"])?;
        world.ask(&["boot", "2"])?;
        world.all_up(&[2])?;
        ensure!(world.kubeadm()?.len() == 2, "a reboot cost a join: {:?}", world.kubeadm()?);
        world.are_the_voters(&[1, 2])
    })
}

#[test]
fn what_is_not_for_good_stays_and_what_is_leaves_whichever_way() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        let before = world.before(2)?;
        let rows = [
            (POWEROFF, "InService", "stopping", "EC2 stops it"),
            (POWEROFF, "Standby", "running", "Standby"),
            (POWEROFF, "EnteringStandby", "running", "Standby"),
            (POWEROFF, "Quarantined", "running", "Quarantined"),
            (POWEROFF, "Warmed:Running", "running", "Warmed:Running"),
            (HALT, "InService", "running", "AWS does not say"),
        ];
        for (jobs, lifecycle, ec2, why) in rows {
            world.ask(&["lifecycle", "2", lifecycle])?;
            world.ask(&["ec2-state", "2", ec2])?;
            let ended = world.reset_with_jobs(2, jobs)?;
            let said = ended.text();
            ensure!(i64::from(ended.code) == STAYED && said.contains(why), "{lifecycle}, {ec2}: {said}");
        }
        world.ask(&["leave-group", "2"])?;
        let ended = world.reset_with_jobs(2, POWEROFF)?;
        ensure!(i64::from(ended.code) == STAYED && ended.text().contains("Detached"), "{}", ended.text());
        before.nothing_at_all_changed()?;
        world.are_the_voters(&[1, 2])?;
        world.ask(&["ec2-state", "2", "shutting-down"])?;
        let asked = world.root(2)?.join("run/standin/systemctl.log");
        std::fs::remove_file(&asked)?;
        let ended = world.reset_with_jobs(2, HALT)?;
        ensure!(i64::from(ended.code) == LEFT && ended.text().contains("shutting-down"), "{}", ended.text());
        // Whoever stops a unit from here waits for one that waits for this one: kubelet's stop does.
        let asked = std::fs::read_to_string(asked)?;
        ensure!(
            asked.lines().all(|line| line.contains("list-jobs")),
            "systemd was asked for more than its queue: {asked}"
        );
        world.has_left(2, &[1])
    })
}

#[test]
fn the_last_voter_stays_with_all_data() -> Result<()> {
    World::of(1).tell(|world| {
        world.all_up(&[1])?;
        let record = world.record()?;
        world.goes_down(1, "poweroff")?.is(STAYED, &["the last voter", "stays on its disk"])?;
        ensure!(world.disk(1)?.join("var/lib/etcd/member").exists(), "its data is gone");
        world.ask(&["boot", "1"])?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1])?;
        ensure!(world.record()? == record, "the record has changed");
        let refused =
            world.refuses(1, &["kubeboot", "reset", "--now", "--yes"], 6, &["last voter", "never removes itself"]);
        refused.map(drop)
    })
}

#[test]
fn scaled_in_from_three_to_one_the_one_has_all_data() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.ask(&["desired", "1"])?;
        world.has_left(2, &[1])?;
        world.has_left(3, &[1])?;
        world.ask(&["desired", "2"])?;
        world.all_up(&[4])?;
        world.are_the_voters(&[1, 4])
    })
}

#[test]
fn two_that_leave_at_once_leave_one_after_the_other() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let (second, third) = std::thread::scope(|threads| {
            let second = threads.spawn(|| world.goes_down(2, "poweroff"));
            let third = world.goes_down(3, "poweroff");
            (second.join().expect("it does not panic"), third)
        });
        second?.is(LEFT, &[])?;
        third?.is(LEFT, &[])?;
        world.has_left(2, &[1])?;
        world.has_left(3, &[1])
    })
}

#[test]
fn when_all_go_at_once_one_of_them_keeps_the_data() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let exits = std::thread::scope(|threads| {
            let all: Vec<_> = [1, 2, 3].map(|node| threads.spawn(move || world.goes_down(node, "poweroff"))).into();
            all.into_iter().map(|one| one.join().expect("it does not panic")).collect::<Result<Vec<_>>>()
        })?;
        let stayed: Vec<usize> = (1..=3).filter(|node| exits[node - 1].exit == STAYED).collect();
        ensure!(stayed.len() == 1, "{exits:?}");
        world.ask(&["boot", &stayed[0].to_string()])?;
        world.all_up(&stayed)?;
        world.are_the_voters(&stayed)
    })
}

#[test]
fn a_voter_that_becomes_the_last_one_while_it_leaves_uploads_what_it_has() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        // It has seen the other one, and queues for longer than that one needs to go.
        let (id, lease) = (world.id(2)?, format!("*/{LEASE}"));
        world.fault("delay=6", &["--node", &id, "--action", "PutObject", "--key", &lease, "--times", "1"])?;
        let left = std::thread::scope(|threads| {
            let second = threads.spawn(|| world.goes_down(2, "poweroff"));
            world.until("it queues", RUN, || Ok(world.has_met_a_fault()?.then_some(())))?;
            world.goes_down(1, "poweroff")?.is(LEFT, &["left the cluster"])?;
            second.join().expect("it does not panic")
        })?;
        left.is(STAYED, &["the last voter", "saved this machine's etcd, unconfirmed"])?;
        let uploaded = world.manifests("unconfirmed")?;
        ensure!(uploaded.len() == 1 && uploaded[0]["saved_by"] == id.as_str(), "{uploaded:?}");
        world.every_fault_was_met()
    })
}

#[test]
fn an_operator_takes_a_machine_out_and_it_joins_again() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.refuses(3, &["kubeboot", "reset", "--now"], 2, &["is no terminal", "--yes"])?;
        world.refuses(3, &["kubeboot", "reset", "--yes"], 2, &["--now"])?;
        let foretold = world.foretold(3, &["--now"])?.stdout;
        for step in ["lease:", "register-leaving:", "remove-member:", "delete-node:", "register-left:", "wipe:"] {
            ensure!(foretold.contains(step), "{foretold}");
        }
        let record = world.text(RECORD)?;
        let claim = world.record()?["claim_id"].as_str().context("it is a text")?.to_owned();
        world.put(RECORD, record.replace(&claim, "6f9619ff-8b86-4011-b42d-00c04fc964ff"))?;
        let ended = world.on(3, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(ended.code == 6 && ended.text().contains("was not wiped"), "{}", ended.text());
        ensure!(world.disk(3)?.join("var/lib/etcd/member").exists(), "wiped without the record's word");
        world.put(RECORD, &record)?;
        // With pods that run it takes as long as that.
        world.kubeadm_fault(3, &json!({"reset": {"after": "preflight", "seconds": 11}}))?;
        let ended = world.on(3, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(i64::from(ended.code) == LEFT, "{}", ended.text());
        world.has_left(3, &[1, 2])?;
        for gone in ["etc/kubernetes/admin.conf", "var/lib/etcd/member", "var/lib/kubeboot/state.json"] {
            ensure!(!world.disk(3)?.join(gone).exists(), "'{gone}' is still there");
        }
        let again = world.on(3, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(i64::from(again.code) == STAYED && again.text().contains("no control plane"), "{}", again.text());
        world.run_up(3)?;
        world.all_up(&[3])?;
        world.are_the_voters(&[1, 2, 3])
    })
}

#[test]
fn an_operator_takes_a_machine_out_whose_credentials_are_lost() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        std::fs::remove_dir_all(world.disk(3)?.join("etc/kubernetes"))?;
        let foretold = world.foretold(3, &["--now"])?.stdout;
        ensure!(foretold.contains("remove-member:") && foretold.contains("delete-node:"), "{foretold}");
        let ended = world.on(3, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(i64::from(ended.code) == LEFT, "{}", ended.text());
        ensure!(ended.text().contains("are lost, making others from the PKI bundle"), "{}", ended.text());
        world.has_left(3, &[1, 2])?;
        let folder = world.root(3)?.join("run/kubeboot/short-lived");
        let left: Vec<_> = std::fs::read_dir(&folder)?.flatten().map(|entry| entry.file_name()).collect();
        ensure!(left.is_empty(), "credentials are left in '{}': {left:?}", folder.display());
        world.run_up(3)?;
        world.all_up(&[3])?;
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn an_operator_at_a_terminal_is_asked_and_only_yes_counts() -> Result<()> {
    const ASKED: &str = "Type 'yes' to go on: ";
    let now = ["kubeboot", "reset", "--now"];
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        let before = world.before(2)?;
        let asked = |world| -> Result<Terminal<'_>> {
            let mut terminal = World::at_a_terminal(world, 2, &now)?;
            terminal.until_shown(ASKED)?;
            Ok(terminal)
        };
        for answer in [Some("y"), None] {
            let terminal = asked(world)?;
            let ended = match answer {
                Some(line) => terminal.types(line)?,
                None => terminal.types_no_more()?,
            };
            ensure!(ended.code == 2 && ended.stdout.contains("nothing was changed"), "{ended:?}");
            for told in [&world.id(2)?, "out of its cluster and wipes it", "remove-member:", "wipe:"] {
                ensure!(ended.stdout.contains(told), "{ended:?}");
            }
        }
        // The connection is lost while it waits for an answer.
        drop(asked(world)?);
        world.until("'kubeboot reset' has ended with its terminal", RUN, || {
            let processes = world.processes(2)?;
            Ok((!processes.iter().any(|process| process.argv.contains(&"--now".to_owned()))).then_some(()))
        })?;
        before.nothing_at_all_changed()?;
        world.are_the_voters(&[1, 2])?;
        let ended = asked(world)?.types("yes")?;
        ensure!(i64::from(ended.code) == LEFT, "{ended:?}");
        world.has_left(2, &[1])?;
        ensure!(!world.disk(2)?.join("var/lib/kubeboot/state.json").exists(), "it was not wiped");
        Ok(())
    })
}

#[test]
fn a_dry_run_tells_the_answers_and_the_plan() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        let said = world.foretold(2, &[])?.stdout;
        for words in ["going down? no:", "if it were powered off, yes:", "plan, within 1 min:", "remove-member:"] {
            ensure!(said.contains(words), "{said}");
        }
        ensure!(!said.contains("wipe:"), "{said}");
        world.ask(&["lifecycle", "2", "Standby"])?;
        let said = world.foretold(2, &[])?.stdout;
        ensure!(said.contains("if it were powered off, no: it is in Standby"), "{said}");
        world.are_the_voters(&[1, 2])
    })
}

#[test]
fn with_external_etcd_only_the_node_is_taken_along() -> Result<()> {
    const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/external-etcd.yaml");
    let plan = World::of(2).option("--external-etcd", "1,2").kubeadm_config(Path::new(DOCUMENTS));
    plan.tell(|world| {
        world.all_up(&[1, 2])?;
        let said = world.foretold(2, &[])?.stdout;
        ensure!(!said.contains("remove-member") && said.contains("delete-node"), "{said}");
        world.goes_down(2, "poweroff")?.is(LEFT, &["deleted this machine's Node"])?;
        ensure!(world.registration(2)?["phase"] == "left", "{}", world.registration(2)?);
        world.ask(&["boot", "2"])?;
        Ok(())
    })
}

#[test]
fn what_another_machine_has_written_is_its_own() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        // As on a machine that was made from an image of node 1: its certificates and its member are that one's.
        let marker = world.disk(2)?.join("var/lib/kubeboot/state.json");
        let text = std::fs::read_to_string(&marker)?.replace(&world.id(2)?, &world.id(1)?);
        std::fs::write(&marker, text)?;
        let before = world.before(2)?;
        let ended = world.reset_with_jobs(2, POWEROFF)?;
        let said = ended.text();
        ensure!(
            i64::from(ended.code) == STAYED && said.contains(&format!("was written by {}", world.id(1)?)),
            "{said}"
        );
        world.refuses(2, &["kubeboot", "reset", "--now", "--yes"], 6, &["was written by"])?;
        before.nothing_at_all_changed()?;
        world.are_the_voters(&[1, 2])
    })
}

#[test]
fn a_node_under_its_name_that_is_another_machines_is_left_alone() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        let name = world.registration(2)?["node_name"].as_str().context("it is a text")?.to_owned();
        // As when a machine with its old address has joined under its old name: nobody's kubelet speaks for this one here.
        world.on(2, &["systemctl", "stop", "kubelet"])?;
        let mut node = world.node_object(1, &name)?;
        node["metadata"]["uid"] = "6f9619ff-8b86-4011-b42d-00c04fc964ff".into();
        node["spec"]["providerID"] = "aws:///eu-central-1a/i-0000000000000ffff".into();
        node["status"]["addresses"] = serde_json::json!([{"type": "InternalIP", "address": "10.77.0.99"}]);
        world.put_node_object(1, &name, &node)?;
        world.goes_down(2, "poweroff")?.is(LEFT, &["another machine's Node by now, left alone"])?;
        world.are_the_voters(&[1])?;
        ensure!(world.nodes(1)?.contains(&name), "another machine's Node was deleted: {:?}", world.nodes(1)?);
        Ok(())
    })
}

#[test]
fn a_machine_without_a_control_plane_has_nothing_to_leave() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        let ended = world.reset_with_jobs(1, POWEROFF)?;
        ensure!(i64::from(ended.code) == STAYED && ended.text().contains("no control plane"), "{}", ended.text());
        let ended = world.on(1, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(i64::from(ended.code) == STAYED, "{}", ended.text());
        Ok(())
    })
}
