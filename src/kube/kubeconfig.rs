//! Parsing a kubeconfig, as kubeadm prints or writes it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::bearer::Bearer;
use crate::host::files;
use crate::kubeadm::documents::yaml;

/// The largest kubeconfig and the largest file that one names, in bytes. kubeadm's have six thousand.
const LIMIT: u64 = 256 * 1024;

/// A server, the authority that it must be verified by, and the client's certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Kubeconfig {
    /// The server's URL, such as `https://api.lab.internal:6443`.
    pub server: String,
    /// The certificate authority of the cluster, PEM.
    pub authority: Vec<u8>,
    /// The client's certificate, PEM.
    pub certificate: Vec<u8>,
    /// Its key, PEM.
    pub key: Vec<u8>,
}

/// Shows the server only: the rest is secret or long.
impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubeconfig").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Kubeconfig {
    /// Reads the text of a kubeconfig. What it names as a file must be an absolute path.
    ///
    /// # Errors
    /// The field that is missing or wrong, never its value.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_in(text, Path::new("/"))
    }

    /// Relative file names in the text are resolved from `folder`.
    fn parse_in(text: &str, folder: &Path) -> Result<Self> {
        Named::parse(text, folder, Self::of)
    }

    /// Reads a kubeconfig file and the files that it names.
    ///
    /// # Errors
    /// Names the file, and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self> {
        Named::read(path, Self::of)
    }

    fn of(named: &Named) -> Result<Self> {
        let (certificate, key) = named.client_certificate()?;
        Ok(Self { server: named.server()?.to_owned(), authority: named.authority()?, certificate, key })
    }
}

/// What the current context of a kubeconfig names.
pub(super) struct Named<'a> {
    context: &'a Value,
    /// The cluster.
    pub(super) cluster: &'a Value,
    /// The user.
    pub(super) user: &'a Value,
    /// From where relative file names are resolved.
    folder: &'a Path,
}

impl Named<'_> {
    /// Reads a kubeconfig file, and what `take` makes of it.
    ///
    /// # Errors
    /// Names the file, and what is wrong with it.
    pub(super) fn read<T>(path: &Path, take: impl FnOnce(&Named) -> Result<T>) -> Result<T> {
        let failed = || format!("failed to read the kubeconfig '{}'", path.display());
        let bytes = files::read_bounded(path, LIMIT).with_context(failed)?;
        let text = String::from_utf8(bytes).ok().context("it is not text").with_context(failed)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("/")), take).with_context(failed)
    }

    fn parse<T>(text: &str, folder: &Path, take: impl FnOnce(&Named) -> Result<T>) -> Result<T> {
        ensure!(text.len() as u64 <= LIMIT, "the kubeconfig is larger than {LIMIT} bytes");
        let document = yaml(text).map_err(|reason| anyhow::anyhow!("the kubeconfig {reason}"))?;
        let context = named(&document, "contexts", "context", text_at(&document, "current-context")?)?;
        let cluster = named(&document, "clusters", "cluster", text_at(context, "cluster")?)?;
        let user = named(&document, "users", "user", text_at(context, "user")?)?;
        let named = Named { context, cluster, user, folder };
        named.server()?;
        ensure!(
            cluster.get("insecure-skip-tls-verify") != Some(&Value::Bool(true)),
            "the kubeconfig has insecure-skip-tls-verify: kubeboot only talks to servers it can verify"
        );
        take(&named)
    }

    /// The server's URL.
    pub(super) fn server(&self) -> Result<&str> {
        let server = text_at(self.cluster, "server")?;
        ensure!(server.starts_with("https://"), "the kubeconfig's server is not an https URL");
        Ok(server)
    }

    /// The namespace of the context, if it names one.
    pub(super) fn namespace(&self) -> Result<Option<&str>> {
        let found = self.context.get("namespace").filter(|value| !value.is_null());
        found.map(|value| value.as_str().context("the kubeconfig's namespace is not text")).transpose()
    }

    /// The authority, PEM.
    pub(super) fn authority(&self) -> Result<Vec<u8>> {
        material(self.cluster, "certificate-authority", self.folder)
    }

    /// The user's token, if it has one. A file goes before a text, as in kubectl.
    pub(super) fn bearer(&self) -> Result<Option<Bearer>> {
        let field = |name: &str| {
            let found = self.user.get(name).filter(|value| !value.is_null());
            found
                .map(|value| value.as_str().with_context(|| format!("the kubeconfig's '{name}' is not text")))
                .transpose()
        };
        let file = field("tokenFile")?.map(|file| Bearer::File(self.folder.join(file)));
        let bearer = file.or(field("token")?.map(|token| Bearer::Token(token.to_owned())));
        if let Some(bearer) = &bearer {
            bearer.token()?;
        }
        Ok(bearer)
    }

    /// The client's certificate and its key, PEM.
    pub(super) fn client_certificate(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let certificate = material(self.user, "client-certificate", self.folder)?;
        Ok((certificate, material(self.user, "client-key", self.folder)?))
    }
}

