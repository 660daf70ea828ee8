//! `packaging/config.toml`, the file of settings that packages install: every setting with its default,
//! all of them commented out. Made from the table; `UPDATE=1 cargo test` writes it anew.

use std::path::Path;

use super::file;
use super::raw::Problems;
use super::table::{Fallback, SETTINGS, Setting, SettingKind};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/config.toml");

/// The widest line, without the mark of the comment.
const WIDTH: usize = 98;

const HEAD: &str = "\
# Settings of kubeboot, for `kubeboot up` and all other commands. Every line is a comment: remove the
# '#' before a setting to change it. What must be given: bucket, endpoint, and cluster or prefix.
# A variable KUBEBOOT_... in /etc/kubeboot/environment wins over this file.
";

#[test]
fn the_sample_is_what_the_table_says() -> std::io::Result<()> {
    let sample = sample();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(Path::new(SAMPLE), &sample)?;
    }
    let found = std::fs::read_to_string(SAMPLE)?;
    assert!(found == sample, "packaging/config.toml differs from the table of settings: run UPDATE=1 cargo test");
    Ok(())
}

#[test]
fn it_says_nothing_until_the_marks_are_removed() {
    let sample = sample();
    let names = |text: &str| -> Vec<&str> {
        let mut problems = Problems::default();
        let found = file::read(Path::new(SAMPLE), text, &mut problems);
        assert!(problems.into_result().is_ok(), "{text}");
        found.into_iter().map(|(name, _)| name).collect()
    };
    assert!(names(&sample).is_empty());
    // A setting stands right behind its mark, a sentence behind a blank.
    let marked = sample.lines().filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
    let mut found = names(&marked.map(|line| format!("{line}\n")).collect::<String>());
    let mut all: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    found.sort_unstable();
    all.sort_unstable();
    assert_eq!(found, all);
}

fn sample() -> String {
    [HEAD.to_owned()].into_iter().chain(SETTINGS.iter().map(section)).collect()
}

fn section(setting: &Setting) -> String {
    let default = match setting.fallback {
        Fallback::Required => "It must be given.".to_owned(),
        Fallback::Value(_) => String::new(),
        Fallback::Derived(words) => format!("Default: {words}."),
    };
    let text = format!("{} Valid: {}. {default}", setting.about, setting.kind.valid());
    format!("\n{}#{} = {}\n", comment(&text.replace('`', "'")), setting.name, value(setting))
}

fn value(setting: &Setting) -> String {
    let text = match setting.fallback {
        Fallback::Value(text) => text,
        Fallback::Required | Fallback::Derived(_) => "",
    };
    match setting.kind {
        SettingKind::Count(least, _) => {
            if text.is_empty() {
                least.to_string()
            } else {
                text.to_owned()
            }
        }
        SettingKind::List(_) => "[]".to_owned(),
        SettingKind::Truth => text.to_owned(),
        SettingKind::Text(_) | SettingKind::Span(..) | SettingKind::Choice(_) => format!("\"{text}\""),
    }
}

/// The text as lines of a comment, broken at blanks.
fn comment(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| line.len() + word.len() >= WIDTH) {
            lines.push(String::new());
        }
        let line = lines.last_mut().expect("it begins with one");
        line.push(' ');
        line.push_str(word);
    }
    lines.into_iter().map(|line| format!("#{line}\n")).collect()
}
