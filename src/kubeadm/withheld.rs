//! Manifests that are kept from kubelet until the record says what is to become of them: while the last voter saves the cluster, and on a
//! machine whose claim the record supersedes.
//!
//! Unlike those that the guard sets aside, these never go back by what this machine's disk alone says. A mark tells whose they are and why.
//! It is written before anything is moved and removed after everything is back, so that a crash at any point is seen.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::documents::yaml;
use super::manifests::{API_SERVER, ASIDE, ETCD, FOLDER, LIMIT, move_whole};
use crate::host::files;
use crate::model::agent::saving::Isolation;
use crate::model::machine::ids::{ClaimId, InstanceId};

/// Where they are kept, without the leading slash.
pub(super) const WITHHELD: &str = "var/lib/kubeboot/manifests-withheld";
/// The mark in that folder.
const MARK: &str = "why.json";
/// The schema of the mark that is written and read.
const SCHEMA: u32 = 1;
/// The largest mark, in bytes.
const MARK_LIMIT: u64 = 4096;
/// The arguments by which etcd listens for others than those who read its metrics.
const LISTENS: [&str; 3] = ["--listen-client-urls", "--listen-client-http-urls", "--listen-peer-urls"];
/// The variables of etcd that say the same.
const LISTENS_BY_VARIABLE: &str = "ETCD_LISTEN_";

/// Why they are kept from kubelet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// This machine, the last voter, saves the cluster: its API server is ended, and its etcd listens on the loopback alone.
    Saving,
    /// The same, and the record may have been sent: it may say that the cluster is saved, at any moment to come.
    Writing,
    /// This machine has saved the cluster, which lives in that snapshot now.
    Saved,
    /// The record supersedes the claim of the data here.
    Superseded,
}

/// The mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    schema: u32,
    /// Who wrote it. Another instance means a baked image or a restored volume.
    pub instance: InstanceId,
    /// The claim of the data on this disk.
    pub claim_id: ClaimId,
    /// Why.
    pub why: Why,
    /// Whether etcd and API server were seen to be gone since. Before that the mark says what is to become of them, and no more.
    #[serde(default)]
    pub ended: bool,
    /// When, by this machine's clock (RFC 3339), for people.
    pub at: String,
}

impl Why {
    /// What the mark says once the record supersedes the claim of the data here: that this machine has saved the cluster only where it may
    /// have sent that itself.
    #[must_use]
    pub fn once_superseded(before: Option<Self>) -> Self {
        match before {
            Some(Self::Writing | Self::Saved) => Self::Saved,
            None | Some(Self::Saving | Self::Superseded) => Self::Superseded,
        }
    }
}

impl Mark {
    /// A mark of `me`.
    #[must_use]
    pub fn new(me: &InstanceId, claim: &ClaimId, why: Why) -> Self {
        Self { schema: SCHEMA, instance: me.clone(), claim_id: claim.clone(), why, ended: false, at: String::new() }
    }

    /// The same mark, with whether etcd and API server were seen to be gone.
    #[must_use]
    pub fn with_end(self, ended: bool) -> Self {
        Self { ended, ..self }
    }

    /// What it tells the agent of this machine: of an end only once that was seen.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        match self.why {
            Why::Saving | Why::Writing => Isolation::Begun,
            Why::Saved | Why::Superseded if !self.ended => Isolation::Ending,
            Why::Saved => Isolation::ForGood,
            Why::Superseded => Isolation::Superseded,
        }
    }

    /// Writes it whole below `root` (`/` on a machine), before anything is moved.
    ///
    /// # Errors
    /// It cannot be written: then nothing may be moved.
    pub fn save(&self, root: &Path) -> Result<()> {
        let folder = root.join(WITHHELD);
        files::private_dir(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o700))
            .with_context(|| format!("failed to make '{}' private", folder.display()))?;
        let at = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        let bytes = serde_json::to_vec_pretty(&Self { at, ..self.clone() }).context("a mark is JSON")?;
        files::write(&folder.join(MARK), &bytes, 0o600)
    }
}

/// Why manifests of the machine `me` are withheld; `None` where none are. The mark of another machine is none of its own.
///
/// # Errors
/// There is a mark that cannot be read: then they are withheld, and nobody knows why.
pub fn load(root: &Path, me: &InstanceId) -> Result<Option<Mark>> {
    let path = root.join(WITHHELD).join(MARK);
    let failed = || {
        format!(
            "failed to read '{}', which says why the manifests beside it are kept from kubelet: replace the machine, or move them back to '/{FOLDER}' \
             by hand if you are sure that the cluster was not saved",
            path.display()
        )
    };
    let Some(bytes) = files::read_if_there(&path, MARK_LIMIT).with_context(failed)? else { return Ok(None) };
    let mark: Mark = serde_json::from_slice(&bytes).with_context(failed)?;
    ensure!(mark.schema == SCHEMA, "{}: it has schema {}, not {SCHEMA}", failed(), mark.schema);
    Ok(Some(mark).filter(|mark| mark.instance == *me))
}

/// Whether the original of this manifest is withheld below `root`.
#[must_use]
pub fn is_withheld(root: &Path, name: &str) -> bool {
    lies(root, WITHHELD, name)
}

