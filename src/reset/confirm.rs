//! Telling the operator what is going to be done, and asking.

use crate::host::confirm::confirm;
use crate::model::ids::InstanceId;
use crate::model::leave::Step;
use anyhow::Result;

/// Tells what is going to be done, and returns when somebody has agreed.
///
/// # Errors
/// As [`confirm`].
pub(super) async fn ask(me: &InstanceId, steps: &[Step]) -> Result<()> {
    eprintln!("This takes {me} out of its cluster and wipes it:");
    for step in steps {
        eprintln!("  {}: {step}", step.name());
    }
    confirm(false).await
}
