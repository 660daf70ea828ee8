//! This worker's Node, asked for with its kubelet's own credentials, and since when it has been missing.

use super::Facts;
use super::kept::Kept;
use crate::aws::imds::InstanceMetadata;
use crate::host::tls::Handshake;
use crate::kube::{BadCredentials, KubeNode, KubeletClient};
use crate::kubeadm::worker_state::KUBELET_CONF;
use crate::model::joining::{JoinCluster, JoinToken};
use crate::model::worker::revive::{ForeignMark, NodeView};
use anyhow::Result;
use std::path::Path;
use tokio::time::Instant;

/// Where kubelet has its newest certificate, which its kubeconfig names.
const CERTIFICATE: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// What this process knows of the Node beside what it reads at each look.
#[derive(Default)]
pub struct WorkerNode {
    /// With its connection: thousands ask again and again.
    client: Kept<KubeletClient>,
    missing_since: Option<Instant>,
    refused_since: Option<Instant>,
    /// Whether kubelet was restarted since then.
    pub restarted: bool,
    /// Whether the Node is this machine's, and kubeboot has closed it for new pods.
    pub is_cordoned: bool,
}

/// A client of the endpoint, with the credentials that kubelet has now: it renews them by itself.
///
/// # Errors
/// [`BadCredentials`]: it has none that can be used.
pub fn client(facts: &Facts) -> Result<KubeletClient> {
    KubeletClient::new(Path::new(KUBELET_CONF), &facts.node_name)
}

/// What an API server says of the Node of this machine's name to whoever has only the token, before anything is joined: kubelet would adopt
/// the Node of a machine that is gone, and keep it alive.
pub async fn namesake(facts: &Facts, cluster: &JoinCluster, token: &JoinToken) -> NodeView {
    let asked = match KubeletClient::with_token(cluster, &token.token, &facts.node_name) {
        Ok(client) => client.node().await,
        Err(error) => Err(error),
    };
    WorkerNode::default().take(asked, &facts.machine, Instant::now())
}

impl WorkerNode {
    /// What an API server says of the Node now.
    pub async fn look(&mut self, facts: &Facts) -> NodeView {
        let asked = match self.client.get(&[Path::new(KUBELET_CONF), Path::new(CERTIFICATE)], || client(facts)) {
            Ok(client) => client.node().await,
            Err(error) => Err(error),
        };
        if asked.is_err() {
            self.client.forget();
        }
        self.take(asked, &facts.machine, Instant::now())
    }

