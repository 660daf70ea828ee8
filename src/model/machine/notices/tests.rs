//! What EC2 says, and what anybody else might say in its place.

use super::*;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_spot_notice_ends_a_machine_only_where_it_goes_for_good() {
    let rows = [
        (r#"{"action": "terminate", "time": "1970-01-01T00:10:00Z"}"#, SpotAction::Terminate, Some(at(600)), true),
        (r#"{"action": "stop", "time": "1970-01-01T00:10:00Z"}"#, SpotAction::Stop, Some(at(600)), false),
        (r#"{"action": "hibernate", "time": "1970-01-01T00:10:00Z"}"#, SpotAction::Hibernate, Some(at(600)), false),
        (r#"{"action": "pause", "time": "now"}"#, SpotAction::Other("pause".into()), None, false),
        (r#"{"action": "terminate"}"#, SpotAction::Terminate, None, true),
        (r#"{"action": "terminate", "time": 7, "more": []}"#, SpotAction::Terminate, None, true),
    ];
    for (text, action, when, ends) in rows {
        let notice = SpotNotice::parse(text).unwrap();
        assert_eq!((&notice.action, notice.at, notice.is_for_good()), (&action, when, ends), "{text}");
        assert!(notice.to_string().contains(&action.to_string()), "{notice}");
    }
    for text in ["", "terminate", "{", "[]", "{}", r#"{"action": 1}"#, "<html>\u{1b}[31m</html>"] {
        let error = SpotNotice::parse(text).unwrap_err().to_string();
        assert!(error.contains("a Spot notice of a shape") && !error.contains(char::is_control), "{error:?}");
    }
}

#[test]
fn what_is_left_of_a_notice_is_never_more_than_its_two_minutes() {
    let notice = |at| SpotNotice { action: SpotAction::Terminate, at };
    // Its own time, now, for how long it was seen, and what is left.
    let rows = [
        (Some(600), 480, 0, 120),
        (Some(600), 480, 30, 90),
        (Some(600), 550, 30, 50),
        (Some(600), 601, 0, 0),
        // A clock that goes wrong, or a time of somebody's making.
        (Some(9_000_000), 480, 0, 120),
        (Some(9_000_000), 480, 121, 0),
        (None, 480, 20, 100),
    ];
    for (time, now, seen, left) in rows {
        let found = notice(time.map(at)).left(at(now), Duration::from_secs(seen));
        assert_eq!(found.as_secs(), left, "{time:?} at {now}, seen for {seen} s");
    }
}

#[test]
fn recommendations_and_events_are_told_in_words_that_command_no_terminal() {
    assert_eq!(rebalance(r#"{"noticeTime": "2020-10-27T08:22:00Z"}"#).unwrap(), "2020-10-27T08:22:00Z");
    assert_eq!(rebalance("{\"noticeTime\": \"\\u001b[31m\"}").unwrap(), "\\u{1b}[31m");
    assert!(rebalance("{}").is_err());
    let events = r#"[
        {"NotBefore": "21 Jan 2019 09:00:43 GMT", "Code": "system-reboot", "Description": "scheduled reboot",
         "EventId": "instance-event-0d59937288b749b32", "NotAfter": "21 Jan 2019 09:17:23 GMT", "State": "active"},
        {"NotBefore": "1 Jan 2019 09:00:43 GMT", "Code": "instance-stop", "State": "completed"},
        {"NotBefore": "2 Jan 2019 09:00:43 GMT", "Code": "instance-stop", "State": "canceled"}
    ]"#;
    let told: Vec<String> = scheduled(events).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["system-reboot not before 21 Jan 2019 09:00:43 GMT"]);
    assert_eq!(scheduled("[]").unwrap(), []);
    assert!(scheduled("{}").is_err() && scheduled("").is_err());
    let many = format!("[{}]", vec![format!(r#"{{"Code": "{}"}}"#, "x".repeat(5000)); 50].join(","));
    let told = scheduled(&many).unwrap();
    assert!(told.len() == MOST && told.iter().all(|event| event.code.len() <= LONGEST), "{told:?}");
}
