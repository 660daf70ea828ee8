//! The one way to AWS for every command: the Region, the bucket, and the clients of EC2, Auto Scaling and STS.

use super::ec2::{self, Described};
use super::error::CallFailed;
use super::group;
use super::hook::{Hook, Transition};
use super::store::{Encryption, Store};
use crate::exit::Exit;
use crate::model::machine::group::{Group, Lifecycle};
use crate::model::machine::ids::InstanceId;
use crate::settings::Settings;
use anyhow::{Context, Result};
use aws_sdk_s3::config::{ProvideCredentials, SharedCredentialsProvider};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Clients of AWS that share one Region, one set of credentials and the time-outs of [`super::config`].
#[derive(Debug, Clone)]
pub struct Session {
    /// What kubeboot stores in the bucket.
    pub store: Store,
    /// Where snapshots of etcd are saved, perhaps in another bucket.
    pub snapshots: Store,
    region: Option<String>,
    credentials: Option<SharedCredentialsProvider>,
    autoscaling: aws_sdk_autoscaling::Client,
    ec2: aws_sdk_ec2::Client,
    sts: aws_sdk_sts::Client,
}

impl Session {
    /// Connects in the Region of the settings, or else of the standard variables, or else of this machine where that is known,
    /// or else of the standard files.
    ///
    /// # Errors
    /// With [`Exit::Usage`] for a proxy variable that is no URL.
    pub async fn connect(settings: &Settings, machine_region: Option<&str>) -> Result<Self> {
        let environment = |name: &str| std::env::var(name).ok();
        let region = region(settings.region.as_deref(), environment, machine_region);
        let sdk = super::connect(region).await.context(Exit::Usage)?;
        let (bucket, prefix) = (settings.bucket.clone(), settings.prefix.clone());
        let encryption =
            Encryption { kms_key_id: settings.kms_key_id.clone(), objects: settings.server_side_encryption };
        let store = Store::new(aws_sdk_s3::Client::new(&sdk), bucket, prefix, encryption);
        Ok(Self {
            snapshots: snapshots(&store, settings),
            store,
            region: sdk.region().map(ToString::to_string),
            credentials: sdk.credentials_provider(),
            autoscaling: aws_sdk_autoscaling::Client::new(&sdk),
            ec2: aws_sdk_ec2::Client::new(&sdk),
            sts: aws_sdk_sts::Client::new(&sdk),
        })
    }

    /// The Region that is asked.
    ///
    /// # Errors
    /// With [`Exit::Usage`] when nothing names one.
    pub fn region(&self) -> Result<&str> {
        self.region.as_deref().context("no AWS Region is known: set 'region' or AWS_REGION").context(Exit::Usage)
    }

    /// Gets credentials before any call needs them; `false` when there is no source of any.
    ///
    /// # Errors
    /// Their source does not give any.
    pub async fn find_credentials(&self) -> Result<bool> {
        let Some(provider) = &self.credentials else { return Ok(false) };
        provider.provide_credentials().await?;
        Ok(true)
    }