/// The element called `name` of one of a kubeconfig's lists.
fn named<'a>(document: &'a Value, list: &str, inner: &str, name: &str) -> Result<&'a Value> {
    let elements = document.get(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let found = elements.iter().find(|element| element.get("name").and_then(Value::as_str) == Some(name));
    let found = found.and_then(|element| element.get(inner));
    found.with_context(|| format!("the kubeconfig has no {inner} '{}'", name.escape_debug()))
}

fn text_at<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value.get(field).and_then(Value::as_str).with_context(|| format!("the kubeconfig lacks '{field}'"))
}

/// A certificate or key: in the kubeconfig as base64 (`...-data`), or in a file of its own.
fn material(value: &Value, field: &str, folder: &Path) -> Result<Vec<u8>> {
    let pem = if let Some(data) = value.get(format!("{field}-data")) {
        let decoded = data.as_str().and_then(|data| STANDARD.decode(data).ok());
        decoded.with_context(|| format!("the kubeconfig's '{field}-data' is not base64"))?
    } else if let Some(file) = value.get(field).and_then(Value::as_str) {
        let path: PathBuf = folder.join(file);
        files::read_bounded(&path, LIMIT).with_context(|| format!("failed to read the kubeconfig's '{field}'"))?
    } else {
        bail!("the kubeconfig has neither '{field}-data' nor '{field}': kubeboot needs one with a client certificate");
    };
    ensure!(pem.starts_with(b"-----BEGIN "), "the kubeconfig's '{field}' is not PEM");
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN SECRET-----\nAAAA\n-----END SECRET-----\n";

    fn text() -> String {
        let data = STANDARD.encode(PEM);
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: kubeboot-n1@kubernetes\n\
             clusters:\n- name: kubernetes\n  cluster: {{server: 'https://api.lab.internal:6443', certificate-authority-data: {data}}}\n\
             contexts:\n- name: kubeboot-n1@kubernetes\n  context: {{cluster: kubernetes, user: kubeboot-n1}}\n\
             users:\n- name: kubeboot-n1\n  user: {{client-certificate-data: {data}, client-key-data: {data}}}\n"
        )
    }

    #[test]
    fn a_kubeconfig_of_kubeadm_is_parsed() -> Result<()> {
        let read = Kubeconfig::parse(&text())?;
        assert_eq!(read.server, "https://api.lab.internal:6443");
        assert_eq!((read.authority.as_slice(), read.key.as_slice()), (PEM.as_bytes(), PEM.as_bytes()));
        assert!(!format!("{read:?}").contains("SECRET"));
        Ok(())
    }

    #[test]
    fn certificates_in_files_are_read_from_them() -> Result<()> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("current.pem"), PEM)?;
        let data = STANDARD.encode(PEM);
        let text = text()
            .replace(&format!("client-certificate-data: {data}"), "client-certificate: current.pem")
            .replace(&format!("client-key-data: {data}"), "client-key: current.pem");
        let file = folder.path().join("kubelet.conf");
        std::fs::write(&file, text)?;
        assert_eq!(Kubeconfig::read(&file)?.key, PEM.as_bytes());
        std::fs::remove_file(folder.path().join("current.pem"))?;
        let error = format!("{:#}", Kubeconfig::read(&file).err().context("must fail")?);
        assert!(error.contains("kubelet.conf") && error.contains("'client-certificate'"), "{error}");
        Ok(())
    }

    #[test]
    fn garbage_is_refused_and_never_quoted() {
        let data = STANDARD.encode(PEM);
        let table = [
            (String::new(), "lacks 'current-context'"),
            ("[SECRET".into(), "not valid YAML"),
            ("[]".into(), "lacks 'current-context'"),
            (text().replace("current-context: kubeboot-n1", "current-context: other"), "no context 'other@kubernetes'"),
            (text().replace("https://", "http://"), "not an https URL"),
            (text().replace("{server", "{insecure-skip-tls-verify: true, server"), "insecure-skip-tls-verify"),
            (text().replace(&format!("client-key-data: {data}"), "token: SECRET"), "neither 'client-key-data'"),
            (text().replace(&format!("client-key-data: {data}"), "client-key-data: '%SECRET%'"), "not base64"),
            (text().replace(&format!("client-key-data: {data}"), "client-key-data: U0VDUkVU"), "is not PEM"),
            (" ".repeat(300_000), "larger than"),
        ];
        for (text, expected) in table {
            let error = Kubeconfig::parse(&text).err().map(|e| format!("{e:#}")).unwrap_or_default();
            assert!(error.contains(expected), "{error} does not say: {expected}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
