//! The bundle: the shared files of one control plane as one JSON object, written by the node that initialised it.
//!
//! ```json
//! {"schema": 1, "claim_id": "...", "kubernetes_version": "v1.36.1",
//!  "files": [{"path": "/etc/kubernetes/pki/ca.crt", "mode": "0644", "content": "base64"}]}
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::shared::{SharedFile, Wanted};
use super::{PKI_DIR, certificate};
use crate::host::files;

/// The largest bundle, in bytes.
pub const BUNDLE_LIMIT: u64 = 1024 * 1024;
/// The certificate authorities of a cluster, below [`PKI_DIR`].
pub const AUTHORITIES: [&str; 3] = ["ca.crt", "etcd/ca.crt", "front-proxy-ca.crt"];
/// Those by which machines know each other.
pub const TRUSTED: [&str; 2] = ["ca.crt", "etcd/ca.crt"];
/// The schema of the JSON that this program writes and reads.
const SCHEMA: u32 = 1;

/// The shared files of one control plane. Has no `Debug`, because it holds keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The claim under which the control plane was initialised.
    pub claim_id: String,
    /// The control plane's Kubernetes version, such as `v1.36.1`.
    pub kubernetes_version: String,
    /// The files, each at its own absolute path.
    pub files: Vec<SharedFile>,
}

#[derive(Serialize, Deserialize)]
struct StoredBundle {
    schema: u32,
    claim_id: String,
    kubernetes_version: String,
    files: Vec<WrittenFile>,
}

#[derive(Serialize, Deserialize)]
struct WrittenFile {
    path: String,
    mode: String,
    content: String,
}

impl Bundle {
    /// Writes the bundle as JSON.
    ///
    /// # Errors
    /// When it would be larger than [`BUNDLE_LIMIT`].
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let files = self.files.iter().map(|file| WrittenFile {
            path: file.path.to_string_lossy().into_owned(),
            mode: format!("{:04o}", file.mode),
            content: STANDARD.encode(&file.content),
        });
        let written = StoredBundle {
            schema: SCHEMA,
            claim_id: self.claim_id.clone(),
            kubernetes_version: self.kubernetes_version.clone(),
            files: files.collect(),
        };
        let bytes = serde_json::to_vec(&written).context("failed to write the PKI bundle as JSON")?;
        ensure!(
            bytes.len() as u64 <= BUNDLE_LIMIT,
            "the PKI bundle has {} bytes, more than {BUNDLE_LIMIT}: share fewer or smaller files (extra_shared_files)",
            bytes.len()
        );
        Ok(bytes)
    }

    /// Reads a bundle. Its content is not trusted: only `wanted` files are taken, all of them must be there, and known modes override
    /// those in the bundle.
    ///
    /// # Errors
    /// What is wrong with the bundle, without its content.
    pub fn from_json(bytes: &[u8], claim_id: &str, wanted: &[Wanted]) -> Result<Self> {
        ensure!(bytes.len() as u64 <= BUNDLE_LIMIT, "the PKI bundle is larger than {BUNDLE_LIMIT} bytes");
        let written = read(bytes)?;
        ensure!(
            written.claim_id == claim_id,
            "the PKI bundle is that of claim '{}', not of '{claim_id}'",
            written.claim_id.escape_debug()
        );
        let files = written.files.iter().map(|file| file.check(wanted)).collect::<Result<Vec<_>>>()?;
        let paths: BTreeSet<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        ensure!(paths.len() == files.len(), "the PKI bundle names a file twice");
        if let Some(missing) = wanted.iter().find(|file| !paths.contains(file.path.as_path())) {
            bail!(
                "the PKI bundle lacks '{}': it was made with other settings; take the file from this machine's \
                 extra_shared_files, or give the nodes the settings that the cluster was initialised with",
                missing.path.display()
            );
        }
        Ok(Self { claim_id: written.claim_id, kubernetes_version: written.kubernetes_version, files })
    }

    /// Writes every file to its own place below `root` (`/` on a machine): keys 0600, their folders 0700.
    ///
    /// # Errors
    /// Names the file that could not be written.
    pub fn install(&self, root: &Path) -> Result<()> {
        self.files.iter().try_for_each(|file| file.install(root))
    }

    /// Writes these of its files to their own places below `root`, where nothing is or an empty file. What is there stays.
    ///
    /// # Errors
    /// Names the file that could not be written.
    pub fn put_back(&self, root: &Path, lost: &[PathBuf]) -> Result<()> {
        let is_there =
            |file: &&SharedFile| files::below(root, &file.path).metadata().is_ok_and(|found| found.len() > 0);
        let lost = self.files.iter().filter(|file| lost.contains(&file.path)).filter(|file| !is_there(file));
        lost.into_iter().try_for_each(|file| file.install(root))
    }

    /// Writes only kubeadm's own files into `certificates_dir`, which becomes a private copy of `/etc/kubernetes/pki`. This machine makes
    /// its first credentials from the copy, while its real folders are unchanged.
    ///
    /// # Errors
    /// Names the file that could not be written.
    pub fn install_copy(&self, certificates_dir: &Path) -> Result<()> {
        for file in &self.files {
            let Ok(name) = file.path.strip_prefix(PKI_DIR) else {
                continue;
            };
            let place = certificates_dir.join(name);
            files::private_dir(place.parent().unwrap_or(certificates_dir))?;
            files::write(&place, &file.content, file.mode)?;
        }
        Ok(())
    }

    /// The hashes of the public keys of the cluster's certificate authority, as kubeadm's discovery names them.
    ///
    /// # Errors
    /// When `ca.crt` is missing from the bundle or holds no certificate.
    pub fn ca_hashes(&self) -> Result<Vec<String>> {
        let path = Path::new(PKI_DIR).join("ca.crt");
        let ca = self.files.iter().find(|file| file.path == path).context("the PKI bundle lacks 'ca.crt'")?;
        certificate::ca_hashes(&ca.content)
    }
}

