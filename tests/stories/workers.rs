//! Workers: what they wait for, how they come in, and how they go.

use crate::support::World;
use crate::support::workers::{CLUSTER, LAUNCH, MARKER, TERMINATE, TOKEN};
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

const COMPLETE: &str = "CompleteLifecycleAction";

#[test]
fn a_worker_says_what_it_waits_for_comes_in_by_join_alone_and_has_nothing_to_do_later() -> Result<()> {
    World::of(1).with_workers(1).tell_after_the_first(|world| {
        world.run_up(2)?;
        world.until_logged(2, "the leader of the control plane to write join/cluster.json, which is not there yet")?;
        world.put(CLUSTER, "{\"schema\": 1, \"generation\": 1}")?;
        world.until_logged(2, "join/cluster.json to be one that kubeboot has written")?;
        world.put(CLUSTER, vec![b' '; 3 * 1024 * 1024])?;
        world.until_logged(2, "what kubeboot writes there has at most")?;
        world.put(CLUSTER, "{\"schema\": 1, \"generation\": 1, \"blank\": true}")?;
        world.until_logged(2, "was given up by 'kubeboot retire'")?;
        let mut newer = world.join_cluster()?;
        newer["oldest_api_server"] = "v1.30.0".into();
        world.put(CLUSTER, newer.to_string())?;
        world.until_logged(2, "every API server to be as new as this machine's kubelet")?;
        world.put(CLUSTER, world.join_cluster()?.to_string())?;
        world.until_logged(2, "write join/token.json, which is not there yet")?;
        let mut other = world.join_token(600)?;
        other["generation"] = 7.into();
        world.put(TOKEN, other.to_string())?;
        world.until_logged(2, "join/cluster.json has generation 1, join/token.json 7")?;
        world.put(TOKEN, world.join_token(-60)?.to_string())?;
        world.until_logged(2, "the one of join/token.json ended at ")?;
        ensure!(!world.disk(2)?.join(MARKER).exists(), "nothing is half done");
        world.put(TOKEN, world.join_token(600)?.to_string())?;
        world.all_up(&[2])?;
        world.is_node_of_itself(2)?;
        let answers = world.hook_calls(COMPLETE, 2)?;
        ensure!(
            answers.len() == 1 && answers[0]["hook"] == LAUNCH && answers[0]["result"] == "CONTINUE",
            "{answers:?}"
        );
        ensure!(world.lifecycle(2)? == "InService", "{}", world.lifecycle(2)?);
        for secret in ["run/kubeboot/short-lived/up", "etc/kubernetes/bootstrap-kubelet.conf"] {
            ensure!(!world.root(2)?.join(secret).exists(), "{secret} is still there");
        }
        let (id, log) = (world.id(2)?, world.log(2)?);
        let secret = world.object(TOKEN)?["token"].as_str().unwrap_or_default()[7..].to_owned();
        ensure!(!secret.is_empty() && !log.contains(&secret), "the token is in the log");
        let requests = world.journal("requests")?;
        let own: Vec<_> = requests.iter().filter(|call| call["node"] == id.as_str()).collect();
        let odd: Vec<_> = own
            .iter()
            .filter(|call| {
                call["action"].as_str().is_some_and(|action| action.starts_with("Describe") || action == "PutObject")
            })
            .collect();
        ensure!(!own.is_empty() && odd.is_empty(), "it has described or written something: {odd:?}");
        // Later boots: nothing to do.
        let before = world.node_of(2)?["metadata"]["uid"].clone();
        world.run_up(2)?;
        world.all_up(&[2])?;
        let later: Vec<_> = world.journal("requests")?.into_iter().skip(requests.len()).collect();
        let own: Vec<_> = later.iter().filter(|call| call["node"] == id.as_str()).collect();
        let hooks: Vec<_> = own.iter().filter(|call| call["service"] == "autoscaling").collect();
        ensure!(!own.is_empty() && hooks.is_empty(), "its hook was answered before: {hooks:?}");
        ensure!(world.node_of(2)?["metadata"]["uid"] == before && world.hook_calls(COMPLETE, 2)?.len() == 1);
        // It was closed for new pods before it joined again: only what kubeboot itself has closed is opened.
        for (annotations, closed) in [(json!({"kubeboot/cordoned": "true"}), Value::Null), (json!({}), true.into())] {
            let mut node = world.node_of(2)?;
            node["metadata"]["annotations"] = annotations;
            // Whatever kubelet has said of it in between.
            node["metadata"]["resourceVersion"] = Value::Null;
            node["spec"]["unschedulable"] = true.into();
            let path = format!("/api/v1/nodes/{}", world.name(2)?);
            let put = world.kube("PUT", &path, Some(&node))?;
            ensure!(put["spec"]["unschedulable"] == true, "{put}");
            let ended = world.on(2, &["kubeboot", "up"])?;
            ensure!(ended.code == 0, "{}", ended.text());
            ensure!(world.node_of(2)?["spec"]["unschedulable"] == closed, "{}", world.node_of(2)?);
        }
        // Another cluster in its place: an operator must decide.
        let mut other = world.join_cluster()?;
        other["kube_system_uid"] = "6f9619ff-8b86-4011-b42d-00c04fc964fe".into();
        world.put(CLUSTER, other.to_string())?;
        let ended = world.on(2, &["kubeboot", "up"])?;
        ensure!(
            ended.code == 6 && ended.stderr.contains("names another cluster than this machine has joined"),
            "{}",
            ended.text()
        );
        ensure!(world.node_of(2)?["metadata"]["uid"] == before, "nothing was touched");
        Ok(())
    })
}

