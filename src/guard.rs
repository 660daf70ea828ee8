//! `kubeboot guard`: keeps kubelet from starting an etcd whose data is gone, or is another machine's.
//!
//! It runs before kubelet, from local files alone, and needs no settings. Where it cannot tell, it changes nothing.

use crate::kubeadm::manifests;
use crate::kubeadm::state::Marker;
use crate::log;
use crate::model::machine::guard::{GuardStep, Marked, NotWhole, guard};
use crate::model::machine::ids::{InstanceId, MemberId};
use crate::node::this_instance::this_instance;
use anyhow::{Context, Result};
use std::path::Path;

/// Runs the command.
///
/// # Errors
/// A manifest that was to be moved stays where it was.
pub async fn run() -> Result<()> {
    // Without a log it guards all the same.
    let _ = log::init_without_settings();
    let root = Path::new("/");
    let places = manifests::places(root);
    if !places.in_place && !places.aside {
        return Ok(());
    }
    act(root, this_instance().await.as_ref())
}

/// Looks and acts, below `root` (`/` on a machine).
fn act(root: &Path, me: Option<&InstanceId>) -> Result<()> {
    let way_out = "'kubeboot status' and docs/operating.md tell what leads out of it";
    match decide(root, me) {
        GuardStep::Pass => Ok(()),
        GuardStep::SetAside(why) => {
            tracing::error!(
                "kubelet must not start etcd and API server here, setting their manifests aside: {why}; {way_out}"
            );
            manifests::set_aside(root).context("failed to keep kubelet from starting an etcd that must not start")
        }
        GuardStep::PutBack => put_back(root),
        GuardStep::LeaveAside(why) => {
            tracing::warn!("the manifests of etcd and API server stay aside: {why}; {way_out}");
            Ok(())
        }
    }
}

/// For `up`: what it has last said of the manifests that are set aside.
#[derive(Debug, Default)]
pub struct ManifestsAside {
    said: Option<String>,
}

