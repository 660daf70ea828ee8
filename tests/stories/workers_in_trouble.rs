//! Workers that something is in the way of: a role that allows little, a name that is taken, a disk of another cluster, a cluster that was
//! restored, and EC2, which takes a Spot instance.

use crate::support::World;
use crate::support::bucket::{BUCKET, PREFIX};
use crate::support::workers::{CLUSTER, LAUNCH, MARKER, TOKEN, WORKERS};
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;

const COMPLETE: &str = "CompleteLifecycleAction";
/// The permission that the settings ask for beside those that every worker has.
const SWITCH_OFF: &str = "ec2:ModifyInstanceAttribute";
/// Requests to the bucket that are a worker's business, and those that are not: each is a method, a key, and what follows it.
const ALLOWED: [&str; 2] = ["GET join/cluster.json", "GET join/token.json"];
const DENIED: [&str; 14] = [
    "PUT join/cluster.json",
    "PUT join/token.json",
    "PUT join/other",
    "DELETE join/cluster.json",
    "POST join/other?uploads",
    "GET join/cluster.json?versionId=null",
    "GET control-plane/cluster.json",
    "PUT control-plane/cluster.json",
    "DELETE control-plane/cluster.json",
    "GET snapshots/one",
    "GET ?list-type=2",
    "GET ?versions",
    "GET ?versioning",
    "DELETE ?policy",
];
/// Defines a way to ask S3 by the machine's role, which prints the status of the answer.
const CREDENTIALS: &str = r#"
imds="$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest"
session=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/api/token")
told() { curl -s -H "X-aws-ec2-metadata-token: $session" "$imds/meta-data/iam/security-credentials/$1"; }
key=$(told "$(told '')" | sed -n 's/.*"AccessKeyId": "\([^"]*\)".*/\1/p')
ask() { curl -s -o /dev/null -w '%{http_code}\n' --aws-sigv4 aws:amz:eu-central-1:s3 --user "$key:emulated" "$@"; }
"#;

#[test]
fn a_workers_role_reads_join_answers_its_hook_changes_its_own_instance_and_does_nothing_else() -> Result<()> {
    World::of(1).with_workers(1).worker_set("source_dest_check", "off").tell_after_the_first(|world| {
        world.judge_by(&policies(&["ec2:DescribeInstanceAttribute"]))?;
        world.run_up(2)?;
        // Who may not list is not told that there is nothing.
        world.until_logged(2, "join/cluster.json, which S3 does not let this machine read")?;
        world.publish_for_workers()?;
        world.until_logged(2, SWITCH_OFF)?;
        ensure!(!world.disk(2)?.join(MARKER).exists(), "nothing is half done");
        world.judge_by(&policies(&["ec2:DescribeInstanceAttribute", SWITCH_OFF]))?;
        world.all_up(&[2])?;
        world.is_node_of_itself(2)?;
        let answers = world.hook_calls(COMPLETE, 2)?;
        ensure!(
            answers.len() == 1 && answers[0]["hook"] == LAUNCH && answers[0]["result"] == "CONTINUE",
            "{answers:?}"
        );
        let log = world.log(2)?;
        ensure!(log.contains("source/destination check of this instance is off"), "{log}");
        let checked = world.on(2, &["kubeboot", "check"])?;
        ensure!(checked.code == 0, "{}", checked.text());
        for (requests, expected) in [(&ALLOWED[..], "200"), (&DENIED[..], "403")] {
            let answers = world.ask_s3(2, requests)?;
            ensure!(answers.len() == requests.len(), "{answers:?}");
            for (request, answer) in requests.iter().zip(answers) {
                ensure!(answer == expected, "{request}: {answer}");
            }
        }
        for key in [CLUSTER, TOKEN] {
            ensure!(world.object(key)?["generation"] == 1, "{key} was changed");
        }
        Ok(())
    })
}