#[test]
fn a_worker_that_is_terminated_is_drained_as_its_budgets_allow_and_goes() -> Result<()> {
    World::of(1).with_workers(1).tell_after_the_first(|world| {
        world.publish_for_workers()?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        for (pod, owner) in [("web", "ReplicaSet"), ("db", "StatefulSet"), ("every", "DaemonSet")] {
            world.make_pod(2, pod, owner)?;
        }
        let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
        let budget = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "db", "namespace": "default"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}},
        });
        let made = world.kube("POST", budgets, Some(&budget))?;
        ensure!(made["kind"] == "PodDisruptionBudget", "{made}");
        let agent = world.start_agent(2)?;
        world.until_agent_says(&agent, "watching: IMDS says InService")?;
        world.ask(&["terminate", "2"])?;
        world.until_agent_says(&agent, "default/db, which was not evicted")?;
        ensure!(world.node_of(2)?["spec"]["unschedulable"] == true, "it takes new pods");
        ensure!(world.kube("GET", "/api/v1/namespaces/default/pods/web", None)?["kind"] == "Status", "web is there");
        ensure!(world.lifecycle(2)? == "Terminating:Wait", "{}", world.lifecycle(2)?);
        let name = world.name(2)?;
        world.until("an Event on its Node tells why it is held", RUN, || {
            let events = world.kube("GET", "/api/v1/namespaces/default/events", None)?;
            let all = events["items"].as_array().into_iter().flatten();
            let mut own = all.filter(|event| event["involvedObject"]["name"] == name.as_str());
            Ok(own.any(|event| event["reason"] == "TerminationHeld").then_some(()))
        })?;
        world.kube("DELETE", &format!("{budgets}/db"), None)?;
        world.until_terminated(2, &agent)?;
        let said = agent.said()?;
        ensure!(said.contains("it is drained") && said.contains("completed the terminate hook"), "{said}");
        let answers = world.hook_calls(COMPLETE, 2)?;
        let answers: Vec<_> = answers.iter().filter(|call| call["hook"] == TERMINATE).collect();
        ensure!(answers.len() == 1 && answers[0]["result"] == "CONTINUE", "{answers:?}");
        let every = world.kube("GET", "/api/v1/namespaces/default/pods/every", None)?;
        ensure!(every["kind"] == "Pod", "a pod of every node was evicted");
        Ok(())
    })
}

