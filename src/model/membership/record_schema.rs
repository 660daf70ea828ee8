//! Whether a record of a later schema may be written: only when every machine that lives reads it, for an earlier kubeboot stops at it.

use crate::model::machine::ids::InstanceId;
use crate::model::membership::registration::Registration;

/// The machines that live and do not say that they read records of this schema. `is_gone` is EC2's word on a machine. Whose
/// registration cannot be read is among `unreadable`, and says nothing.
pub fn cannot_read<'a>(
    schema: u32,
    registrations: impl IntoIterator<Item = &'a Registration>,
    unreadable: &[InstanceId],
    is_gone: impl Fn(&InstanceId) -> bool,
) -> Vec<InstanceId> {
    let reads = |found: &Registration| found.versions.record_schema.is_some_and(|latest| latest >= schema);
    let earlier = registrations.into_iter().filter(|found| !reads(found)).map(|found| &found.instance);
    earlier.chain(unreadable).filter(|instance| !is_gone(instance)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::membership::registration::{RegistrationPhase, Versions};

    /// Registrations, whose cannot be read, who is gone, who stands in the way.
    type Row<'a> = (Vec<Registration>, &'a [u8], &'a [u8], &'a [u8]);

    #[test]
    fn a_later_schema_is_written_only_when_every_machine_that_lives_reads_it() {
        let id = |n: u8| InstanceId::parse(format!("i-0000000{n}")).unwrap();
        let says = |n: u8, record_schema| Registration {
            versions: Versions { record_schema, ..Versions::default() },
            ..Registration::sample(id(n), RegistrationPhase::Joined)
        };
        let left = |n: u8| Registration { phase: RegistrationPhase::Left, ..says(n, Some(1)) };
        let rows: [Row<'_>; 9] = [
            (vec![], &[], &[], &[]),
            (vec![says(1, Some(2)), says(2, Some(2))], &[], &[], &[]),
            (vec![says(1, Some(2)), says(2, Some(3))], &[], &[], &[]),
            (vec![says(1, Some(2)), says(2, Some(1))], &[], &[], &[2]),
            (vec![says(1, Some(2)), says(2, None)], &[], &[], &[2]),
            (vec![says(1, Some(2)), says(2, None)], &[], &[2], &[]),
            // It has left, and its kubeboot reads the record again.
            (vec![left(2)], &[], &[], &[2]),
            (vec![], &[3], &[], &[3]),
            (vec![], &[3], &[3], &[]),
        ];
        for (registrations, unreadable, gone, expected) in rows {
            let unreadable: Vec<InstanceId> = unreadable.iter().map(|n| id(*n)).collect();
            let found =
                cannot_read(2, &registrations, &unreadable, |instance| gone.iter().any(|n| id(*n) == *instance));
            assert_eq!(found, expected.iter().map(|n| id(*n)).collect::<Vec<_>>(), "{registrations:?}");
        }
    }
}
