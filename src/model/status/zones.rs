//! Whether the loss of one availability zone loses the quorum.

use super::input::{Etcd, StatusInput};
use super::machines::StatusMachine;
use super::reason::StatusReason;
use std::collections::BTreeMap;

/// How the voters are spread over the zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoterZones {
    /// All voters.
    pub total: usize,
    /// Voters of each zone that is known.
    pub voters: BTreeMap<String, usize>,
    /// The zones whose loss leaves too few voters.
    pub critical: Vec<String>,
    /// Whether the group's own zones allow a spread in which no zone is critical. Not with one or two of them, nor with one voter.
    pub can_spread: bool,
}

/// The spread; `None` where there are no voters to spread, or where none of their zones is known.
#[must_use]
pub fn voter_zones(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Option<VoterZones> {
    let Ok(Etcd::Stacked { members, .. }) = &input.etcd else { return None };
    let total = members.voters().count();
    let mut voters = BTreeMap::new();
    for machine in machines.iter().filter(|machine| machine.member.is_some_and(|member| !member.learner)) {
        if let Some(zone) = input.zones.get(machine.instance) {
            *voters.entry(zone.clone()).or_insert(0_usize) += 1;
        }
    }
    if voters.is_empty() {
        return None;
    }
    let is_critical = |lost: usize| total - lost.min(total) < total / 2 + 1;
    let critical = voters.iter().filter(|(_, lost)| is_critical(**lost)).map(|(zone, _)| zone.clone()).collect();
    let zones = input.group.iter().flatten().map(|group| group.zones.len()).sum::<usize>();
    let can_spread = zones > 0 && !is_critical(total.div_ceil(zones));
    Some(VoterZones { total, voters, critical, can_spread })
}

/// A reason where the group's zones allow a better spread. Where they do not, it is a decision that was made, and a line says so.
pub(super) fn reasons(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Vec<StatusReason> {
    let Some(spread) = voter_zones(input, machines).filter(|spread| spread.can_spread) else { return Vec::new() };
    let critical = spread.voters.iter().filter(|(zone, _)| spread.critical.contains(zone));
    let reason = |(zone, voters): (&String, &usize)| StatusReason::ZoneHoldsQuorum {
        zone: zone.clone(),
        voters: *voters,
        total: spread.total,
    };
    critical.map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, id, member, stacked, zone};
    use super::*;
    use crate::model::status::judge;

    /// The control plane with a voter in each of these zones, and a group of these.
    fn spread(voters: &[u8], group: &[u8]) -> StatusInput {
        let mut input = healthy();
        let numbers = || (1..).zip(voters);
        input.etcd = stacked(numbers().map(|(n, _)| member(n)));
        input.zones = numbers().filter(|(_, at)| **at > 0).map(|(n, at)| (id(n), zone(*at))).collect();
        if let Ok(Some(found)) = &mut input.group {
            found.zones = group.iter().map(|n| zone(*n)).collect();
        }
        input
    }

    type Row<'a> = (&'a [u8], &'a [u8], Vec<&'a String>, Vec<&'a String>);

    #[test]
    fn a_zone_that_holds_the_quorum_is_a_reason_where_the_group_has_better_zones() {
        let (a, b) = (zone(1), zone(2));
        // Zones of the voters (0: not known), of the group; critical ones, and those that are a reason.
        let rows: Vec<Row<'_>> = vec![
            (&[1, 2, 3], &[1, 2, 3], vec![], vec![]),
            (&[1, 1, 2], &[1, 2, 3], vec![&a], vec![&a]),
            (&[1, 1, 1], &[1, 2, 3], vec![&a], vec![&a]),
            (&[1, 1, 0], &[1, 2, 3], vec![&a], vec![&a]),
            (&[1, 0, 0], &[1, 2, 3], vec![], vec![]),
            (&[1, 1, 2], &[1, 2], vec![&a], vec![]),
            (&[1, 1, 1], &[1], vec![&a], vec![]),
            (&[1, 1, 1], &[], vec![&a], vec![]),
            (&[1], &[1, 2, 3], vec![&a], vec![]),
            (&[1, 2], &[1, 2, 3], vec![&a, &b], vec![]),
            (&[1, 1, 2, 2, 3], &[1, 2, 3], vec![], vec![]),
            (&[1, 1, 1, 2, 3], &[1, 2, 3], vec![&a], vec![&a]),
            (&[1, 1, 2, 3], &[1, 2, 3], vec![&a], vec![]),
        ];
        for (voters, group, critical, told) in rows {
            let input = spread(voters, group);
            let machines = super::super::machines(&input);
            let found = voter_zones(&input, &machines).map(|spread| spread.critical).unwrap_or_default();
            assert_eq!(found.iter().collect::<Vec<_>>(), critical, "{voters:?} {group:?}");
            let verdict = judge(&input);
            let zones: Vec<_> = verdict
                .reasons
                .iter()
                .filter_map(|reason| match reason {
                    StatusReason::ZoneHoldsQuorum { zone, .. } => Some(zone),
                    _ => None,
                })
                .collect();
            assert_eq!(zones, told, "{voters:?} {group:?}");
        }
    }
}
