//! What the bucket keeps of earlier times, and what somebody does with it.
#![allow(dead_code, reason = "each of these is something that stories may need, whether one does today or not")]

use super::bucket::PREFIX;
use super::world::World;
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

impl World {
    /// All that ever was under a key below the prefix, the oldest first; `None` for a delete marker.
    pub fn versions(&self, key: &str) -> Result<Vec<Option<String>>> {
        let answer = self.ask(&["s3", "versions", &format!("{PREFIX}/{key}")])?;
        let all = answer.as_array().with_context(|| format!("the versions of '{key}' are no list"))?;
        let text = |body: &str| Ok(String::from_utf8(STANDARD.decode(body)?)?);
        all.iter().map(|version| version["body"].as_str().map(text).transpose()).collect()
    }

    /// Writes an earlier version anew: 1 is the first that ever was, -1 the last, -2 the one before. A delete marker counts,
    /// and cannot be written.
    pub fn put_version_back(&self, key: &str, version: i64) -> Result<()> {
        self.ask(&["s3", "put-back", &format!("{PREFIX}/{key}"), &version.to_string()]).map(drop)
    }

    /// Takes the delete marker of an object away.
    pub fn undelete(&self, key: &str) -> Result<()> {
        self.ask(&["s3", "undelete", &format!("{PREFIX}/{key}")]).map(drop)
    }

    /// Deletes every object with all its versions and delete markers: nothing tells that they ever were.
    pub fn forget_all_objects(&self) -> Result<()> {
        self.ask(&["s3", "empty", "--forget"]).map(drop)
    }
}
