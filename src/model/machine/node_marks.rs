//! Whether this machine's Node is there, and marked as kubeadm marks a control-plane node.
//!
//! kubeadm marks a Node once, when the machine joins. kubelet registers a Node only when it starts, and may not give it the label of
//! the role. So a Node without that label is a new one, or has lost it, and gets everything that kubeadm marks. A Node that has it and
//! lacks something else was changed by somebody who meant to: a taint is taken away where workloads shall run on the control plane.

use std::collections::BTreeSet;
use std::fmt;

/// The label of the role.
pub const ROLE_LABEL: &str = "node-role.kubernetes.io/control-plane";
/// All labels that kubeadm's phase `mark-control-plane` sets, each with an empty value.
pub const LABELS: [&str; 2] = [ROLE_LABEL, "node.kubernetes.io/exclude-from-external-load-balancers"];

/// A taint of a Node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value, which may be empty.
    pub value: String,
    /// What it does to pods that do not tolerate it.
    pub effect: String,
}

impl Taint {
    /// The one that kubeadm gives to control-plane nodes whose documents name none.
    #[must_use]
    pub fn of_control_plane() -> Self {
        Self { key: ROLE_LABEL.to_owned(), value: String::new(), effect: "NoSchedule".to_owned() }
    }
}

impl fmt::Display for Taint {
    /// As `kubectl` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.as_str() {
            "" => write!(f, "{}:{}", self.key, self.effect),
            value => write!(f, "{}={value}:{}", self.key, self.effect),
        }
    }
}

/// What a Node has of [`LABELS`], and its taints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeMarks {
    /// The labels, by name.
    pub labels: BTreeSet<String>,
    /// All taints.
    pub taints: Vec<Taint>,
}

impl NodeMarks {
    /// Whether it has the label of the role.
    #[must_use]
    pub fn has_role(&self) -> bool {
        self.labels.contains(ROLE_LABEL)
    }

    /// What it lacks of what kubeadm marks, where the documents want these taints.
    fn lack(&self, taints: &[Taint]) -> Lacking {
        Lacking {
            labels: LABELS.into_iter().filter(|label| !self.labels.contains(*label)).collect(),
            taints: taints.iter().filter(|taint| !self.taints.contains(taint)).cloned().collect(),
        }
    }
}

/// Marks that a Node lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// Labels, by name.
    pub labels: Vec<&'static str>,
    /// Taints.
    pub taints: Vec<Taint>,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.labels.iter().map(|label| format!("the label {label}"));
        let all: Vec<String> = labels.chain(self.taints.iter().map(|taint| format!("the taint {taint}"))).collect();
        f.write_str(&all.join(", "))
    }
}

/// What is to be done about a Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// Nothing: it is there, and marked.
    Whole,
    /// There is none: kubelet is to register it.
    Missing,
    /// The Node of this name is another instance's: nothing is done to it.
    OfAnother {
        /// The provider ID that it has.
        provider_id: String,
    },
    /// It has not the label of the role: it is to be marked.
    Unmarked(Lacking),
    /// Somebody has changed it: it is left alone.
    Changed(Lacking),
}

/// Whether a provider ID, such as `aws:///eu-central-1a/i-0123`, names another instance than this one. One that is not EC2's names none.
#[must_use]
pub fn is_of_another(provider_id: &str, instance: &str) -> bool {
    provider_id.starts_with("aws://") && provider_id.rsplit('/').next() != Some(instance)
}

