//! etcd's image, as kubeadm names it.

/// The first etcdutl with `--bump-revision`.
const RAISES_REVISIONS: (u32, u32, u32) = (3, 5, 10);

/// etcd's image and the version that its tag tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdImage {
    /// Its name, with the tag.
    pub name: String,
    /// The version of the etcd in it.
    pub version: (u32, u32, u32),
}

impl EtcdImage {
    /// The one among these. `None` where there is none, or its tag tells no version.
    #[must_use]
    pub fn among(images: &[String]) -> Option<Self> {
        images.iter().find_map(|image| {
            let (name, tag) = image.rsplit('/').next()?.split_once(':')?;
            let version = numbers(tag).filter(|_| name == "etcd")?;
            Some(Self { name: image.clone(), version })
        })
    }

    /// Whether etcdutl, which says this of itself, is of the same release, of the same minor version that is, and can raise revisions.
    #[must_use]
    pub fn is_of_release(&self, said: &str) -> bool {
        let told = said.lines().find_map(|line| numbers(line.strip_prefix("etcdutl version:")?.trim()));
        told.is_some_and(|told| told >= RAISES_REVISIONS && (told.0, told.1) == (self.version.0, self.version.1))
    }
}

/// The three numbers of an etcd's version such as `3.6.8`, `v3.6.8` or `3.6.8-0`.
#[must_use]
pub fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let version = version.strip_prefix('v').unwrap_or(version).split(['-', '+']).next()?;
    let mut parts = version.split('.').map(|part| part.parse().ok());
    let found = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_found_wherever_it_comes_from_and_its_tag_tells_the_version() {
        let rows = [
            ("registry.k8s.io/etcd:3.6.8-0", Some((3, 6, 8))),
            ("registry.example.com:5000/mirror/etcd:v3.5.21", Some((3, 5, 21))),
            ("etcd:3.6.8", Some((3, 6, 8))),
            ("registry.k8s.io/etcd", None),
            ("registry.k8s.io/etcd:latest", None),
            ("registry.k8s.io/not-etcd:3.6.8-0", None),
            ("registry.k8s.io/kube-apiserver:v1.36.1", None),
        ];
        for (image, expected) in rows {
            let images = ["registry.k8s.io/pause:3.10.1".to_owned(), image.to_owned()];
            let expected = expected.map(|version| EtcdImage { name: image.to_owned(), version });
            assert_eq!(EtcdImage::among(&images), expected, "{image}");
        }
    }

    #[test]
    fn only_etcdutl_of_the_same_release_serves() {
        let image = EtcdImage { name: "etcd:3.6.8-0".into(), version: (3, 6, 8) };
        let rows = [
            ("etcdutl version: 3.6.8\nAPI version: 3.6\n", true),
            ("etcdutl version: 3.6.13\n", true),
            ("etcdutl version: 3.5.30\nAPI version: 3.5\n", false),
            ("etcdutl version: 3.7.0\n", false),
            ("3.6.8", false),
            ("", false),
        ];
        for (said, expected) in rows {
            assert_eq!(image.is_of_release(said), expected, "{said}");
        }
        let older = EtcdImage { name: "etcd:3.5.30-0".into(), version: (3, 5, 30) };
        for (patch, expected) in [(4, false), (9, false), (10, true), (21, true)] {
            assert_eq!(older.is_of_release(&format!("etcdutl version: 3.5.{patch}\n")), expected, "{patch}");
        }
    }
}
