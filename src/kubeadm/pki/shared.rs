//! Which files are shared, and reading and writing them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use x509_parser::pem::Pem;

use super::PKI_DIR;
use crate::host::files;
use crate::kubeadm::documents::ExternalEtcd;

/// The largest shared file, in bytes. A certificate has two thousand, an audit policy ten times that.
const FILE_LIMIT: u64 = 256 * 1024;
/// Removes set-user-ID bits and the right of others to write from the mode of a shared file.
pub(super) const MODE_MASK: u32 = 0o755;
const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// One file that every control-plane node must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its absolute path, the same on every node.
    pub path: PathBuf,
    /// The mode it is installed with; `None`: the mode that it has on the node that collects it.
    pub mode: Option<u32>,
    /// Whether it must be PEM text.
    pub pem: bool,
}

/// One shared file with its content. Has no `Debug`, because the content is often a key.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedFile {
    /// Its absolute path, the same on every node.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// The bytes.
    pub content: Vec<u8>,
}

/// Lists the shared files of a control plane: certificate authorities and service-account keys, the client files of an
/// `external` etcd as far as they are below `/etc` (elsewhere the machine image must have them), and the
/// operator's `extra` files.
#[must_use]
pub fn wanted(external: Option<&ExternalEtcd>, extra: &[PathBuf]) -> Vec<Wanted> {
    let authorities = ["ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"];
    let mut all: Vec<Wanted> = authorities.iter().map(|name| pem(Path::new(PKI_DIR).join(name))).collect();
    match external {
        // kubeadm makes no etcd CA when etcd is external.
        Some(etcd) => all.extend(etcd.files().filter(|file| file.starts_with("/etc")).map(|file| pem(file.to_owned()))),
        None => all.extend(["etcd/ca.crt", "etcd/ca.key"].map(|name| pem(Path::new(PKI_DIR).join(name)))),
    }
    let extra = extra.iter().map(|path| Wanted { path: path.clone(), mode: None, pem: false });
    for file in extra {
        if !all.iter().any(|known| known.path == file.path) {
            all.push(file);
        }
    }
    all
}

fn pem(path: PathBuf) -> Wanted {
    let public = path.extension().is_some_and(|ending| ending == "crt" || ending == "pub");
    Wanted { path, mode: Some(if public { PUBLIC } else { PRIVATE }), pem: true }
}

/// Reads the wanted files from the disk below `root` (`/` on a machine).
///
/// # Errors
/// Names the file that is missing, too large, not PEM, not a regular file, or that a symbolic link takes out of `/etc`.
pub fn collect(root: &Path, wanted: &[Wanted]) -> Result<Vec<SharedFile>> {
    wanted.iter().map(|file| collect_one(root, file)).collect()
}

fn collect_one(root: &Path, wanted: &Wanted) -> Result<SharedFile> {
    let name = wanted.path.display();
    let place = on_disk(root, &wanted.path)?;
    let place = place.canonicalize().with_context(|| format!("failed to find the shared file '{name}'"))?;
    inside_etc(root, &place).with_context(|| format!("failed to read the shared file '{name}'"))?;
    let metadata = place.metadata().with_context(|| format!("failed to look at the shared file '{name}'"))?;
    ensure!(metadata.is_file(), "the shared file '{name}' is not a regular file");
    let content =
        files::read_bounded(&place, FILE_LIMIT).with_context(|| format!("failed to read the shared file '{name}'"))?;
    let file = SharedFile {
        path: wanted.path.clone(),
        mode: wanted.mode.unwrap_or(metadata.permissions().mode() & MODE_MASK),
        content,
    };
    file.check(wanted)?;
    Ok(file)
}

impl SharedFile {
    /// Checks the content against what is wanted: size, and PEM where it must be that.
    pub(super) fn check(&self, wanted: &Wanted) -> Result<()> {
        let name = self.path.display();
        ensure!(self.content.len() as u64 <= FILE_LIMIT, "the shared file '{name}' is larger than {FILE_LIMIT} bytes");
        if wanted.pem {
            let blocks: Vec<_> = Pem::iter_from_buffer(&self.content).collect();
            // The parser's own error is left out, because it could quote a key.
            let sound = !blocks.is_empty() && blocks.iter().all(Result::is_ok);
            ensure!(sound, "the shared file '{name}' is not PEM");
        }
        Ok(())
    }

    /// Writes the file to its own place below `root` (`/` on a machine), folders with keys closed to others.
    ///
    /// # Errors
    /// Names the file that could not be written, or that a symbolic link would take out of `/etc`.
    pub(super) fn install(&self, root: &Path) -> Result<()> {
        let name = self.path.display();
        let place = on_disk(root, &self.path)?;
        let folder = place.parent().with_context(|| format!("the shared file '{name}' has no folder"))?;
        // Checked before and after, because folders must not be made through a link either.
        let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(root);
        for step in [existing, folder] {
            if !step.exists() {
                files::private_dir(step)?;
            }
            let real = step.canonicalize().with_context(|| format!("failed to find '{}'", step.display()))?;
            if real != root {
                inside_etc(root, &real).with_context(|| format!("failed to write the shared file '{name}'"))?;
            }
        }
        files::write(&place, &self.content, self.mode)
            .with_context(|| format!("failed to write the shared file '{name}'"))
    }
}

