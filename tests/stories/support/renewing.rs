//! Certificates near their end, and what kubeadm has renewed.

use super::command::Ended;
use super::world::World;
use anyhow::{Result, ensure};

/// Makes certificates anew that live for `$1`, by the names that follow.
const SHORTEN: &str = r#"set -e
cat >/run/short.yaml <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: "$STANDIN_ADDRESS"}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.1
controlPlaneEndpoint: api.demo.internal:6443
certificateValidityPeriod: $1
END
shift
for name; do
    case $name in
    *.conf) rm "/etc/kubernetes/$name"; kubeadm init phase kubeconfig "${name%.conf}" --config /run/short.yaml ;;
    etcd-*) rm "/etc/kubernetes/pki/etcd/${name#etcd-}".*; kubeadm init phase certs "$name" --config /run/short.yaml ;;
    *) rm "/etc/kubernetes/pki/$name".*; kubeadm init phase certs "$name" --config /run/short.yaml ;;
    esac
done
"#;

impl World {
    /// Has certificates of a machine live for so long from now on.
    pub fn shorten(&self, node: usize, life: &str, names: &[&str]) -> Result<()> {
        self.renews(node, &[&["sh", "-c", SHORTEN, "sh", life], names].concat(), 0, &[]).map(drop)
    }

    /// Runs a command that must end with this exit code and say each of these words.
    pub fn renews(&self, node: usize, argv: &[&str], code: i32, words: &[&str]) -> Result<Ended> {
        let ended = self.on(node, argv)?;
        ensure!(ended.code == code && !ended.text().contains("panicked"), "{}: {}", ended.code, ended.text());
        for word in words {
            ensure!(ended.text().contains(word), "it does not say '{word}': {}", ended.text());
        }
        Ok(ended)
    }

    /// What kubeadm has renewed on a machine, in its order.
    pub fn renewed(&self, node: usize) -> Result<Vec<String>> {
        let lines = self.journal("standin")?;
        let host = self.on(node, &["hostname"])?.stdout;
        let mine = lines.iter().filter(|line| line["node"] == host.trim() && line["argv"][2] == "renew");
        Ok(mine.filter_map(|line| line["argv"][3].as_str().map(str::to_owned)).collect())
    }
}
