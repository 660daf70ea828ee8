//! The settings and the files they come from.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::{Check, at_once};
use crate::settings::table::SETTINGS;
use crate::settings::{Origin, Role, Settings, SettingsWarning};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) const CHECKS: &[Check] = &[
    Check { name: "settings", run: |input| at_once(settings(input)) },
    Check { name: "config-files", run: |input| at_once(config_files(input)) },
];

/// Whether the settings load, and what is odd about them.
fn settings(input: &CheckInput) -> Found {
    let settings = match input.settings.own() {
        Ok(settings) => settings,
        Err(problems) => return Ok(one_by_one(&problems)),
    };
    let Settings { bucket, prefix, endpoint, role, .. } = settings;
    let loaded = Finding::ok(match role {
        Role::ControlPlane => format!("s3://{bucket}/{prefix}/, endpoint {endpoint}"),
        Role::Worker => format!("s3://{bucket}/{prefix}/, a worker"),
    });
    let odd = settings.warnings().into_iter().map(|SettingsWarning { text, remedy }| Finding::warning(text, remedy));
    Ok([loaded].into_iter().chain(odd).collect())
}

/// Several problems come as one error, with a dash before each.
fn one_by_one(problems: &Finding) -> Vec<Finding> {
    let lines: Vec<&str> = problems.text.split("\n- ").collect();
    let each = if lines.len() > 1 { &lines[1..] } else { &lines };
    each.iter().map(|line| Finding { text: (*line).to_owned(), ..problems.clone() }).collect()
}

/// Whether the files of settings are root's alone: they say where the keys of the control plane go.
fn config_files(input: &CheckInput) -> Found {
    let settings = input.settings.needed()?;
    let origins = SETTINGS.iter().map(|setting| settings.origin(setting.name));
    let mut paths: Vec<PathBuf> = origins
        .filter_map(|origin| match origin {
            Origin::File { path, .. } => Some(path.clone()),
            Origin::Default | Origin::Variable(_) | Origin::Flag(_) => None,
        })
        .chain(settings.kubeadm_config.clone())
        .collect();
    paths.sort();
    paths.dedup();
    if paths.is_empty() {
        return Err(Finding::skipped("no file of settings is used"));
    }
    Ok(paths.iter().map(|path| privacy(path)).collect())
}

fn privacy(path: &Path) -> Finding {
    let name = path.display();
    let Ok(metadata) = path.metadata() else { return Finding::skipped(format!("there is no '{name}'")) };
    let remedy = format!("chown root '{name}' && chmod 0600 '{name}'");
    if metadata.uid() != 0 {
        Finding::warning(format!("'{name}' belongs to user {}, not to root", metadata.uid()), remedy)
    } else if metadata.mode() & 0o022 != 0 {
        Finding::warning(format!("others may write '{name}' (mode {:04o})", metadata.mode() & 0o7777), remedy)
    } else if metadata.mode() & 0o077 != 0 {
        Finding::warning(format!("others may read '{name}' (mode {:04o})", metadata.mode() & 0o7777), remedy)
    } else {
        Finding::ok(format!("'{name}' is root's alone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn every_problem_has_a_line_of_its_own() {
        let texts = |text: &str| -> Vec<String> {
            let problems = Finding::failed(text, "");
            one_by_one(&problems).into_iter().map(|finding| finding.text).collect()
        };
        assert_eq!(texts("failed to use the settings: 2 problems:\n- a: b\n- c"), ["a: b", "c"]);
        assert_eq!(texts("failed to use the settings: a"), ["failed to use the settings: a"]);
    }

    #[test]
    fn a_file_that_others_may_touch_is_worth_a_warning() -> anyhow::Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        let is_root = file.path().metadata()?.uid() == 0;
        for (mode, private) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            set_permissions(file.path(), Permissions::from_mode(mode))?;
            let finding = privacy(file.path());
            assert_eq!(finding.verdict == CheckVerdict::Ok, private && is_root, "{mode:o}: {finding:?}");
        }
        Ok(())
    }
}
