//! A dry run where there is no instance metadata: what the bucket and EC2 say, for etcd cannot be asked from there.

use crate::aws::Session;
use crate::bucket::{self, Roll};
use crate::exit::Exit;
use crate::layout::{columns, line, print};
use crate::model::machine::ids::InstanceId;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::reap::remote::{RemovalForecast, forecast};
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow};
use serde::Serialize;

/// What is expected.
#[derive(Debug, Serialize)]
struct RemoteReport {
    schema: u32,
    dry_run: bool,
    place: String,
    cluster_id: String,
    etcd: Unknown,
    machines: Vec<RemoteRow>,
}

/// Why a source says nothing, as `status` shows it.
#[derive(Debug, Serialize)]
struct Unknown {
    unknown: String,
}

/// A machine that may have left a member.
#[derive(Debug, Serialize)]
struct RemoteRow {
    instance: String,
    says: RegistrationPhase,
    member_id: Option<String>,
    ec2: String,
    code: &'static str,
    text: String,
}

/// Prints which members are expected to be removed.
///
/// # Errors
/// With [`Exit::Usage`] when there is no cluster, or AWS' own.
pub(super) async fn dry_run(settings: &Settings, why: &anyhow::Error, json: bool) -> Result<()> {
    let session = Session::connect(settings, None).await?;
    let region = session.region()?;
    let place = session.store.url("");
    let record = bucket::record::read(&session.store).await?.map(|(record, _)| record);
    let record = record.filter(|record| record.published().is_some());
    let record = record.with_context(|| format!("there is no cluster on record at '{place}'")).context(Exit::Usage)?;
    let account = session.account().await?;
    if account != record.identity.account || region != record.identity.region {
        let (theirs, there) = (&record.identity.account, &record.identity.region);
        return Err(anyhow!(
            "the cluster is in account {theirs} and Region {there}, AWS was asked in {account} and {region}, where its machines cannot be seen"
        )
        .context(Exit::Usage));
    }
    let all = Roll::new(&session.store).all_readable().await?;
    let ids: Vec<InstanceId> = all.iter().map(|found| found.instance.clone()).collect();
    let described = session.instances(&ids).await?;
    let row = |found: &Registration| {
        let ec2 = described.get(&found.instance).map(|described| &described.state);
        let forecast = forecast(found, ec2)?;
        Some(RemoteRow {
            instance: found.instance.to_string(),
            says: found.phase,
            member_id: found.member_id.map(|id| id.to_string()),
            ec2: ec2.map_or_else(|| "absent".to_owned(), ToString::to_string),
            code: RemovalForecast::code(forecast),
            text: forecast.to_string(),
        })
    };
    let etcd = Unknown { unknown: format!("it can be asked on a control-plane machine only; here: {why:#}") };
    let report = RemoteReport {
        schema: 1,
        dry_run: true,
        place,
        cluster_id: record.claim_id.to_string(),
        etcd,
        machines: all.iter().filter_map(row).collect(),
    };
    print(&report, || page(&report), json)
}

fn page(report: &RemoteReport) -> String {
    let head = format!("cluster {} at {}", report.cluster_id, report.place);
    let unknown = line(&format!("etcd: unknown: {}", report.etcd.unknown));
    let names = ["INSTANCE", "EC2", "SAYS", "MEMBER", ""];
    let mut rows = vec![names.map(str::to_owned).to_vec()];
    rows.extend(report.machines.iter().map(|row| {
        let member = row.member_id.clone().unwrap_or_else(|| "-".to_owned());
        vec![row.instance.clone(), line(&row.ec2), row.says.as_str().to_owned(), member, row.text.clone()]
    }));
    let mut lines = vec![head, unknown, String::new()];
    lines.extend(columns(&rows));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documented::{codes, names, paths, words};

    const PAGE: &str = include_str!("../../docs/reap.md");

    #[test]
    fn every_field_and_code_is_documented_and_there() -> Result<()> {
        let row = RemoteRow {
            instance: "i-00000002".into(),
            says: RegistrationPhase::Joined,
            member_id: Some("8e9e05c52164694d".into()),
            ec2: "terminated".into(),
            code: "goes",
            text: String::new(),
        };
        let report = RemoteReport {
            schema: 1,
            dry_run: true,
            place: "s3://my-bucket/demo/".into(),
            cluster_id: "6f9619ff-8b86-4011-b42d-00c04fc964ff".into(),
            etcd: Unknown { unknown: String::new() },
            machines: vec![row],
        };
        assert_eq!(paths(&serde_json::to_value(report)?), names(PAGE, "--json from a laptop"));
        let codes = codes(include_str!("../model/reap/remote.rs"));
        assert_eq!(codes, words(PAGE, "--json from a laptop", "machines[].code"));
        Ok(())
    }
}
