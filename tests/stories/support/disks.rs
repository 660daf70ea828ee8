//! What happens to machines' disks, and to the power of all of them: see `tests/world/disks.py`.

use super::world::World;
use anyhow::Result;

impl World {
    /// Cuts the power of all machines in one moment.
    pub fn blackout(&self) -> Result<()> {
        self.ask(&["blackout"]).map(drop)
    }

    /// Switches a machine on again, with the disk as it is, and runs `kubeboot up` on it or not.
    pub fn boot(&self, node: usize, up: bool) -> Result<()> {
        self.ask(&["boot", &node.to_string(), if up { "--up" } else { "--no-up" }]).map(drop)
    }

    /// Deletes what is in a folder of a machine, and leaves the folder.
    pub fn empty_folder(&self, node: usize, path: &str) -> Result<()> {
        self.ask(&["disk", "empty", &node.to_string(), path]).map(drop)
    }

    /// Deletes a file or folder of a machine.
    pub fn delete_on_disk(&self, node: usize, path: &str) -> Result<()> {
        self.ask(&["disk", "rm", &node.to_string(), path]).map(drop)
    }

    /// Takes a file or folder of a machine away until it is put back.
    pub fn set_aside(&self, node: usize, path: &str) -> Result<()> {
        self.ask(&["disk", "set-aside", &node.to_string(), path]).map(drop)
    }

    /// The same for a volume that is not mounted: an empty folder stays in its place.
    pub fn unmount(&self, node: usize, path: &str) -> Result<()> {
        self.ask(&["disk", "set-aside", &node.to_string(), path, "--mount-point"]).map(drop)
    }

    /// Brings back what was set aside or unmounted; what has come into its place meanwhile is gone.
    pub fn put_back(&self, node: usize, path: &str) -> Result<()> {
        self.ask(&["disk", "put-back", &node.to_string(), path]).map(drop)
    }

    /// Lays a copy of a file or folder, as it is in one moment, over the same place of another machine.
    pub fn copy_to(&self, node: usize, path: &str, other: usize) -> Result<()> {
        self.ask(&["disk", "copy", &node.to_string(), path, &other.to_string()]).map(drop)
    }
}