#[test]
fn a_worker_comes_back_after_a_restore_and_waits_for_its_name_and_joins_another_cluster_only_if_told() -> Result<()> {
    World::of(1).with_workers_in_service(2).tell_after_the_first(|world| {
        world.publish_for_workers()?;
        // The name of machine 3 is taken.
        let name = world.name(3)?;
        let other = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "spec": {"providerID": "aws:///eu-central-1a/i-0000000000000beef"},
        });
        let made = world.kube("POST", "/api/v1/nodes", Some(&other))?;
        ensure!(made["kind"] == "Node", "{made}");
        world.run_up(2)?;
        world.run_up(3)?;
        world.all_up(&[2])?;
        let taken = format!(
            "the Node '{name}' to be this machine's: it has the provider ID 'aws:///eu-central-1a/i-0000000000000beef'"
        );
        world.until_logged(3, &taken)?;
        for command in ["status", "check"] {
            let told = world.on(3, &["kubeboot", command])?;
            let words = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
            ensure!(told.code != 0 && words.contains(&taken), "{command}: {}", told.text());
        }
        ensure!(!world.disk(3)?.join(MARKER).exists(), "it has begun to join, and keeps that Node alive");
        world.loses_its_node(3)?;
        world.all_up(&[3])?;
        world.is_node_of_itself(3)?;
        comes_back(world)?;
        is_of_another_cluster(world)?;
        goes_by_spot(world)
    })
}

/// The cluster was restored from a snapshot that knows no machine 2: its claim and generation are others, its UID and authority are not.
fn comes_back(world: &World) -> Result<()> {
    let agent = world.start_agent_with_a_clock(2, &[])?;
    world.until_agent_says(&agent, "watching: IMDS says InService")?;
    for (key, mut object) in [(CLUSTER, world.join_cluster()?), (TOKEN, world.join_token(600)?)] {
        object["generation"] = 2.into();
        world.put(key, object.to_string())?;
    }
    let before = world.marker(2)?;
    world.loses_its_node(2)?;
    let name = world.name(2)?;
    // Until it looks the next time, and then until it has looked in vain for long enough.
    world.time_passes(2, Duration::from_secs(91))?;
    world.until_agent_says(&agent, &format!("waiting for kubelet to register the Node '{name}'"))?;
    ensure!(!agent.said()?.contains("restarting kubelet"), "at once: {}", agent.said()?);
    // Whoever answers at the endpoint may be another cluster under the same authority: kubelet would register there.
    let own = world.object(CLUSTER)?;
    let mut another = own.clone();
    another["kube_system_uid"] = "6f9619ff-8b86-4011-b42d-00c04fc964fe".into();
    world.put(CLUSTER, another.to_string())?;
    world.time_passes(2, Duration::from_secs(151))?;
    world.until_agent_says(&agent, "and kubelet is not restarted: join/cluster.json names another cluster")?;
    ensure!(!agent.said()?.contains("restarting kubelet"), "{}", agent.said()?);
    world.put(CLUSTER, own.to_string())?;
    world.time_passes(2, Duration::from_secs(31))?;
    world.until_agent_says(&agent, "restarting kubelet, which registers it only when it starts")?;
    world.until("its Node is back", RUN, || Ok((world.node_of(2)?["kind"] == "Node").then_some(())))?;
    world.is_node_of_itself(2)?;
    let ended = world.on(2, &["kubeboot", "up"])?;
    ensure!(ended.code == 0, "{}", ended.text());
    ensure!(world.marker(2)? == before, "it has joined anew: {}", world.marker(2)?);
    Ok(())
}

/// What is on the disk of machine 2 is of another cluster.
fn is_of_another_cluster(world: &World) -> Result<()> {
    let (mut marker, right) = (world.marker(2)?, world.marker(2)?["kube_system_uid"].clone());
    marker["kube_system_uid"] = "6f9619ff-8b86-4011-b42d-00c04fc964fe".into();
    std::fs::write(world.disk(2)?.join(MARKER), marker.to_string())?;
    let stopped = world.on(2, &["kubeboot", "up"])?;
    ensure!(
        stopped.code == 6 && stopped.stderr.contains("the UID of its namespace kube-system is another"),
        "{}",
        stopped.text()
    );
    ensure!(
        world.marker(2)? == marker && world.disk(2)?.join("etc/kubernetes/kubelet.conf").exists(),
        "it was touched"
    );
    // The cluster that it is to join knows nothing of it.
    world.loses_its_node(2)?;
    let joined = world.on(2, &["env", "KUBEBOOT_REJOIN=wipe", "kubeboot", "up"])?;
    ensure!(
        joined.code == 0 && joined.stderr.contains("wiping what kubeadm left on this machine"),
        "{}",
        joined.text()
    );
    ensure!(world.marker(2)?["kube_system_uid"] == right, "{}", world.marker(2)?);
    world.is_node_of_itself(2)
}