    /// Takes in an answer. How long something has lasted begins anew with every other one.
    fn take(&mut self, answer: Result<Option<KubeNode>>, me: &InstanceMetadata, now: Instant) -> NodeView {
        match answer {
            Ok(None) => {
                self.refused_since = None;
                let since = *self.missing_since.get_or_insert(now);
                NodeView::Missing { lasted: now.saturating_duration_since(since) }
            }
            Ok(Some(node)) => {
                (self.missing_since, self.refused_since) = (None, None);
                (self.restarted, self.is_cordoned) = (false, false);
                match node.provider_id {
                    Some(provider_id) if provider_id == me.provider_id() => {
                        self.is_cordoned = node.is_cordoned;
                        NodeView::Mine
                    }
                    Some(provider_id) => NodeView::OfAnother { mark: ForeignMark::ProviderId(provider_id) },
                    None => match node.addresses.first() {
                        Some(other) if !node.addresses.iter().any(|address| me.addresses.contains(address)) => {
                            NodeView::OfAnother { mark: ForeignMark::Address(*other) }
                        }
                        Some(_) | None => NodeView::Unnamed,
                    },
                }
            }
            Err(error) => {
                // Nobody said that it was there, or that it was not: the two minutes count what was said without a pause.
                self.missing_since = None;
                let why = format!("{error:#}");
                if !error.is::<BadCredentials>() {
                    self.refused_since = None;
                    return match Handshake::of(&why) {
                        Some(Handshake::OtherAuthority) => NodeView::OtherAuthority,
                        _ => NodeView::Silent { why },
                    };
                }
                let since = *self.refused_since.get_or_insert(now);
                NodeView::Refused { why, lasted: now.saturating_duration_since(since) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::InstanceId;
    use anyhow::anyhow;
    use std::net::IpAddr;
    use std::time::Duration;

    const OWN: &str = "aws:///eu-central-1a/i-00000001";

    fn me() -> InstanceMetadata {
        InstanceMetadata {
            instance: InstanceId::parse("i-00000001").expect("an ID"),
            account: "123456789012".into(),
            region: "eu-central-1".into(),
            zone: "eu-central-1a".into(),
            addresses: vec![[10, 0, 2, 11].into()],
            private_dns_name: "w1".into(),
        }
    }

    fn node(provider_id: Option<&str>) -> KubeNode {
        KubeNode {
            name: "w1".into(),
            uid: "u".into(),
            ready: true,
            silent: false,
            provider_id: provider_id.map(str::to_owned),
            kubelet_version: None,
            addresses: Vec::new(),
            marks: Default::default(),
            is_cordoned: false,
        }
    }

    fn refused(lasted: Duration) -> NodeView {
        NodeView::Refused { why: "it answered 401".into(), lasted }
    }

    #[test]
    fn credentials_are_refused_as_long_as_every_answer_says_so() {
        let (mut watch, start, minute) = (WorkerNode::default(), Instant::now(), Duration::from_mins(1));
        let bad = || Err(BadCredentials("it answered 401".into()).into());
        let rows = [
            (bad(), refused(Duration::ZERO)),
            (bad(), refused(minute)),
            (Ok(Some(node(Some(OWN)))), NodeView::Mine),
            (bad(), refused(Duration::ZERO)),
            (Err(anyhow!("away")), NodeView::Silent { why: "away".into() }),
            (
                Err(anyhow!("invalid peer certificate: UnknownIssuer").context("failed to ask")),
                NodeView::OtherAuthority,
            ),
            (bad(), refused(Duration::ZERO)),
            (Ok(None), NodeView::Missing { lasted: Duration::ZERO }),
            (bad(), refused(Duration::ZERO)),
            (bad(), refused(minute)),
        ];
        for (row, (answer, expected)) in (0u32..).zip(rows) {
            assert_eq!(watch.take(answer, &me(), start + row * minute), expected, "row {row}");
        }
    }

    #[test]
    fn a_node_is_missing_as_long_as_every_answer_says_so() {
        let mut watch = WorkerNode::default();
        let (start, minute) = (Instant::now(), Duration::from_mins(1));
        let mut look = |answer, minutes| watch.take(answer, &me(), start + minutes * minute);
        assert_eq!(look(Ok(None), 0), NodeView::Missing { lasted: Duration::ZERO });
        assert_eq!(look(Ok(None), 1), NodeView::Missing { lasted: minute });
        assert!(matches!(look(Err(anyhow!("refused")), 2), NodeView::Silent { why } if why == "refused"));
        assert_eq!(look(Ok(None), 3), NodeView::Missing { lasted: Duration::ZERO });
        let unknown = watch.take(Err(BadCredentials("it answered 401".into()).into()), &me(), start);
        assert_eq!(unknown, refused(Duration::ZERO));
        watch.restarted = true;
        assert_eq!(watch.take(Ok(Some(node(Some(OWN)))), &me(), start), NodeView::Mine);
        assert!(!watch.restarted, "the next time it is restarted again");
        let closed = KubeNode { is_cordoned: true, ..node(Some(OWN)) };
        assert_eq!(watch.take(Ok(Some(closed)), &me(), start), NodeView::Mine);
        assert!(watch.is_cordoned);
        let other = "aws:///eu-central-1a/i-00000002";
        let taken = NodeView::OfAnother { mark: ForeignMark::ProviderId(other.into()) };
        assert_eq!(watch.take(Ok(Some(node(Some(other)))), &me(), start), taken);
        assert!(!watch.is_cordoned);
        assert_eq!(watch.take(Ok(Some(node(None))), &me(), start), NodeView::Unnamed);
    }

    #[test]
    fn a_node_without_a_provider_id_is_that_of_the_machine_at_its_address() {
        let (own, other, second): (IpAddr, IpAddr, IpAddr) =
            ([10, 0, 2, 11].into(), [10, 0, 2, 12].into(), "fd00::12".parse().expect("an address"));
        let foreign = NodeView::OfAnother { mark: ForeignMark::Address(other) };
        let rows = [
            (None, vec![], NodeView::Unnamed),
            (None, vec![own], NodeView::Unnamed),
            (None, vec![second, own], NodeView::Unnamed),
            (None, vec![other, second], foreign),
            // The provider ID is the stronger word.
            (Some(OWN), vec![other], NodeView::Mine),
        ];
        for (provider_id, addresses, expected) in rows {
            let found = KubeNode { addresses: addresses.clone(), ..node(provider_id) };
            let view = WorkerNode::default().take(Ok(Some(found)), &me(), Instant::now());
            assert_eq!(view, expected, "{provider_id:?} {addresses:?}");
        }
    }
}
