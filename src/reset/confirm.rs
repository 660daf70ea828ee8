//! Shows the operator what is going to be done, and asks.

use crate::host::confirm::confirm;
use crate::model::leave::LeaveStep;
use crate::model::machine::ids::InstanceId;
use anyhow::Result;

/// Shows what is going to be done, and returns when the operator has confirmed it.
///
/// # Errors
/// As [`confirm`].
pub(super) async fn ask(me: &InstanceId, steps: &[LeaveStep]) -> Result<()> {
    eprintln!("This takes {me} out of its cluster and wipes it:");
    for step in steps {
        eprintln!("  {}: {step}", step.name());
    }
    confirm(false).await
}
