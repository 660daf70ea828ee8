//! Versions as Kubernetes and etcd write them.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The longest version, in bytes.
const LONGEST: usize = 64;

/// Three numbers, perhaps after a `v`, and perhaps what follows a `-` or `+`.
pub(in crate::model) fn is_version(text: &str) -> bool {
    let numbers = text.strip_prefix('v').unwrap_or(text).split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = numbers.split('.').collect();
    numbers.len() == 3
        && numbers
            .iter()
            .all(|number| number.parse::<u32>().is_ok() && number.bytes().all(|byte| byte.is_ascii_digit()))
        && text.len() <= LONGEST
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'))
}

/// The three numbers of a version.
pub(in crate::model) fn numbers(text: &str) -> Option<(u32, u32, u32)> {
    let plain = text.strip_prefix('v').unwrap_or(text).split(['-', '+']).next().filter(|_| is_version(text))?;
    let mut numbers = plain.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// The three numbers by which two versions of Kubernetes, or of etcd, are compared. What may follow them, such as `-rc.1`, makes no
/// difference, and is not kept: see [`Release::is_whole`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Release {
    /// The major version.
    pub major: u32,
    /// The minor version, by which Kubernetes and etcd decide what may run beside what.
    pub minor: u32,
    /// The patch version.
    pub patch: u32,
    has_more: bool,
}

impl Release {
    /// Of these numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch, has_more: false }
    }

    /// Reads `v1.36.1` or `3.6.8`. `None` where it is no version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let has_more = text.contains(['-', '+']);
        numbers(text).map(|(major, minor, patch)| Self { major, minor, patch, has_more })
    }

    /// Whether the three numbers are all that it was read from. Of another one, such as `v1.37.0-rc.1` or a vendor's `v1.36.3-acme.2`, the
    /// numbers alone are a version of which there may be no image.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        !self.has_more
    }

    /// The version that the tag of an image is. `None` where it is none.
    #[must_use]
    pub fn of_image(image: &str) -> Option<Self> {
        Self::parse(image.split('@').next()?.rsplit_once(':')?.1)
    }

    /// Major and minor version.
    #[must_use]
    pub const fn series(self) -> (u32, u32) {
        (self.major, self.minor)
    }

    /// Whether this one and the other may be API servers of one cluster: at most one minor version apart.
    #[must_use]
    pub const fn may_run_beside(self, other: Self) -> bool {
        self.major == other.major && self.minor.abs_diff(other.minor) <= 1
    }
}

impl PartialEq for Release {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Release {}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = |it: &Self| (it.major, it.minor, it.patch);
        numbers(self).cmp(&numbers(other))
    }
}

impl Hash for Release {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.major, self.minor, self.patch).hash(state);
    }
}

/// Without a `v`, which Kubernetes writes and etcd does not.
impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl TryFrom<String> for Release {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a version in it is none")
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        format!("v{release}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers_and_may_be_one_minor_version_apart() {
        let release = |text| Release::parse(text).unwrap();
        assert_eq!(release("v1.37.0-rc.1"), Release::new(1, 37, 0));
        for (text, whole) in [("v1.37.0", true), ("1.37.0-rc.1", false), ("v1.36.3+acme.2", false)] {
            assert_eq!(release(text).is_whole(), whole, "{text}");
        }
        assert!(release("v1.9.9") < release("v1.36.0") && release("v1.36.1") < release("v1.36.2"));
        assert_eq!(
            (release("v1.36.1").to_string(), String::from(release("1.36.1"))),
            ("1.36.1".into(), "v1.36.1".into())
        );
        let rows = [
            ("1.36.1", "1.36.9", true),
            ("1.36.1", "1.37.0", true),
            ("1.37.0", "1.36.1", true),
            ("1.36.1", "1.38.0", false),
            ("1.36.1", "2.36.1", false),
        ];
        for (one, other, beside) in rows {
            assert_eq!(release(one).may_run_beside(release(other)), beside, "{one} {other}");
        }
        assert_eq!(Release::parse("1.36"), None);
    }

    #[test]
    fn the_tag_of_an_image_is_a_version_or_nothing() {
        let rows = [
            ("registry.k8s.io/kube-proxy:v1.36.1", Some(Release::new(1, 36, 1))),
            ("registry.internal:5000/kube-proxy:v1.36.1@sha256:00", Some(Release::new(1, 36, 1))),
            ("registry.internal:5000/kube-proxy", None),
            ("kube-proxy:latest", None),
            ("", None),
        ];
        for (image, expected) in rows {
            assert_eq!(Release::of_image(image), expected, "{image}");
        }
    }

    #[test]
    fn versions_are_told_from_other_texts() {
        for good in ["3.6.8", "v1.36.1", "v1.37.0-alpha.1+0a1b"] {
            assert!(is_version(good), "{good}");
        }
        for bad in
            ["", "v", "1.36", "v1.36.x", "v1.36.1.2", "v1.36.1 ", "v1.+36.1", &format!("v1.36.1-{}", "a".repeat(64))]
        {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
