//! The variables of `/etc/kubeboot/environment`. systemd gives them to the units; whoever runs a command by hand gets them here, so
//! that every command asks the same AWS, by the same proxy and with the same settings.

use super::files;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::str::Chars;

/// The file that the units name as their `EnvironmentFile=`.
pub const FILE: &str = "/etc/kubeboot/environment";

/// The largest such file, in bytes.
const LIMIT: u64 = 256 * 1024;

/// Starts this program anew, as the same process, where the file gives variables that are not set: libraries read them, too, and a
/// running process must not change its own. What is set already wins, and under the units that is everything. Returns what of the
/// file is not used, as sentences for the log.
///
/// # Errors
/// The program cannot be started.
pub fn complete() -> Result<Vec<String>> {
    let bytes = match files::read_if_there(Path::new(FILE), LIMIT) {
        Ok(bytes) => bytes.unwrap_or_default(),
        // Neither a machine that goes down nor one that boots can wait until it is mended; nor does systemd.
        Err(error) => {
            let remedy = if is_denied(&error) { ": run this as root" } else { "" };
            return Ok(vec![format!("{error:#}: what stands there is not used{remedy}")]);
        }
    };
    let Variables { values, problems } = parse(&String::from_utf8_lossy(&bytes));
    let missing: BTreeMap<String, String> =
        values.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(problems);
    }
    let program = std::env::current_exe().context("failed to find this program")?;
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_else(|| OsString::from("kubeboot"));
    let error = Command::new(&program).arg0(name).args(words).envs(missing).exec();
    Err(error).with_context(|| format!("failed to start '{}' with the variables of '{FILE}'", program.display()))
}

fn is_denied(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|io| io.kind() == ErrorKind::PermissionDenied)
}

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Variables {
    values: BTreeMap<String, String>,
    problems: Vec<String>,
}

/// Reads the text as systemd does (systemd.exec(5), `EnvironmentFile=`): what it leaves out with a warning is left out here.
fn parse(text: &str) -> Variables {
    let mut found = Variables::default();
    let mut rest = text.chars();
    while let Some(first) = rest.clone().next() {
        let line = 1 + text[..text.len() - rest.as_str().len()].matches('\n').count();
        match first {
            blank if is_blank(blank) => drop(rest.next()),
            '#' | ';' => rest.by_ref().take_while(|&letter| !is_end(letter)).for_each(drop),
            _ => match key(&mut rest) {
                Some(key) => found.take(line, &key, value(&mut rest)),
                None => found.leave_out(line, "is no NAME=VALUE"),
            },
        }
    }
    found
}

