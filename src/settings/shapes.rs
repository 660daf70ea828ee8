//! The shapes of texts: what is wrong with one, and what would be right.

use std::path::{Component, Path, PathBuf};

/// The cluster's name.
pub(super) fn cluster(text: &str) -> Result<String, String> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.len() > 63 {
        return Err("it is too long".to_owned());
    }
    only(text, fine)
}

/// A folder in the bucket.
pub(super) fn prefix(text: &str) -> Result<String, String> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if text.starts_with('/') || text.ends_with('/') {
        return Err(format!("it must not begin or end with '/'; '{}' would do", text.trim_matches('/')));
    }
    if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("it must not have an empty part, '.' or '..'".to_owned());
    }
    if text.len() > 512 {
        return Err("it is too long (at most 512)".to_owned());
    }
    only(text, fine)
}

/// The name of an Auto Scaling group.
pub(super) fn group(text: &str) -> Result<String, String> {
    if text.starts_with("arn:") {
        let name = text.rsplit_once("autoScalingGroupName/").map_or("", |(_, name)| name);
        return Err(format!("it is an ARN; give the name alone, '{name}'"));
    }
    if text.chars().count() > 255 || text.chars().any(char::is_control) {
        return Err("it has more than 255 characters, or unprintable ones".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a Region.
pub(super) fn region(text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split('-').collect();
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    match words.split_last() {
        Some((last, before)) if before.len() >= 2 && before.iter().all(is_word) => {
            if is_number(last) {
                return Ok(text.to_owned());
            }
            let zoneless = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
            Err(format!("it looks like an Availability Zone; its Region would be '{zoneless}'"))
        }
        _ => Err("it is no Region's name".to_owned()),
    }
}

/// A KMS key by ID, ARN or alias. AWS says whether it exists.
pub(super) fn kms_key(text: &str) -> Result<String, String> {
    let is_key_id = |id: &str| {
        let hex = id.strip_prefix("mrk-").unwrap_or(id);
        hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    let is_alias = |alias: &str| {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
        alias.strip_prefix("alias/").is_some_and(|name| !name.is_empty() && name.bytes().all(fine))
    };
    let resource = match text.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", _, "kms", _, _, resource] => resource,
        _ => text,
    };
    let is_key = resource.strip_prefix("key/").unwrap_or(resource);
    if is_alias(resource) || is_key_id(is_key) { Ok(text.to_owned()) } else { Err("it is neither".to_owned()) }
}

/// A DNS name in lower case (DNS-1123 subdomain), as Kubernetes wants it.
pub(super) fn dns_name(text: &str) -> Result<String, String> {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(fine)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("Kubernetes wants lower case, '{}'", text.to_lowercase()));
    }
    if text.len() > 253 || !text.split('.').all(is_label) {
        return Err("it is no DNS name".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a lifecycle hook.
pub(super) fn hook(text: &str) -> Result<String, String> {
    if text.len() > 255 {
        return Err("it is too long (at most 255)".to_owned());
    }
    only(text, |byte| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte))
}

/// An absolute path.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err("it is not absolute".to_owned());
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("it must not lead through '..'".to_owned());
    }
    Ok(path.to_owned())
}

/// The path of a file below /etc: what travels in the bundle is installed on other machines.
pub(super) fn path_below_etc(text: &str) -> Result<PathBuf, String> {
    let path = path(text)?;
    match path.strip_prefix("/etc") {
        Ok(rest) if !rest.as_os_str().is_empty() && !text.ends_with('/') => Ok(path),
        _ => Err("it is no file below /etc".to_owned()),
    }
}

/// The text, if it has no other bytes than these.
fn only(text: &str, fine: impl Fn(u8) -> bool) -> Result<String, String> {
    match text.chars().find(|&c| !u8::try_from(c).is_ok_and(&fine)) {
        Some(odd) => Err(format!("it must not contain '{}'", odd.escape_debug())),
        None => Ok(text.to_owned()),
    }
}
