//! etcd's own tool for what needs no server, etcdutl: that of this machine, or else that of etcd's image, run by containerd.

use super::{Facts, images};
use crate::etcd::data;
use crate::exit::Exit;
use crate::host::ctr::{self, Mount};
use crate::host::lock::Lock;
use crate::host::process::Command;
use crate::host::runtime;
use crate::kubeadm::data_dir::{self, Unpacking};
use crate::model::machine::etcd_data::{EtcdData, EtcdIds, PEER_PORT};
use crate::model::machine::ids::ClaimId;
use crate::model::restore::etcd_image::EtcdImage;
use anyhow::{Context, Result, anyhow, ensure};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the containers are called in which it runs.
const CONTAINER: &str = "kubeboot-restore-";
/// How long restoring may take: it reads and writes the database twice.
const RESTORE_TIMEOUT: Duration = Duration::from_mins(15);
/// Where a container sees the snapshot, and the data folder.
const SNAPSHOT: &str = "/snapshot.db";
const DATA: &str = "/data";

/// By what etcdutl runs on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Etcdutl {
    /// A program of this machine.
    Installed,
    /// A program of etcd's image.
    Image {
        /// The socket of containerd.
        socket: PathBuf,
        /// The image.
        image: String,
    },
}

/// What is restored as what.
#[derive(Debug, Clone, Copy)]
pub struct Restoration<'a> {
    /// The database, with etcd's own digest behind it.
    pub snapshot: &'a Path,
    /// etcd's data folder.
    pub data_dir: &'a Path,
    /// The name of this machine's member.
    pub member: &'a str,
    /// This machine's address, at which the others reach its member.
    pub address: IpAddr,
    /// The claim, which becomes the token of the new etcd: no two attempts have one.
    pub claim: &'a ClaimId,
    /// By how much the revision is raised, so that none is given out twice.
    pub bump: u64,
}

/// etcd's image, by the documents of this machine.
///
/// # Errors
/// kubeadm fails, or names none.
pub async fn image(facts: &Facts) -> Result<EtcdImage> {
    EtcdImage::among(&images::listed(facts).await?).context("'kubeadm config images list' names no image of etcd")
}

impl Etcdutl {
    /// The one of this machine, if it is of the image's release: what it writes is read by that etcd. Or else that of the image, which
    /// is pulled where it is not there yet.
    ///
    /// # Errors
    /// There is neither; says why.
    pub async fn find(facts: &Facts, image: &EtcdImage) -> Result<Self> {
        let asked = Command::new("etcdutl").args(["version"]).env_allow(["PATH"]).run().await;
        if let Ok(said) = asked
            && image.is_of_release(&said.stdout)
        {
            return Ok(Self::Installed);
        }
        let sockets = runtime::chosen(facts.documents.cri_socket());
        let mut found = Err(anyhow!("there is no container runtime on this machine"));
        for socket in sockets {
            let socket = Path::new(socket);
            found = match ctr::has_image(socket, &image.name).await {
                Ok(true) => Ok(()),
                Ok(false) => images::pull(socket, &image.name).await,
                Err(error) => Err(error),
            };
            if found.is_ok() {
                return Ok(Self::Image { socket: socket.to_owned(), image: image.name.clone() });
            }
        }
        found
            .map(|()| Self::Installed)
            .context("etcdutl of etcd's release is not on this machine, and the image cannot be used")
    }

    /// Unpacks the snapshot beside etcd's data, as what will be the data of a cluster of this machine alone. Nothing is etcd's data until
    /// the result is told to be.
    ///
    /// # Errors
    /// etcdutl fails, or what it made is not what was asked for.
    pub async fn restore(&self, what: Restoration<'_>, lock: Option<&Lock>) -> Result<Unpacking> {
        if let Self::Image { socket, .. } = self {
            ctr::clear(socket, CONTAINER).await?;
        }
        let unpacking = data_dir::begin_unpacking(what.data_dir)?;
        let mut command = self.command(&what, &unpacking)?.deadline(RESTORE_TIMEOUT);
        if let Some(lock) = lock {
            command = command.inherit_lock(lock);
        }
        let ended = command.run().await;
        ended.map_err(anyhow::Error::from).context("'etcdutl snapshot restore' failed").context(Exit::TryAgain)?;
        let wanted = EtcdIds::of_init(what.claim, what.address);
        let made = data::observe(Some(unpacking.folder()));
        ensure!(made == EtcdData::Of(wanted), "etcdutl has made another etcd than it was told to: {made:?}");
        Ok(unpacking)
    }

    fn command(&self, what: &Restoration<'_>, unpacking: &Unpacking) -> Result<Command> {
        match self {
            Self::Installed => {
                let words = words(what, what.snapshot, unpacking.folder());
                Ok(Command::new("etcdutl").args(words).env_allow(["PATH"]))
            }
            Self::Image { socket, image } => {
                let below = unpacking.folder().strip_prefix(what.data_dir).context("it lies in the data folder")?;
                let words = words(what, Path::new(SNAPSHOT), &Path::new(DATA).join(below));
                let mounts = [
                    Mount { source: what.snapshot.to_owned(), target: SNAPSHOT, writable: false },
                    Mount { source: what.data_dir.to_owned(), target: DATA, writable: true },
                ];
                let name = format!("{CONTAINER}{}", what.claim);
                Ok(ctr::run(socket, image, &name, &mounts, ["etcdutl".to_owned()].into_iter().chain(words)))
            }
        }
    }
}

/// The arguments of etcdutl. The digest behind the database is always checked.
fn words(what: &Restoration<'_>, snapshot: &Path, folder: &Path) -> Vec<String> {
    let peer = format!("https://{}", SocketAddr::new(what.address, PEER_PORT));
    let mut words = ["snapshot".to_owned(), "restore".to_owned(), snapshot.display().to_string()].to_vec();
    for (flag, value) in [
        ("--data-dir", folder.display().to_string()),
        ("--name", what.member.to_owned()),
        ("--initial-cluster", format!("{}={peer}", what.member)),
        ("--initial-advertise-peer-urls", peer),
        ("--initial-cluster-token", what.claim.to_string()),
        ("--bump-revision", what.bump.to_string()),
    ] {
        words.extend([flag.to_owned(), value]);
    }
    words.push("--mark-compacted".to_owned());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restoration<'a>(claim: &'a ClaimId, address: &str) -> Restoration<'a> {
        let (snapshot, data_dir) = (Path::new("/a/snapshot.db"), Path::new("/var/lib/etcd"));
        let address = address.parse().unwrap();
        Restoration { snapshot, data_dir, member: "n1", address, claim, bump: 2_000_000_000 }
    }

    #[test]
    fn what_is_restored_is_this_machines_alone_under_its_claim_and_above_every_revision() {
        let claim = ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
        for (address, peer) in [("10.0.0.1", "https://10.0.0.1:2380"), ("fd00::1", "https://[fd00::1]:2380")] {
            let words = words(&restoration(&claim, address), Path::new("/snapshot.db"), Path::new("/data/x"));
            assert_eq!(
                words.join(" "),
                format!(
                    "snapshot restore /snapshot.db --data-dir /data/x --name n1 --initial-cluster n1={peer} \
                     --initial-advertise-peer-urls {peer} --initial-cluster-token {claim} --bump-revision 2000000000 --mark-compacted"
                )
            );
        }
    }
}
