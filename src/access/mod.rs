//! `kubeboot kubeconfig` and `kubeboot token`: credentials that a control-plane machine makes for people, and for machines outside of AWS.
//!
//! | file | what |
//! |---|---|
//! | `user` | who a credential is for, and what nobody may call themselves |
//! | `kubeconfig` | `kubeboot kubeconfig` |
//! | `token` | `kubeboot token` |
//! | `hand_over` | where a secret goes |

mod hand_over;
pub mod kubeconfig;
pub mod token;
mod user;

use crate::exit::Exit;
use crate::kube::Kubeconfig;
use crate::kube::written::Cluster;
use crate::node::Facts;
use crate::node::credentials::MEMBER_KUBECONFIG;
use crate::settings::Endpoint;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

pub use user::{Groups, UserName, user_group, user_name};

/// The shortest credential: time enough to carry it to where it is used.
pub const SHORTEST: Duration = Duration::from_secs(10 * 60);

/// How long IMDS may be silent: who asks waits for it.
const IMDS_TIMEOUT: Duration = Duration::from_secs(10);

/// This machine's cluster as a kubeconfig names it. `tunnel`: where it is reached, if that is not the endpoint.
fn cluster<'a>(facts: &'a Facts, tunnel: Option<&Endpoint>, authority: &'a [u8]) -> Cluster<'a> {
    Cluster {
        name: facts.settings.cluster.as_deref().unwrap_or("kubernetes"),
        endpoint: tunnel.map_or_else(|| facts.cluster.endpoint(), ToString::to_string),
        server_name: tunnel.map(|_| facts.cluster.host.as_str()),
        authority,
    }
}

/// The administrator's credentials of this machine.
fn own_kubeconfig() -> Result<Kubeconfig> {
    let read = Kubeconfig::read(Path::new(MEMBER_KUBECONFIG));
    read.context("run this as root on a control-plane machine that has joined").context(Exit::Usage)
}
