//! What EC2 says of instances, asked again and again about as few of them as possible.

use crate::aws::{CallFailed, Session, ec2};
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::InstanceId;
use std::collections::BTreeMap;

/// Describes instances, and remembers those that are over.
#[derive(Debug)]
pub(crate) struct InstancesWatch {
    session: Session,
    /// What EC2 said of instances that it has shown as terminated: they never come back, and are not asked about again.
    terminated: BTreeMap<InstanceId, ec2::Described>,
}

impl InstancesWatch {
    /// Nothing was asked yet.
    pub(crate) fn new(session: &Session) -> Self {
        Self { session: session.clone(), terminated: BTreeMap::new() }
    }

    /// What EC2 says of these instances. Unknown instances are left out.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub(crate) async fn describe(
        &mut self,
        ids: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, ec2::Described>, CallFailed> {
        let open: Vec<InstanceId> = ids.iter().filter(|id| !self.terminated.contains_key(id)).cloned().collect();
        let mut described = self.session.instances(&open).await?;
        let ended = described.iter().filter(|(_, found)| found.state == Ec2State::Terminated);
        self.terminated.extend(ended.map(|(id, found)| (id.clone(), found.clone())));
        let known = ids.iter().filter_map(|id| Some((id.clone(), self.terminated.get(id)?.clone())));
        described.extend(known);
        Ok(described)
    }
}
