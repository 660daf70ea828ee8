//! A machine that is being terminated, or has begun to leave for good: `up` ends at once and touches nothing.

use crate::aws::imds;
use crate::exit::Exit;
use crate::model::agent::Departure;
use crate::model::leave::wants_to_terminate;
use crate::node::{Facts, departure};
use anyhow::{Context, Result, anyhow};
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// Between two questions to IMDS.
const INTERVAL: Duration = Duration::from_secs(2);

/// This machine is being terminated; with who says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this machine is being terminated ({0}): it joins no cluster, and 'kubeboot agent' or the shutdown takes it out of its own"
)]
pub(super) struct BeingTerminated(pub(super) String);

impl BeingTerminated {
    /// The error that `up` ends with at once.
    pub(super) fn ends(self) -> anyhow::Error {
        anyhow::Error::from(self).context(Exit::TryAgain)
    }
}

/// Returns when IMDS says that this machine is being terminated. A silent IMDS says nothing.
pub(super) async fn announced() -> BeingTerminated {
    let client = imds::client();
    loop {
        match imds::target_lifecycle_state(&client).await {
            Ok(Some(word)) if wants_to_terminate(&word) => return BeingTerminated(format!("target state {word}")),
            Ok(_) => {}
            Err(error) => tracing::debug!("IMDS does not say what is to become of this machine: {error:#}"),
        }
        match imds::spot_notice(&client).await {
            Ok(Some(notice)) if notice.is_for_good() => return BeingTerminated(notice.to_string()),
            Ok(_) => {}
            Err(error) => tracing::debug!("IMDS does not say whether EC2 takes this machine: {error:#}"),
        }
        sleep(INTERVAL).await;
    }
}

/// Nobody joins over the durable marker of leaving: only an operator's command removes it.
///
/// # Errors
/// With [`Exit::Operator`].
pub(super) fn must_not_be_leaving(facts: &Facts) -> Result<()> {
    let found = departure::load(Path::new("/"), &facts.machine.instance).context(Exit::Operator)?;
    if !Departure::keeps_up_away(found) {
        return Ok(());
    }
    let left = "this machine was being terminated, and has left its cluster or begun to";
    Err(anyhow!("{left}: {}", departure::REMEDY).context(Exit::Operator))
}
