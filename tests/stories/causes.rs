//! What an operator is told of a failure: its cause, and not what came after it.

use crate::support::World;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// What kubelet would have logged: the cause, with a secret that is in no log of ours.
const KUBELET: &str = "I0101 00:00:00.000000 1 server.go:1] \"Kubelet version\"\n\
    E0101 00:00:01.000000 1 run.go:72] \"command failed\" err=\"no cgroup named blue\" token abcdef.0123456789abcdef\n\
    kubelet.service: Failed with result 'exit-code'.\n";

/// Lines of the log of a run that hold this text.
fn lines<'a>(log: &'a str, text: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(text)).collect()
}

/// Sets what kubelet of this machine has logged.
fn kubelet_says(world: &World, node: usize, text: &str) -> Result<()> {
    let folder = world.root(node)?.join("run/standin/journal");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("kubelet"), text).context("failed to write the journal of kubelet")
}

#[test]
fn a_failed_attempt_tells_once_what_kubelet_said_and_no_secret() -> Result<()> {
    World::of(2).tell_after_the_first(|world| {
        kubelet_says(world, 2, KUBELET)?;
        world.kubeadm_fault(2, &json!({"join": {"after": "kubelet-start", "exit": 1}}))?;
        let up = ["kubeboot", "up", "--claim-ttl", "3s", "--lease-ttl", "3s", "--deadline", "15s"];
        let ended = world.on(2, &up)?;
        ensure!(ended.code == 5, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        let told = lines(&ended.stderr, "before the failure, kubelet: ");
        ensure!(told.len() == 1 && told[0].contains("no cgroup named blue"), "{}", ended.stderr);
        for hidden in ["abcdef.0123456789abcdef", "unshare"] {
            ensure!(!ended.stderr.contains(hidden), "{hidden} is in {}", ended.stderr);
        }
        world.kubeadm_fault(2, &Value::Null)?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_kubelet_that_ends_at_every_start_is_told_by_its_own_words() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        // kubeadm itself names neither kubelet nor its configuration.
        let config = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\ntimeouts: {kubernetesAPICall: 3s}\n";
        std::fs::write(world.disk(1)?.join("etc/causes.yaml"), config)?;
        world.kubeadm_fault(1, &json!({"kubelet": "failed to load kubelet config file"}))?;
        let up = ["kubeboot", "up", "--kubeadm-config", "/etc/causes.yaml", "--claim-ttl", "3s", "--lease-ttl", "3s"];
        let ended = world
            .on(1, &[&up[..], &["--init-attempts", "1", "--claim-stagger", "1m", "--deadline", "20s"]].concat())?;
        ensure!(ended.code == 5, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        let told = lines(&ended.stderr, "before the failure, kubelet: ");
        ensure!(told.iter().any(|line| line.contains("failed to load kubelet config file")), "{}", ended.stderr);
        ensure!(ended.stderr.contains("could not bootstrap the admin user"), "{}", ended.stderr);
        world.kubeadm_fault(1, &Value::Null)?;
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1])
    })
}

#[test]
fn a_failed_init_tells_what_the_container_that_ended_said_last() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        // An etcd that refuses its flags: only its own log says so.
        let config = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\ntimeouts: \
             {kubernetesAPICall: 6s}\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: \
             ClusterConfiguration\netcd: {local: {extraArgs: [{name: quota-backend-bytes, value: much}]}}\n";
        std::fs::write(world.disk(1)?.join("etc/causes.yaml"), config)?;
        let up = ["kubeboot", "up", "--kubeadm-config", "/etc/causes.yaml", "--claim-ttl", "3s", "--lease-ttl", "3s"];
        let ended = world
            .on(1, &[&up[..], &["--init-attempts", "1", "--claim-stagger", "1m", "--deadline", "20s"]].concat())?;
        ensure!(ended.code == 5, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        let told = lines(&ended.stderr, "before the failure, container etcd: ");
        ensure!(told.iter().any(|line| line.contains("quota-backend-bytes")), "{}", ended.stderr);
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1])
    })
}

#[test]
fn an_attempt_that_the_deadline_cuts_short_does_not_hide_the_cause() -> Result<()> {
    World::of(2).tell_after_the_first(|world| {
        // The first attempt fails, the second one hangs until the deadline.
        let faults = json!({"join": {"after": "preflight", "exit": 1, "times": 1}, "hang": "control-plane-prepare"});
        world.kubeadm_fault(2, &faults)?;
        let ended = world.on(2, &["kubeboot", "up", "--claim-ttl", "3s", "--lease-ttl", "3s", "--deadline", "20s"])?;
        ensure!(ended.code == 5, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        let last = ended.stderr.rsplit_once("gave up after 20 s").map(|(_, last)| last).unwrap_or_default();
        ensure!(last.contains("the world ordered this command to fail here"), "{}", ended.stderr);
        ensure!(!last.contains("had not come to an end"), "{}", ended.stderr);
        world.kubeadm_fault(2, &Value::Null)?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])
    })
}