/// Which of these authorities below `root` are not those of the bundle, or are missing.
///
/// # Errors
/// What is wrong with the bundle, without its content.
pub fn foreign_authorities(root: &Path, bytes: &[u8], authorities: &[&str]) -> Result<Vec<String>> {
    let mut foreign = Vec::new();
    for file in read(bytes)?.files {
        let Some(place) = authorities.iter().find(|name| Path::new(PKI_DIR).join(name) == Path::new(&file.path)) else {
            continue;
        };
        let shared = STANDARD.decode(&file.content).ok().context("the content of an authority in it is not base64")?;
        let shared = certificate::ca_hashes(&shared)?;
        let here = root.join(PKI_DIR.trim_start_matches('/')).join(place);
        let here = std::fs::read(here).ok().and_then(|pem| certificate::ca_hashes(&pem).ok()).unwrap_or_default();
        // While an authority is replaced, both stand in the file.
        if !shared.iter().any(|hash| here.contains(hash)) {
            foreign.push(file.path);
        }
    }
    Ok(foreign)
}

/// Parses the JSON. The schema is read first, so that the bundle of a newer program is reported as that.
fn read(bytes: &[u8]) -> Result<StoredBundle> {
    #[derive(Deserialize)]
    struct BundleSchema {
        schema: u32,
    }
    // serde's own message is left out, because it could quote a key.
    let Ok(found) = serde_json::from_slice::<BundleSchema>(bytes) else {
        bail!("the PKI bundle is not a JSON object with a 'schema'");
    };
    ensure!(
        found.schema == SCHEMA,
        "the PKI bundle has schema {}, this kubeboot understands {SCHEMA}: use the version of kubeboot that wrote it",
        found.schema
    );
    serde_json::from_slice(bytes)
        .map_err(|_| anyhow::anyhow!("the PKI bundle lacks a field or has one of a wrong type"))
}