impl Variables {
    fn take(&mut self, line: usize, name: &str, value: String) {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let is_text = |letter: char| matches!(letter, '\t' | '\n') || !letter.is_control() && letter != '\u{fffd}';
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || !name.chars().all(letter) {
            self.leave_out(line, "has no name of a variable before its '='");
        } else if !value.chars().all(is_text) {
            self.leave_out(line, "has a value that is no text");
        } else {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// No message has a line itself: it may be a part of a secret.
    fn leave_out(&mut self, line: usize, why: &str) {
        self.problems.push(format!("{FILE}:{line} {why}, so it is left out, as systemd does"));
    }
}

const fn is_end(letter: char) -> bool {
    matches!(letter, '\n' | '\r')
}

const fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t') || is_end(letter)
}

/// Up to the equals sign; the line is passed over where there is none.
fn key(rest: &mut Chars<'_>) -> Option<String> {
    let mut key = String::new();
    for letter in rest.by_ref() {
        match letter {
            '=' => return Some(key.trim_end().to_owned()),
            end if is_end(end) => break,
            other => key.push(other),
        }
    }
    None
}

/// Up to the end of the line: pieces in quotes, then, from the first bare letter on, everything as it stands but for backslashes.
fn value(rest: &mut Chars<'_>) -> String {
    let mut value = String::new();
    while let Some(letter) = rest.next() {
        match letter {
            end if is_end(end) => return value,
            ' ' | '\t' => {}
            '\'' => value.extend(rest.by_ref().take_while(|&letter| letter != '\'')),
            '"' => quoted(rest, &mut value),
            first => {
                bare(first, rest, &mut value);
                return value;
            }
        }
    }
    value
}

/// Inside double quotes a backslash keeps its meaning before four letters, as in a shell.
fn quoted(rest: &mut Chars<'_>, value: &mut String) {
    while let Some(letter) = rest.next() {
        match letter {
            '"' => return,
            '\\' => match rest.next() {
                Some(escaped @ ('"' | '\\' | '`' | '$')) => value.push(escaped),
                Some('\n') | None => {}
                Some(other) => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
}

fn bare(first: char, rest: &mut Chars<'_>, value: &mut String) {
    let mut next = Some(first);
    let mut kept = value.len();
    while let Some(letter) = next {
        match letter {
            '\\' => {
                value.extend(rest.next().filter(|&escaped| !is_end(escaped)));
                kept = value.len();
            }
            end if is_end(end) => break,
            blank if is_blank(blank) => value.push(blank),
            other => {
                value.push(other);
                kept = value.len();
            }
        }
        next = rest.next();
    }
    value.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_systemd_reads_it() {
        let rows: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("A=1\nB=2", &[("A", "1"), ("B", "2")]),
            ("A=1\r\nB=2\r\n", &[("A", "1"), ("B", "2")]),
            ("# A=1\n; B=2\n  C=3", &[("C", "3")]),
            ("# a comment \\\nA=1", &[("A", "1")]),
            ("A=", &[("A", "")]),
            ("A=1\nA=2", &[("A", "2")]),
            ("  A  =  one two \t\nB=3", &[("A", "one two"), ("B", "3")]),
            ("A=one # two", &[("A", "one # two")]),
            ("A='one  \"two\" \\ '\n", &[("A", "one  \"two\" \\ ")]),
            ("A=\"one \\\"two\\\" \\$3 \\n\"", &[("A", "one \"two\" $3 \\n")]),
            ("A=\"one \\\ntwo\"", &[("A", "one two")]),
            ("A='one\ntwo'", &[("A", "one\ntwo")]),
            ("A='one' \"two\"'three' four", &[("A", "onetwothreefour")]),
            ("A=a\"b\" 'c'", &[("A", "a\"b\" 'c'")]),
            ("A=one\\ \\\\two\\\n  three\\  \nB=1", &[("A", "one \\two  three "), ("B", "1")]),
            ("A=\"not closed", &[("A", "not closed")]),
            ("HTTPS_PROXY=http://user:pass@proxy:3128?a=b", &[("HTTPS_PROXY", "http://user:pass@proxy:3128?a=b")]),
        ];
        for (text, expected) in rows {
            let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(parse(text), Variables { values: expected, problems: Vec::new() }, "{text:?}");
        }
    }

    #[test]
    fn what_systemd_leaves_out_is_left_out_and_told_without_its_value() {
        for (text, told) in [
            ("secret\nB=2", ":1 is no NAME=VALUE"),
            ("#\n\nexport A=secret\nB=2", ":3 has no name"),
            ("B=2\n1A=secret", ":2 has no name"),
            ("=secret\nB=2", ":1 has no name"),
            ("A=sec\u{1b}ret\nB=2", ":1 has a value that is no text"),
            ("A=sec\u{fffd}ret\nB=2", ":1 has a value"),
        ] {
            let found = parse(text);
            assert_eq!(found.values, BTreeMap::from([("B".to_owned(), "2".to_owned())]), "{text:?}");
            assert!(found.problems[0].contains(told), "{text:?}: {:?}", found.problems);
            assert!(!found.problems[0].contains("secret"), "{text:?}");
        }
    }
}
