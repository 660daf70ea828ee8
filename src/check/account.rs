//! The AWS account: credentials, Region, the Auto Scaling group, and what EC2 says of its machines.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::{Check, at_once};
use crate::aws::hook::Transition;
use crate::model::machine::group::{Ec2State, Group};
use crate::model::machine::ids::InstanceId;
use crate::model::up::step::StandBy;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "credentials", run: |input| at_once(credentials(input)) },
    Check { name: "region", run: |input| at_once(region(input)) },
    Check { name: "group", run: |input| at_once(group(input)) },
    Check { name: "group-size", run: |input| at_once(group_size(input)) },
    Check { name: "instances", run: |input| Box::pin(instances(input)) },
    Check { name: "launch-hook", run: |input| at_once(launch_hook(input)) },
    Check { name: "terminate-hook", run: |input| Box::pin(terminate_hook(input)) },
];

/// Whether there are credentials at all.
fn credentials(input: &CheckInput) -> Found {
    Ok(vec![Finding::ok(format!("found, for {}", input.aws.own()?.region))])
}

/// Whether AWS is asked where this machine is: its group can be nowhere else.
fn region(input: &CheckInput) -> Found {
    let (asked, here) = (&input.aws.needed()?.region, &input.machine.needed()?.region);
    if asked != here {
        let (given, remedy) = match input.settings.needed()?.region {
            Some(_) => ("the setting 'region'", "remove the setting 'region'"),
            None => ("the variable AWS_REGION or AWS_DEFAULT_REGION", "unset the variable"),
        };
        return Err(Finding::failed(format!("{given} is {asked}, this machine is in {here}"), remedy));
    }
    Ok(vec![Finding::ok(here.clone())])
}

/// Whether the group has this machine as a candidate.
fn group(input: &CheckInput) -> Found {
    let group = input.group.own()?;
    Ok(vec![judge_member(group, &input.machine.needed()?.instance)])
}

fn judge_member(group: &Group, me: &InstanceId) -> Finding {
    let name = &group.name;
    let Some(member) = group.member(me) else {
        let text = format!("the group '{name}' does not have this machine, {me}");
        return Finding::failed(text, "launch the machine from the group, or correct the setting 'group'");
    };
    let wait = "'kubeboot up' touches nothing until that is over";
    if !member.lifecycle.may_serve() {
        Finding::warning(format!("{name}: {}", StandBy::Lifecycle(member.lifecycle.clone())), wait)
    } else if !member.healthy {
        Finding::warning(format!("{name}: {}", StandBy::Unhealthy), wait)
    } else {
        Finding::ok(format!("{name}: {me} is {}", member.lifecycle))
    }
}

/// Whether the group is as large as it should be, and an odd number.
fn group_size(input: &CheckInput) -> Found {
    let group = input.group.needed()?;
    let set = input.settings.needed()?.expected_size;
    Ok(vec![judge_size(group.candidates().len(), set.unwrap_or(group.desired), set.is_some())])
}

/// `set`: the expected size is a setting; then the check of the settings says that it is even.
fn judge_size(candidates: usize, expected: usize, set: bool) -> Finding {
    let text = format!("{candidates} of {expected} machines are candidates");
    match expected {
        0 => Finding::failed("the group's desired capacity is 0", "set it, or the setting 'expected_size', to 3"),
        _ if candidates != expected => Finding::warning(
            text,
            "a new cluster waits for the others up to 'settle_timeout'; see the group's activity",
        ),
        even if even % 2 == 0 && !set => Finding::warning(
            format!("{text}: an even number of voters can lose no more of them than {}", even - 1),
            "give the group an odd desired capacity",
        ),
        _ => Finding::ok(text),
    }
}

