//! A machine whose data is of a claim that the record supersedes, and one on which a saving of the cluster was begun.

use super::StepOutcome;
use super::context::UpContext;
use crate::exit::Exit;
use crate::kubeadm::withheld::{self, Why};
use crate::model::machine::ids::ClaimId;
use crate::model::up::step::Step;
use crate::node::isolation;
use crate::node::settling::settle;
use anyhow::{Context, Result, anyhow};
use std::path::Path;

impl UpContext {
    /// Withholds the manifests of etcd and API server, and sees both gone before it says so. The data stays.
    ///
    /// # Errors
    /// Always: an operator decides on the data.
    pub(super) async fn set_aside(&mut self, claim: &ClaimId) -> Result<StepOutcome> {
        let why = Step::SetAside { claim_id: claim.clone() };
        let ended = isolation::end_both(&self.facts, claim).await;
        ended.with_context(|| format!("{why}; what runs here could not be ended")).context(Exit::Operator)?;
        Err(anyhow!("{why}")
            .context("etcd and API server were ended on this machine, and do not start again")
            .context(Exit::Operator))
    }

    /// On a machine that is not being terminated: has the record settle what becomes of a saving that was begun here. `true` if there was
    /// one.
    ///
    /// # Errors
    /// It is not known what the record says, or a manifest could not be moved.
    pub(super) async fn end_saving(&mut self) -> Result<bool> {
        let mark = withheld::load(Path::new("/"), &self.facts.machine.instance).context(Exit::Operator)?;
        let begun = mark.filter(|mark| matches!(mark.why, Why::Saving | Why::Writing));
        let Some(mark) = begun else { return Ok(false) };
        settle(&self.facts, &self.store, &mark.claim_id).await?;
        self.membership.probe.forget();
        Ok(true)
    }
}
