//! Whose cluster a record describes.

use serde::{Deserialize, Serialize};

/// What every machine of one cluster agrees on. A record of another identity is another cluster's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// AWS account ID.
    pub account: String,
    /// AWS Region.
    pub region: String,
    /// ARN of the Auto Scaling group.
    pub group_arn: String,
    /// Control-plane endpoint, `host:port`.
    pub endpoint: String,
    /// Service subnet (one range, or two with a comma between them).
    pub service_subnet: String,
}

#[cfg(test)]
impl Identity {
    /// For tables that need one and do not look at it.
    pub(in crate::model) fn sample() -> Self {
        Self {
            account: "123456789012".into(),
            region: "eu-central-1".into(),
            group_arn: "arn:group".into(),
            endpoint: "api:6443".into(),
            service_subnet: "10.96.0.0/12".into(),
        }
    }
}

/// How two identities differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// Another account, Region, endpoint or service subnet: the settings point at somebody else's record.
    Settings(Difference),
    /// The same in all but the group: Terraform replaces groups, so an operator may accept that.
    Group(Difference),
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field's name as it stands in the record.
    pub field: &'static str,
    /// What the record says.
    pub record: String,
    /// What this machine says.
    pub here: String,
}

impl Identity {
    /// The first difference between the record's identity (`self`) and this machine's.
    #[must_use]
    pub fn mismatch(&self, here: &Self) -> Option<Mismatch> {
        let differs = |field, record: &str, here: &str| {
            (record != here).then(|| Difference { field, record: record.to_owned(), here: here.to_owned() })
        };
        differs("account", &self.account, &here.account)
            .or_else(|| differs("region", &self.region, &here.region))
            .or_else(|| differs("endpoint", &self.endpoint, &here.endpoint))
            .or_else(|| differs("service_subnet", &self.service_subnet, &here.service_subnet))
            .map(Mismatch::Settings)
            .or_else(|| differs("group_arn", &self.group_arn, &here.group_arn).map(Mismatch::Group))
    }

    /// The group's name, which ends its ARN.
    #[must_use]
    pub fn group_name(&self) -> Option<&str> {
        self.group_arn.split_once(":autoScalingGroupName/").map(|(_, name)| name).filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn a_group_is_named_at_the_end_of_its_arn() {
        let of = |arn: &str| Identity { group_arn: arn.to_owned(), ..Identity::sample() };
        let arn = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:c577349c:autoScalingGroupName/demo";
        assert_eq!(of(arn).group_name(), Some("demo"));
        for bad in ["", "arn:aws:autoscaling", "arn:aws:autoscaling:::autoScalingGroup::autoScalingGroupName/"] {
            assert_eq!(of(bad).group_name(), None, "{bad}");
        }
    }
}
