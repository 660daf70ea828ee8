//! What a machine may do that comes with a token of kubeboot's: as much as kubeadm's own tokens let it, but for the automatic approval.

use super::answers;
use super::client::{Client, KUBE_SYSTEM};
use crate::model::joining::approval::GROUP;
use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const API: &str = "rbac.authorization.k8s.io";
const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const CLUSTER_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings";
/// Kubernetes' own role of those who ask for a node's certificate.
const BOOTSTRAPPER: &str = "system:node-bootstrapper";
/// The names of kubeboot's objects.
const ASK: &str = "kubeboot:node-bootstrapper";
const SEE_NODES: &str = "kubeboot:get-nodes";
const READ_CONFIGURATION: &str = "kubeboot:worker-configuration";
/// What `kubeadm join` reads of the cluster.
const CONFIG_MAPS: [&str; 3] = ["kubeadm-config", "kubelet-config", "kube-proxy"];
/// Where Kubernetes says whether somebody would be let through.
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
/// A user as Kubernetes makes one of any bootstrap token, and the groups that it gives to each beside those that the token names.
const TOKEN_USER: &str = "system:bootstrap:000000";
const TOKEN_GROUPS: [&str; 2] = ["system:bootstrappers", "system:authenticated"];

/// Kubernetes' own approver gives whoever has a token of kubeboot's the certificate of any Node, whatever kubeboot decides. With its reason,
/// which names the binding.
#[derive(Debug, thiserror::Error)]
#[error(
    "Kubernetes itself approves every request of a bootstrap token ({0}), so that whoever has one gets the certificate of any Node, and kubeboot \
     makes none: take that group out of the binding, or delete it by 'kubectl delete clusterrolebinding NAME'. Workers of kubeboot do not need it"
)]
pub struct Bypassed(String);

/// How often an object is looked at anew that somebody else has changed at the same moment: two leaders may.
const ATTEMPTS: usize = 3;

/// One object, and where it belongs.
struct Wanted {
    folder: &'static str,
    name: &'static str,
    object: Value,
}

impl Client {
    /// Sees to it that the group of kubeboot's tokens may do what a machine needs to join, and nothing else that these objects say.
    ///
    /// # Errors
    /// [`Bypassed`], or the server does not answer, or refuses.
    pub async fn ensure_bootstrap_rbac(&self) -> Result<()> {
        for wanted in wanted() {
            self.ensure(&wanted).await?;
        }
        self.refuse_bypass().await
    }

    /// Asks what Kubernetes' own approver asks before it approves.
    async fn refuse_bypass(&self) -> Result<()> {
        let [all_tokens, authenticated] = TOKEN_GROUPS;
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": TOKEN_USER,
                "groups": [GROUP, all_tokens, authenticated],
                "resourceAttributes": {
                    "group": "certificates.k8s.io", "version": "*", "resource": "certificatesigningrequests",
                    "subresource": "nodeclient", "verb": "create",
                },
            },
        });
        let answer = self.call(Method::POST, REVIEWS, Some(&review)).await?.success(self, REVIEWS)?;
        let status = &answer["status"];
        let is_allowed = status["allowed"].as_bool().context("the answer is no review of access");
        let reason = status["reason"].as_str().unwrap_or("it gives no reason");
        ensure!(!is_allowed.with_context(|| self.failed(REVIEWS))?, Bypassed(answers::message(reason.as_bytes())));
        Ok(())
    }

    async fn ensure(&self, wanted: &Wanted) -> Result<()> {
        for _ in 0..ATTEMPTS {
            if self.is_ensured(wanted).await? {
                return Ok(());
            }
        }
        bail!("'{}' is changed by somebody else again and again", wanted.name)
    }

    /// Whether the object is as it should be, or could be made so; not where somebody has changed it meanwhile.
    async fn is_ensured(&self, wanted: &Wanted) -> Result<bool> {
        let path = format!("{}/{}", wanted.folder, wanted.name);
        let answer = self.call(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return self.create(wanted).await;
        }
        let found = answer.success(self, &path)?;
        if differs(&found, &wanted.object, "roleRef") {
            // What a binding refers to cannot be changed.
            tracing::warn!("'{}' refers to another role than kubeboot's workers need, and is made anew", wanted.name);
            self.delete(&path, json!({"uid": found["metadata"]["uid"]})).await?;
            return self.create(wanted).await;
        }
        if differs(&found, &wanted.object, "rules") || differs(&found, &wanted.object, "subjects") {
            tracing::warn!("'{}' does not say what kubeboot's workers need, and is written anew", wanted.name);
            let mut object = wanted.object.clone();
            object["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"].clone();
            return self.is_done(Method::PUT, &path, &object).await;
        }
        Ok(true)
    }

    async fn create(&self, wanted: &Wanted) -> Result<bool> {
        self.is_done(Method::POST, wanted.folder, &wanted.object).await
    }

    /// Writes an object, unless somebody else has at the same moment.
    async fn is_done(&self, method: Method, path: &str, object: &Value) -> Result<bool> {
        let answer = self.call(method, path, Some(object)).await?;
        match answer.status {
            StatusCode::CONFLICT => Ok(false),
            _ => answer.success(self, path).map(|_| true),
        }
    }
}

