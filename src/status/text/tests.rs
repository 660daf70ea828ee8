//! The page, as the documentation shows it and in the cases that could spoil it.

use super::page;
use crate::layout::{WIDTH, columns, indented, line};
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::status::{AsideCopy, StatusInput, sample};
use crate::status::report::tests::report;

const DOCUMENT: &str = include_str!("../../../docs/status.md");

#[test]
fn the_page_is_the_one_of_the_documentation() {
    let shown = page(&report(&sample::healthy()));
    assert!(DOCUMENT.contains(&format!("```text\n{shown}```")), "{shown}");
}

/// A control plane whose third machine is gone, and has left these words.
fn with_words(registration: Registration) -> StatusInput {
    let mut input = sample::healthy();
    input.ec2.as_mut().unwrap().insert(registration.instance.clone(), crate::model::machine::group::Ec2State::Running);
    let all = input.registrations.as_mut().unwrap();
    all.insert(registration.instance.clone(), Ok(registration));
    input
}

#[test]
fn what_a_machine_waits_for_and_its_last_error_stand_below_it() {
    let error = "kubeadm join failed: etcdserver: unhealthy cluster ".repeat(4);
    let shown = page(&report(&with_words(Registration {
        waits_for: Some("the membership lease".into()),
        last_error: Some(error),
        ..sample::registration(4, RegistrationPhase::Waiting)
    })));
    let lines: Vec<&str> = shown.lines().collect();
    let at = lines.iter().position(|line| line.contains("i-0a1b2c3d4e5f60714")).unwrap();
    assert!(lines[at].contains("waiting"), "{shown}");
    assert_eq!(lines[at + 1], "       waits for the membership lease (since 2026-01-02T03:04:05Z)");
    assert!(lines[at + 2].starts_with("       last error: kubeadm join failed"), "{shown}");
    assert!(lines[at + 3].starts_with("       "), "{shown}");
}

#[test]
fn a_copy_that_was_moved_aside_is_shown_with_its_age_and_what_to_do() {
    let mut input = sample::healthy();
    let copy = |path: &str, written: Option<&str>| AsideCopy { path: path.into(), written: written.map(str::to_owned) };
    input.here.aside = vec![
        copy("/var/lib/etcd/kubeboot-aside", Some("2026-01-02T03:04:05Z")),
        copy("/var/lib/etcd/kubeboot-aside-2", None),
    ];
    let shown = page(&report(&input)).split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "set aside /var/lib/etcd/kubeboot-aside holds etcd's data of before this machine began anew, last written at 2026-01-02T03:04:05Z.",
        "'etcdutl snapshot restore --skip-hash-check /var/lib/etcd/kubeboot-aside/snap/db'",
        "remove the folder once nobody needs it",
        "set aside /var/lib/etcd/kubeboot-aside-2 holds etcd's data of before this machine began anew. What",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
    assert!(!page(&report(&sample::healthy())).contains("set aside"));
}

#[test]
fn drop_ins_that_are_missing_stand_below_the_leaving_unit_with_what_to_do() {
    let mut input = sample::healthy();
    input.here.missing_drop_ins = vec!["crio-.scope.d".into()];
    let shown = page(&report(&input));
    let (_, below) = shown.split_once("leaving unit  armed\n").unwrap();
    assert!(
        below.starts_with("              no drop-in with 'Before=kubeboot-reset.service' in crio-.scope.d"),
        "{shown}"
    );
    assert!(below.contains("/etc/systemd/system") && below.contains("systemctl daemon-reload"), "{shown}");
}

#[test]
fn nothing_in_the_bucket_commands_the_terminal_or_breaks_the_page() {
    let evil = "x\u{1b}[31mred\r\n\u{7}bell \u{202e}olleh caf\u{e9} ".repeat(80);
    let shown = page(&report(&with_words(Registration {
        last_error: Some(evil.clone()),
        waits_for: Some(evil),
        ..sample::registration(4, RegistrationPhase::Failed)
    })));
    assert!(shown.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()), "{shown}");
    assert!(shown.lines().all(|line| line.len() <= WIDTH), "{shown}");
}

