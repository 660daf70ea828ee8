//! That `docs/metrics.md`, the alert rules and the board in `packaging` name the metrics that there are.

use crate::documented::names;
use crate::model::agent::served::machine::ROLES;
use crate::model::agent::served::metrics::{METRICS, Metric, MetricKind};
use crate::model::agent::served::{AgentState, HoldReason, Source};
use serde_json::Value;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/metrics.md");
const RULES: &str = include_str!("../../../packaging/prometheus/kubeboot.rules.yml");
const BOARD: &str = include_str!("../../../packaging/grafana/kubeboot.json");

fn all() -> BTreeSet<String> {
    METRICS.iter().map(Metric::full_name).collect()
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    text.split(|letter| !is_part(letter)).filter(|word| word.starts_with("kubeboot_")).map(str::to_owned).collect()
}

/// The row of a metric, cell by cell.
fn row(metric: &str) -> Vec<&'static str> {
    let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{metric}` |"))).unwrap();
    row.split(" |").map(str::trim).collect()
}

#[test]
fn the_page_names_every_metric_with_its_kind_and_labels() {
    assert_eq!(names(PAGE, "Metrics"), all());
    for metric in METRICS {
        let cells = row(&metric.full_name());
        let kind = match metric.kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
            MetricKind::Info => "info",
        };
        assert_eq!(cells[1].trim_start_matches("| "), kind, "{}", metric.name);
        let label = cells[2].split('`').nth(1);
        assert_eq!(label, metric.labels.first().copied(), "{}", metric.name);
    }
    for mentioned in named(PAGE) {
        // One is the beginning of many names, as the page says.
        assert!(all().contains(&mentioned) || mentioned == "kubeboot_etcd_", "{mentioned}");
    }
}

#[test]
fn the_page_names_every_word_of_a_label() {
    let rows = [
        ("kubeboot_agent_state", AgentState::NAMES.to_vec()),
        ("kubeboot_agent_hold", HoldReason::ALL.map(HoldReason::name).to_vec()),
        ("kubeboot_source_answer_timestamp_seconds", Source::ALL.map(Source::name).to_vec()),
        ("kubeboot_etcd_role", ROLES.to_vec()),
        ("kubeboot_etcd_alarms", vec!["nospace", "corrupt"]),
    ];
    for (metric, expected) in rows {
        let found: Vec<&str> = row(metric)[2].split('`').skip(3).step_by(2).collect();
        assert_eq!(found, expected, "{metric}");
    }
}

#[test]
fn rules_and_board_use_metrics_that_there_are() {
    for (file, text) in [("kubeboot.rules.yml", RULES), ("kubeboot.json", BOARD)] {
        let (used, all) = (named(text), all());
        assert!(used.len() > 5, "{file}");
        assert!(used.is_subset(&all), "{file}: {:?}", used.difference(&all).collect::<Vec<_>>());
    }
}

#[test]
fn the_page_tells_every_alert_and_each_alert_says_what_to_do() {
    let rules: Value = serde_saphyr::from_str(RULES).expect("it is YAML");
    let rules = rules["groups"][0]["rules"].as_array().expect("it has rules");
    let alerts: BTreeSet<String> = rules.iter().filter_map(|rule| Some(rule["alert"].as_str()?.to_owned())).collect();
    assert_eq!(names(PAGE, "Alerts"), alerts);
    for rule in rules {
        for field in [&rule["expr"], &rule["annotations"]["summary"], &rule["annotations"]["description"]] {
            assert!(field.as_str().is_some_and(|text| !text.is_empty()), "{rule}");
        }
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("warning" | "critical")), "{rule}");
    }
}

#[test]
fn the_board_has_a_question_in_every_panel() {
    let board: Value = serde_json::from_str(BOARD).expect("it is JSON");
    let panels = board["panels"].as_array().expect("it has panels");
    assert!(panels.len() > 5);
    for panel in panels {
        let targets = panel["targets"].as_array().expect("it has questions");
        assert!(targets.iter().any(|target| target["expr"].as_str().is_some_and(|expr| expr.contains("kubeboot_"))));
        assert_eq!(targets.iter().filter(|target| target["expr"].as_str().is_none()).count(), 0, "{panel}");
    }
}

#[test]
fn the_watchdog_of_the_unit_is_the_time_after_which_the_agent_is_not_live() {
    let unit = include_str!("../../../systemd/kubeboot-agent.service");
    let given = unit.lines().find_map(|line| line.strip_prefix("WatchdogSec=")).expect("it has a watchdog");
    assert_eq!(humantime::parse_duration(given).ok(), Some(crate::model::agent::served::LIVE));
}
