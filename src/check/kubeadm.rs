//! kubeadm, kubelet, and the documents that kubeadm is given.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::{Check, at_once};
use crate::kubeadm::documents::{DocumentRefusal, Documents};
use crate::kubeadm::output::Version;
use crate::kubeadm::run::Kubeadm;
use crate::node::judged;
use crate::settings::Role;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "kubeadm", run: |input| at_once(kubeadm(input)) },
    Check { name: "kubelet", run: |input| Box::pin(kubelet(input)) },
    Check { name: "kubeadm-config", run: |input| at_once(documents(input)) },
    Check { name: "kubeadm-validate", run: |input| Box::pin(validate(input)) },
];

/// How many minor versions kubelet may be behind kubeadm (Kubernetes' version skew policy).
const KUBELET_BEHIND: u32 = 3;

/// Whether there is a kubeadm with which kubeboot works.
fn kubeadm(input: &CheckInput) -> Found {
    Ok(vec![judge_kubeadm(input.kubeadm.own()?)])
}

fn judge_kubeadm(kubeadm: &Version) -> Finding {
    let (major, minor) = Version::OLDEST;
    match kubeadm.is_supported() {
        true => Finding::ok(kubeadm.to_string()),
        false => Finding::failed(
            format!("kubeadm is {kubeadm}, kubeboot needs {major}.{minor} or newer"),
            "build the image with a newer one",
        ),
    }
}

/// Whether kubelet fits kubeadm and the version that is, or will be, installed.
async fn kubelet(input: &CheckInput) -> Found {
    let kubelet = Kubeadm::read_only().kubelet_version().await.map_err(|error| Finding::error(&error))?;
    let kubeadm = input.kubeadm.needed()?;
    // An image knows of no cluster; with one that is there another check compares.
    let planned = || Some(input.documents.needed().ok()?.installed_version(&input.cluster().ok()?));
    let planned = match input.knows_a_cluster() {
        true => None,
        false => planned().and_then(|planned| Version::parse(&planned).ok()),
    };
    Ok(vec![judge_kubelet(&kubelet, kubeadm, planned.as_ref())])
}

/// `cluster`: the version of the control plane that will be, where there is none.
fn judge_kubelet(kubelet: &Version, kubeadm: &Version, cluster: Option<&Version>) -> Finding {
    let remedy = "build the image with a kubelet of kubeadm's version";
    match cluster {
        _ if kubelet.is_newer_than(kubeadm) => {
            Finding::failed(format!("kubelet is {kubelet}, newer than kubeadm, which is {kubeadm}"), remedy)
        }
        _ if kubelet.is_behind(kubeadm, KUBELET_BEHIND) => {
            let text =
                format!("kubelet is {kubelet}, more than {KUBELET_BEHIND} minor versions behind kubeadm {kubeadm}");
            Finding::failed(text, remedy)
        }
        Some(cluster) if kubelet.is_newer_than(cluster) => Finding::warning(
            format!("kubelet is {kubelet}, newer than the control plane will be by the documents, which is {cluster}"),
            "leave 'kubernetesVersion' out of the documents, or build the image with a kubelet that is not newer",
        ),
        Some(_) | None => Finding::ok(kubelet.to_string()),
    }
}

/// Whether the operator's documents can be read and contradict nothing that kubeboot does.
fn documents(input: &CheckInput) -> Found {
    let documents = input.documents.own()?;
    let refusals = refusals(input, documents)?;
    if refusals.is_empty() {
        let file = &input.settings.needed()?.kubeadm_config;
        let text =
            file.as_ref().map_or("no file: kubeadm's defaults".to_owned(), |file| format!("'{}'", file.display()));
        return Ok(if input.role() == Role::ControlPlane && documents.refuses_the_anonymous() {
            vec![refuses_the_anonymous()]
        } else {
            vec![Finding::ok(text)]
        });
    }
    let line = |refusal: DocumentRefusal| {
        Finding::failed(format!("{}: {} {}", refusal.document, refusal.field, refusal.reason), refusal.remedy)
    };
    Ok(refusals.into_iter().map(line).collect())
}

/// What is refused on machines of this role.
fn refusals(input: &CheckInput, documents: &Documents) -> Result<Vec<DocumentRefusal>, Finding> {
    Ok(match input.role() {
        Role::ControlPlane => documents.refusals(&input.cluster()?),
        Role::Worker => documents.worker_refusals(),
    })
}