#[test]
fn a_join_that_was_cut_off_by_a_power_cut_is_begun_anew() -> Result<()> {
    World::of(1).with_workers(1).that_waits().tell_after_the_first(|world| {
        // What is published and who is let in is the leader's own work here.
        let _leader = world.start_agent(1)?;
        world.kubeadm_fault(2, &json!({"join": {"after": "preflight", "hang": true, "times": 1}}))?;
        world.run_up(2)?;
        world.until_kubeadm_fault(2)?;
        let marker = world.marker(2)?;
        ensure!(marker["stage"] == "joining" && marker["instance"] == world.id(2)?, "{marker}");
        world.cut_power(2)?;
        world.ask(&["boot", "2", "--no-up"])?;
        let said = world.on(2, &["kubeboot", "status"])?;
        ensure!(said.code == 10 && said.says("has begun to join the cluster"), "{}", said.text());
        let ended = world.on(2, &["kubeboot", "up"])?;
        ensure!(
            ended.code == 0 && ended.stderr.contains("wiping what kubeadm left on this machine"),
            "{}",
            ended.text()
        );
        world.is_node_of_itself(2)?;
        let said = world.on(2, &["kubeboot", "status", "--json"])?;
        ensure!(said.code == 0 && said.stdout.contains("\"role\": \"worker\""), "{}", said.text());
        let said = world.check(2, &[], || Ok(()))?;
        ensure!(said.stdout.contains("join-cluster") && !said.stdout.contains("etcd-folder"), "{}", said.text());
        for fine in ["ok       worker-state", "ok       join-cluster", "ok       kubeadm-validate"] {
            ensure!(said.stdout.contains(fine), "'{fine}': {}", said.text());
        }
        let refused = world.on(2, &["kubeboot", "reap", "--dry-run"])?;
        ensure!(
            refused.code == 2 && refused.stderr.contains("this command is of the control plane"),
            "{}",
            refused.text()
        );
        // What only a control plane has is never wiped as a worker's.
        let administrators = world.disk(2)?.join("etc/kubernetes/admin.conf");
        std::fs::write(&administrators, "")?;
        let refused = world.on(2, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(
            refused.code == 6 && refused.stderr.contains("a node of a control plane by its disk"),
            "{}",
            refused.text()
        );
        ensure!(world.disk(2)?.join(MARKER).exists() && administrators.exists(), "it was touched");
        let shutdown = world.on(2, &["kubeboot", "reset"])?;
        ensure!(
            shutdown.code == 6 && shutdown.stderr.contains("a node of a control plane by its disk"),
            "{}",
            shutdown.text()
        );
        let agent = world.start_agent(2)?;
        world.until_agent_says(&agent, "and a worker by the setting 'role', so it is not drained")?;
        drop(agent);
        std::fs::remove_file(administrators)?;
        // The other role is not its disk's.
        let other = ["--role", "control-plane", "--endpoint", "api.demo.internal:6443"];
        for command in [&["kubeboot", "up"][..], &["kubeboot", "reset", "--now", "--yes"][..]] {
            let refused = world.on(2, &[command, &other[..]].concat())?;
            ensure!(
                refused.code == 6 && refused.stderr.contains("this machine is a worker by its disk"),
                "{}",
                refused.text()
            );
        }
        // Its operator has it leave: it is drained and wiped, and comes in again.
        let ended = world.on(2, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(ended.code == 0 && ended.stderr.contains("it is drained"), "{}", ended.text());
        let annotations = world.node_of(2)?["metadata"]["annotations"].clone();
        ensure!(annotations["kubeboot/cordoned"] == "true", "it would stay closed: {annotations}");
        ensure!(!world.disk(2)?.join(MARKER).exists() && !world.disk(2)?.join("etc/kubernetes/kubelet.conf").exists());
        let before = world.node_of(2)?["metadata"]["uid"].clone();
        // Its name is its own again when Kubernetes has heard nothing of it for a while.
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.is_node_of_itself(2)?;
        let node = world.node_of(2)?;
        ensure!(node["metadata"]["uid"] == before, "somebody has deleted its Node: {node}");
        ensure!(
            node["spec"]["unschedulable"].is_null() && node["metadata"]["annotations"]["kubeboot/cordoned"].is_null(),
            "it takes no pods: {node}"
        );
        ensure!(world.hook_calls(COMPLETE, 2)?.len() == 1, "its group has waited for it only once");
        Ok(())
    })
}
