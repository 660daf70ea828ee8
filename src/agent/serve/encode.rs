//! The text that Prometheus reads: OpenMetrics 1.0.

use crate::model::agent::served::metrics::{METRICS, Metric, MetricKind, Sample};
use anyhow::{Context, Result};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

/// The media type of the text.
pub(super) const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The samples as text.
///
/// # Errors
/// None is expected: it is written into memory.
pub(super) fn encode(samples: Vec<Sample>) -> Result<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Samples(samples)));
    let mut text = String::new();
    text::encode(&mut text, &registry).context("failed to write the metrics as text")?;
    Ok(text)
}

#[derive(Debug)]
struct Samples(Vec<Sample>);

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for metric in METRICS {
            let samples: Vec<&Sample> = self.0.iter().filter(|sample| sample.name == metric.name).collect();
            if !samples.is_empty() {
                family(metric, &samples, &mut encoder)?;
            }
        }
        Ok(())
    }
}

fn family(metric: &Metric, samples: &[&Sample], encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let kind = match metric.kind {
        MetricKind::Gauge => MetricType::Gauge,
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Info => MetricType::Info,
    };
    let mut encoder = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
    for sample in samples {
        let labels: Vec<(&str, String)> = sample.labels.iter().map(|(name, value)| (*name, escaped(value))).collect();
        match metric.kind {
            MetricKind::Gauge if labels.is_empty() => encoder.encode_gauge(&sample.value)?,
            MetricKind::Gauge => encoder.encode_family(&labels)?.encode_gauge(&sample.value)?,
            MetricKind::Counter => ConstCounter::new(sample.value).encode(encoder.encode_family(&labels)?)?,
            MetricKind::Info => encoder.encode_info(&labels)?,
        }
    }
    Ok(())
}

/// The library writes values of labels as they are.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_told_as_prometheus_wants_them() -> Result<()> {
        let sample = |name, labels: &[(&'static str, &str)], value| Sample {
            name,
            labels: labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            value,
        };
        let text = encode(vec![
            sample("kubeboot_build", &[("version", "1\"\n2\\")], 1.0),
            sample("kubeboot_source_failures", &[("source", "imds")], 3.0),
            sample("kubeboot_etcd_voters", &[], 3.0),
        ])?;
        let expected = "\
# HELP kubeboot_build The version of kubeboot.
# TYPE kubeboot_build info
kubeboot_build_info{version=\"1\\\"\\n2\\\\\"} 1
# HELP kubeboot_source_failures How often one whom the agent asks has not answered since the agent began.
# TYPE kubeboot_source_failures counter
kubeboot_source_failures_total{source=\"imds\"} 3.0
# HELP kubeboot_etcd_voters Members with a vote.
# TYPE kubeboot_etcd_voters gauge
kubeboot_etcd_voters 3.0
# EOF
";
        assert_eq!(text, expected);
        Ok(())
    }
}
