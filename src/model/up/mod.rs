//! What `kubeboot up` decides.
//!
//! | file | what it holds |
//! |---|---|
//! | [`snapshot`] | one observation: everything a decision depends on |
//! | [`step`] | what a decision can be, with its reason as text |
//! | [`mod@decide`] | from the snapshot to the step |
//! | [`back_off`] | the pauses between attempts that fail |
//! | [`cleanup`] | what a machine cleans up before it joins |
//! | [`give_up`] | whether a machine that has failed is given up at launch |
//! | [`loss`] | what an operator is told when the quorum, or everything, is lost |
//! | [`timeline`] | where the time of one run went |

pub mod back_off;
pub mod cleanup;
pub mod decide;
pub mod give_up;
pub mod loss;
pub mod snapshot;
pub mod step;
pub mod timeline;
