//! Making bootstrap tokens of the group of kubeboot's workers.

use crate::kube::Client;
use crate::model::joining::BootstrapToken;
use anyhow::{Context, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many random bytes are drawn: with so many it practically never happens that too few of them make letters.
const BYTES: usize = 64;

/// A token that Kubernetes takes from now on.
pub struct Minted {
    /// The token.
    pub token: BootstrapToken,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
}

/// Makes a token that lives so long, after seeing to it that its group may do what a machine needs to join and no more.
///
/// # Errors
/// [`crate::kube::Bypassed`], or the API server does not answer, or refuses.
pub async fn mint(client: &Client, lifetime: Duration) -> Result<Minted> {
    client.ensure_bootstrap_rbac().await?;
    let token = draw()?;
    let expires = now() + lifetime.as_secs();
    client.create_bootstrap_token(&token, expires).await?;
    Ok(Minted { token, expires })
}

/// The time of day, in seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A token that nobody can foresee.
///
/// # Errors
/// The machine's source of random numbers fails.
pub fn draw() -> Result<BootstrapToken> {
    let mut bytes = [0; BYTES];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).ok().context("the source of random numbers gives none")?;
    BootstrapToken::of_random(&bytes).context("the source of random numbers repeats itself")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_token_is_drawn_twice() -> Result<()> {
        let drawn = (0..50).map(|_| Ok(draw()?.expose().to_owned())).collect::<Result<BTreeSet<String>>>()?;
        assert_eq!(drawn.len(), 50);
        Ok(())
    }
}
