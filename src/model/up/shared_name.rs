//! Whether another machine has this one's Node name: two machines of one name would be one Node, and only the first of them comes in.

use crate::model::machine::group::{Ec2State, Group};
use crate::model::machine::ids::InstanceId;
use crate::model::membership::registration::Registration;

/// The other machine that has registered this Node name and lives: the group counts it for one that may serve, and EC2 says that it
/// runs. Whoever had the name before, as it goes with an address, is gone by then.
#[must_use]
pub fn name_shared_with<'a>(
    me: &InstanceId,
    node_name: &str,
    group: Option<&Group>,
    registrations: &'a [Registration],
) -> Option<&'a InstanceId> {
    let lives = |instance: &InstanceId| {
        let member = group.and_then(|group| group.member(instance));
        member.is_some_and(|member| member.is_candidate() && member.ec2 == Some(Ec2State::Running))
    };
    let mut same = registrations.iter().filter(|found| found.node_name == node_name && !found.is_finished());
    same.find(|found| found.instance != *me && lives(&found.instance)).map(|found| &found.instance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::group::{GroupMember, Lifecycle};
    use crate::model::membership::registration::RegistrationPhase;

    #[test]
    fn a_name_is_shared_only_with_a_machine_that_lives() {
        use Ec2State::{Running, ShuttingDown};
        use Lifecycle::InService;
        let [me, other] = ["i-00000001", "i-00000002"].map(|id| InstanceId::parse(id).unwrap());
        let member = |instance: &InstanceId, lifecycle, ec2: &Option<Ec2State>| GroupMember {
            instance: instance.clone(),
            lifecycle,
            healthy: true,
            ec2: ec2.clone(),
            addresses: Vec::new(),
        };
        let rows = [
            // The other's name, its phase, what group and EC2 say of it, whether that is in the way.
            ("n1", RegistrationPhase::Waiting, InService, Some(Running), true),
            ("n1", RegistrationPhase::Joined, InService, Some(Running), true),
            ("n2", RegistrationPhase::Waiting, InService, Some(Running), false),
            ("n1", RegistrationPhase::Left, InService, Some(Running), false),
            ("n1", RegistrationPhase::Joined, Lifecycle::Other("Terminating".into()), Some(Running), false),
            ("n1", RegistrationPhase::Joined, InService, Some(ShuttingDown), false),
            ("n1", RegistrationPhase::Joined, InService, None, false),
        ];
        for (name, phase, lifecycle, ec2, expected) in rows {
            let group = Group {
                name: "group".into(),
                arn: "arn".into(),
                desired: 2,
                zones: Vec::new(),
                retains: false,
                members: vec![member(&me, InService, &Some(Running)), member(&other, lifecycle, &ec2)],
            };
            let says = |instance: &InstanceId, phase, name: &str| Registration {
                node_name: name.into(),
                ..Registration::sample(instance.clone(), phase)
            };
            let registrations = [says(&me, RegistrationPhase::Waiting, "n1"), says(&other, phase, name)];
            let found = name_shared_with(&me, "n1", Some(&group), &registrations);
            assert_eq!(found, expected.then_some(&other), "{name} {phase:?} {ec2:?}");
            assert_eq!(name_shared_with(&me, "n1", None, &registrations), None, "the group is not known");
        }
    }
}
