//! Credentials for etcd, and a connection to one member.

use super::CLIENT_PORT;
use crate::host::tls::{self, Handshake};
use crate::model::membership::certainty::RecordedEtcd;
use anyhow::{Context, Result};
use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// Connecting to a member that lives takes milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// One request. etcd answers a linearizable read within its election time-out, or not at all.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// What a client of etcd needs: the etcd CA, a client certificate with its key, and by what the cluster is known.
#[derive(Clone)]
pub struct Access {
    options: ConnectOptions,
    /// Whether this machine's own member alone is asked, on the loopback.
    on_loopback: bool,
    /// The etcd that is meant. Answers of another one are not believed.
    pub recorded: RecordedEtcd,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access(credentials withheld)")
    }
}

impl Access {
    /// From PEM texts.
    #[must_use]
    pub fn new(ca: &[u8], certificate: &[u8], key: &[u8], recorded: RecordedEtcd) -> Self {
        let tls =
            TlsOptions::new().ca_certificate(Certificate::from_pem(ca)).identity(Identity::from_pem(certificate, key));
        let options =
            ConnectOptions::new().with_tls(tls).with_connect_timeout(CONNECT_TIMEOUT).with_timeout(REQUEST_TIMEOUT);
        Self { options, on_loopback: false, recorded }
    }

    /// From a folder as kubeadm fills it: `ca.crt`, `healthcheck-client.crt` and `.key`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn from_folder(folder: &Path, recorded: RecordedEtcd) -> Result<Self> {
        let read = |name: &str| {
            std::fs::read(folder.join(name))
                .with_context(|| format!("failed to read '{}'", folder.join(name).display()))
        };
        Ok(Self::new(&read("ca.crt")?, &read("healthcheck-client.crt")?, &read("healthcheck-client.key")?, recorded))
    }

    /// The same for this machine's own member alone, on the loopback. Whichever address is given, that member is asked: the address only
    /// tells under which one it is listed.
    #[must_use]
    pub fn on_loopback(self) -> Self {
        Self { on_loopback: true, ..self }
    }

    /// A client of the member at this address alone.
    ///
    /// # Errors
    /// Credentials that are no PEM. Whether the member answers shows with the first request.
    pub async fn client(&self, address: IpAddr) -> Result<Client> {
        let url = match self.on_loopback {
            // A name, since etcd listens on the loopback of its own family of addresses. kubeadm's certificate is for it, too.
            true => format!("https://localhost:{CLIENT_PORT}"),
            false => format!("https://{}", SocketAddr::new(address, CLIENT_PORT)),
        };
        Client::connect([&url], Some(self.options.clone()))
            .await
            .with_context(|| format!("failed to use the credentials for etcd at {url}"))
    }
}

/// The error of a request, without the client library's internals, and with the cause that it leaves out.
pub(super) fn brief(error: etcd_client::Error) -> anyhow::Error {
    match error {
        etcd_client::Error::GRpcStatus(status) => {
            let message = status.message().to_owned();
            anyhow::anyhow!(with_cause(message, std::error::Error::source(&status)))
        }
        error => error.into(),
    }
}

/// What a member said, or why it could not be asked.
fn with_cause(message: String, source: Option<&(dyn std::error::Error + 'static)>) -> String {
    let Some(source) = source else { return message };
    let root = std::iter::successors(Some(source), |&error| error.source()).last().map(ToString::to_string);
    match (Handshake::of(&tls::told(source)), root) {
        (Some(_), _) => tls::told(source),
        (None, Some(root)) if !message.contains(&root) => format!("{message}: {root}"),
        (None, _) => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error;

    #[test]
    fn the_cause_of_a_request_that_failed_is_told() {
        let refused = Error::other("connection refused");
        let issuer = Error::other("invalid peer certificate: UnknownIssuer");
        let rows = [
            (None, "etcdserver: too many requests"),
            (Some(&refused), "etcdserver: too many requests: connection refused"),
            (Some(&issuer), Handshake::OtherAuthority.sentence()),
        ];
        for (source, expected) in rows {
            let source = source.map(|error| error as &(dyn std::error::Error + 'static));
            let told = with_cause("etcdserver: too many requests".into(), source);
            assert!(told.starts_with(expected), "{told}");
        }
        assert_eq!(with_cause("a: connection refused".into(), Some(&refused)), "a: connection refused");
    }
}
