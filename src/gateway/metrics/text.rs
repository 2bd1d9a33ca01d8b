//! Metrics in Prometheus's text format.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::families::{FAMILIES, Kind, Sample, WORKER_FAMILIES};
use super::snapshot::Snapshot;

/// The media type of the text.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes a snapshot down.
pub(super) fn text(snapshot: Snapshot) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    // Nothing refuses to be written to a string.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // One that does everything has nothing to tell besides.
        let of_workers = match self.workers.is_empty() {
            true => &[],
            false => WORKER_FAMILIES,
        };
        for family in FAMILIES.iter().chain(of_workers) {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for sample in (family.samples)(self) {
                match sample.labels.is_empty() {
                    true => put(&mut metric, family.kind, &sample)?,
                    false => {
                        let mut labelled = metric.encode_family(&sample.labels)?;
                        put(&mut labelled, family.kind, &sample)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn put(metric: &mut MetricEncoder<'_>, kind: Kind, sample: &Sample) -> fmt::Result {
    match kind {
        Kind::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&sample.value, None),
        Kind::Gauge => metric.encode_gauge(&sample.value),
    }
}
