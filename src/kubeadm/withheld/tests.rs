use super::*;

#[test]
fn only_who_may_have_written_it_says_that_it_saved_the_cluster() {
    let rows = [
        (None, Why::Superseded),
        (Some(Why::Saving), Why::Superseded),
        (Some(Why::Writing), Why::Saved),
        (Some(Why::Saved), Why::Saved),
        (Some(Why::Superseded), Why::Superseded),
    ];
    for (before, expected) in rows {
        assert_eq!(Why::once_superseded(before), expected, "{before:?}");
    }
}
use crate::kubeadm::manifests;
use crate::model::machine::guard::Manifests;

#[test]
fn an_end_is_believed_once_it_was_seen() -> Result<()> {
    let of = |why, ended| -> Result<Isolation> {
        let mark = Mark { ended, ..Mark::new(&me()?, &ClaimId::parse(UID)?, why) };
        let read: Mark = serde_json::from_slice(&serde_json::to_vec(&mark)?)?;
        assert_eq!(read, mark);
        Ok(read.isolation())
    };
    let rows = [
        (Why::Saving, false, Isolation::Begun),
        (Why::Writing, false, Isolation::Begun),
        (Why::Saved, false, Isolation::Ending),
        (Why::Superseded, false, Isolation::Ending),
        (Why::Saved, true, Isolation::ForGood),
        (Why::Superseded, true, Isolation::Superseded),
    ];
    for (why, ended, expected) in rows {
        assert_eq!(of(why, ended)?, expected, "{why:?}");
    }
    Ok(())
}

const UID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
const KUBEADMS: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: etcd\nspec:\n  containers:\n  - command:\n    - etcd\n    - \
                        --advertise-client-urls=https://10.77.0.11:2379\n    - --initial-advertise-peer-urls=https://10.77.0.11:2380\n    - \
                        --listen-client-urls=https://127.0.0.1:2379,https://10.77.0.11:2379\n    - --listen-metrics-urls=http://127.0.0.1:2381\n    \
                        - --listen-peer-urls=https://10.77.0.11:2380\n    env:\n    - name: ETCD_LISTEN_CLIENT_URLS\n      value: x\n    - \
                        name: GOMAXPROCS\n      value: \"2\"\n";

fn me() -> Result<InstanceId> {
    Ok(InstanceId::parse("i-00000001")?)
}

fn mark(root: &Path, why: Why) -> Result<()> {
    Mark::new(&me()?, &ClaimId::parse(UID)?, why).save(root)
}

/// A member's machine: both manifests where kubelet starts them.
fn machine() -> Result<tempfile::TempDir> {
    let root = tempfile::tempdir()?;
    fs::create_dir_all(root.path().join(FOLDER))?;
    fs::write(place(root.path(), FOLDER, ETCD), KUBEADMS)?;
    fs::write(place(root.path(), FOLDER, API_SERVER), "api")?;
    Ok(root)
}

fn text(root: &Path, folder: &str, name: &str) -> Option<String> {
    fs::read_to_string(place(root, folder, name)).ok()
}

fn is_as_before(root: &Path) -> bool {
    let back = [ETCD, API_SERVER].map(|name| text(root, FOLDER, name));
    back == [Some(KUBEADMS.to_owned()), Some("api".to_owned())] && !root.join(WITHHELD).exists()
}

#[test]
fn an_isolated_etcd_listens_on_the_loopback_alone_and_is_the_same_member() -> Result<()> {
    let isolated = yaml(&on_loopback(KUBEADMS)?).map_err(anyhow::Error::msg)?;
    let command: Vec<&str> = isolated["spec"]["containers"][0]["command"]
        .as_array()
        .context("command")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let expected = [
        "etcd",
        "--advertise-client-urls=https://10.77.0.11:2379",
        "--initial-advertise-peer-urls=https://10.77.0.11:2380",
        "--listen-client-urls=https://127.0.0.1:2379",
        "--listen-metrics-urls=http://127.0.0.1:2381",
        "--listen-peer-urls=https://127.0.0.1:2380",
    ];
    assert_eq!(command, expected);
    assert_eq!(isolated["spec"]["containers"][0]["env"], serde_json::json!([{"name": "GOMAXPROCS", "value": "2"}]));
    assert_eq!(loopbacks("https://[::1]:2379,https://[fd00::1]:2379"), "https://[::1]:2379");
    assert_eq!(loopbacks("http://0.0.0.0:2382"), "http://127.0.0.1:2382");
    Ok(())
}

