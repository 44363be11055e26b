//! Metrics and spans. Recorders and subscribers are local to a test's thread, since tests run in
//! parallel.

mod counts;
mod documents;
mod managers;
mod spans;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use redis_rest::observe::{self, Instrument, Metric};

/// Metrics recorded on this thread.
pub struct Recorded {
    prometheus: PrometheusHandle,
    _guard: metrics::LocalRecorderGuard<'static>,
}

impl Recorded {
    pub fn here() -> Self {
        let mut builder = PrometheusBuilder::new().with_recommended_naming(true);
        for metric in observe::METRICS.iter().filter(|metric| !metric.buckets.is_empty()) {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.into()), metric.buckets)
                .unwrap();
        }
        let recorder = Box::leak(Box::new(builder.build_recorder()));
        let recorded = Self {
            prometheus: recorder.handle(),
            _guard: metrics::set_default_local_recorder(recorder),
        };
        observe::describe();
        recorded
    }

    pub fn text(&self) -> String {
        self.prometheus.render()
    }

    /// Returns the sum of the series with this name and these labels; 0 if there is none.
    pub fn value(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.text();
        let series = text.lines().filter_map(|line| line.rsplit_once(' ')).filter(|(series, _)| {
            let labelled =
                series.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('{'));
            labelled.is_some_and(|rest| labels.iter().all(|label| rest.contains(label)))
        });
        series.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
    }
}

/// Returns the exporter's form of a name.
pub fn exported(metric: &Metric) -> String {
    let mut name = metric.name.replace('.', "_");
    match metric.unit {
        "s" => name.push_str("_seconds"),
        "By" => name.push_str("_bytes"),
        _ => {}
    }
    if metric.instrument == Instrument::Counter {
        name.push_str("_total");
    }
    name
}