/// kubelet and load balancers ask an API server for its health without credentials.
fn refuses_the_anonymous() -> Finding {
    Finding::warning(
        "apiServer.extraArgs: with anonymous-auth=false /readyz and /livez answer 401 to whoever has no credentials: the targets of a \
         load balancer that asks for them are unhealthy, and kubelet's probes fail, so that it restarts the API server",
        "allow the anonymous those paths alone, by an AuthenticationConfiguration with anonymous.conditions instead of the argument; \
         or have the load balancer ask by TCP (health_check = \"tcp\" in the Terraform example) and give the probes a patch",
    )
}

/// Whether kubeadm itself accepts the documents, completed for this machine, for init and for join.
async fn validate(input: &CheckInput) -> Found {
    let facts = input.facts.needed()?;
    if !refusals(input, &facts.documents)?.is_empty() {
        return Err(Finding::skipped("needs 'kubeadm-config'"));
    }
    input.needs_root()?;
    let refused = judged::refused_by_kubeadm(facts).await.map_err(|error| Finding::error(&error))?;
    let finding = |(command, said): (&str, String)| {
        let text = format!("kubeadm refuses the completed documents for {command}: {said}");
        Finding::failed(text, "correct the file that 'kubeadm_config' names")
    };
    if refused.is_empty() {
        let commands = if input.role() == Role::Worker { "join" } else { "init and join" };
        return Ok(vec![Finding::ok(format!("kubeadm accepts the completed documents for {commands}"))]);
    }
    Ok(refused.into_iter().map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use anyhow::Result;

    const OK: &str = "ok";

    #[test]
    fn kubeadm_must_be_new_enough() -> Result<()> {
        for (kubeadm, expected) in [("v1.33.0", OK), ("v1.37.0", OK), ("v1.32.9", "needs 1.33 or newer")] {
            expect(&judge_kubeadm(&Version::parse(kubeadm)?), expected);
        }
        Ok(())
    }

    #[test]
    fn kubelet_may_be_older_and_never_newer() -> Result<()> {
        let table = [
            ("v1.36.9", "v1.36.1", Some("v1.36.1"), OK),
            ("v1.33.0", "v1.36.1", Some("v1.36.1"), OK),
            ("v1.32.9", "v1.36.1", Some("v1.36.1"), "more than 3 minor versions behind"),
            ("v1.37.0", "v1.36.1", Some("v1.36.1"), "newer than kubeadm"),
            ("v1.36.0", "v1.36.1", Some("v1.35.4"), "newer than the control plane will be"),
            ("v1.36.0", "v1.36.1", None, OK),
        ];
        for (kubelet, kubeadm, cluster, expected) in table {
            let cluster = cluster.map(Version::parse).transpose()?;
            let finding = judge_kubelet(&Version::parse(kubelet)?, &Version::parse(kubeadm)?, cluster.as_ref());
            expect(&finding, expected);
        }
        Ok(())
    }

    #[test]
    fn an_api_server_without_anonymous_access_is_a_warning() -> Result<()> {
        let table = [
            ("", false),
            ("[{name: anonymous-auth, value: 'false'}]", true),
            ("[{name: anonymous-auth, value: F}]", true),
            ("[{name: anonymous-auth, value: 'true'}]", false),
            ("[{name: anonymous-auth, value: 'false'}, {name: anonymous-auth, value: 'true'}]", false),
            ("[{name: authentication-config, value: /etc/kubernetes/authn.yaml}]", false),
        ];
        for (arguments, expected) in table {
            let text = format!(
                "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\napiServer:\n  extraArgs: {arguments}\n"
            );
            let documents = Documents::parse(&text)?;
            assert_eq!(documents.refuses_the_anonymous(), expected, "{arguments}");
        }
        let finding = refuses_the_anonymous();
        assert_eq!(finding.verdict, CheckVerdict::Warning);
        assert!(finding.remedy.is_some_and(|remedy| remedy.contains("anonymous.conditions")));
        Ok(())
    }

    fn expect(finding: &Finding, expected: &str) {
        let fits = if expected == OK { finding.verdict == CheckVerdict::Ok } else { finding.text.contains(expected) };
        assert!(fits, "{finding:?} is not: {expected}");
    }
}
