//! Who answers although the cluster is to be retired, and what an operator can do about it.
//!
//! Whoever answers at the endpoint prevents the retirement, even another cluster: the next cluster is made under the same name, and
//! its machines and workers would find the other one there.

use crate::model::machine::ids::InstanceId;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Something that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Responder {
    /// A server at the record's endpoint.
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// The address that its name resolved to.
        address: Option<SocketAddr>,
        /// The HTTP status.
        status: u16,
        /// Which cluster it serves.
        serves: ServedCluster,
    },
    /// An API server, by the certificate that it serves.
    ApiServer {
        /// The machine of the group; `None` for the endpoint.
        instance: Option<InstanceId>,
        /// Where, as `host:port`.
        address: String,
    },
    /// A machine of the group that is not gone.
    Machine {
        /// Which.
        instance: InstanceId,
        /// Where.
        address: IpAddr,
        /// The port of etcd or of the API server.
        port: u16,
    },
}

/// Which cluster a server serves, by the CA that it publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServedCluster {
    /// One with the CA of the cluster that is to be retired.
    ThisCa,
    /// One with another CA.
    AnotherCa {
        /// Public-key hashes of that CA.
        hashes: Vec<String>,
    },
    /// It publishes no CA.
    Unknown,
}

impl ServedCluster {
    /// Compares the CA that was found with the record's.
    #[must_use]
    pub fn of(found: &[String], record: &[String]) -> Self {
        match found {
            [] => Self::Unknown,
            found if found.iter().any(|hash| record.contains(hash)) => Self::ThisCa,
            found => Self::AnotherCa { hashes: found.to_vec() },
        }
    }
}

impl Responder {
    /// What an operator can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Endpoint { serves: ServedCluster::ThisCa, .. } => {
                "machines of the cluster run where neither the group nor a registration shows them: terminate them, or stop kubelet and etcd \
                 there"
            }
            Self::Endpoint { serves: ServedCluster::AnotherCa { .. }, .. } => {
                "if that is an earlier cluster, retired while machines of it went on running, terminate those; if it is one to keep, leave \
                 this record as it is and give the next cluster an endpoint and a prefix of its own"
            }
            Self::Endpoint { serves: ServedCluster::Unknown, .. } => {
                "the cluster may still serve, or the name may lead to something else: stop what answers there, or correct the name"
            }
            Self::ApiServer { .. } => {
                "terminate its machine, or stop kubelet there; if it is a cluster to keep, give the next one an endpoint and a prefix of its own"
            }
            Self::Machine { .. } => {
                "the cluster may still serve: terminate the machine, or stop kubelet and etcd there"
            }
        }
    }
}

/// What answers, without the remedy.
impl fmt::Display for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint { endpoint, address, status, serves } => {
                write!(f, "the endpoint {endpoint} answers with HTTP status {status}")?;
                address.map_or(Ok(()), |address| write!(f, " from {address}"))?;
                write!(f, "; {serves}")
            }
            Self::ApiServer { instance: Some(instance), address } => {
                write!(f, "an API server answers at {instance} ({address})")
            }
            Self::ApiServer { instance: None, address } => {
                write!(f, "an API server answers at the endpoint {address}")
            }
            Self::Machine { instance, address, port } => {
                write!(f, "{instance} accepts connections at port {port} of {address}")
            }
        }
    }
}

impl fmt::Display for ServedCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisCa => f.write_str("it serves a cluster with the CA of this one"),
            Self::AnotherCa { hashes } => {
                write!(f, "it serves another cluster, with the CA {}", hashes.join(", "))
            }
            Self::Unknown => f.write_str("it does not say which cluster it serves"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_shows_which_cluster_answers_and_decides_the_remedy() {
        let hashes = |hashes: &[&str]| hashes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let another = |found: &[&str]| ServedCluster::AnotherCa { hashes: hashes(found) };
        let rows = [
            (&[][..], &["a"][..], ServedCluster::Unknown, "does not say which", "correct the name"),
            (&["a"], &["a"], ServedCluster::ThisCa, "the CA of this one", "terminate them"),
            (&["b", "a"], &["a", "c"], ServedCluster::ThisCa, "the CA of this one", "stop kubelet and etcd"),
            (&["b"], &["a"], another(&["b"]), "another cluster, with the CA b", "an endpoint and a prefix of its own"),
            (&["b", "c"], &[], another(&["b", "c"]), "the CA b, c", "an earlier cluster"),
        ];
        for (found, record, expected, saw, remedy) in rows {
            let serves = ServedCluster::of(&hashes(found), &hashes(record));
            assert_eq!(serves, expected, "{found:?} {record:?}");
            let (endpoint, address) = ("api:6443".to_owned(), Some("10.0.0.1:6443".parse().unwrap()));
            let answer = Responder::Endpoint { endpoint, address, status: 200, serves };
            let text = answer.to_string();
            assert!(
                text.starts_with("the endpoint api:6443 answers with HTTP status 200 from 10.0.0.1:6443"),
                "{text}"
            );
            assert!(text.contains(saw) && answer.remedy().contains(remedy), "{text}: {}", answer.remedy());
        }
    }
}