fn lies(root: &Path, folder: &str, name: &str) -> bool {
    fs::symlink_metadata(root.join(folder).join(name)).is_ok()
}

fn place(root: &Path, folder: &str, name: &str) -> PathBuf {
    root.join(folder).join(name)
}

/// Withholds the API server's manifest. Again after a crash: the same end.
///
/// # Errors
/// It stays where kubelet starts it.
pub fn withhold_api_server(root: &Path) -> Result<()> {
    withhold(root, API_SERVER)
}

fn withhold(root: &Path, name: &str) -> Result<()> {
    for folder in [ASIDE, FOLDER] {
        move_whole(&place(root, folder, name), &place(root, WITHHELD, name))?;
    }
    Ok(())
}

/// Keeps etcd's manifest as it is, and puts one in its place by which etcd listens on the loopback alone. Again after a crash: the same end.
///
/// # Errors
/// There is no manifest, it cannot be changed so, or it cannot be written.
pub fn isolate_etcd(root: &Path) -> Result<()> {
    let (kept, place) = (place(root, WITHHELD, ETCD), place(root, FOLDER, ETCD));
    if !is_withheld(root, ETCD) {
        files::write(&kept, &files::read_bounded(&place, LIMIT)?, 0o600)?;
    }
    let original = String::from_utf8(files::read_bounded(&kept, LIMIT)?).context("etcd's manifest is no text")?;
    let isolated =
        on_loopback(&original).context("failed to write a manifest by which etcd listens on the loopback alone")?;
    if files::read_if_there(&place, LIMIT)?.is_some_and(|found| found == isolated.as_bytes()) {
        return Ok(());
    }
    files::write(&place, isolated.as_bytes(), 0o600)
}

/// Withholds both, so that kubelet ends what runs and starts neither. An original that is kept already stays.
///
/// # Errors
/// Names the manifest that stays where kubelet starts it.
pub fn withhold_both(root: &Path) -> Result<()> {
    if is_withheld(root, ETCD) {
        files::remove(&place(root, FOLDER, ETCD))?;
        files::remove(&place(root, ASIDE, ETCD))?;
    }
    withhold(root, ETCD)?;
    withhold(root, API_SERVER)
}

/// Puts both back, etcd's first, and removes the mark last. What the guard has set aside meanwhile stays there, as the original.
///
/// # Errors
/// Names the manifest that could not be put back.
pub fn put_back(root: &Path) -> Result<()> {
    let guarded = lies(root, ASIDE, ETCD);
    for name in [ETCD, API_SERVER] {
        let target = place(root, if guarded { ASIDE } else { FOLDER }, name);
        move_whole(&place(root, WITHHELD, name), &target)?;
    }
    forget(root)
}

/// Removes what is withheld, and the mark last: the machine is wiped, or all is back.
///
/// # Errors
/// Names what could not be removed.
pub fn forget(root: &Path) -> Result<()> {
    for name in [ETCD, API_SERVER, MARK] {
        files::remove(&place(root, WITHHELD, name))?;
    }
    match fs::remove_dir(root.join(WITHHELD)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove '/{WITHHELD}'"))
        }
        _ => Ok(()),
    }
}

/// The same pod, whose etcd listens on the loopback alone, as JSON, which is YAML.
fn on_loopback(manifest: &str) -> Result<String> {
    let mut pod = yaml(manifest).map_err(|reason| anyhow::anyhow!("it {reason}"))?;
    let container = pod.pointer_mut("/spec/containers/0").context("it has no container")?;
    let mut changed = [false; 2];
    for field in ["command", "args"] {
        for argument in container.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            let text = argument.as_str().context("an argument is no text")?;
            ensure!(
                text != "--config-file" && !text.starts_with("--config-file="),
                "etcd reads a file with its settings"
            );
            let Some((flag, urls)) = text.split_once('=') else {
                ensure!(!LISTENS.contains(&text), "the value of {text} is an argument of its own");
                continue;
            };
            if LISTENS.contains(&flag) {
                for (seen, name) in changed.iter_mut().zip([LISTENS[0], LISTENS[2]]) {
                    *seen |= flag == name;
                }
                *argument = Value::String(format!("{flag}={}", loopbacks(urls)));
            }
        }
    }
    ensure!(changed == [true; 2], "it does not say where etcd listens");
    if let Some(variables) = container.get_mut("env").and_then(Value::as_array_mut) {
        let is_kept = |variable: &Value| {
            let name = variable.get("name").and_then(Value::as_str).unwrap_or_default();
            !name.starts_with(LISTENS_BY_VARIABLE)
        };
        variables.retain(is_kept);
    }
    serde_json::to_string_pretty(&pod).context("a pod is JSON")
}

/// These URLs with the loopback in place of every host, each once.
fn loopbacks(urls: &str) -> String {
    let mut all: Vec<String> = Vec::new();
    for url in urls.split(',') {
        let (scheme, rest) = url.trim().split_once("://").unwrap_or(("https", url.trim()));
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':').unwrap_or((rest, "2379"));
        let host = if host.starts_with('[') { "[::1]" } else { "127.0.0.1" };
        let url = format!("{scheme}://{host}:{port}");
        if !all.contains(&url) {
            all.push(url);
        }
    }
    all.join(",")
}

#[cfg(test)]
mod tests;
