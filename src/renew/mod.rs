//! `kubeboot renew`: renews what kubeadm made for a year on this control-plane machine, and restarts what must be restarted for it.
//!
//! One look, one plan by [`crate::model::renew::plan()`], its steps. Killed at any point and run again, it goes on where it was: what is
//! due, and what runs since before its kubeconfig was written, is seen anew. `kubeboot agent` does the same by itself, with what is here.
//! `docs/operating.md` tells when to run the command.

mod act;
pub(crate) mod look;
mod report;
mod voice;

use crate::aws::with_exit;
use crate::exit::Exit;
use crate::host::lock::{self, Lock};
use crate::host::systemd::notify;
use crate::layout::say;
use crate::model::renew::{MissingAnswer, RenewPlan, RenewStep};
use crate::settings::Settings;
use anyhow::{Result, anyhow};
use look::Look;
use std::path::Path;

pub(crate) use voice::Voice;

/// What `renew` was asked for beside the settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct RenewOptions {
    /// Say what would be done and why, and touch nothing.
    pub dry_run: bool,
}

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in.
pub async fn run(settings: Settings, options: RenewOptions) -> Result<()> {
    renew(settings, options).await.map_err(with_exit)
}

async fn renew(settings: Settings, options: RenewOptions) -> Result<()> {
    let lock = match options.dry_run {
        true => None,
        false => Some(Lock::acquire(Path::new(lock::PATH), "kubeboot renew", settings.deadline, waiting).await?),
    };
    let Some(look) = Look::take(settings).await? else {
        say("there is no control plane on this machine whose certificates could be renewed");
        return Ok(());
    };
    let plan = look.plan().await;
    let Some(lock) = lock else {
        report::print(&look, &plan);
        return Ok(());
    };
    carry_out(&look, &plan, &lock, Voice::Command).await
}

/// Carries a plan out, which was made by asking.
///
/// # Errors
/// With the [`Exit`] it ends in: what is in the way, what went wrong, or what cannot be renewed on this machine.
pub(crate) async fn carry_out(look: &Look, plan: &RenewPlan, lock: &Lock, voice: Voice) -> Result<()> {
    match &plan.step {
        RenewStep::Nothing => voice.done(&report::nothing(look)),
        RenewStep::Wait(who) => return Err(waits_for(look, who)),
        // Asked by the look already.
        RenewStep::Ask => return Err(anyhow!("whether everybody answers was not asked")),
        RenewStep::Renew { .. } => act::carry_out(look, &plan.step, lock, voice).await?,
    }
    match plan.external.as_slice() {
        [] => Ok(()),
        files => Err(anyhow!(
            "the key of their certificate authority is not on this machine: renew {} where it is, put them here, and run 'kubeboot renew' again",
            files.join(", ")
        )
        .context(Exit::Operator)),
    }
}

fn waiting(reason: &str) {
    tracing::info!("waiting: {reason}");
    notify::status(&format!("waiting: {reason}"));
}

/// Why nothing was renewed, and until when that can wait.
fn waits_for(look: &Look, who: &MissingAnswer) -> anyhow::Error {
    anyhow!(
        "{who}: while there is time, certificates are renewed only while every etcd voter answers. {}; bring it back ('kubeboot status' shows \
         what is wrong) and run 'kubeboot renew' again. With less than seven days left nobody is asked",
        report::first(look)
    )
    .context(Exit::TryAgain)
}
