//! `kubeboot elect`: one leader among programs that share a Lease of Kubernetes. `docs/elect.md` says what it promises.

mod command;
mod serve;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::exit::Exit;
use crate::host::signals::asked_to_stop;
use crate::kube::{ApiAccess, LeaseClient};
use crate::log;
use crate::node::election::{Election, Told};

/// The longest identity.
const LONGEST_ID: usize = 253;

/// What the command was told.
#[derive(Debug)]
pub struct ElectOptions {
    /// The name of the Lease.
    pub election: String,
    /// Its namespace, if it is not that of the credentials.
    pub namespace: Option<String>,
    /// Where to tell who leads.
    pub http: Option<String>,
    /// This program's identity, if it is not made up.
    pub id: Option<String>,
    /// The kubeconfig, if the credentials are not a pod's.
    pub kubeconfig: Option<PathBuf>,
    /// What runs while this one leads.
    pub command: Vec<OsString>,
}

/// How it ends.
struct End {
    code: ExitCode,
    /// Nothing runs any more that was started as a leader.
    is_over: bool,
}

/// Takes part in the election until a signal or the end of the command, and gives the Lease up then.
///
/// # Errors
/// Wrong options or credentials, an address that cannot be listened on.
pub async fn run(options: ElectOptions) -> Result<ExitCode> {
    log::init_without_settings()?;
    let me = match options.id {
        Some(id) => identity(id).context(Exit::Usage)?,
        None => format!("{}_{}", rustix::system::uname().nodename().to_string_lossy(), uuid::Uuid::new_v4()),
    };
    let access = ApiAccess::find(options.kubeconfig.as_deref()).context(Exit::Usage)?;
    let namespace = options.namespace.unwrap_or_else(|| access.namespace().to_owned());
    for (what, name) in [("election", &options.election), ("namespace", &namespace)] {
        ensure!(
            is_name(name),
            anyhow::anyhow!("'{}' is no name of a {what}", name.escape_debug()).context(Exit::Usage)
        );
    }
    let lease = LeaseClient::new(access, &namespace, &options.election).context(Exit::Usage)?;
    let listener = match &options.http {
        Some(address) => {
            let listener = TcpListener::bind(address.as_str()).await;
            Some(listener.with_context(|| format!("failed to listen on '{address}'")).context(Exit::Usage)?)
        }
        None => None,
    };
    tracing::info!("'{me}' takes part in the election '{}' in the namespace '{namespace}'", options.election);
    let (barred, is_barred) = watch::channel(false);
    let (mut election, told) = Election::new(lease, options.election.clone(), me.clone(), is_barred);
    let stopped = async {
        match asked_to_stop().await {
            Ok(signal) => tracing::info!("stopped by {signal}"),
            Err(error) => tracing::warn!("{error:#}"),
        }
    };
    let names = command::Names { me, lease: format!("{namespace}/{}", options.election) };
    let end = tokio::select! {
        end = led(&options.command, names, told.clone(), &barred, stopped) => end?,
        never = election.run() => match never? {},
        never = serve::serve(listener, told) => match never {},
    };
    if end.is_over {
        election.release().await;
    }
    Ok(end.code)
}

/// Runs the command, if there is one, whenever this one leads.
async fn led(
    command: &[OsString],
    names: command::Names,
    told: watch::Receiver<Told>,
    barred: &watch::Sender<bool>,
    stopped: impl Future<Output = ()>,
) -> Result<End> {
    if command.is_empty() {
        stopped.await;
        return Ok(End { code: Exit::Done.into(), is_over: true });
    }
    command::run(command, names, told, barred, stopped).await
}

fn identity(id: String) -> Result<String> {
    ensure!(
        (1..=LONGEST_ID).contains(&id.len()) && id.chars().all(|letter| letter.is_ascii_graphic()),
        "the identity '{}' is not 1 to {LONGEST_ID} printable characters without blanks",
        id.escape_debug()
    );
    Ok(id)
}

/// Whether it may be the name of a Lease or a namespace: it becomes part of a path.
fn is_name(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '.';
    !name.is_empty() && name.len() <= LONGEST_ID && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_identities_are_judged_before_they_are_used() {
        for (name, good) in [("web", true), ("a.b-1", true), ("", false), (".", false), ("a/b", false), ("A", false)] {
            assert_eq!(is_name(name), good, "{name}");
        }
        for (id, good) in
            [("pod-1", true), ("n1_6f96", true), ("", false), ("a b", false), ("a\n", false), ("\u{e4}", false)]
        {
            assert_eq!(identity(id.to_owned()).is_ok(), good, "{id}");
        }
        assert!(identity("a".repeat(254)).is_err());
    }
}
