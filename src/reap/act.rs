//! What is done under the membership lease.

use super::local::{LocalReap, waiting};
use super::look::ReapObservation;
use super::report::Done;
use crate::bucket;
use crate::exit::Exit;
use crate::model::machine::ids::{MemberId, Nonce};
use crate::model::membership::lease::Lease;
use crate::model::membership::members::Member;
use crate::model::membership::reaping::ReapVerdict;
use crate::model::reap::operator::OperatorRemoval;
use crate::node::lease::release;
use anyhow::{Context, Result, anyhow};
use tokio::time::Instant;

impl LocalReap {
    /// Removes what the rules remove, under the lease.
    ///
    /// # Errors
    /// With [`Exit::TryAgain`] when the lease was not to be had or was lost, or a removal failed.
    pub(super) async fn reap(
        &mut self,
        observed: &ReapObservation,
        deadline: Instant,
    ) -> Result<(ReapObservation, Vec<(Member, ReapVerdict)>, Vec<Done>)> {
        let (mut held, nonce) = self.lease(observed, deadline).await?;
        let ended = held.while_holding(self.carry_out(&nonce)).await;
        release(*held).await;
        ended.context("lost the membership lease; what was done stands above").context(Exit::TryAgain)?
    }

    async fn carry_out(&mut self, nonce: &Nonce) -> Result<(ReapObservation, Vec<(Member, ReapVerdict)>, Vec<Done>)> {
        let observed = self.observe().await?;
        let reaper = self.reaper(&observed, nonce)?;
        let plan = reaper.judge(&observed.members, &observed.registrations);
        let (mut now, mut done) = (observed.members.clone(), Vec::new());
        for (member, verdict) in &plan {
            let ReapVerdict::Remove(why) = verdict else { continue };
            let taken = reaper.reap_member(&now, member, why, &observed.registrations).await.context(Exit::TryAgain)?;
            done.push(Done { id: member.id, node: taken.1 });
            now = taken.0;
        }
        Ok((observed, plan, done))
    }

    /// Removes one member that an operator has named, under the lease, if that is still lawful by then.
    ///
    /// # Errors
    /// As [`LocalReap::reap`], and with [`Exit::Operator`] when it is not.
    pub(super) async fn reap_one(
        &mut self,
        observed: &ReapObservation,
        id: MemberId,
        deadline: Instant,
    ) -> Result<Option<Done>> {
        let (mut held, nonce) = self.lease(observed, deadline).await?;
        let ended = held.while_holding(self.carry_out_one(id, &nonce)).await;
        release(*held).await;
        ended.context("lost the membership lease").context(Exit::TryAgain)?
    }

    async fn carry_out_one(&mut self, id: MemberId, nonce: &Nonce) -> Result<Option<Done>> {
        let observed = self.observe().await?;
        let why = match self.judged(&observed, id, nonce)? {
            None => return Ok(None),
            Some(Ok(why)) => why,
            Some(Err(refusal)) => return Err(super::refused(id, &refusal)),
        };
        let reaper = self.reaper(&observed, nonce)?;
        let member = observed.members.0.iter().find(|member| member.id == id).context("the member is listed")?;
        let node = match &why {
            OperatorRemoval::ByRule(why) => {
                reaper
                    .reap_member(&observed.members, member, why, &observed.registrations)
                    .await
                    .context(Exit::TryAgain)?
                    .1
            }
            OperatorRemoval::Unexplained => {
                tracing::warn!(member = %id, "removing an etcd member that an operator has named: {why}");
                reaper.remove(&observed.members, id).await.context(Exit::TryAgain)?;
                None
            }
        };
        Ok(Some(Done { id, node }))
    }

    /// The membership lease, waited for until `deadline`.
    async fn lease(
        &mut self,
        observed: &ReapObservation,
        deadline: Instant,
    ) -> Result<(Box<bucket::Held<Lease>>, Nonce)> {
        let time_limit = deadline.saturating_duration_since(Instant::now());
        let taken = self.queue.take_within("reap", &observed.view.instances, time_limit, waiting).await?;
        taken.map_err(|reason| anyhow!("gave up waiting for {reason}").context(Exit::TryAgain))
    }
}
