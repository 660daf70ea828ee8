//! Telling the operator what is going to be done, and asking.

use crate::host::confirm::confirm;
use crate::model::leave::LeaveStep;
use crate::model::machine::ids::InstanceId;
use anyhow::Result;

/// Tells what is going to be done, and returns when somebody has agreed.
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
