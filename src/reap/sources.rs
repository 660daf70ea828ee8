//! What AWS says of the machines: the group, and EC2's states.

use crate::model::machine::ids::InstanceId;
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::ClusterRecord;
use crate::node::Facts;
use crate::node::group::{GroupWatch, View};
use anyhow::Result;

/// The group, and what EC2 says of every machine that has registered.
pub(super) async fn look(
    group: &mut GroupWatch,
    facts: &Facts,
    record: &ClusterRecord,
    all: &[Registration],
) -> Result<View> {
    let mut others: Vec<InstanceId> = all.iter().map(|found| found.instance.clone()).collect();
    others.extend(record.published().map(|published| published.initialised_by.clone()));
    Ok(group.look(&others, facts.settings.expected_size).await?)
}
