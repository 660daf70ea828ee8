//! What can be asked from anywhere with AWS credentials: on a node as on a laptop, where there is no instance metadata.

use crate::aws::imds::{self, InstanceMetadata};
use crate::aws::store::Store;
use crate::aws::{self, CallFailed, ec2, group};
use crate::bucket::registrations;
use crate::exit::Exit;
use crate::model::machine::group::Group;
use crate::model::machine::ids::InstanceId;
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// How long the instance metadata may take: a command that a person has started does not run at boot.
const METADATA: Duration = Duration::from_secs(5);

/// This machine by its metadata, or why it has none.
///
/// # Errors
/// No answer in time.
pub async fn this_machine() -> Result<InstanceMetadata> {
    timeout(METADATA, imds::describe_where_it_is())
        .await
        .map_err(|_| anyhow!("IMDS gave no answer within {}s", METADATA.as_secs()))?
}

/// Gives an error of AWS the [`Exit`] that it asks for, where nothing else has: a command that a person has started does not
/// bear denials for a while, as `up` does at boot.
#[must_use]
pub fn with_exit(error: anyhow::Error) -> anyhow::Error {
    let failed = error.downcast_ref::<CallFailed>().filter(|_| error.downcast_ref::<Exit>().is_none());
    match failed.map(|failed| failed.may_mend()) {
        Some(true) => error.context(Exit::TryAgain),
        Some(false) => error.context(Exit::Aws),
        None => error,
    }
}

/// The clients of AWS.
#[derive(Debug)]
pub struct Operator {
    /// The bucket.
    pub store: Store,
    /// The Region that is asked.
    pub region: String,
    autoscaling: aws_sdk_autoscaling::Client,
    ec2: aws_sdk_ec2::Client,
    sts: aws_sdk_sts::Client,
}

impl Operator {
    /// Connects in the Region of the settings, or else of the standard variables and files, or else of `machine`.
    ///
    /// # Errors
    /// With [`Exit::Usage`] for a proxy variable that is no URL, or when nothing names a Region.
    pub async fn connect(settings: &Settings, machine: Option<&InstanceMetadata>) -> Result<Self> {
        let region = settings.region.clone().or_else(aws::region_from_environment);
        let region = region.or_else(|| machine.map(|machine| machine.region.clone()));
        let sdk = aws::connect(region).await.context(Exit::Usage)?;
        let region = sdk.region().context("no AWS Region is known: set 'region' or AWS_REGION").context(Exit::Usage)?;
        let s3 = aws_sdk_s3::Client::new(&sdk);
        Ok(Self {
            store: Store::new(s3, settings.bucket.clone(), settings.prefix.clone(), None),
            region: region.to_string(),
            autoscaling: aws_sdk_autoscaling::Client::new(&sdk),
            ec2: aws_sdk_ec2::Client::new(&sdk),
            sts: aws_sdk_sts::Client::new(&sdk),
        })
    }

    /// What the machines say about themselves.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn registrations(&self) -> Result<Vec<registrations::RegistrationEntry>, CallFailed> {
        registrations::all(&self.store).await
    }

    /// The account of the credentials. AWS lets everybody ask that.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn account(&self) -> Result<String, CallFailed> {
        let call =
            |error| CallFailed::new("ask for", "the account of these credentials", "sts:GetCallerIdentity", &error);
        let answer = self.sts.get_caller_identity().send().await.map_err(call)?;
        answer
            .account
            .ok_or_else(|| CallFailed::silent("ask for", "the account of these credentials", "sts:GetCallerIdentity"))
    }

    /// EC2's word on these instances. Who is unknown is left out.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn instances(&self, ids: &[InstanceId]) -> Result<BTreeMap<InstanceId, ec2::Described>, CallFailed> {
        ec2::describe(&self.ec2, ids).await
    }

    /// The group with this name.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn group(&self, name: &str) -> Result<Option<Group>, CallFailed> {
        group::describe(&self.autoscaling, name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::CallFailure;

    #[test]
    fn an_error_of_aws_has_its_exit_unless_it_has_another() {
        let failed = |kind| CallFailed { kind, ..CallFailed::silent("read", "an object", "s3:GetObject") };
        let rows = [
            (anyhow::Error::from(failed(CallFailure::Denied)).context("looking"), Exit::Aws),
            (failed(CallFailure::Rejected).into(), Exit::Aws),
            (failed(CallFailure::NoAnswer).into(), Exit::TryAgain),
            (anyhow::Error::from(failed(CallFailure::Denied)).context(Exit::Operator), Exit::Operator),
            (anyhow!("odd"), Exit::Internal),
        ];
        for (error, expected) in rows {
            assert_eq!(Exit::of(&with_exit(error)), expected);
        }
    }
}
