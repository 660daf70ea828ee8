//! Which pods of a worker are evicted before it goes. Its own credentials see no `DaemonSet` and no budget: owners are told by what the pod
//! says of itself, budgets by the answer to an eviction.

use serde::Serialize;
use std::fmt;

/// A pod on this machine, as the API server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPod {
    /// Which it is.
    pub id: PodId,
    /// The kind of the controller that owns it, if one does.
    pub controller: Option<String>,
    /// Whether kubelet runs it from a file, and this is only its image in the API.
    pub is_mirror: bool,
    /// Whether all its containers have ended for good.
    pub is_over: bool,
    /// Whether it was deleted, and kubelet has not ended it yet.
    pub is_ending: bool,
}

/// One pod. Names are used again, UIDs are not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PodId {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl fmt::Display for PodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace.escape_debug(), self.name.escape_debug())
    }
}

/// What draining has to do with a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodFate {
    /// It goes with the machine: it is of every node, or has ended.
    Stays,
    /// It is to be evicted.
    Evicted,
    /// It was, and is waited for.
    Ends,
}

impl SeenPod {
    /// What draining has to do with it.
    #[must_use]
    pub fn fate(&self) -> PodFate {
        if self.is_mirror || self.is_over || self.controller.as_deref() == Some("DaemonSet") {
            PodFate::Stays
        } else if self.is_ending {
            PodFate::Ends
        } else {
            PodFate::Evicted
        }
    }
}

/// What an API server answered to an eviction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eviction {
    /// The pod ends.
    Accepted,
    /// There is no such pod any more.
    Gone,
    /// A budget does not allow it now (429), or several budgets are about it (500), which Kubernetes never allows.
    Blocked {
        /// The server's words.
        why: String,
    },
    /// It was refused for another reason.
    Failed {
        /// Why.
        why: String,
    },
    /// Nobody answered.
    Silent {
        /// Why.
        why: String,
    },
}

impl Eviction {
    /// By the status of the answer, and what it says.
    #[must_use]
    pub fn of(status: u16, said: String) -> Self {
        match status {
            200..=299 => Self::Accepted,
            // Of a pod of that name with another UID it answers 409.
            404 | 409 => Self::Gone,
            429 | 500 => Self::Blocked { why: said },
            _ => Self::Failed { why: said },
        }
    }

    /// What there is to say of it while the pod is waited for.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Accepted | Self::Gone => None,
            Self::Blocked { why } | Self::Failed { why } | Self::Silent { why } => Some(why),
        }
    }

    /// Whether the next pod may be asked for at once: who does not answer would cost each of them a whole deadline.
    #[must_use]
    pub const fn lets_go_on(&self) -> bool {
        match self {
            Self::Accepted | Self::Gone | Self::Blocked { .. } | Self::Failed { .. } => true,
            Self::Silent { .. } => false,
        }
    }
}

#[cfg(test)]
impl SeenPod {
    /// For tables: a pod of a `ReplicaSet`.
    pub(in crate::model::worker) fn sample(name: &str) -> Self {
        let id = PodId { namespace: "default".into(), name: name.into(), uid: format!("uid-of-{name}") };
        Self { id, controller: Some("ReplicaSet".into()), is_mirror: false, is_over: false, is_ending: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_every_node_stay_and_all_others_are_evicted_once() {
        let pod = || SeenPod::sample("web");
        let rows = [
            (pod(), PodFate::Evicted),
            (SeenPod { controller: None, ..pod() }, PodFate::Evicted),
            (SeenPod { controller: Some("StatefulSet".into()), ..pod() }, PodFate::Evicted),
            (SeenPod { controller: Some("DaemonSet".into()), ..pod() }, PodFate::Stays),
            (SeenPod { controller: Some("DaemonSet".into()), is_ending: true, ..pod() }, PodFate::Stays),
            (SeenPod { is_mirror: true, ..pod() }, PodFate::Stays),
            (SeenPod { is_over: true, ..pod() }, PodFate::Stays),
            (SeenPod { is_ending: true, ..pod() }, PodFate::Ends),
        ];
        for (pod, fate) in rows {
            assert_eq!(pod.fate(), fate, "{pod:?}");
        }
    }

    #[test]
    fn a_budget_is_told_by_the_answer_and_another_pod_of_the_name_is_none() {
        let said = || "said".to_owned();
        let rows = [
            (200, Eviction::Accepted),
            (201, Eviction::Accepted),
            (404, Eviction::Gone),
            (409, Eviction::Gone),
            (429, Eviction::Blocked { why: said() }),
            (500, Eviction::Blocked { why: said() }),
            (401, Eviction::Failed { why: said() }),
            (403, Eviction::Failed { why: said() }),
            (503, Eviction::Failed { why: said() }),
        ];
        for (status, expected) in rows {
            assert_eq!(Eviction::of(status, said()), expected, "{status}");
            assert!(expected.lets_go_on(), "{status}");
        }
        let silent = Eviction::Silent { why: said() };
        assert!(!silent.lets_go_on() && silent.trouble() == Some("said"));
    }
}
