//! What is left of an upgrade, as the cluster shows it: the images of the add-ons, and what was kept of it.

use super::client::Client;
use crate::model::upgrade::{RestOutcome, RestStep};
use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The `ConfigMap` that keeps what came of it, and its key.
const CONFIG_MAPS: &str = "/api/v1/namespaces/kube-system/configmaps";
const NAME: &str = "kubeboot-upgrade";
const KEY: &str = "outcome";
const WORKLOADS: &str = "/apis/apps/v1/namespaces/kube-system";

/// What was kept, and the version of the object that keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOutcome {
    /// What was kept; what is wrong with it where nobody can read it.
    pub outcome: Result<RestOutcome, String>,
    version: String,
}

impl Client {
    /// What was kept of the rest of the last upgrade; nothing where none was.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn rest_outcome(&self) -> Result<Option<KeptOutcome>> {
        let path = format!("{CONFIG_MAPS}/{NAME}");
        let answer = self.call(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let object = answer.success(self, &path)?;
        let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
        let version = version.with_context(|| format!("{}: it has no version", self.failed(&path)))?;
        let text = object["data"][KEY].as_str().unwrap_or_default();
        Ok(Some(KeptOutcome { outcome: RestOutcome::parse(text), version }))
    }

    /// Keeps what came of it, over the very object that was read before, or where there was none. False where somebody else has written it
    /// since.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn keep_rest_outcome(&self, before: Option<&KeptOutcome>, outcome: &RestOutcome) -> Result<bool> {
        let mut object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": "kube-system"},
            "data": {KEY: outcome.to_text()},
        });
        let path = format!("{CONFIG_MAPS}/{NAME}");
        let (method, path) = match before {
            None => (Method::POST, CONFIG_MAPS),
            Some(before) => {
                object["metadata"]["resourceVersion"] = json!(before.version);
                (Method::PUT, path.as_str())
            }
        };
        let answer = self.call(method, path, Some(&object)).await?;
        match answer.status {
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => Ok(false),
            _ => answer.success(self, path).map(|_| true),
        }
    }

    /// The image of an add-on; nothing where it is not installed, or the step is about none.
    ///
    /// # Errors
    /// When the server does not answer, or not with a workload.
    pub async fn add_on_image(&self, step: RestStep) -> Result<Option<String>> {
        let kind = match step {
            RestStep::Coredns => "deployments",
            RestStep::KubeProxy => "daemonsets",
            RestStep::KubeletConfig | RestStep::BootstrapRbac => return Ok(None),
        };
        let path = format!("{WORKLOADS}/{kind}/{}", step.name());
        let answer = self.call(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let object = answer.success(self, &path)?;
        image(&object, step.name()).map(Some).with_context(|| self.failed(&path))
    }
}

/// The image of the container of this name, or of the first one.
fn image(workload: &Value, name: &str) -> Result<String> {
    let containers = workload.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let containers = containers.context("the answer holds no containers")?;
    let named = containers.iter().find(|container| container["name"] == name).or(containers.first());
    let image = named.and_then(|container| container["image"].as_str()).filter(|image| !image.is_empty());
    image.map(str::to_owned).context("the answer holds no image")
}

/// The folder of the objects in `kube-system`, for tests.
#[cfg(test)]
pub(crate) fn place(step: RestStep) -> String {
    let kind = if step == RestStep::Coredns { "deployments" } else { "daemonsets" };
    format!("{WORKLOADS}/{kind}/{}", step.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::server::Server;
    use crate::model::machine::ids::InstanceId;
    use crate::model::version::Release;

    fn outcome(to: Release) -> Result<RestOutcome> {
        let by = (InstanceId::parse("i-00000001").ok().context("an ID")?, "now".to_owned());
        Ok(RestOutcome::of_attempt((Release::new(1, 36, 1), to), None, Vec::new(), None, by))
    }

    #[tokio::test]
    async fn what_came_of_it_is_kept_over_what_was_read_and_over_nothing_else() -> Result<()> {
        let (server, client) = Server::start().await?;
        assert_eq!(client.rest_outcome().await?, None);
        let (first, second) = (outcome(Release::new(1, 37, 0))?, outcome(Release::new(1, 38, 0))?);
        assert!(client.keep_rest_outcome(None, &first).await?);
        assert!(!client.keep_rest_outcome(None, &second).await?, "another leader was faster");
        let kept = client.rest_outcome().await?.context("it is kept")?;
        assert_eq!(kept.outcome, Ok(first));
        assert!(client.keep_rest_outcome(Some(&kept), &second).await?);
        assert!(!client.keep_rest_outcome(Some(&kept), &second).await?, "it was written since");
        server.change(&format!("{CONFIG_MAPS}/{NAME}"), |object| object["data"] = json!({"x": "y"}));
        let damaged = client.rest_outcome().await?.context("it is there")?;
        assert!(damaged.outcome.is_err());
        assert!(client.keep_rest_outcome(Some(&damaged), &second).await?, "what nobody can read is written anew");
        server.objects().clear();
        assert!(!client.keep_rest_outcome(Some(&damaged), &second).await?, "it is gone");
        Ok(())
    }

    #[tokio::test]
    async fn the_image_of_an_add_on_is_that_of_its_own_container() -> Result<()> {
        let (server, client) = Server::start().await?;
        for step in RestStep::ALL {
            assert_eq!(client.add_on_image(step).await?, None, "{step}");
        }
        let rows = [
            (
                json!([{"name": "sidecar", "image": "s:1"}, {"name": "coredns", "image": "r/coredns:v1"}]),
                Some("r/coredns:v1"),
            ),
            (json!([{"name": "dns", "image": "r/dns:v2"}]), Some("r/dns:v2")),
            (json!([]), None),
            (json!([{"name": "coredns"}]), None),
            (Value::Null, None),
        ];
        for (containers, expected) in rows {
            let workload =
                json!({"metadata": {"name": "coredns"}, "spec": {"template": {"spec": {"containers": containers}}}});
            server.put(&place(RestStep::Coredns), workload);
            let found = client.add_on_image(RestStep::Coredns).await;
            assert_eq!(found.ok().flatten().as_deref(), expected, "{containers}");
        }
        Ok(())
    }
}
