//! What a client finds behind the endpoint's name, and what follows from it.
//!
//! Silence is no verdict: a machine behind a load balancer that keeps the client's address cannot reach itself through it, and from
//! outside the network nobody may be allowed in. What another cluster answers, and a certificate of another authority, are.

use super::input::{Known, StatusInput};
use super::reason::StatusReason;
use crate::model::machine::ids::Uid;
use std::net::IpAddr;

/// One of the addresses to which the endpoint's name resolves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointAddress {
    /// The address.
    pub address: IpAddr,
    /// What a client gets there.
    pub answer: EndpointAnswer,
}

/// What a client gets at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointAnswer {
    /// No answer from here.
    Silent {
        /// The error.
        why: String,
    },
    /// Something answers, and the cluster's authority has not signed its certificate for the endpoint's name.
    NotTrusted {
        /// What is wrong with the certificate.
        why: String,
    },
    /// An API server answers, with a certificate of the cluster's authority if that is known here.
    ApiServer {
        /// Whether it is ready.
        ready: Known<()>,
        /// The cluster that it serves: needs credentials.
        kube_system_uid: Known<Uid>,
    },
}

/// What answers at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointServes<'a> {
    /// This cluster.
    ThisCluster,
    /// An API server; of which cluster is not known here.
    SomeCluster,
    /// Another cluster.
    OtherCluster(&'a Uid),
    /// Nothing that this cluster's clients trust.
    NotTrusted,
    /// Nothing, from here.
    Nothing,
}

impl EndpointServes<'_> {
    /// In one word or two, which never change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ThisCluster => "this cluster",
            Self::SomeCluster => "some cluster",
            Self::OtherCluster(_) => "another cluster",
            Self::NotTrusted => "not trusted",
            Self::Nothing => "nothing",
        }
    }
}

impl EndpointAddress {
    /// What answers there, compared with the `recorded` cluster, if there is one.
    #[must_use]
    pub fn serves(&self, recorded: Option<&Uid>) -> EndpointServes<'_> {
        match &self.answer {
            EndpointAnswer::Silent { .. } => EndpointServes::Nothing,
            EndpointAnswer::NotTrusted { .. } => EndpointServes::NotTrusted,
            EndpointAnswer::ApiServer { kube_system_uid: Ok(found), .. } => match recorded {
                Some(recorded) if recorded == found => EndpointServes::ThisCluster,
                Some(_) => EndpointServes::OtherCluster(found),
                None => EndpointServes::SomeCluster,
            },
            EndpointAnswer::ApiServer { kube_system_uid: Err(_), .. } => EndpointServes::SomeCluster,
        }
    }
}

impl StatusInput {
    /// The cluster of the record, by the UID of its `kube-system` namespace.
    #[must_use]
    pub fn recorded_uid(&self) -> Option<&Uid> {
        Some(&self.record.as_ref().ok()?.as_ref()?.published()?.kube_system_uid)
    }
}

/// What is certainly wrong at the endpoint.
pub(super) fn reasons(input: &StatusInput) -> Vec<StatusReason> {
    let Some(recorded) = input.recorded_uid() else { return Vec::new() };
    let reason = |at: &EndpointAddress| match (at.serves(Some(recorded)), &at.answer) {
        (EndpointServes::OtherCluster(found), _) => Some(StatusReason::EndpointOtherCluster {
            address: at.address,
            found: found.clone(),
            expected: recorded.clone(),
        }),
        (EndpointServes::NotTrusted, EndpointAnswer::NotTrusted { why }) => {
            Some(StatusReason::EndpointNotTrusted { address: at.address, why: why.clone() })
        }
        _ => None,
    };
    input.endpoint.iter().flatten().filter_map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{OTHER_UID, UID, endpoint_answer, healthy, record};
    use super::*;
    use crate::model::record::cluster::RecordState;
    use crate::model::status::judge;

    fn silent() -> EndpointAnswer {
        EndpointAnswer::Silent { why: "operation timed out".into() }
    }

    #[test]
    fn only_what_is_certain_at_the_endpoint_is_a_verdict() {
        let other = || endpoint_answer(OTHER_UID);
        let untrusted = || EndpointAnswer::NotTrusted { why: "UnknownIssuer".into() };
        let unready = EndpointAnswer::ApiServer {
            ready: Err("it answered 500".into()),
            kube_system_uid: Err("no answer".into()),
        };
        let at = |answers: Vec<EndpointAnswer>| {
            let address = IpAddr::from([10, 0, 9, 9]);
            Ok(answers.into_iter().map(|answer| EndpointAddress { address, answer }).collect())
        };
        let rows = [
            (at(vec![endpoint_answer(UID)]), "healthy, can lose 1", &[][..]),
            (at(vec![endpoint_answer(UID), silent()]), "healthy, can lose 1", &[]),
            (at(vec![silent()]), "healthy, can lose 1", &[]),
            (Err("its name does not resolve here".to_owned()), "healthy, can lose 1", &[]),
            (at(vec![unready]), "healthy, can lose 1", &[]),
            (at(vec![endpoint_answer(UID), untrusted()]), "degraded, can lose 1", &["endpoint-not-trusted"]),
            (at(vec![other()]), "split: API servers of two clusters answer", &["endpoint-other-cluster"]),
            (
                at(vec![silent(), other(), endpoint_answer(UID)]),
                "split: API servers of two clusters answer",
                &["endpoint-other-cluster"],
            ),
        ];
        for (endpoint, text, codes) in rows {
            let input = StatusInput { endpoint, ..healthy() };
            let verdict = judge(&input);
            let found: Vec<_> = verdict.reasons.iter().map(StatusReason::code).collect();
            assert_eq!((verdict.to_string().as_str(), found.as_slice()), (text, codes), "{:?}", input.endpoint);
        }
    }

    #[test]
    fn without_a_cluster_nothing_can_be_another() {
        let unclaimed = StatusInput { record: Ok(None), endpoint: Ok(vec![]), ..healthy() };
        assert_eq!(reasons(&unclaimed), []);
        let claimed = record(RecordState::Initializing { holder: None, beat: 0, restoring: None });
        let address = EndpointAddress { address: IpAddr::from([10, 0, 9, 9]), answer: endpoint_answer(OTHER_UID) };
        assert_eq!(address.serves(None).name(), "some cluster");
        assert_eq!(reasons(&StatusInput { record: claimed, endpoint: Ok(vec![address]), ..healthy() }), []);
    }
}