/// Where `path` is on the disk below `root`. Only plain absolute paths below `/etc` are allowed.
fn on_disk(root: &Path, path: &Path) -> Result<PathBuf> {
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !plain || !path.starts_with("/etc") {
        bail!("'{}' is not a plain path below /etc: only such files can be shared", path.display());
    }
    Ok(files::below(root, path))
}

fn inside_etc(root: &Path, real: &Path) -> Result<()> {
    let root = root.canonicalize().with_context(|| format!("failed to find '{}'", root.display()))?;
    ensure!(
        real.starts_with(root.join("etc")),
        "'{}' is outside of /etc: a symbolic link leads there; put the file itself below /etc",
        real.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

    fn root_with(path: &str, content: &str) -> Result<tempfile::TempDir> {
        let root = tempfile::tempdir()?;
        let place = root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("folder")?)?;
        fs::write(&place, content)?;
        Ok(root)
    }

    fn extra(path: &str) -> Wanted {
        Wanted { path: path.into(), mode: None, pem: false }
    }

    #[test]
    fn stacked_etcd_shares_its_ca_and_external_etcd_its_client_files() {
        let paths = |files: Vec<Wanted>| files.into_iter().map(|f| f.path.display().to_string()).collect::<Vec<_>>();
        let stacked = paths(wanted(None, &["/etc/kubernetes/audit.yaml".into(), "/etc/kubernetes/pki/ca.crt".into()]));
        assert_eq!(stacked.len(), 9, "{stacked:?}");
        assert!(stacked.contains(&"/etc/kubernetes/pki/etcd/ca.key".to_owned()));
        assert!(stacked.contains(&"/etc/kubernetes/audit.yaml".to_owned()));
        let etcd = ExternalEtcd {
            endpoints: vec!["https://10.0.0.1:2379".into()],
            ca_file: Some("/etc/etcd/ca.crt".into()),
            cert_file: Some("/etc/etcd/client.crt".into()),
            key_file: Some("/opt/etcd/client.key".into()),
        };
        let external = wanted(Some(&etcd), &[]);
        assert!(!external.iter().any(|f| f.path.ends_with("etcd/ca.key")));
        assert!(!external.iter().any(|f| f.path.starts_with("/opt")), "outside of /etc nothing travels");
        assert!(external.iter().any(|f| f.path.ends_with("client.crt") && f.mode == Some(0o644)));
    }

    #[test]
    fn a_file_keeps_its_mode_without_the_right_of_others_to_write() -> Result<()> {
        let root = root_with("/etc/kubernetes/audit.yaml", "rules: []")?;
        let place = root.path().join("etc/kubernetes/audit.yaml");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o4666))?;
        let files = collect(root.path(), &[extra("/etc/kubernetes/audit.yaml")])?;
        assert_eq!((files[0].mode, files[0].content.as_slice()), (0o644, b"rules: []".as_slice()));
        Ok(())
    }

    #[test]
    fn a_file_that_must_not_be_shared_is_refused_by_name() -> Result<()> {
        let root = root_with("/etc/kubernetes/pki/ca.key", "not a key")?;
        fs::write(root.path().join("secret"), "x")?;
        symlink(root.path().join("secret"), root.path().join("etc/link"))?;
        fs::write(root.path().join("etc/large"), vec![0; usize::try_from(FILE_LIMIT)? + 1])?;
        let table = [
            (pem("/etc/kubernetes/pki/ca.key".into()), "is not PEM"),
            (extra("/etc/link"), "outside of /etc"),
            (extra("/etc/none"), "failed to find the shared file '/etc/none'"),
            (extra("/etc/kubernetes"), "not a regular file"),
            (extra("/etc/large"), "failed to read the shared file '/etc/large'"),
            (extra("/etc/../secret"), "not a plain path below /etc"),
            (extra("/secret"), "not a plain path below /etc"),
            (extra("etc/relative"), "not a plain path below /etc"),
        ];
        for (file, expected) in table {
            let error = collect(root.path(), &[file]).err().map(|e| format!("{e:#}")).unwrap_or_default();
            assert!(error.contains(expected), "{error} does not say: {expected}");
            assert!(!error.contains("not a key"), "{error} quotes the content");
        }
        Ok(())
    }

    #[test]
    fn installing_makes_closed_folders_and_follows_no_link_out_of_etc() -> Result<()> {
        let root = tempfile::tempdir()?;
        fs::create_dir_all(root.path().join("etc"))?;
        fs::create_dir_all(root.path().join("outside"))?;
        let file = |path: &str| SharedFile { path: path.into(), mode: 0o600, content: KEY.into() };
        file("/etc/kubernetes/pki/etcd/ca.key").install(root.path())?;
        let place = root.path().join("etc/kubernetes/pki/etcd/ca.key");
        assert_eq!(place.metadata()?.permissions().mode() & 0o777, 0o600);
        assert_eq!(place.parent().context("folder")?.metadata()?.permissions().mode() & 0o777, 0o700);
        symlink(root.path().join("outside"), root.path().join("etc/away"))?;
        assert!(file("/etc/away/ca.key").install(root.path()).is_err());
        assert!(file("/etc/away/deeper/ca.key").install(root.path()).is_err());
        assert_eq!(fs::read_dir(root.path().join("outside"))?.count(), 0);
        Ok(())
    }
}