#[test]
fn of_many_machines_that_are_gone_the_latest_are_shown() {
    let mut input = sample::healthy();
    let all = input.registrations.as_mut().unwrap();
    for n in 0..8 {
        let instance = crate::model::machine::ids::InstanceId::parse(format!("i-000000a{n}")).unwrap();
        let updated = format!("2026-01-0{}T00:00:00Z", n + 1);
        let left =
            Registration { instance: instance.clone(), updated, ..sample::registration(4, RegistrationPhase::Left) };
        all.insert(instance, Ok(left));
    }
    let shown = page(&report(&input));
    let gone: Vec<&str> =
        shown.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with("i-000000a"))).collect();
    assert_eq!(gone, ["i-000000a3", "i-000000a4", "i-000000a5", "i-000000a6", "i-000000a7"]);
    assert!(shown.ends_with("and 3 earlier machines, which --json shows\n"), "{shown}");
}

#[test]
fn what_a_reason_has_told_is_not_told_again() {
    let mut input = sample::healthy();
    let why = "failed to read the object: denied";
    (input.record, input.lease) = (Err(why.into()), Err("another why".into()));
    let shown = page(&report(&input));
    assert_eq!(shown.matches(why).count(), 1, "{shown}");
    assert!(shown.contains("record        unknown: see above\n"), "{shown}");
    assert!(shown.contains("lease         unknown: another why\n"), "{shown}");
}

#[test]
fn texts_are_wrapped_between_words() {
    assert_eq!(indented("- ", "short"), ["- short"]);
    let wrapped = indented("- ", &"word ".repeat(30));
    assert_eq!(wrapped.len(), 2);
    assert!(wrapped[0].starts_with("- word") && wrapped[1].starts_with("  word"));
    assert!(wrapped.iter().all(|line| line.len() <= WIDTH));
    assert_eq!(indented("- ", ""), ["-"]);
    assert_eq!(line(&"x".repeat(2000)).len(), 503, "and three dots");
}

#[test]
fn columns_stand_below_each_other() {
    let rows = [vec!["a".to_owned(), "bb".to_owned()], vec!["ccc".to_owned(), String::new()]];
    assert_eq!(columns(&rows), ["a    bb", "ccc"]);
}

#[test]
fn a_machine_that_is_gone_waits_for_nothing() {
    use crate::model::machine::group::Ec2State;
    let says = Registration {
        waits_for: Some("the membership lease".into()),
        ..sample::registration(4, RegistrationPhase::Waiting)
    };
    let row = |input: &StatusInput| {
        let shown = page(&report(input));
        let row = shown.lines().find(|line| line.contains("i-0a1b2c3d4e5f60714")).map(str::to_owned);
        (row.unwrap_or_default(), shown.contains("waits for"))
    };
    let mut input = with_words(says);
    input.ec2.as_mut().unwrap().remove(&sample::id(4));
    // EC2 does not list it any more; it says so; it still runs; EC2 does not answer.
    assert!(row(&input).0.contains("was waiting") && !row(&input).1);
    input.ec2.as_mut().unwrap().insert(sample::id(4), Ec2State::Terminated);
    assert!(row(&input).0.contains("was waiting") && !row(&input).1);
    input.ec2.as_mut().unwrap().insert(sample::id(4), Ec2State::Running);
    assert!(!row(&input).0.contains("was waiting") && row(&input).1);
    input.ec2 = Err("denied".into());
    assert!(!row(&input).0.contains("was waiting") && row(&input).1);
}

#[test]
fn silence_at_the_endpoint_is_told_as_seen_from_here() {
    use crate::model::status::{EndpointAddress, EndpointAnswer};
    let at = |n: u8, answer| EndpointAddress { address: sample::address(n), answer };
    let silent = || EndpointAnswer::Silent { why: "operation timed out".into() };
    let mut input = sample::healthy();
    input.endpoint = Ok(vec![at(1, silent()), at(2, sample::endpoint_answer(sample::UID))]);
    let shown = page(&report(&input));
    assert!(shown.contains("10.0.1.11 does not answer from here: operation timed out\n"), "{shown}");
    assert!(shown.contains("10.0.1.12 answers, this cluster, ready\n") && !shown.contains("elsewhere"), "{shown}");
    input.endpoint = Ok(vec![at(1, silent())]);
    assert!(page(&report(&input)).contains("whether it answers elsewhere cannot be told from here"));
    input.endpoint = Err("its name does not resolve here: no answer".into());
    assert!(page(&report(&input)).contains("\n              its name does not resolve here"));
}
