//! What a client finds at the endpoint, a line for each address.

use super::super::report::{AtEndpoint, ReportedSource};

/// The lines below the endpoint's name.
pub(super) fn lines(answers: &ReportedSource<Vec<AtEndpoint>>) -> Vec<String> {
    match answers {
        ReportedSource::Unknown { unknown } => vec![unknown.clone()],
        ReportedSource::Known(all) => {
            let mut lines: Vec<String> = all.iter().map(line).collect();
            if !all.is_empty() && all.iter().all(|at| at.serves == "nothing") {
                lines.push(
                    "whether it answers elsewhere cannot be told from here: a machine behind a load balancer that keeps its clients' \
                     addresses cannot reach itself through it"
                        .to_owned(),
                );
            }
            lines
        }
    }
}

fn line(at: &AtEndpoint) -> String {
    let why = at.why_not.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} {}{why}", at.address, answer(at))
}

/// What a client gets at one address, without the words of an error.
pub(in crate::status) fn answer(at: &AtEndpoint) -> String {
    let what = match at.serves {
        "nothing" => "does not answer from here".to_owned(),
        "not trusted" => "answers with a certificate that is not this cluster's".to_owned(),
        "some cluster" => "answers; which cluster it is cannot be told here".to_owned(),
        cluster => format!("answers, {cluster}"),
    };
    match at.ready {
        Some(true) => format!("{what}, ready"),
        Some(false) => format!("{what}, not ready"),
        None => what,
    }
}