#[test]
fn a_manifest_that_cannot_be_isolated_for_certain_is_refused() {
    let rows = [
        ("--listen-peer-urls=https://10.77.0.11:2380", "--name=x", "does not say where etcd listens"),
        ("--listen-client-urls=https://127.0.0.1:2379,https://10.77.0.11:2379", "--name=x", "does not say where"),
        ("--advertise-client-urls=https://10.77.0.11:2379", "--config-file=/etc/etcd.yaml", "reads a file"),
        ("--advertise-client-urls=https://10.77.0.11:2379", "--listen-client-http-urls", "an argument of its own"),
    ];
    for (from, to, expected) in rows {
        let refused = on_loopback(&KUBEADMS.replace(from, to)).expect_err(to);
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    for bad in ["", "a: [", "kind: Pod"] {
        assert!(on_loopback(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_withheld_goes_back_as_it_was_from_every_step() -> Result<()> {
    type Step = fn(&Path) -> Result<()>;
    let steps: [Step; 4] = [|root| mark(root, Why::Saving), withhold_api_server, isolate_etcd, withhold_both];
    for until in 1..=steps.len() {
        let root = machine()?;
        for step in &steps[..until] {
            for _again in 0..2 {
                step(root.path())?;
            }
        }
        assert_eq!(load(root.path(), &me()?)?.map(|mark| mark.why), Some(Why::Saving));
        put_back(root.path())?;
        assert!(is_as_before(root.path()), "after {until} steps");
        put_back(root.path())?;
        assert!(is_as_before(root.path()), "nothing is withheld");
    }
    Ok(())
}

#[test]
fn the_guard_never_puts_back_what_is_withheld() -> Result<()> {
    let root = machine()?;
    mark(root.path(), Why::Superseded)?;
    manifests::set_aside(root.path())?;
    withhold_both(root.path())?;
    assert_eq!(manifests::places(root.path()), Manifests { in_place: false, aside: false });
    manifests::put_back(root.path())?;
    assert!(
        text(root.path(), FOLDER, ETCD).is_none()
            && is_withheld(root.path(), ETCD)
            && is_withheld(root.path(), API_SERVER)
    );
    forget(root.path())?;
    assert!(!root.path().join(WITHHELD).exists());
    Ok(())
}

#[test]
fn what_the_guard_set_aside_meanwhile_stays_aside_as_the_original() -> Result<()> {
    let root = machine()?;
    let path = root.path();
    mark(path, Why::Saving)?;
    withhold_api_server(path)?;
    isolate_etcd(path)?;
    manifests::set_aside(path)?;
    put_back(path)?;
    assert_eq!(
        [text(path, ASIDE, ETCD).as_deref(), text(path, ASIDE, API_SERVER).as_deref()],
        [Some(KUBEADMS), Some("api")]
    );
    assert!(text(path, FOLDER, ETCD).is_none());
    Ok(())
}

#[test]
fn a_mark_is_of_the_machine_that_wrote_it_and_one_that_cannot_be_read_may_be_its_own() -> Result<()> {
    let root = machine()?;
    assert_eq!(load(root.path(), &me()?)?, None);
    mark(root.path(), Why::Saved)?;
    assert_eq!(
        load(root.path(), &me()?)?.map(|mark| (mark.why, mark.claim_id)),
        Some((Why::Saved, ClaimId::parse(UID)?))
    );
    assert_eq!(load(root.path(), &InstanceId::parse("i-00000002")?)?, None);
    for text in ["", "{}", "{\"schema\": 2}"] {
        fs::write(place(root.path(), WITHHELD, MARK), text)?;
        let error = load(root.path(), &me()?).expect_err(text);
        assert!(format!("{error:#}").contains("replace the machine"), "{error:#}");
    }
    Ok(())
}
