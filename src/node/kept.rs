//! What is made of files and costs something: it is kept until one of them is written anew.

use anyhow::Result;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// Such a thing, and when its files were written; `None`: one that was not there.
pub(super) struct Kept<T>(Option<(Vec<Option<SystemTime>>, T)>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone> Kept<T> {
    /// What was made of these files, if they are as they were then; else it is made now.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn get(&mut self, files: &[&Path], make: impl FnOnce() -> Result<T>) -> Result<T> {
        // Before it is made: what is written meanwhile counts the next time.
        let written = files.iter().map(|file| fs::metadata(file).and_then(|found| found.modified()).ok()).collect();
        if let Some((then, made)) = &self.0
            && *then == written
        {
            return Ok(made.clone());
        }
        self.forget();
        let made = make()?;
        self.0 = Some((written, made.clone()));
        Ok(made)
    }

    /// The next one is made anew.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use std::fs::File;
    use std::time::Duration;

    #[test]
    fn it_is_made_anew_only_when_a_file_has_changed_or_it_was_of_no_use() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let write = |at: u64| {
            File::create(&first).and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(at)))
        };
        write(1)?;
        let files = [first.as_path(), second.as_path()];
        let mut kept = Kept::default();
        assert_eq!(kept.get(&files, || Ok(1))?, 1);
        assert_eq!(kept.get(&files, || Ok(2))?, 1);
        write(2)?;
        assert_eq!(kept.get(&files, || Ok(3))?, 3);
        fs::write(&second, "")?;
        assert_eq!(kept.get(&files, || Ok(4))?, 4, "it was not there before");
        assert_eq!(kept.get(&files, || Ok(5))?, 4);
        kept.forget();
        assert_eq!(kept.get(&files, || Ok(6))?, 6);
        write(3)?;
        assert!(kept.get(&files, || bail!("no key")).is_err());
        assert_eq!(kept.get(&files, || Ok(7))?, 7, "nothing old comes back");
        Ok(())
    }
}
