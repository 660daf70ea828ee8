//! What `up` reports when it ends because the quorum is lost.

use super::context::UpContext;
use crate::bucket::keys;
use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::local::Local;
use crate::model::membership::registration::Registration;
use crate::model::record::view::RecordView;
use crate::model::up::loss::{LossInput, LossReport};
use std::time::Duration;
use tokio::time::timeout;

/// How long the report may take: `up` has ended, and AWS may be the reason.
const LOSS_TIMEOUT: Duration = Duration::from_secs(15);

impl UpContext {
    /// What is known of the loss; `None` when the cluster has its quorum, or nothing can be learnt.
    pub(super) async fn loss(&mut self) -> Option<String> {
        if !self.membership.probe.may_have_lost_quorum() || self.facts.external_etcd() {
            return None;
        }
        timeout(LOSS_TIMEOUT, self.explain_loss()).await.ok().flatten()
    }

    async fn explain_loss(&mut self) -> Option<String> {
        let RecordView::Found { record, .. } = self.read_record().await.ok()? else { return None };
        let published = record.published()?;
        let registrations = self.all_registrations().await;
        let mut others: Vec<_> = registrations.iter().map(|found| found.instance.clone()).collect();
        others.push(published.initialised_by.clone());
        let look = self.group.look_now(&others, self.facts.settings.expected_size).await;
        let view = look.unwrap_or_else(|_| self.group.last().clone());
        let (record_at, keys_at) = (self.store.url(keys::RECORD), self.store.url(&published.pki_key));
        let loss = LossReport::of(&LossInput {
            record: &record,
            published,
            places: (&record_at, &keys_at),
            members: self.membership.probe.members(),
            registrations: &registrations,
            instances: &view.instances,
            since: &view.since,
            me: &self.facts.machine.instance,
            fresh_here: matches!(self.local(), Ok(Local::Fresh)) && self.data() == EtcdData::Nothing,
        });
        Some(loss.to_string().trim_end().to_owned())
    }

    /// What can be read of them: a member does not follow the others.
    async fn all_registrations(&self) -> Vec<Registration> {
        self.roll.all_readable().await.unwrap_or_default()
    }
}
