//! Moves the registrations of machines that are gone out of everybody's way: after this machine is done, so that nobody waits for it.

use super::context::UpContext;
use crate::bucket::former;
use crate::model::membership::former::{FormerInput, doubtful, former as are_over};
use crate::model::membership::members::Members;
use crate::model::membership::registration::Registration;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::ClusterRecord;
use crate::node::group::View;
use crate::node::registrar::rfc3339;
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::time::timeout;

/// How long one run may take to find out what is over.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);

impl UpContext {
    /// Moves what is over. A failure goes to the log: everything else is done by now.
    pub(super) async fn move_former(&mut self, record: &ClusterRecord) {
        if let Err(error) = self.try_move(record).await {
            tracing::warn!("failed to move the registrations of machines that are gone: {error:#}");
        }
    }

    async fn try_move(&mut self, record: &ClusterRecord) -> Result<()> {
        let seen = timeout(LOOK_TIMEOUT, self.look_around(record)).await.context("S3 or EC2 did not answer in time")?;
        let Some((registrations, view)) = seen? else { return Ok(()) };
        // Asked after EC2: a machine that is gone by EC2's word becomes a member no more. By an older list its last word would be moved
        // away although it had become one since, and nothing would explain that member.
        let members = match self.ask_cluster(&[self.facts.node.address]).await {
            ClusterView::Listed(members) => Some(members),
            ClusterView::External => None,
            ClusterView::NoQuorum(_) | ClusterView::Unknown { .. } | ClusterView::NotAsked => return Ok(()),
        };
        let over = self.are_over(record, members.as_ref(), &registrations, &view);
        former::move_all(&self.store, over, &rfc3339()).await?;
        Ok(())
    }

    /// The registrations and what EC2 says of their machines; `None` where nobody's can be over.
    async fn look_around(&mut self, record: &ClusterRecord) -> Result<Option<(Vec<Registration>, View)>> {
        let registrations = self.roll.all_readable().await?;
        let in_group = self.group.last().group.clone();
        let is_in_group = |instance: &_| in_group.as_ref().is_some_and(|group| group.member(instance).is_some());
        let others = doubtful(&self.facts.machine.instance, record, &registrations, is_in_group);
        if others.is_empty() {
            return Ok(None);
        }
        let view = self.group.look_now(&others, self.facts.settings.expected_size).await?;
        Ok(Some((registrations, view)))
    }

    fn are_over<'a>(
        &self,
        record: &ClusterRecord,
        members: Option<&Members>,
        registrations: &'a [Registration],
        view: &View,
    ) -> Vec<&'a Registration> {
        let machine = &self.facts.machine;
        are_over(
            &FormerInput {
                me: &machine.instance,
                addresses: &machine.addresses,
                record,
                members,
                instances: &view.instances,
                gone_grace: self.facts.settings.gone_grace,
            },
            registrations,
        )
    }
}
