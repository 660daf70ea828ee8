//! The marker of leaving on a worker's disk. It keeps `kubeboot up` away after a reboot, and nothing that could be lost hangs on it: where the
//! disk is full or read-only, the machine goes all the same.

use crate::model::agent::Departure;
use crate::model::machine::ids::InstanceId;
use crate::node::departure;
use std::path::Path;

/// What this process knows of the marker beside what is on the disk.
#[derive(Debug, Default)]
pub(super) struct Mark {
    /// Whether it could not be read or written: then it counts as set.
    is_given_up: bool,
}

impl Mark {
    /// Whether the marker of the machine `me` is set, or counts as set, below `root` (`/` on a machine).
    pub(super) fn is_set(&mut self, root: &Path, me: &InstanceId) -> bool {
        match departure::load(root, me) {
            Ok(found) => found.is_some() || self.is_given_up,
            Err(error) => self.give_up(&error),
        }
    }

    /// Writes it.
    pub(super) fn set(&mut self, root: &Path, me: &InstanceId) {
        if let Err(error) = departure::save(root, me, Departure::Leaving) {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &anyhow::Error) -> bool {
        if !self.is_given_up {
            tracing::warn!(
                "this machine goes without the marker of leaving, by which no 'kubeboot up' joins here: {error:#}"
            );
        }
        self.is_given_up = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Result;
    use std::fs;

    #[test]
    fn what_can_be_neither_written_nor_read_counts_as_set() -> Result<()> {
        let me = InstanceId::parse("i-00000001")?;
        let root = tempfile::tempdir()?;
        let mut mark = Mark::default();
        assert!(!mark.is_set(root.path(), &me));
        mark.set(root.path(), &me);
        assert!(mark.is_set(root.path(), &me) && Mark::default().is_set(root.path(), &me), "it is on the disk");

        // No folder can be made here, by root neither.
        let root = tempfile::tempdir()?;
        fs::create_dir(root.path().join("var"))?;
        fs::write(root.path().join("var/lib"), "")?;
        let mut mark = Mark::default();
        mark.set(root.path(), &me);
        assert!(mark.is_set(root.path(), &me));

        let root = tempfile::tempdir()?;
        departure::save(root.path(), &me, Departure::Leaving)?;
        fs::write(root.path().join("var/lib/kubeboot/leaving.json"), "\u{0}")?;
        assert!(Mark::default().is_set(root.path(), &me));
        Ok(())
    }
}
