//! Who this machine is, by the instance metadata service in its second version only.

use super::error::causes;
use crate::model::duration::in_words;
use crate::model::machine::ids::InstanceId;
use crate::model::machine::notices::{self, ScheduledEvent, SpotNotice};
use anyhow::{Context, Result, anyhow, bail};
use aws_config::imds::client::{Client, error::ImdsError};
use aws_config::provider_config::ProviderConfig;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::time::timeout;

/// One attempt; IMDS answers within milliseconds, or is not there (yet).
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// All of it, for a command that a person has started: it does not run at boot, when IMDS may be late.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const LIMIT: usize = 64 * 1024;

/// What IMDS says about this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceMetadata {
    /// Instance ID.
    pub instance: InstanceId,
    /// AWS account.
    pub account: String,
    /// Region.
    pub region: String,
    /// Availability zone.
    pub zone: String,
    /// Private addresses, the primary one first.
    pub addresses: Vec<IpAddr>,
    /// Private DNS name as EC2 gives it, without further search domains.
    pub private_dns_name: String,
}

impl InstanceMetadata {
    /// The provider ID as the AWS cloud provider writes it.
    #[must_use]
    pub fn provider_id(&self) -> String {
        format!("aws:///{}/{}", self.zone, self.instance)
    }
}

/// The instance identity document, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityDocument {
    instance_id: String,
    account_id: String,
    region: String,
    availability_zone: String,
    private_ip: Option<Ipv4Addr>,
}

/// The client: tokens, endpoint and endpoint mode by the standard AWS variables, never a proxy.
#[must_use]
pub fn client() -> Client {
    let without_proxy = ProviderConfig::without_region().with_http_client(super::http::of_metadata());
    Client::builder()
        .configure(&without_proxy)
        .connect_timeout(ATTEMPT_TIMEOUT)
        .read_timeout(ATTEMPT_TIMEOUT)
        .max_attempts(3)
        .build()
}

/// Asks IMDS, unless the standard variable `AWS_EC2_METADATA_DISABLED` forbids it.
///
/// # Errors
/// As [`describe`], or that variable.
pub async fn describe_where_it_is() -> Result<InstanceMetadata> {
    if std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
        bail!("not asked, for AWS_EC2_METADATA_DISABLED is set");
    }
    describe(&client()).await
}

/// This machine by its metadata, or why it has none: for a command that a person has started, on a node or on a laptop.
///
/// # Errors
/// As [`describe_where_it_is`], or no answer in time.
pub async fn this_machine() -> Result<InstanceMetadata> {
    timeout(OPERATOR_TIMEOUT, describe_where_it_is())
        .await
        .map_err(|_| anyhow!("IMDS gave no answer within {}", in_words(OPERATOR_TIMEOUT)))?
}

/// Asks IMDS.
///
/// # Errors
/// No answer, or one that makes no sense. At boot both may pass: the caller decides how long to ask.
pub async fn describe(client: &Client) -> Result<InstanceMetadata> {
    let text = client.get("/latest/dynamic/instance-identity/document").await.map_err(failed).context(
        "failed to read the instance identity document from IMDS: kubeboot runs on EC2 instances only, with IMDSv2 reachable from the host: \
         see that the instance's metadata options have it enabled ('aws ec2 modify-instance-metadata-options --http-endpoint enabled'), and \
         that no firewall or proxy of this machine keeps root from 169.254.169.254",
    )?;
    let document: IdentityDocument =
        serde_json::from_str(text.as_ref()).context("IMDS gave an instance identity document of another shape")?;
    let instance = InstanceId::parse(document.instance_id).context("IMDS gave a bad instance ID")?;
    let mut addresses: Vec<IpAddr> = document.private_ip.map(IpAddr::V4).into_iter().collect();
    if let Some(text) = optional(client, "/latest/meta-data/ipv6").await? {
        let address: Ipv6Addr = text.trim().parse().context("IMDS gave a bad IPv6 address")?;
        addresses.push(address.into());
    }
    if addresses.is_empty() {
        bail!("IMDS gives no private address for {instance}: the instance needs one");
    }
    let name = optional(client, "/latest/meta-data/local-hostname").await?.unwrap_or_default();
    // A DHCP option set with several domains gives "host.first second".
    let private_dns_name = name.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    Ok(InstanceMetadata {
        instance,
        account: document.account_id,
        region: document.region,
        zone: document.availability_zone,
        addresses,
        private_dns_name,
    })
}

/// The state in which Auto Scaling wants this machine, such as `InService` or `Terminated`. `None` before the first one.
///
/// # Errors
/// No answer.
pub async fn target_lifecycle_state(client: &Client) -> Result<Option<String>> {
    let text = optional(client, "/latest/meta-data/autoscaling/target-lifecycle-state").await?;
    Ok(text.map(|text| text.trim().to_owned()))
}

/// The Spot notice, if EC2 has given one.
///
/// # Errors
/// No answer, or one that makes no sense.
pub async fn spot_notice(client: &Client) -> Result<Option<SpotNotice>> {
    let text = optional(client, "/latest/meta-data/spot/instance-action").await?;
    Ok(text.map(|text| SpotNotice::parse(&text)).transpose()?)
}

/// Since when EC2 recommends to use another Spot instance, if it does.
///
/// # Errors
/// As [`spot_notice`].
pub async fn rebalance_recommendation(client: &Client) -> Result<Option<String>> {
    let text = optional(client, "/latest/meta-data/events/recommendations/rebalance").await?;
    Ok(text.map(|text| notices::rebalance(&text)).transpose()?)
}

/// The events that EC2 has scheduled for this machine.
///
/// # Errors
/// As [`spot_notice`].
pub async fn scheduled_events(client: &Client) -> Result<Vec<ScheduledEvent>> {
    let text = optional(client, "/latest/meta-data/events/maintenance/scheduled").await?;
    Ok(text.map(|text| notices::scheduled(&text)).transpose()?.unwrap_or_default())
}

/// A key that need not exist: 404 is `None`.
async fn optional(client: &Client, path: &str) -> Result<Option<String>> {
    match client.get(path).await {
        Ok(text) if text.as_ref().len() > LIMIT => bail!("IMDS gave more than {LIMIT} bytes under '{path}'"),
        Ok(text) => Ok(Some(text.as_ref().to_owned())),
        Err(ImdsError::ErrorResponse(response)) if response.response().status().as_u16() == 404 => Ok(None),
        Err(error) => Err(failed(error).context(format!("failed to read '{path}' from IMDS"))),
    }
}

fn failed(error: ImdsError) -> anyhow::Error {
    anyhow!("{}", causes(&error))
}
