//! The container runtime behind kubelet.

use super::Check;
use super::finding::{Finding, Found};
use super::input::CheckInput;
use crate::node::fitness;

pub(super) const CHECKS: &[Check] =
    &[Check { name: "container-runtime", run: |input| Box::pin(container_runtime(input)) }];

/// Whether there is one container runtime, and it answers.
async fn container_runtime(input: &CheckInput) -> Found {
    let given = input.documents.needed()?.cri_socket();
    input.needs_root()?;
    Ok(vec![Finding::ok(fitness::container_runtime(given).await?)])
}
