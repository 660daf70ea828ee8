//! Versions as Kubernetes and etcd write them.

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

#[cfg(test)]
mod tests {
    use super::*;

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
