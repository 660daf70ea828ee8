//! Draining this worker with its kubelet's own credentials: it is closed for new pods, and those that are there are evicted.

use super::{Facts, worker_node};
use crate::kube::KubeletClient;
use crate::model::worker::drain::{Eviction, PodId};
use crate::model::worker::leave::PodsView;
use anyhow::{Result, anyhow};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Between two evictions of one pod: what a budget forbids now it may allow when another pod is ready.
const AGAIN: Duration = Duration::from_secs(5);
/// How long evictions go on before the machine looks again, whatever each of them takes: its hook or a Spot notice may end its time.
const STEP_TIME: Duration = Duration::from_secs(4);
/// How long the list of the pods may take in all its pages.
const LIST_TIMEOUT: Duration = Duration::from_secs(8);

/// What this process has done so far.
#[derive(Debug, Default)]
pub struct Draining {
    /// Whether the Node is closed for new pods.
    pub is_cordoned: bool,
    /// The pods whose last eviction came to nothing, each with the reason, and when that was.
    refused: BTreeMap<PodId, (String, Instant)>,
}

impl Draining {
    /// The pods that are here, once the Node is closed.
    pub async fn pods(&mut self, facts: &Facts) -> PodsView {
        if !self.is_cordoned {
            return PodsView::NotAsked;
        }
        let listed = timeout(LIST_TIMEOUT, async { worker_node::client(facts)?.pods().await });
        let listed = listed.await.unwrap_or_else(|_| Err(anyhow!("no whole list of the pods came in time")));
        match listed {
            Ok(pods) => {
                let now = Instant::now();
                PodsView::Listed(pods.into_iter().map(|pod| (pod.clone(), self.trouble(&pod.id, now))).collect())
            }
            Err(error) => PodsView::Silent { why: format!("{error:#}") },
        }
    }

    /// Closes the Node for new pods.
    ///
    /// # Errors
    /// No API server does that.
    pub async fn cordon(&mut self, facts: &Facts) -> Result<()> {
        worker_node::client(facts)?.cordon().await?;
        self.is_cordoned = true;
        tracing::info!(node = facts.node_name, "closed the Node for new pods");
        Ok(())
    }

    /// Has these pods evicted, as far as a few seconds allow: the next look begins with the others.
    ///
    /// # Errors
    /// kubelet has no credentials that can be used.
    pub async fn evict(&mut self, facts: &Facts, pods: &[PodId]) -> Result<()> {
        let (client, begun) = (worker_node::client(facts)?, Instant::now());
        for pod in pods {
            if !self.evict_one(&client, pod).await || begun.elapsed() >= STEP_TIME {
                break;
            }
        }
        Ok(())
    }

    /// Whether the next one may be asked for at once.
    async fn evict_one(&mut self, client: &KubeletClient, pod: &PodId) -> bool {
        let answer = client.evict(pod).await;
        if answer == Eviction::Accepted {
            tracing::info!("evicted the pod {pod}");
        }
        self.take(pod, &answer, Instant::now());
        answer.lets_go_on()
    }

    /// Takes in an answer.
    fn take(&mut self, pod: &PodId, answer: &Eviction, now: Instant) {
        match answer.trouble() {
            Some(why) => self.refused.insert(pod.clone(), (why.to_owned(), now)),
            None => self.refused.remove(pod),
        };
    }

    /// What its last eviction came to, as long as it is not to be tried again.
    fn trouble(&self, pod: &PodId, now: Instant) -> Option<String> {
        let (why, at) = self.refused.get(pod)?;
        (now.saturating_duration_since(*at) < AGAIN).then(|| why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_budget_forbids_is_tried_again_after_seconds() {
        let pod = PodId { namespace: "web".into(), name: "a".into(), uid: "u".into() };
        let other = PodId { uid: "v".into(), ..pod.clone() };
        let (mut draining, start) = (Draining::default(), Instant::now());
        let blocked = Eviction::Blocked { why: "budget".into() };
        draining.take(&pod, &blocked, start);
        assert_eq!(draining.trouble(&pod, start).as_deref(), Some("budget"));
        assert_eq!(draining.trouble(&other, start), None, "a pod that was made anew is another one");
        assert_eq!(draining.trouble(&pod, start + AGAIN), None);
        draining.take(&pod, &blocked, start + AGAIN);
        draining.take(&pod, &Eviction::Accepted, start + AGAIN);
        assert_eq!(draining.trouble(&pod, start + AGAIN), None);
    }
}
