//! Workers, as the control plane lets them in: what the leader publishes, whom it approves, and what people are given.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the discovery file and the document of the machine outside of AWS lie.
const DISCOVERY: &str = "/etc/discovery.conf";
const JOIN: &str = "/etc/join.yaml";
/// Where a person's kubeconfig is made.
const KUBECONFIG: &str = "/etc/anna.conf";
/// Its name.
const NAME: &str = "w1.outside";

#[test]
fn a_machine_comes_in_by_a_discovery_file_and_the_leader_approves_of_it() -> Result<()> {
    World::of(1).that_waits().tell(|world| {
        world.all_up(&[1])?;
        let agent = world.start_agent(1)?;
        let token = world.until("a token is published", RUN, || {
            let is_there = world.keys()?.iter().any(|key| key.ends_with("/join/token.json"));
            is_there.then(|| world.object("join/token.json")).transpose()
        })?;
        let (cluster, record) = (world.object("join/cluster.json")?, world.record()?);
        for object in [&token, &cluster] {
            ensure!(object["generation"] == record["generation"], "{object}");
        }
        ensure!(cluster["kube_system_uid"] == record["cluster"]["kube_system_uid"], "{cluster}");
        let secret = token["token"].as_str().and_then(|token| token.split_once('.')).context("a token")?.1.to_owned();
        ensure!(!agent.said()?.contains(&secret), "the agent tells the token");

        world.ask(&["launch", "--no-up"])?;
        joins(world)?;
        let names = world.nodes(1)?;
        ensure!(names.len() == 2 && names.iter().any(|name| name == NAME), "{names:?}");
        world.until_agent_says(&agent, &format!("approved the certificate of the Node '{NAME}'"))?;
        is_administrator(world)?;
        no_token_is_made_that_kubernetes_itself_would_approve(world)
    })
}

/// Adds the binding of Kubernetes' documentation by which every bootstrap token is approved.
fn no_token_is_made_that_kubernetes_itself_would_approve(world: &World) -> Result<()> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "auto-approve-csrs-for-group"},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "system:bootstrappers"}],
        "roleRef": {
            "apiGroup": RBAC, "kind": "ClusterRole",
            "name": "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        },
    });
    let made = world.kube("POST", &format!("/apis/{RBAC}/v1/clusterrolebindings"), Some(&binding))?;
    ensure!(made["kind"] == "ClusterRoleBinding", "{made}");
    let refused = world.on(1, &["kubeboot", "token", "--file", "/etc/another.conf"])?;
    ensure!(refused.code == 6 && refused.text().contains("auto-approve-csrs-for-group"), "{}", refused.text());
    ensure!(!below(world, "/etc/another.conf", 1)?.exists(), "it was made all the same");
    Ok(())
}

/// Makes the discovery file on the control plane's machine, carries it to the other one, and has that join.
fn joins(world: &World) -> Result<()> {
    let made = world.on(1, &["kubeboot", "token", "--file", DISCOVERY])?;
    ensure!(made.code == 0, "{}", made.text());
    let again = world.on(1, &["kubeboot", "token", "--file", DISCOVERY])?;
    ensure!(again.code == 2 && again.text().contains("there is a file"), "{}", again.text());
    let file = below(world, DISCOVERY, 1)?;
    ensure!(file.metadata()?.permissions().mode() & 0o777 == 0o600, "others can read it");
    let text = std::fs::read_to_string(&file)?;
    let config: serde_json::Value = serde_json::from_str(&text)?;
    let token = config["users"][0]["user"]["token"].as_str().context("the file has a token")?;
    ensure!(!made.text().contains(token), "{}", made.text());
    std::fs::copy(&file, below(world, DISCOVERY, 2)?)?;
    std::fs::write(below(world, JOIN, 2)?, document(Path::new(DISCOVERY)))?;
    let joined = world.on(2, &["kubeadm", "join", "--config", JOIN])?;
    ensure!(joined.code == 0, "{}", joined.text());
    Ok(())
}

fn document(discovery: &Path) -> String {
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration: {{name: {NAME}}}\n\
         discovery: {{file: {{kubeConfigPath: '{}'}}}}\n",
        discovery.display()
    )
}

/// Makes a kubeconfig for a person, which is an administrator's, through a tunnel. What a story's commands print goes into a file that
/// others can read.
fn is_administrator(world: &World) -> Result<()> {
    let words = ["kubeboot", "kubeconfig", "--user", "anna", "--tunnel", "127.0.0.1:7443"];
    let printed = world.on(1, &words)?;
    ensure!(printed.code == 2 && printed.text().contains("others can read"), "{}", printed.text());
    let made = world.on(1, &[&words[..], &["--file", KUBECONFIG]].concat())?;
    ensure!(made.code == 0 && made.stderr.contains("'anna', in kubeadm:cluster-admins"), "{}", made.text());
    let text = std::fs::read_to_string(below(world, KUBECONFIG, 1)?)?;
    let config: serde_json::Value = serde_json::from_str(&text)?;
    let cluster = &config["clusters"][0]["cluster"];
    ensure!(cluster["server"] == "https://127.0.0.1:7443" && cluster["tls-server-name"].is_string(), "{cluster}");
    let nobody = world.on(1, &["kubeboot", "kubeconfig", "--user", "system:node:n1"])?;
    ensure!(nobody.code == 2, "{}", nobody.text());
    Ok(())
}

/// Where a file of a machine lies on this computer.
fn below(world: &World, path: &str, node: usize) -> Result<PathBuf> {
    Ok(world.disk(node)?.join(path.trim_start_matches('/')))
}
