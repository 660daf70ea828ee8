//! Whether this machine's own member of etcd answers, where it is one.

use super::Check;
use super::finding::{Finding, Found};
use super::input::CheckInput;
use crate::etcd::{self, Access};
use crate::kubeadm::state;
use crate::model::machine::local::Local;
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::membership::members::SILENT_REMEDY;
use crate::model::membership::view::ClusterView;
use crate::node::credentials::MEMBER_ETCD;
use crate::node::{own_authorities, peers};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// How long one step of asking etcd may take: three of them must fit into the time of a check.
const ETCD_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) const CHECKS: &[Check] = &[Check { name: "own-etcd", run: |input| Box::pin(own_etcd(input)) }];

/// Whether the etcd member of this machine answers, where it is a member.
async fn own_etcd(input: &CheckInput) -> Found {
    let (facts, record) = (input.facts.needed()?, input.record.needed()?.as_ref());
    let documents = &facts.documents;
    let local = state::observe(Path::new("/"), documents.data_dir()).map_err(|error| Finding::error(&error))?;
    let (Some(record), Local::Made { .. }, false) = (record, local, facts.external_etcd()) else {
        return Ok(vec![Finding::ok("not asked: this machine is no member of a cluster with an etcd of its own")]);
    };
    input.needs_root()?;
    let (Some(published), Some(recorded)) = (record.published(), RecordedEtcd::of(record)) else {
        return Ok(vec![Finding::ok("not asked: the record names no cluster")]);
    };
    let access = Access::from_folder(Path::new(MEMBER_ETCD), recorded).map_err(|error| Finding::error(&error))?;
    let mut addresses = peers::addresses(input.group.needed()?, &facts.machine.instance);
    addresses.insert(0, facts.node.address);
    let view = etcd::observe_within(&access, &addresses, ETCD_TIMEOUT).await;
    let accused = match &view {
        ClusterView::Unknown { why } => {
            own_authorities::at_fault(why, &input.aws.needed()?.session.store, published).await
        }
        ClusterView::Listed(_) | ClusterView::NoQuorum(_) | ClusterView::NotAsked | ClusterView::External => None,
    };
    Ok(vec![accused.map_or_else(
        || judge_own_etcd(&view, &facts.machine.addresses),
        |text| Finding { remedy: None, ..Finding::failed(text, "") },
    )])
}

fn judge_own_etcd(view: &ClusterView, addresses: &[IpAddr]) -> Finding {
    let status = "see 'kubeboot status'";
    match view {
        ClusterView::Listed(members) => match members.at(addresses) {
            Some(own) if own.answers => Finding::ok(format!(
                "etcd member {} answers, and so do {} of {} voters",
                own.id,
                members.answering(),
                members.voters().count()
            )),
            Some(own) => Finding::failed(
                format!("etcd member {} of this machine does not answer, though the others have a quorum", own.id),
                SILENT_REMEDY,
            ),
            None => {
                Finding::failed("etcd lists no member at this machine's address", "run 'kubeboot up', which joins anew")
            }
        },
        ClusterView::NoQuorum(members) => Finding::unanswered(
            format!("etcd has lost its quorum: {} of {} voters answer", members.answering(), members.voters().count()),
            status,
        ),
        ClusterView::Unknown { why } => Finding::unanswered(format!("etcd does not answer: {why}"), status),
        ClusterView::NotAsked | ClusterView::External => Finding::ok("not asked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use crate::model::machine::ids::MemberId;
    use crate::model::membership::members::{Member, Members};

    #[test]
    fn a_silent_etcd_of_this_machine_has_its_remedy_only_beside_a_quorum() {
        let member = |n: u8, answers| Member {
            id: MemberId(n.into()),
            name: format!("n{n}"),
            peer_addresses: vec![IpAddr::from([10, 0, 0, n])],
            learner: false,
            answers,
        };
        let members = |own| Members(vec![member(1, own), member(2, true), member(3, true)]);
        let rows = [
            (ClusterView::Listed(members(true)), true, "member 1 answers, and so do 3 of 3 voters", false),
            (ClusterView::Listed(members(false)), false, "does not answer, though the others have a quorum", true),
            (ClusterView::Listed(Members(vec![member(2, true)])), false, "lists no member at this machine's", false),
            (ClusterView::NoQuorum(Members(vec![member(1, false), member(2, true)])), false, "1 of 2 voters", false),
            (ClusterView::Unknown { why: "refused".into() }, false, "etcd does not answer: refused", false),
        ];
        for (view, is_ok, text, resets) in rows {
            let found = judge_own_etcd(&view, &[IpAddr::from([10, 0, 0, 1])]);
            assert_eq!(found.verdict == CheckVerdict::Ok, is_ok, "{found:?}");
            assert!(found.text.contains(text), "{found:?}");
            assert_eq!(found.remedy.is_some_and(|remedy| remedy.contains("kubeboot reset --now")), resets, "{view:?}");
        }
    }
}