fn differs(found: &Value, wanted: &Value, field: &str) -> bool {
    wanted.get(field).is_some_and(|wanted| found.get(field) != Some(wanted))
}

fn wanted() -> [Wanted; 5] {
    let see_nodes = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]);
    let read =
        json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": CONFIG_MAPS, "verbs": ["get"]}]);
    [
        binding(CLUSTER_BINDINGS, ASK, ("ClusterRole", BOOTSTRAPPER)),
        role(CLUSTER_ROLES, SEE_NODES, see_nodes),
        binding(CLUSTER_BINDINGS, SEE_NODES, ("ClusterRole", SEE_NODES)),
        role(ROLES, READ_CONFIGURATION, read),
        binding(BINDINGS, READ_CONFIGURATION, ("Role", READ_CONFIGURATION)),
    ]
}

fn role(folder: &'static str, name: &'static str, rules: Value) -> Wanted {
    let kind = if folder == ROLES { "Role" } else { "ClusterRole" };
    let mut object = object(folder, kind, name);
    object["rules"] = rules;
    Wanted { folder, name, object }
}

fn binding(folder: &'static str, name: &'static str, (kind, to): (&str, &str)) -> Wanted {
    let mut object = object(folder, if folder == BINDINGS { "RoleBinding" } else { "ClusterRoleBinding" }, name);
    object["roleRef"] = json!({"apiGroup": API, "kind": kind, "name": to});
    object["subjects"] = json!([{"apiGroup": API, "kind": "Group", "name": GROUP}]);
    Wanted { folder, name, object }
}

fn object(folder: &str, kind: &str, name: &str) -> Value {
    let mut object = json!({"apiVersion": format!("{API}/v1"), "kind": kind, "metadata": {"name": name}});
    if folder.contains("/namespaces/") {
        object["metadata"]["namespace"] = json!(KUBE_SYSTEM.rsplit('/').next());
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::server::Server;

    #[tokio::test]
    async fn nobody_is_given_a_token_that_kubernetes_itself_would_approve() -> Result<()> {
        let (server, client) = Server::start().await?;
        client.ensure_bootstrap_rbac().await?;
        let binding = "RBAC: allowed by ClusterRoleBinding \"auto-approve-csrs-for-group\"";
        server.set_bypass(Some(json!({"allowed": true, "reason": binding})));
        let error = client.ensure_bootstrap_rbac().await.err().context("it is approved by others")?;
        assert!(error.is::<Bypassed>() && error.to_string().contains(binding), "{error:#}");
        for odd in [json!({}), json!({"allowed": "no"}), Value::Null] {
            server.set_bypass(Some(odd));
            let error = client.ensure_bootstrap_rbac().await.err().context("it is no review")?;
            assert!(!error.is::<Bypassed>(), "{error:#}");
        }
        server.set_bypass(None);
        client.ensure_bootstrap_rbac().await
    }

    #[tokio::test]
    async fn what_is_missing_is_made_what_differs_is_mended_and_what_is_right_stays() -> Result<()> {
        let (server, client) = Server::start().await?;
        client.ensure_bootstrap_rbac().await?;
        let made = server.objects().clone();
        assert_eq!(made.len(), 5);
        let group = json!([{"apiGroup": API, "kind": "Group", "name": GROUP}]);
        for (path, object) in made.iter().filter(|(path, _)| path.contains("bindings")) {
            assert_eq!(object["subjects"], group, "{path}");
        }
        // Nothing that would let it approve, or read more than it must.
        let verbs: Vec<_> = made.values().filter_map(|object| object["rules"][0]["verbs"].as_array()).collect();
        assert_eq!(verbs, [&vec![json!("get")], &vec![json!("get")]]);

        server.asked().clear();
        client.ensure_bootstrap_rbac().await?;
        let review = format!("POST {REVIEWS}");
        assert!(
            server.asked().iter().all(|asked| asked.starts_with("GET ") || *asked == review),
            "{:?}",
            server.asked()
        );

        // As another leader does between the look and the write.
        let [ask, ..] = wanted();
        assert!(!client.create(&ask).await?, "it is looked at again");

        let folder = format!("{CLUSTER_BINDINGS}/{ASK}");
        let edits: [(String, &str, Value); 3] = [
            (
                format!("{ROLES}/{READ_CONFIGURATION}"),
                "rules",
                json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]),
            ),
            (folder.clone(), "subjects", json!([])),
            (folder, "roleRef", json!({"apiGroup": API, "kind": "ClusterRole", "name": "cluster-admin"})),
        ];
        for (path, field, value) in edits {
            server.change(&path, |object| object[field] = value);
            client.ensure_bootstrap_rbac().await?;
            let now = server.objects();
            for (path, before) in &made {
                for field in ["rules", "subjects", "roleRef"] {
                    assert_eq!(now[path][field], before[field], "{path} {field}");
                }
            }
        }
        Ok(())
    }
}
