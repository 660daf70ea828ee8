//! `kubeboot token`: what a machine outside of AWS needs to join as a worker, in one file: the discovery file of `kubeadm join`.

use super::hand_over::{check, hand_over};
use super::{IMDS_TIMEOUT, cluster, own_kubeconfig};
use crate::aws::with_exit;
use crate::exit::Exit;
use crate::kube::written::{Proof, kubeconfig};
use crate::kube::{Bypassed, Client};
use crate::layout::tell;
use crate::model::duration::in_words;
use crate::node::Facts;
use crate::node::minting::mint;
use crate::settings::Settings;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long a token lives unless asked otherwise, and how long at the most.
pub const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);
/// The longest life of a token.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// What the user of the file is called there.
const USER: &str = "kubeboot-bootstrap";

/// What `token` was asked for beside the settings.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// How long it lives.
    pub lifetime: Duration,
    /// The file that is written; without it, it is printed.
    pub file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in.
pub async fn run(settings: Settings, options: TokenOptions) -> Result<()> {
    token(settings, options).await.map_err(with_exit)
}

async fn token(settings: Settings, options: TokenOptions) -> Result<()> {
    check(options.file.as_deref())?;
    let own = own_kubeconfig()?;
    let facts = Facts::gather_within(settings, IMDS_TIMEOUT).await?;
    let client = Client::new(&own, SocketAddr::new(facts.node.address, facts.api_port()))?;
    client.readyz().await.context("this machine's API server is not ready").context(Exit::TryAgain)?;
    let minted = mint(&client, options.lifetime).await.map_err(|error| {
        let exit = if error.is::<Bypassed>() { Exit::Operator } else { Exit::TryAgain };
        error.context(exit)
    })?;
    let text = kubeconfig(&cluster(&facts, None, &own.authority), USER, &Proof::Token(&minted.token))?;
    if let Err(error) = hand_over(&text, options.file.as_deref()) {
        // Nobody has it. Where this fails, too, it ends by itself.
        let _ = client.delete_bootstrap_token(minted.token.id()).await;
        return Err(error);
    }
    tell(&format!(
        "The token '{}' ends in {}; 'kubectl --namespace kube-system delete secret bootstrap-token-{}' ends it at once. Carry the file to the \
         machine, name it in its JoinConfiguration as discovery.file.kubeConfigPath, and remove it afterwards. The leader among the agents lets \
         the machine in.",
        minted.token.id(),
        in_words(options.lifetime),
        minted.token.id()
    ));
    Ok(())
}