/// EC2 takes machine 3, whose group does not come to its hook before that.
fn goes_by_spot(world: &World) -> Result<()> {
    world.make_pod(3, "web", "ReplicaSet")?;
    world.make_pod(3, "every", "DaemonSet")?;
    let agent = world.start_agent(3)?;
    world.until_agent_says(&agent, "watching: IMDS says InService")?;
    world.announce(3, &["spot"])?;
    world.until_agent_says(&agent, "being terminated (a Spot notice: EC2 will terminate it at 2")?;
    world.until_agent_says(&agent, "it is drained")?;
    ensure!(world.node_of(3)?["spec"]["unschedulable"] == true, "it takes new pods");
    for (pod, kind) in [("web", "Status"), ("every", "Pod")] {
        let found = world.kube("GET", &format!("/api/v1/namespaces/default/pods/{pod}"), None)?;
        ensure!(found["kind"] == kind, "{pod}: {found}");
    }
    ensure!(world.lifecycle(3)? == "InService", "{}", world.lifecycle(3)?);
    Ok(())
}

/// Policies under which a worker's role may what `docs/workers.md` says, and this of EC2, the latter for its own instance.
fn policies(of_ec2: &[&str]) -> Value {
    let (account, key) = ("arn:aws:iam::123456789012", "arn:aws:kms:eu-central-1:123456789012:key/bucket");
    let own = json!({"StringLike": {"aws:userid": "*:${ec2:InstanceID}"}});
    let ec2 = of_ec2.iter().map(|action| {
        let changes = *action == SWITCH_OFF;
        let condition = if changes { own.clone() } else { json!({}) };
        json!({"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition})
    });
    let mut worker = vec![
        json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{BUCKET}/{PREFIX}/join/*")}),
        json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}),
        json!({
            "Effect": "Allow", "Action": ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            "Resource": format!("arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/{WORKERS}"),
        }),
    ];
    worker.extend(ec2);
    let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    json!({
        "role": format!("{account}:role/control-plane"), "policies": [{"Statement": [everything]}], "bucket": {"Statement": []},
        "bucket_key": key,
        "keys": {key: {"Statement": [{"Effect": "Allow", "Principal": {"AWS": format!("{account}:root")}, "Action": "kms:*", "Resource": "*"}]}},
        "worker": {"role": format!("{account}:role/{WORKERS}"), "policies": [{"Statement": worker}]},
    })
}

impl World {
    /// Deletes the Node of a machine.
    fn loses_its_node(&self, node: usize) -> Result<()> {
        self.kube("DELETE", &format!("/api/v1/nodes/{}", self.name(node)?), None)?;
        ensure!(self.node_of(node)?["kind"] == "Status", "its Node is still there");
        Ok(())
    }

    /// Sends S3 requests from a machine by its role, such as 'GET join/token.json', and returns the status of each answer.
    fn ask_s3(&self, node: usize, requests: &[&str]) -> Result<Vec<String>> {
        let mut script = format!("{CREDENTIALS}\n");
        for request in requests {
            let (method, rest) = request.split_once(' ').context("a method and a key")?;
            let place = if rest.starts_with('?') { rest.to_owned() } else { format!("/{PREFIX}/{rest}") };
            let body = if method == "PUT" { "--data-binary x" } else { "" };
            script += &format!("ask -X {method} {body} \"$AWS_ENDPOINT_URL/{BUCKET}{place}\"\n");
        }
        let asked = self.on(node, &["sh", "-c", &script])?;
        Ok(asked.stdout.lines().map(str::to_owned).collect())
    }
}