/// Whether EC2 may be asked, and knows this machine as it knows itself.
async fn instances(input: &CheckInput) -> Found {
    let (aws, machine) = (input.aws.needed()?, input.machine.needed()?);
    let members = input.group.own().map(|group| group.members.as_slice()).unwrap_or_default();
    let mut ids: Vec<InstanceId> = members.iter().map(|member| member.instance.clone()).collect();
    ids.push(machine.instance.clone());
    ids.sort();
    ids.dedup();
    let described = aws.session.instances(&ids).await?;
    let me = described.get(&machine.instance).filter(|me| me.state == Ec2State::Running).ok_or_else(|| {
        let text = format!("EC2 does not show {} as running in {}", machine.instance, aws.region);
        Finding::failed(text, "correct the setting 'region', or use this account's credentials")
    })?;
    if !machine.addresses.iter().any(|address| me.addresses.contains(address)) {
        let text = format!("EC2 gives {} other addresses than the metadata service does", machine.instance);
        return Err(Finding::failed(text, "see who answers in the place of the metadata service"));
    }
    Ok(vec![Finding::ok(format!("EC2 describes {} of {} machines", described.len(), ids.len()))])
}

/// The permissions for a launch hook can only be named: to try them would be to complete the hook.
fn launch_hook(input: &CheckInput) -> Found {
    Ok(vec![match &input.settings.needed()?.launch_hook {
        None => Finding::ok("none is set, none is touched"),
        Some(hook) => Finding::skipped(format!(
            "'{hook}' needs autoscaling:CompleteLifecycleAction and autoscaling:RecordLifecycleActionHeartbeat; trying them would \
             complete it"
        )),
    }])
}

/// Whether the group has the terminate hook that the settings name. The permissions to answer it are those of the launch hook.
async fn terminate_hook(input: &CheckInput) -> Found {
    let Some(name) = &input.settings.needed()?.terminate_hook else {
        return Ok(vec![Finding::ok("none is set, none is touched")]);
    };
    let (aws, group, me) = (input.aws.needed()?, input.group.needed()?, &input.machine.needed()?.instance);
    let hook = aws.session.hook(Transition::Terminate, name.clone(), me.clone());
    Ok(vec![match hook.times(&group.name).await? {
        Some(times) => Finding::ok(format!("'{name}' has {times}")),
        None => Finding::warning(
            format!("the group '{}' has no lifecycle hook '{name}'", group.name),
            "correct the setting 'terminate_hook', or create the hook on autoscaling:EC2_INSTANCE_TERMINATING",
        ),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use crate::model::machine::group::{GroupMember, Lifecycle};

    #[test]
    fn a_machine_is_a_candidate_or_stands_by_or_is_elsewhere() -> anyhow::Result<()> {
        let me = InstanceId::parse("i-00000001")?;
        let verdict = |instance: &str, lifecycle: &str, healthy| -> anyhow::Result<CheckVerdict> {
            let lifecycle = Lifecycle::parse(lifecycle);
            let instance = InstanceId::parse(instance)?;
            let members = vec![GroupMember { instance, lifecycle, healthy, ec2: None, addresses: vec![] }];
            let group =
                Group { name: "g".into(), arn: "arn".into(), desired: 1, zones: Vec::new(), retains: false, members };
            Ok(judge_member(&group, &me).verdict)
        };
        let failed = Finding::failed("", "").verdict;
        assert_eq!(verdict("i-00000001", "InService", true)?, CheckVerdict::Ok);
        assert_eq!(verdict("i-00000001", "Pending:Wait", true)?, CheckVerdict::Ok);
        assert_eq!(verdict("i-00000001", "Standby", true)?, CheckVerdict::Warning);
        assert_eq!(verdict("i-00000001", "InService", false)?, CheckVerdict::Warning);
        assert_eq!(verdict("i-00000002", "InService", true)?, failed);
        Ok(())
    }

    #[test]
    fn a_group_should_be_complete_and_odd() {
        let failed = Finding::failed("", "").verdict;
        let (ok, warning) = (CheckVerdict::Ok, CheckVerdict::Warning);
        let table = [
            (3, 3, false, ok),
            (1, 1, false, ok),
            (2, 3, false, warning),
            (4, 3, false, warning),
            (2, 2, false, warning),
            (2, 2, true, ok),
            (0, 0, false, failed),
        ];
        for (candidates, expected, set, verdict) in table {
            assert_eq!(judge_size(candidates, expected, set).verdict, verdict, "{candidates} of {expected}");
        }
    }
}