impl WrittenFile {
    fn check(&self, wanted: &[Wanted]) -> Result<SharedFile> {
        let name = self.path.escape_debug();
        let Some(wanted) = wanted.iter().find(|file| file.path == Path::new(&self.path)) else {
            bail!(
                "the PKI bundle holds '{name}', which this machine does not expect: add it to extra_shared_files, or give \
                 the nodes the settings that the cluster was initialised with"
            );
        };
        let Ok(content) = STANDARD.decode(&self.content) else {
            bail!("the content of '{name}' in the PKI bundle is not base64");
        };
        let Ok(mode) = u32::from_str_radix(&self.mode, 8) else {
            bail!("the mode of '{name}' in the PKI bundle is not an octal number");
        };
        let mode = wanted.mode.unwrap_or(mode & super::shared::MODE_MASK);
        let file = SharedFile { path: wanted.path.clone(), mode, content };
        file.check(wanted)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubeadm::pki::wanted;
    use serde_json::{Value, json};
    use std::os::unix::fs::PermissionsExt;

    const CLAIM: &str = "0d3c3a46-2f0f-4a44-a3d3-6a6a1f6a9a55";
    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn all() -> Vec<Wanted> {
        wanted(None, &["/etc/kubernetes/audit.yaml".into()])
    }

    fn bundle() -> Bundle {
        let files = all().into_iter().map(|file| SharedFile {
            content: if file.pem { PEM.into() } else { b"rules: []".to_vec() },
            mode: file.mode.unwrap_or(0o640),
            path: file.path,
        });
        Bundle { claim_id: CLAIM.into(), kubernetes_version: "v1.36.1".into(), files: files.collect() }
    }

    #[test]
    fn the_bundle_is_stored_as_it_was_before() -> Result<()> {
        crate::stored::is_as_written("bundle.json", &bundle().to_json()?);
        for (name, bytes) in crate::stored::all("bundle") {
            let read = Bundle::from_json(&bytes, CLAIM, &all()).context(name)?;
            assert_eq!(read.files.len(), all().len());
        }
        Ok(())
    }

    fn refusal(change: impl Fn(&mut Value)) -> Result<String> {
        let mut value: Value = serde_json::from_slice(&bundle().to_json()?)?;
        change(&mut value);
        let read = Bundle::from_json(&serde_json::to_vec(&value)?, CLAIM, &all());
        Ok(read.err().map(|error| format!("{error:#}")).unwrap_or_default())
    }

    #[test]
    fn what_was_written_is_read_back() -> Result<()> {
        let json = bundle().to_json()?;
        assert!(Bundle::from_json(&json, CLAIM, &all())? == bundle());
        Ok(())
    }

    /// What lies in the place of a file, if anything.
    type Here<'a> = Option<&'a [u8]>;

    #[test]
    fn an_authority_that_is_not_the_clusters_is_found() -> Result<()> {
        const OURS: &[u8] = include_bytes!("../../../tests/fixtures/pki/ca.crt");
        const OTHER: &[u8] = include_bytes!("../../../tests/fixtures/pki/rsa.crt");
        let root = tempfile::tempdir()?;
        let mut bundle = bundle();
        for file in bundle.files.iter_mut().filter(|file| file.path.to_string_lossy().ends_with("ca.crt")) {
            file.content = OURS.to_vec();
        }
        let json = bundle.to_json()?;
        let (ca, etcd) = ("/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/etcd/ca.crt");
        std::fs::create_dir_all(root.path().join("etc/kubernetes/pki/etcd"))?;
        let both = [OTHER, OURS].concat();
        let rows: [(Here<'_>, Here<'_>, &[&str]); 5] = [
            (Some(OURS), Some(OURS), &[]),
            (Some(OURS), Some(OTHER), &[etcd]),
            (Some(OTHER), Some(&both), &[ca]),
            (Some(b"garbage"), Some(OURS), &[ca]),
            (Some(OURS), None, &[etcd]),
        ];
        for (ca_here, etcd_here, expected) in rows {
            for (path, content) in [(ca, ca_here), (etcd, etcd_here)] {
                let place = root.path().join(path.trim_start_matches('/'));
                match content {
                    Some(content) => std::fs::write(place, content)?,
                    None => std::fs::remove_file(place)?,
                }
            }
            let mut found = foreign_authorities(root.path(), &json, &TRUSTED)?;
            found.sort();
            assert_eq!(found, expected);
        }
        let all = foreign_authorities(root.path(), &json, &AUTHORITIES)?;
        assert!(all.contains(&"/etc/kubernetes/pki/front-proxy-ca.crt".to_owned()), "{all:?}");
        assert!(foreign_authorities(root.path(), b"{}", &TRUSTED).is_err());
        Ok(())
    }

    #[test]
    fn a_bundle_of_garbage_is_refused_and_never_quoted() -> Result<()> {
        assert!(refusal(|v| v["schema"] = json!(2))?.contains("has schema 2, this kubeboot understands 1"));
        assert!(refusal(|v| v["schema"] = json!("one"))?.contains("not a JSON object with a 'schema'"));
        assert!(refusal(|v| v["claim_id"] = json!("other"))?.contains("that of claim 'other'"));
        assert!(refusal(|v| v["files"] = json!([]))?.contains("lacks '/etc/kubernetes/pki/ca.crt'"));
        assert!(refusal(|v| v["files"] = json!("SECRET"))?.contains("field"));
        assert!(refusal(|v| v["files"][0]["path"] = json!("/etc/shadow"))?.contains("does not expect"));
        assert!(
            refusal(|v| v["files"][0]["path"] = json!("/etc/kubernetes/pki/../../shadow"))?.contains("does not expect")
        );
        assert!(refusal(|v| v["files"][0]["content"] = json!("%SECRET%"))?.contains("is not base64"));
        assert!(refusal(|v| v["files"][0]["content"] = json!(STANDARD.encode("SECRET")))?.contains("is not PEM"));
        assert!(refusal(|v| v["files"][0]["mode"] = json!("rw"))?.contains("not an octal number"));
        assert!(refusal(|v| v["files"][1] = v["files"][0].clone())?.contains("names a file twice"));
        assert!(!refusal(|v| v["files"] = json!("SECRET"))?.contains("SECRET"));
        assert!(Bundle::from_json(b"[]", CLAIM, &all()).is_err());
        assert!(Bundle::from_json(&vec![b' '; usize::try_from(BUNDLE_LIMIT)? + 1], CLAIM, &all()).is_err());
        Ok(())
    }

    #[test]
    fn modes_come_from_what_is_known_and_are_masked_elsewhere() -> Result<()> {
        let mut value: Value = serde_json::from_slice(&bundle().to_json()?)?;
        for file in value["files"].as_array_mut().context("files")? {
            file["mode"] = json!("7777");
        }
        let read = Bundle::from_json(&serde_json::to_vec(&value)?, CLAIM, &all())?;
        let mode = |name: &str| read.files.iter().find(|file| file.path.ends_with(name)).map(|file| file.mode);
        assert_eq!(mode("pki/ca.crt"), Some(0o644));
        assert_eq!(mode("pki/ca.key"), Some(0o600));
        assert_eq!(mode("audit.yaml"), Some(0o755));
        Ok(())
    }

    #[test]
    fn only_what_is_lost_is_put_back_with_its_mode() -> Result<()> {
        let root = tempfile::tempdir()?;
        let place = |path: &str| files::below(root.path(), Path::new(path));
        let [ca, sa, other] =
            ["/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/sa.key", "/etc/kubernetes/pki/sa.pub"];
        std::fs::create_dir_all(place("/etc/kubernetes/pki"))?;
        std::fs::write(place(ca), "another authority")?;
        std::fs::write(place(sa), "")?;
        bundle().put_back(root.path(), &[ca.into(), sa.into(), "/etc/passwd".into()])?;
        assert_eq!(std::fs::read_to_string(place(ca))?, "another authority", "it is not lost");
        assert_eq!(std::fs::read_to_string(place(sa))?, PEM);
        assert_eq!(place(sa).metadata()?.permissions().mode() & 0o777, 0o600);
        assert!(!place(other).exists() && !place("/etc/passwd").exists(), "nobody has lost it");
        Ok(())
    }

    #[test]
    fn a_copy_holds_kubeadms_files_only() -> Result<()> {
        let root = tempfile::tempdir()?;
        let dir = root.path().join("pki");
        bundle().install_copy(&dir)?;
        assert_eq!(dir.join("etcd/ca.key").metadata()?.permissions().mode() & 0o777, 0o600);
        assert_eq!(dir.join("etcd").metadata()?.permissions().mode() & 0o777, 0o700);
        assert!(!dir.join("audit.yaml").exists());
        Ok(())
    }
}
