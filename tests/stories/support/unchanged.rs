//! That a run of `kubeboot` has changed nothing.

use super::bucket::PREFIX;
use super::command::Ended;
use super::truth::Kubeadm;
use super::world::World;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What of a disk kubeboot and kubeadm may change, below its root. etcd's data is looked at only as far as it is there.
const THEIRS: [&str; 4] = ["etc/kubernetes", "etc/kubeboot", "etc/hosts", "var/lib/kubeboot"];

/// How things stood.
pub struct Before<'a> {
    world: &'a World,
    node: usize,
    disk: BTreeMap<PathBuf, (u32, Vec<u8>)>,
    requests: usize,
    kubeadm: Vec<Kubeadm>,
}

impl World {
    /// Remembers how the bucket and a machine are.
    pub fn before(&self, node: usize) -> Result<Before<'_>> {
        let disk = footprint(&self.disk(node)?)?;
        Ok(Before { world: self, node, disk, requests: self.journal("requests")?.len(), kubeadm: self.kubeadm()? })
    }

    /// Runs a command on a machine that must end with this exit code, say each of these words, and change nothing: not on
    /// the machine, and not in the bucket but for what it says about itself.
    pub fn refuses(&self, node: usize, argv: &[&str], code: i32, words: &[&str]) -> Result<Ended> {
        let before = self.before(node)?;
        let ended = self.on(node, argv)?;
        let what = argv.join(" ");
        ensure!(ended.code == code, "'{what}' ended with exit code {}, not {code}: {}", ended.code, ended.text());
        for word in words {
            ensure!(ended.text().contains(word), "'{what}' does not say '{word}': {}", ended.text());
        }
        ensure!(!ended.text().contains("panicked"), "'{what}' panicked: {}", ended.text());
        before.nothing_changed()?;
        Ok(ended)
    }
}

impl Before<'_> {
    /// Fails if anything has changed but what the machine says about itself.
    pub fn nothing_changed(&self) -> Result<()> {
        let own = self.world.registration_key(self.node)?;
        let written = self.written()?.into_iter().find(|key| *key != format!("{PREFIX}/{own}"));
        ensure!(written.is_none(), "'{}' was written", written.unwrap_or_default());
        self.the_disk_is_the_same()
    }

    /// Fails if anything was written to the bucket, or changed on the machine.
    pub fn nothing_at_all_changed(&self) -> Result<()> {
        let written = self.written()?;
        ensure!(written.is_empty(), "{written:?} were written");
        self.the_disk_is_the_same()
    }

    /// Keys that were written or deleted since. What workers join by is not among them: no command writes it, and the
    /// leader's agent does so when its turn comes, whatever else happens.
    fn written(&self) -> Result<Vec<String>> {
        let requests = self.world.journal("requests")?;
        let writes = ["PutObject", "DeleteObject", "DeleteObjects", "POST"];
        let since =
            requests.iter().skip(self.requests).filter(|call| writes.iter().any(|write| call["action"] == *write));
        let keys = since.map(|call| call["key"].as_str().unwrap_or_default());
        Ok(keys.filter(|key| !key.starts_with(&format!("{PREFIX}/join/"))).map(str::to_owned).collect())
    }

    /// Fails if anything has changed on the machine.
    pub fn the_disk_is_the_same(&self) -> Result<()> {
        ensure!(self.world.kubeadm()? == self.kubeadm, "kubeadm changed something: {:?}", self.world.kubeadm()?);
        let now = footprint(&self.world.disk(self.node)?)?;
        for path in self.disk.keys().chain(now.keys()) {
            ensure!(self.disk.get(path) == now.get(path), "'{}' of node {} has changed", path.display(), self.node);
        }
        Ok(())
    }
}

/// Every file of a disk that matters, with its mode and its bytes.
fn footprint(disk: &Path) -> Result<BTreeMap<PathBuf, (u32, Vec<u8>)>> {
    let mut files = BTreeMap::new();
    for path in THEIRS {
        collect(&disk.join(path), &mut files)?;
    }
    if disk.join("var/lib/etcd/member").exists() {
        files.insert(disk.join("var/lib/etcd/member"), (0, Vec::new()));
    }
    Ok(files)
}

fn collect(path: &Path, files: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) -> Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.exists() {
        files.insert(path.to_owned(), (path.metadata()?.permissions().mode(), std::fs::read(path)?));
    }
    Ok(())
}