    /// The account of the credentials. It needs no permission.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn account(&self) -> Result<String, CallFailed> {
        let (object, permission) = ("the account of these credentials", "sts:GetCallerIdentity");
        let answer = self.sts.get_caller_identity().send().await;
        let answer = answer.map_err(|error| CallFailed::new("ask for", object, permission, &error))?;
        answer.account.ok_or_else(|| CallFailed::silent("ask for", object, permission))
    }

    /// What EC2 says of these instances. Unknown instances are left out.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn instances(&self, ids: &[InstanceId]) -> Result<BTreeMap<InstanceId, Described>, CallFailed> {
        ec2::describe(&self.ec2, ids).await
    }

    /// The instances that EC2 shows at these primary addresses.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn instances_at(&self, addresses: &[IpAddr]) -> Result<BTreeMap<InstanceId, Described>, CallFailed> {
        ec2::at(&self.ec2, addresses).await
    }

    /// Switches off the source/destination check of this instance, and sees that it is off.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn switch_off_source_dest_check(&self, instance: &InstanceId) -> Result<(), CallFailed> {
        ec2::switch_off_source_dest_check(&self.ec2, instance).await
    }

    /// Tells the group that this instance is unhealthy: it is replaced.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn set_unhealthy(&self, instance: &InstanceId) -> Result<(), CallFailed> {
        group::set_unhealthy(&self.autoscaling, instance).await
    }

    /// The Auto Scaling group with this name, if there is one (yet).
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn group(&self, name: &str) -> Result<Option<Group>, CallFailed> {
        group::describe(&self.autoscaling, name).await
    }

    /// The name of the group that lists this instance, and the instance's state in it. `None` when none does (yet).
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn group_of(&self, instance: &InstanceId) -> Result<Option<(String, Lifecycle)>, CallFailed> {
        group::of_instance(&self.autoscaling, instance).await
    }

    /// The instance's state in the group with this name, or else in the one that lists it. `None` when it is not in there (yet). A
    /// role that names its group need not be allowed to ask which one it is.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn lifecycle_of(
        &self,
        instance: &InstanceId,
        group: Option<&str>,
    ) -> Result<Option<Lifecycle>, CallFailed> {
        let Some(name) = group else { return Ok(self.group_of(instance).await?.map(|(_, state)| state)) };
        let members = self.group(name).await?.map(|group| group.members).unwrap_or_default();
        Ok(members.into_iter().find(|member| member.instance == *instance).map(|member| member.lifecycle))
    }

    /// The name alone.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn group_name_of(&self, instance: &InstanceId) -> Result<Option<String>, CallFailed> {
        Ok(self.group_of(instance).await?.map(|(name, _)| name))
    }

    /// The hook with this name, for this instance.
    #[must_use]
    pub fn hook(&self, transition: Transition, name: String, instance: InstanceId) -> Hook {
        Hook::new(self.autoscaling.clone(), transition, name, instance)
    }
}

/// The store of the snapshots, by the settings.
fn snapshots(store: &Store, settings: &Settings) -> Store {
    let kms_key_id = settings.snapshot_kms_key_id.as_ref().or(settings.kms_key_id.as_ref()).cloned();
    let encryption = Encryption { kms_key_id, objects: settings.server_side_encryption };
    match &settings.snapshot_location {
        Some(place) => store.elsewhere(place.bucket.clone(), place.prefix.clone(), encryption),
        None => store.elsewhere(settings.bucket.clone(), settings.prefix.clone(), encryption),
    }
}

/// The Region to ask for; `None` leaves it to the standard files.
fn region(
    setting: Option<&str>,
    environment: impl Fn(&str) -> Option<String>,
    machine: Option<&str>,
) -> Option<String> {
    let standard = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let variable = || standard.iter().find_map(|name| environment(name).filter(|value| !value.is_empty()));
    setting.map(str::to_owned).or_else(variable).or_else(|| machine.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::region;

    #[test]
    fn the_region_is_looked_for_in_one_order() {
        type Variables = &'static [(&'static str, &'static str)];
        let both: Variables = &[("AWS_DEFAULT_REGION", "default"), ("AWS_REGION", "variable")];
        let default: Variables = &[("AWS_DEFAULT_REGION", "default"), ("AWS_REGION", "")];
        type Row = (Option<&'static str>, Variables, Option<&'static str>, Option<&'static str>);
        let rows: [Row; 5] = [
            (Some("setting"), both, Some("machine"), Some("setting")),
            (None, both, Some("machine"), Some("variable")),
            (None, default, Some("machine"), Some("default")),
            (None, &[("AWS_REGION", "")], Some("machine"), Some("machine")),
            (None, &[], None, None),
        ];
        for (setting, variables, machine, expected) in rows {
            let environment = |name: &str| {
                variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(region(setting, environment, machine).as_deref(), expected);
        }
    }
}
