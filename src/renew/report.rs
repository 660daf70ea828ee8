//! What `kubeboot renew` prints: each certificate with its end, and what is, or would be, done.

use super::look::Look;
use crate::layout::say;
use crate::model::renew::{KUBELET_CLIENT, RenewPlan, RenewStep};
use std::time::{Duration, SystemTime};

const DAY: u64 = 24 * 60 * 60;

/// The whole of a dry run.
pub(super) fn print(look: &Look, plan: &RenewPlan) {
    for dated in &look.certificates {
        say(&format!("{}: {}", dated.certificate.file(), ends(dated.ends, look.now)));
    }
    if let Some(end) = look.kubelet_ends {
        say(&format!("{KUBELET_CLIENT}: {}; kubelet renews it itself before that", ends(end, look.now)));
    }
    match &plan.step {
        RenewStep::Nothing => say(&format!("plan: {}", nothing(look))),
        RenewStep::Ask => say("plan: ask whether every etcd voter answers"),
        RenewStep::Wait(who) => say(&format!("plan: wait, and change nothing: {who}")),
        RenewStep::Renew { urgent, .. } => {
            let asked = if *urgent {
                "without asking anybody, since less than seven days are left"
            } else {
                "every etcd voter answers"
            };
            say(&format!("plan, {asked}:"));
            steps(&plan.step).iter().for_each(|step| say(&format!("  {step}")));
        }
    }
    for file in &plan.external {
        say(&format!("  {file} is due, and stays: the key of its certificate authority is not on this machine"));
    }
}

/// The steps of a plan, in their order.
pub(super) fn steps(step: &RenewStep) -> Vec<String> {
    let RenewStep::Renew { certificates, kubelet, restart, urgent: _ } = step else { return Vec::new() };
    let renewals = certificates.iter().map(|dated| format!("renew: kubeadm certs renew {}", dated.certificate.name()));
    let kubelet =
        kubelet.then(|| "kubelet: make a kubelet.conf by the certificate authority, and restart kubelet".to_owned());
    let restarts = restart.iter().map(|program| format!("restart: {program}, and see it come back"));
    renewals.chain(kubelet).chain(restarts).collect()
}

/// That there is nothing to do.
pub(super) fn nothing(look: &Look) -> String {
    format!("nothing to renew: {}", first(look))
}

/// The certificate that ends first.
pub(super) fn first(look: &Look) -> String {
    match look.certificates.iter().min_by_key(|dated| dated.ends) {
        Some(dated) => format!("the first to end is {}: {}", dated.certificate.file(), ends(dated.ends, look.now)),
        None => "kubeadm has put no certificate on this machine".to_owned(),
    }
}

/// When something ends, for people.
fn ends(end: SystemTime, now: SystemTime) -> String {
    let at = humantime::format_rfc3339_seconds(end);
    match end.duration_since(now) {
        Ok(left) if left.as_secs() >= 2 * DAY => format!("ends {at}, in {} days", left.as_secs() / DAY),
        Ok(left) => format!("ends {at}, in {}", humantime::format_duration(Duration::from_secs(left.as_secs()))),
        Err(_) => format!("ended {at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::renew::{Dated, KubeadmCertificate, RestartedProgram};

    #[test]
    fn an_end_is_told_as_a_date_and_a_distance() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10 * DAY);
        let after = |seconds| ends(now + Duration::from_secs(seconds), now);
        assert_eq!(after(29 * DAY + 5), "ends 1970-02-09T00:00:05Z, in 29 days");
        assert_eq!(after(DAY + 3600), "ends 1970-01-12T01:00:00Z, in 1day 1h");
        assert_eq!(ends(now - Duration::from_secs(1), now), "ended 1970-01-10T23:59:59Z");
    }

    #[test]
    fn the_steps_are_told_in_their_order() {
        let dated = Dated { certificate: KubeadmCertificate::SchedulerConf, ends: SystemTime::UNIX_EPOCH };
        let restart = vec![RestartedProgram::Scheduler];
        let step = RenewStep::Renew { certificates: vec![dated], kubelet: true, restart, urgent: true };
        let starts: Vec<_> = steps(&step).iter().map(|line| line.split(' ').next().map(str::to_owned)).collect();
        assert_eq!(starts, ["renew:", "kubelet:", "restart:"].map(|word| Some(word.to_owned())));
        assert!(steps(&RenewStep::Nothing).is_empty());
    }
}