/// Judges the Node of this instance by its provider ID and marks; `None`: there is none. `taints`: those that kubeadm gives it by this
/// machine's documents; `None` where these have kubeadm mark nothing.
#[must_use]
pub fn judge(node: Option<(Option<&str>, &NodeMarks)>, instance: &str, taints: Option<&[Taint]>) -> NodeState {
    let Some((provider_id, marks)) = node else { return NodeState::Missing };
    if let Some(provider_id) = provider_id.filter(|provider_id| is_of_another(provider_id, instance)) {
        return NodeState::OfAnother { provider_id: provider_id.to_owned() };
    }
    let Some(taints) = taints else { return NodeState::Whole };
    let lacking = marks.lack(taints);
    match (marks.has_role(), lacking.labels.is_empty() && lacking.taints.is_empty()) {
        (_, true) => NodeState::Whole,
        (false, false) => NodeState::Unmarked(lacking),
        (true, false) => NodeState::Changed(lacking),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "i-00000001";
    const MINE: &str = "aws:///eu-central-1a/i-00000001";
    const OTHERS: &str = "aws:///eu-central-1a/i-00000002";

    fn taint(key: &str) -> Taint {
        Taint { key: key.into(), value: "v".into(), effect: "NoExecute".into() }
    }

    fn marks(labels: &[&str], taints: &[Taint]) -> NodeMarks {
        NodeMarks { labels: labels.iter().map(|label| (*label).to_owned()).collect(), taints: taints.to_vec() }
    }

    type Row<'a> = (&'a [&'a str], &'a [Taint], Option<&'a str>, Option<&'a [Taint]>, NodeState);

    #[test]
    fn a_node_without_the_label_of_its_role_is_marked_and_a_changed_one_is_left_alone() {
        let (own, foreign) = (Taint::of_control_plane(), taint("node.kubernetes.io/not-ready"));
        let given = vec![taint("a"), taint("b")];
        let one = std::slice::from_ref(&own);
        let unmarked = |labels: &[&'static str], taints: &[Taint]| {
            NodeState::Unmarked(Lacking { labels: labels.to_vec(), taints: taints.to_vec() })
        };
        let changed = |labels: &[&'static str], taints: &[Taint]| {
            NodeState::Changed(Lacking { labels: labels.to_vec(), taints: taints.to_vec() })
        };
        let other = NodeState::OfAnother { provider_id: OTHERS.into() };
        let both = std::slice::from_ref(&own).iter().chain([&foreign]).cloned().collect::<Vec<_>>();
        // (labels, taints, provider ID, the taints that the documents want, what follows)
        let rows: [Row<'_>; 16] = [
            (&LABELS, one, Some(MINE), Some(one), NodeState::Whole),
            (&LABELS, &both, None, Some(one), NodeState::Whole),
            (&LABELS, &[], Some(MINE), Some(&[]), NodeState::Whole),
            (&LABELS, &given, Some(MINE), Some(&given), NodeState::Whole),
            // As kubelet registers it.
            (&[], &[], Some(MINE), Some(one), unmarked(&LABELS, one)),
            (&[], std::slice::from_ref(&foreign), None, Some(one), unmarked(&LABELS, one)),
            (&[], &[], Some(MINE), Some(&[]), unmarked(&LABELS, &[])),
            (&[LABELS[1]], &[], Some(MINE), Some(&given), unmarked(&[ROLE_LABEL], &given)),
            (&[LABELS[1]], one, Some(MINE), Some(one), unmarked(&[ROLE_LABEL], &[])),
            (&[], &[], Some("kind://docker/n1"), Some(one), unmarked(&LABELS, one)),
            // Changed by somebody who meant to.
            (&LABELS, &[], Some(MINE), Some(one), changed(&[], one)),
            (&LABELS, &given[..1], Some(MINE), Some(&given), changed(&[], &given[1..])),
            (&[ROLE_LABEL], one, Some(MINE), Some(one), changed(&[LABELS[1]], &[])),
            // The documents skip that phase.
            (&[], &[], Some(MINE), None, NodeState::Whole),
            (&LABELS, one, Some(OTHERS), Some(one), other.clone()),
            (&[], &[], Some(OTHERS), None, other),
        ];
        for (labels, taints, provider_id, wanted, expected) in rows {
            let marks = marks(labels, taints);
            assert_eq!(judge(Some((provider_id, &marks)), ME, wanted), expected, "{labels:?} {taints:?} {wanted:?}");
        }
        assert_eq!(judge(None, ME, Some(one)), NodeState::Missing);
        assert_eq!(judge(None, ME, None), NodeState::Missing, "kubelet registers whatever is marked");
    }

    #[test]
    fn what_is_lacking_is_named_as_kubectl_writes_it() {
        let lacking = Lacking { labels: vec![ROLE_LABEL], taints: vec![Taint::of_control_plane(), taint("a")] };
        let text = "the label node-role.kubernetes.io/control-plane, the taint node-role.kubernetes.io/control-plane:NoSchedule, the taint \
                    a=v:NoExecute";
        assert_eq!(lacking.to_string(), text);
    }
}
