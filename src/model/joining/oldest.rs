//! Which version the oldest API server of a cluster has.

use crate::model::version::numbers;

/// The oldest of these versions, one for each API server; `None` stands for one that does not answer now, and may be older than the
/// others. Then it is no later than what was published `before`. `None` where nothing is known.
#[must_use]
pub fn oldest(answers: &[Option<String>], before: Option<&str>) -> Option<String> {
    let is_silent = answers.iter().any(Option::is_none);
    let known = answers.iter().flatten().map(String::as_str).chain(before.filter(|_| is_silent));
    let numbered = known.filter_map(|version| Some((numbers(version)?, version)));
    numbered.min_by_key(|(numbers, _)| *numbers).map(|(_, version)| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_silent_makes_nobody_newer() {
        type Row<'a> = (&'a [Option<&'a str>], Option<&'a str>, Option<&'a str>);
        let rows: [Row<'_>; 9] = [
            (&[], None, None),
            (&[None], None, None),
            (&[None], Some("v1.35.2"), Some("v1.35.2")),
            (&[Some("v1.36.1")], None, Some("v1.36.1")),
            (&[Some("v1.36.1"), Some("v1.35.9"), Some("v1.36.0")], None, Some("v1.35.9")),
            (&[Some("v1.9.9"), Some("v1.36.0")], None, Some("v1.9.9")),
            (&[Some("v1.36.1")], Some("v1.35.2"), Some("v1.36.1")),
            (&[Some("v1.36.1"), None], Some("v1.35.2"), Some("v1.35.2")),
            (&[Some("v1.36.1"), Some("nonsense")], Some("v1.35.2"), Some("v1.36.1")),
        ];
        for (answers, before, expected) in rows {
            let answers: Vec<Option<String>> = answers.iter().map(|answer| answer.map(str::to_owned)).collect();
            assert_eq!(oldest(&answers, before).as_deref(), expected, "{answers:?} {before:?}");
        }
    }
}