impl ManifestsAside {
    /// At every pass: puts the manifests back once this instance's own data is there again, so that a volume that comes late
    /// needs no reboot. Why they are aside still, or could not be put back, is said once.
    pub fn put_back_if_whole(&mut self, root: &Path, me: &InstanceId) {
        let why = match put_back_if_whole(root, me) {
            Ok(why) => why.map(|why| format!("the manifests of etcd and API server stay aside: {why}")),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(why) = why.as_ref().filter(|why| self.said.as_ref() != Some(*why)) {
            tracing::warn!("{why}");
        }
        self.said = why;
    }
}

/// Puts them back if all is well. `Some`: why they are aside still.
fn put_back_if_whole(root: &Path, me: &InstanceId) -> Result<Option<NotWhole>> {
    if !manifests::places(root).aside {
        return Ok(None);
    }
    match decide(root, Some(me)) {
        GuardStep::PutBack => put_back(root).map(|()| None),
        GuardStep::LeaveAside(why) | GuardStep::SetAside(why) => Ok(Some(why)),
        GuardStep::Pass => Ok(None),
    }
}

/// For `up`, where etcd's data is not that of the member which is listed here: writes down which one that is, since a marker of an
/// earlier kubeboot does not name it, and sets the manifests aside, so that kubelet ends what runs.
///
/// # Errors
/// The marker cannot be written, or a manifest stays where it was.
pub fn keep_from_starting(root: &Path, listed: MemberId) -> Result<()> {
    if let Some(mut marker) = Marker::load(root)?.filter(|marker| marker.member_id != Some(listed)) {
        marker.member_id = Some(listed);
        marker.save(root)?;
    }
    if manifests::places(root).in_place {
        tracing::error!("the data here is another member's: setting the manifests of etcd and API server aside");
        manifests::set_aside(root).context("failed to keep kubelet from running an etcd that must not run")?;
    }
    Ok(())
}

fn put_back(root: &Path) -> Result<()> {
    tracing::warn!("this machine's own data is there again: putting the manifests of etcd and API server back");
    manifests::put_back(root).context("failed to put the manifests of etcd and API server back")
}

fn decide(root: &Path, me: Option<&InstanceId>) -> GuardStep {
    let marker = Marker::load(root).unwrap_or_else(|error| {
        tracing::warn!("{error:#}");
        None
    });
    let marked_dir = marker.as_ref().and_then(|marker| marker.data_dir.as_deref());
    let data = manifests::data(root, marked_dir.unwrap_or(Path::new(manifests::DEFAULT_DATA_DIR)));
    let marked: Option<Marked<'_>> = marker.as_ref().map(Marker::marked);
    guard(marked.as_ref(), me, &data, manifests::places(root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubeadm::state::MarkerStage;
    use crate::model::machine::ids::{ClaimId, Uid};
    use std::fs;

    const FIRST: &[u8] = include_bytes!("../tests/fixtures/etcd/first.wal");
    const UID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
    const MANIFEST: &str = "etc/kubernetes/manifests/etcd.yaml";
    const LOG: &str = "var/lib/etcd/member/wal";

    fn id(n: u8) -> Result<InstanceId> {
        Ok(InstanceId::parse(format!("i-0000000{n}"))?)
    }

    fn mark(root: &Path, stage: MarkerStage) -> Result<()> {
        let mut marker = Marker::new(&id(1)?, &ClaimId::parse(UID)?, stage);
        marker.kube_system_uid = Some(Uid::parse(UID)?);
        marker.save(root)
    }

    /// A member with its data.
    fn member() -> Result<tempfile::TempDir> {
        let root = tempfile::tempdir()?;
        mark(root.path(), MarkerStage::Member)?;
        for folder in ["etc/kubernetes/manifests", LOG] {
            fs::create_dir_all(root.path().join(folder))?;
        }
        fs::write(root.path().join(MANIFEST), "kind: Pod\n")?;
        fs::write(root.path().join(LOG).join("0.wal"), FIRST)?;
        Ok(root)
    }

    fn starts(root: &tempfile::TempDir) -> bool {
        root.path().join(MANIFEST).exists()
    }

    #[test]
    fn a_member_whose_volume_is_late_starts_no_etcd_until_it_is_there() -> Result<()> {
        let (root, me) = (member()?, id(1)?);
        let path = root.path();
        act(path, Some(&me))?;
        assert!(starts(&root), "all is well");
        fs::rename(path.join("var/lib/etcd"), path.join("var/lib/volume"))?;
        for _again in 0..2 {
            act(path, Some(&me))?;
            assert!(!starts(&root));
            assert_eq!(put_back_if_whole(path, &me)?, Some(NotWhole::DataGone));
        }
        fs::rename(path.join("var/lib/volume"), path.join("var/lib/etcd"))?;
        assert_eq!(put_back_if_whole(path, &me)?, None);
        assert!(starts(&root));
        assert_eq!(put_back_if_whole(path, &me)?, None, "nothing is aside");
        Ok(())
    }

    #[test]
    fn the_disk_of_another_machine_starts_nothing_here() -> Result<()> {
        let (root, other) = (member()?, id(2)?);
        act(root.path(), None)?;
        assert!(starts(&root), "nobody says which instance this is");
        act(root.path(), Some(&other))?;
        assert!(!starts(&root));
        assert_eq!(put_back_if_whole(root.path(), &other)?, Some(NotWhole::MadeBy(id(1)?)));
        act(root.path(), None)?;
        assert!(!starts(&root), "what was set aside does not come back on not knowing");
        act(root.path(), Some(&id(1)?))?;
        assert!(starts(&root), "the disk is back where it belongs");
        Ok(())
    }

    #[test]
    fn what_is_another_members_data_is_ended_and_named_where_the_marker_named_nobody() -> Result<()> {
        let (root, me) = (member()?, id(1)?);
        let path = root.path();
        act(path, Some(&me))?;
        assert!(starts(&root), "a marker of an earlier kubeboot names no member");
        for _again in 0..2 {
            keep_from_starting(path, MemberId(1))?;
            assert!(!starts(&root));
            assert_eq!(Marker::load(path)?.and_then(|marker| marker.member_id), Some(MemberId(1)));
            act(path, Some(&me))?;
            assert!(!starts(&root) && matches!(put_back_if_whole(path, &me)?, Some(NotWhole::DataOf(_))));
        }
        Ok(())
    }

    #[test]
    fn a_member_that_is_about_to_be_none_stays_aside() -> Result<()> {
        let (root, me) = (member()?, id(1)?);
        fs::remove_dir_all(root.path().join(LOG))?;
        act(root.path(), Some(&me))?;
        mark(root.path(), MarkerStage::Joining)?;
        fs::create_dir_all(root.path().join(LOG))?;
        fs::write(root.path().join(LOG).join("0.wal"), FIRST)?;
        act(root.path(), Some(&me))?;
        assert!(put_back_if_whole(root.path(), &me)?.is_some() && !starts(&root));
        Ok(())
    }

    #[test]
    fn a_marker_that_nobody_understands_changes_nothing() -> Result<()> {
        let root = member()?;
        fs::write(root.path().join("var/lib/kubeboot/state.json"), "?")?;
        fs::remove_dir_all(root.path().join(LOG))?;
        act(root.path(), Some(&id(1)?))?;
        assert!(starts(&root));
        Ok(())
    }
}
