//! Shows the operator what is going to be done, and asks.

use crate::host::confirm::confirm;
use crate::layout::tell;
use crate::model::leave::LeaveStep;
use crate::model::machine::ids::InstanceId;
use anyhow::Result;

/// Shows what is going to be done, and returns when the operator has confirmed it.
///
/// # Errors
/// As [`confirm`].
pub(super) async fn ask(me: &InstanceId, steps: &[LeaveStep]) -> Result<()> {
    tell(&format!("This takes {me} out of its cluster and wipes it:"));
    for step in steps {
        tell(&format!("  {}: {step}", step.name()));
    }
    confirm(false).await
}
