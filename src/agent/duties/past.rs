//! Registrations that are over: the leader moves them as `up` does.

use super::look::{Eyes, Look};
use crate::bucket::former;
use crate::model::agent::duties::Sight;
use crate::model::membership::former::{FormerInput, doubtful, former as are_over};
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::node::registrar::rfc3339;
use anyhow::Result;

impl Eyes<'_> {
    /// Moves the registrations of machines that are gone to where nobody reads them. EC2 is asked before the list is read, so that a machine
    /// that is gone by its word has become a member no more.
    ///
    /// # Errors
    /// Somebody does not answer.
    pub(super) async fn end_what_is_past(&mut self, look: &Look) -> Result<()> {
        let machine = &self.scene.facts.machine;
        let Sight { record, registrations, .. } = &look.sight;
        // With external etcd nobody is reaped, so that a machine which is gone may have registered anything.
        let may_be_over = |found: &&Registration| {
            found.is_finished() || found.phase == RegistrationPhase::Failed || self.scene.facts.external_etcd()
        };
        let may_be_over: Vec<Registration> = registrations.iter().filter(may_be_over).cloned().collect();
        if doubtful(&machine.instance, record, &may_be_over, |_| false).is_empty() {
            return Ok(());
        }
        let others = doubtful(&machine.instance, record, registrations, |_| false);
        let view = self.group.look_now(&others, self.scene.facts.settings.expected_size).await?;
        let members = self.members(record, &look.credentials).await?;
        let input = FormerInput {
            me: &machine.instance,
            addresses: &machine.addresses,
            record,
            members: members.as_ref(),
            instances: &view.instances,
            gone_grace: self.scene.facts.settings.gone_grace,
        };
        let over = are_over(&input, registrations);
        former::move_all(&self.scene.session.store, over, &rfc3339()).await?;
        Ok(())
    }
}
