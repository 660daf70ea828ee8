//! The probe against a server that speaks as much S3 as the probe asks for, honestly or with one fault.

use super::*;
use crate::bucket::server::{Fault, Server};
use anyhow::Result;
use std::collections::BTreeMap;

fn me() -> Result<InstanceId> {
    Ok(InstanceId::parse("i-0123456789abcdef0")?)
}

#[tokio::test]
async fn a_bucket_that_honours_conditions_will_do_and_is_left_clean() -> Result<()> {
    let (server, store) = Server::start(Fault::None).await?;
    for probed in [honours_conditions(&store, &me()?).await, one_wins(&store, &me()?).await] {
        assert_eq!((probed.verdict, probed.left), (Ok(()), None));
    }
    assert_eq!(*server.objects(), BTreeMap::new());
    Ok(())
}

#[tokio::test]
async fn every_violation_is_seen_and_named() -> Result<()> {
    let ignored = "this bucket ignores conditional writes: kubeboot cannot work on it";
    let table = [
        (Fault::IgnoresIfNoneMatch, ignored, "If-None-Match: * for an object that is there"),
        (Fault::IgnoresIfMatch, ignored, "If-Match with another object's ETag"),
        (Fault::RefusesIfMatch, "this bucket refuses conditional writes", "If-Match with the object's ETag"),
        (Fault::DeniesPut, "AccessDenied", "allow 's3:PutObject'"),
    ];
    for (fault, said, what) in table {
        let (server, store) = Server::start(fault).await?;
        let why = honours_conditions(&store, &me()?).await.verdict.expect_err("it must be refused").to_string();
        assert!(why.contains(said) && why.contains(what), "{fault:?}: {why}");
        assert_eq!(*server.objects(), BTreeMap::new(), "{fault:?}");
    }
    Ok(())
}

#[tokio::test]
async fn whoever_looks_first_and_writes_later_lets_several_win() -> Result<()> {
    let (_server, store) = Server::start(Fault::LooksFirst).await?;
    let verdict = one_wins(&store, &me()?).await.verdict;
    assert_eq!(verdict, Err(Unfit::Ignores("8 of 8 that created one object at once won".into())));
    Ok(())
}

#[tokio::test]
async fn a_denied_removal_spoils_nothing_but_is_told() -> Result<()> {
    let (server, store) = Server::start(Fault::DeniesDelete).await?;
    let probed = honours_conditions(&store, &me()?).await;
    assert_eq!(probed.verdict, Ok(()));
    assert!(probed.left.is_some_and(|left| left.permission == "s3:DeleteObject"));
    let left: Vec<String> = server.objects().keys().cloned().collect();
    assert!(left[0].contains("control-plane/nodes/check-i-0123456789abcdef0-") && left.len() == 1, "{left:?}");
    Ok(())
}
