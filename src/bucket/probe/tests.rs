//! The probe against a server with as much of S3 as the probe needs, correct or with one fault.

use super::*;
use crate::bucket::server::{Fault, Server};
use anyhow::Result;
use std::collections::BTreeMap;

fn me() -> Result<InstanceId> {
    Ok(InstanceId::parse("i-0123456789abcdef0")?)
}

#[tokio::test]
async fn a_bucket_that_honours_conditions_is_fit_and_left_clean() -> Result<()> {
    let (server, store) = Server::start(Fault::None).await?;
    for probed in [honours_conditions(&store, &me()?).await, one_wins(&store, &me()?).await] {
        assert_eq!((probed.verdict, probed.left), (Ok(()), None));
    }
    assert_eq!(*server.objects(), BTreeMap::new());
    Ok(())
}

#[tokio::test]
async fn every_violation_is_found_and_named() -> Result<()> {
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
async fn a_server_that_checks_before_it_writes_lets_several_win() -> Result<()> {
    for fault in [Fault::LooksFirst, Fault::LooksAtTheHead] {
        let (_server, store) = Server::start(fault).await?;
        let verdict = one_wins(&store, &me()?).await.verdict;
        let expected = Unfit::Ignores("8 of 8 that created one object at once won".into());
        assert_eq!(verdict, Err(expected), "{fault:?}");
    }
    Ok(())
}

#[test]
fn two_winners_are_a_violation_whatever_the_others_got() {
    let ours = || Ok(Written::Ours("e".into()));
    let others = || Ok(Written::Others(Object { body: Vec::new(), etag: "e".into() }));
    let failed = || CallFailed::silent("write", "s3://b/p/k", "s3:PutObject");
    let rows = [
        (vec![ours(), others(), others()], "ok"),
        (vec![ours(), ours(), others()], "2 of 8 that created one object at once won"),
        (vec![Ok(Written::Unknown), ours(), Err(failed()), ours()], "2 of 8 that created one object at once won"),
        (vec![others(), others()], "none of 8"),
        (vec![ours(), Ok(Written::Unknown)], "did not say in time"),
        (vec![Ok(Written::Gone), ours()], "did not say in time"),
        (vec![ours(), Err(failed())], "failed to write"),
    ];
    for (ended, expected) in rows {
        let said = judge(ended.clone()).map_or_else(|why| why.to_string(), |()| "ok".to_owned());
        assert!(said.contains(expected), "{ended:?}: {said}");
    }
}

#[tokio::test]
async fn a_gate_opens_after_its_timeout_when_a_writer_is_missing() -> Result<()> {
    let (_server, store) = Server::start(Fault::None).await?;
    let store = store.behind(Gate::of(2, Duration::from_millis(20)));
    for body in [b"first", b"again"] {
        let written = store.write("key", body, &Condition::Absent, PROBE_TIMEOUT).await?;
        assert_eq!(matches!(written, Written::Ours(_)), body == b"first", "{written:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_denied_removal_does_not_change_the_verdict_and_is_reported() -> Result<()> {
    let (server, store) = Server::start(Fault::DeniesDelete).await?;
    let probed = honours_conditions(&store, &me()?).await;
    assert_eq!(probed.verdict, Ok(()));
    assert!(probed.left.is_some_and(|left| left.permission == "s3:DeleteObject"));
    let left: Vec<String> = server.objects().keys().cloned().collect();
    assert!(left[0].contains("control-plane/nodes/check-i-0123456789abcdef0-") && left.len() == 1, "{left:?}");
    Ok(())
}
