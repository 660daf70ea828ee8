//! Whether a member has all the files that it needs.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::{Check, at_once};
use crate::kubeadm::state;
use crate::model::machine::local::Local;
use crate::model::machine::own_files::LostFile;
use crate::node::lost_files;
use std::path::Path;

pub(super) const CHECKS: &[Check] = &[Check { name: "own-files", run: |input| at_once(own_files(input)) }];

/// Whether this machine has lost files, where it is a member.
fn own_files(input: &CheckInput) -> Found {
    input.needs_root()?;
    let documents = input.documents.needed()?;
    let local = state::observe(Path::new("/"), documents.data_dir()).map_err(|error| Finding::error(&error))?;
    let Local::Made { instance, .. } = local else {
        return Ok(vec![Finding::ok("not looked for: this machine is no member of a cluster")]);
    };
    let recorded = input.record.own().ok().and_then(|record| record.as_ref()?.published());
    let initialised = recorded.map(|published| published.initialised_by == instance);
    Ok(vec![judge(&lost_files::of_member(documents, input.settings.needed()?, initialised))])
}

fn judge(lost: &[LostFile]) -> Finding {
    let Some((named, remedy)) = lost_files::told(lost) else {
        return Finding::ok("this member has all its files");
    };
    let text = format!("this machine is a member, and has lost {named}");
    match remedy {
        lost_files::REPAIRED => Finding::warning(text, remedy),
        _ => Finding::failed(text, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use crate::exit::Exit;
    use crate::model::machine::own_files::FileKind;

    #[test]
    fn what_up_makes_anew_is_a_warning_and_what_it_leaves_a_failure() {
        let lost = |kind| vec![LostFile { path: "/etc/kubernetes/x".into(), kind }];
        let rows = [
            (Vec::new(), CheckVerdict::Ok),
            (lost(FileKind::Shared), CheckVerdict::Warning),
            (lost(FileKind::OfKubelet), CheckVerdict::Failed(Exit::Usage)),
        ];
        for (lost, expected) in rows {
            let found = judge(&lost);
            assert_eq!(found.verdict, expected, "{found:?}");
            assert!(lost.is_empty() || found.text.ends_with("has lost /etc/kubernetes/x"), "{found:?}");
        }
    }
}
