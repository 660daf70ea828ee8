//! What must be the same on every machine and is not, by the digests in their registrations.

use crate::model::machine::ids::InstanceId;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use std::collections::{BTreeMap, BTreeSet};

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlike {
    /// Its name: the path of a file, or the kind of a kubeadm document.
    pub what: String,
    /// The machines that have the most common version of it.
    pub most: Vec<InstanceId>,
    /// The machines that have another one.
    pub others: Vec<InstanceId>,
    /// The machines that have none, where others do.
    pub without: Vec<InstanceId>,
}

/// Compares the machines that have joined and say what they have; an older kubeboot says nothing of it.
pub fn unlike<'a>(registrations: impl IntoIterator<Item = &'a Registration>) -> Vec<Unlike> {
    let all: Vec<&Registration> = registrations
        .into_iter()
        .filter(|says| says.phase == RegistrationPhase::Joined && !says.retired && !says.digests.is_empty())
        .collect();
    let names: BTreeSet<&String> = all.iter().flat_map(|says| says.digests.keys()).collect();
    names.into_iter().filter_map(|name| unlike_in(name, &all)).collect()
}

fn unlike_in(name: &str, all: &[&Registration]) -> Option<Unlike> {
    let mut versions: BTreeMap<&str, Vec<InstanceId>> = BTreeMap::new();
    let mut without = Vec::new();
    for says in all {
        match says.digests.get(name) {
            Some(digest) => versions.entry(digest).or_default().push(says.instance.clone()),
            None => without.push(says.instance.clone()),
        }
    }
    let mut versions: Vec<Vec<InstanceId>> = versions.into_values().collect();
    // Of two that are as common, that of the lower instance ID is named first, so that every machine says the same.
    versions.iter_mut().for_each(|machines| machines.sort());
    versions.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    let mut versions = versions.into_iter();
    let most = versions.next()?;
    let mut others: Vec<InstanceId> = versions.flatten().collect();
    others.sort();
    let differs = !others.is_empty() || !without.is_empty();
    differs.then(|| Unlike { what: name.to_owned(), most, others, without })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> InstanceId {
        InstanceId::parse(format!("i-0000000{n}")).unwrap()
    }

    /// Machine 1, 2, ... with what they have.
    fn all(digests: &[&[(&str, &str)]]) -> Vec<Registration> {
        let says = |(at, digests): (usize, &&[(&str, &str)])| Registration {
            digests: digests.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect(),
            ..Registration::sample(id(at + 1), RegistrationPhase::Joined)
        };
        digests.iter().enumerate().map(says).collect()
    }

    #[test]
    fn the_machines_that_differ_are_named_with_what_differs() {
        let ids = |numbers: &[usize]| numbers.iter().map(|n| id(*n)).collect::<Vec<_>>();
        let one = |what: &str, most: &[usize], others: &[usize], without: &[usize]| Unlike {
            what: what.into(),
            most: ids(most),
            others: ids(others),
            without: ids(without),
        };
        let rows: Vec<(Vec<Registration>, Vec<Unlike>)> = vec![
            (all(&[&[("/etc/a", "1")], &[("/etc/a", "1")]]), vec![]),
            (all(&[]), vec![]),
            (all(&[&[("/etc/a", "1")]]), vec![]),
            (
                all(&[&[("/etc/a", "1")], &[("/etc/a", "2")], &[("/etc/a", "2")]]),
                vec![one("/etc/a", &[2, 3], &[1], &[])],
            ),
            (all(&[&[("/etc/a", "2")], &[("/etc/a", "1")]]), vec![one("/etc/a", &[1], &[2], &[])]),
            (
                all(&[&[("/etc/a", "1"), ("b", "1")], &[("b", "1")], &[("/etc/a", "3"), ("b", "1")]]),
                vec![one("/etc/a", &[1], &[3], &[2])],
            ),
            (
                all(&[&[("a", "1"), ("b", "1")], &[("a", "2"), ("b", "2")]]),
                vec![one("a", &[1], &[2], &[]), one("b", &[1], &[2], &[])],
            ),
            (all(&[&[("a", "1"), ("b", "1")], &[("b", "1")]]), vec![one("a", &[1], &[], &[2])]),
            // An older kubeboot says nothing.
            (all(&[&[("a", "1")], &[], &[("a", "1")]]), vec![]),
        ];
        for (registrations, expected) in rows {
            assert_eq!(unlike(&registrations), expected, "{registrations:?}");
        }
    }

    #[test]
    fn only_machines_that_have_joined_are_compared() {
        for phase in [RegistrationPhase::Left, RegistrationPhase::Reaped, RegistrationPhase::Waiting] {
            let mut two = all(&[&[("a", "1")], &[("a", "2")]]);
            two[1].phase = phase;
            assert_eq!(unlike(&two), [], "{phase:?}");
        }
        let mut two = all(&[&[("a", "1")], &[("a", "2")]]);
        two[1].retired = true;
        assert_eq!(unlike(&two), []);
    }
}
