//! For tests: what stands in the bucket, as this kubeboot writes it and as earlier ones did. Machines of two versions share a bucket.

use std::fs;
use std::path::{Path, PathBuf};

/// What a developer does whose change is noticed here.
const CHANGED: &str = "what stands in the bucket has changed, and a kubeboot of before may run beside this one. A field that is new in a \
                       registration is no harm; a record with a field more is another schema, which is written only when every machine \
                       that lives reads it. Keep the file as it was under a new name in tests/fixtures/stored/earlier, write this one anew \
                       with 'UPDATE=1 cargo test --lib stored', and let both versions make one cluster: dev/versions-side-by-side";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stored")
}

/// Sees that these bytes are what the file says, or with `UPDATE` writes it.
pub fn is_as_written(name: &str, bytes: &[u8]) {
    let path = folder().join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, bytes).unwrap();
    }
    let written = fs::read(&path).unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(bytes), String::from_utf8_lossy(&written), "{}: {CHANGED}", path.display());
}

/// The files whose names begin so, of this version and of all before.
pub fn all(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folders = [folder(), folder().join("earlier")];
    let files =
        folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().map(|entry| entry.unwrap().path());
    let named = files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path));
    named.filter(|(name, _)| name.starts_with(kind)).map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}
