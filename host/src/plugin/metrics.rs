//! The numbers that plugins record.
//!
//! Names are prefixed with the plugin's, so that none can pose as the host or as another. How many series a plugin may
//! have is capped: a label that takes a new value with every patient must not fill the host's memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// How many series one plugin may have.
const MAX_SERIES: usize = 256;
/// Names and label values are cut here.
const MAX_WORD: usize = 128;

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, of which count and sum are kept.
    Histogram,
}

impl MetricKind {
    pub(super) fn from_number(number: u32) -> Option<MetricKind> {
        match number {
            1 => Some(MetricKind::Counter),
            2 => Some(MetricKind::Gauge),
            3 => Some(MetricKind::Histogram),
            _ => None,
        }
    }
}

/// One series at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// `lakefeed_plugin_`, the plugin's name, and the plugin's own name for it.
    pub name: String,
    /// What it means.
    pub help: String,
    /// What kind of number it is.
    pub kind: MetricKind,
    /// What tells it from its siblings.
    pub labels: BTreeMap<String, String>,
    /// The sum of a counter or histogram, the last value of a gauge.
    pub value: f64,
    /// How often it was recorded.
    pub count: u64,
    /// The plugin it belongs to.
    pub plugin: String,
}

/// The series of all plugins of a host.
#[derive(Debug, Default)]
pub struct PluginMetrics {
    series: Mutex<Vec<Series>>,
}

impl PluginMetrics {
    /// Every series as it is now.
    pub fn snapshot(&self) -> Vec<Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Names a series and answers its id; the same name and labels get the same id. 0 if it is not kept.
    pub(super) fn register(
        &self,
        plugin: &str,
        kind: MetricKind,
        name: &str,
        help: &str,
        labels: BTreeMap<String, String>,
    ) -> u64 {
        let name = format!("lakefeed_plugin_{}_{}", word(plugin), word(name));
        let labels: BTreeMap<String, String> = labels
            .into_iter()
            .map(|(key, value)| (word(&key), value.chars().take(MAX_WORD).collect()))
            .collect();
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = all
            .iter()
            .position(|series| series.name == name && series.labels == labels)
        {
            return index as u64 + 1;
        }
        if all.iter().filter(|series| series.plugin == plugin).count() >= MAX_SERIES {
            return 0;
        }
        let (help, plugin) = (help.chars().take(MAX_WORD).collect(), plugin.to_owned());
        all.push(Series {
            name,
            help,
            kind,
            labels,
            value: 0.0,
            count: 0,
            plugin,
        });
        all.len() as u64
    }

    pub(super) fn record(&self, id: u64, value: f64) {
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        let Some(series) = index.and_then(|index| all.get_mut(index)) else {
            return;
        };
        if !value.is_finite() {
            return;
        }
        series.count += 1;
        match series.kind {
            MetricKind::Gauge => series.value = value,
            MetricKind::Counter => series.value += value.max(0.0),
            MetricKind::Histogram => series.value += value,
        }
    }
}

/// A word as metric names may be made of.
fn word(text: &str) -> String {
    text.chars()
        .take(MAX_WORD)
        .map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(metrics: &PluginMetrics, kind: MetricKind, label: &str) -> u64 {
        metrics.register(
            "s3-stager",
            kind,
            "files.open",
            "h",
            BTreeMap::from([("l".into(), label.into())]),
        )
    }

    #[test]
    fn names_are_prefixed_and_the_same_series_has_one_id() {
        let metrics = PluginMetrics::default();
        let id = register(&metrics, MetricKind::Counter, "a");
        assert_eq!(register(&metrics, MetricKind::Counter, "a"), id);
        metrics.record(id, 2.0);
        metrics.record(id, -5.0);
        let series = &metrics.snapshot()[0];
        assert_eq!(series.name, "lakefeed_plugin_s3_stager_files_open");
        assert_eq!((series.value, series.count), (2.0, 2));
    }

    #[test]
    fn a_plugin_cannot_have_more_series_than_the_cap() {
        let metrics = PluginMetrics::default();
        let kept = (0..MAX_SERIES + 50)
            .filter(|label| register(&metrics, MetricKind::Gauge, &label.to_string()) != 0);
        assert_eq!(kept.count(), MAX_SERIES);
        metrics.record(0, 1.0);
        metrics.record(u64::MAX, 1.0);
    }
}
