//! The documentation, the dashboard and the example agree with the code.

use super::exported;
use crate::examples::shows;
use redis_rest::observe::{Instrument, METRICS, Metric};
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn documentation_lists_every_metric() {
    let document = include_str!("../../../docs/observability.md");
    let rows: Vec<&str> = document
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 6)
        .collect();
    let row = |metric: &Metric| {
        let kind = format!("{:?}", metric.instrument).to_lowercase();
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels =
            if labels.is_empty() { " ".into() } else { format!(" {} ", labels.join(", ")) };
        format!("| `{}` | {kind} | `{}` |{labels}| {} |", metric.name, metric.unit, metric.about)
    };
    assert_eq!(rows, METRICS.iter().map(row).collect::<Vec<_>>());
}

/// Returns the names of a query that look like metrics, and the labels that it names.
fn names(query: &str) -> (Vec<&str>, Vec<&str>) {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics = words
        .filter(|word| word.starts_with("redis_rest_") || word.starts_with("db_client_"))
        .collect();
    let mut labels = Vec::new();
    for (place, _) in query.match_indices("by (") {
        let list = &query[place + 4..];
        labels.extend(list[..list.find(')').unwrap()].split(", ").filter(|label| *label != "le"));
    }
    for (place, _) in query.match_indices('{') {
        let list = &query[place + 1..];
        labels.extend(
            list[..list.find('}').unwrap()]
                .split(',')
                .map(|part| part.split(['=', '!']).next().unwrap()),
        );
    }
    (metrics, labels)
}

#[test]
fn dashboard_uses_only_recorded_metrics() {
    let dashboard: Value =
        serde_json::from_str(include_str!("../../../examples/grafana-dashboard.json")).unwrap();
    let mut used = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let (found, labels) = names(query);
            assert_eq!(found.len(), 1, "{query}");
            let metric = METRICS.iter().find(|metric| {
                let name = exported(metric);
                match metric.instrument {
                    Instrument::Histogram => ["bucket", "count", "sum"]
                        .iter()
                        .any(|part| found[0] == format!("{name}_{part}")),
                    _ => found[0] == name,
                }
            });
            let metric = metric.unwrap_or_else(|| panic!("no such metric: {query}"));
            let has =
                |label: &&str| metric.labels.iter().any(|known| known.replace('.', "_") == *label);
            assert!(labels.iter().all(has), "{labels:?}: {query}");
            // The legend names labels that the query keeps.
            let legend = target["legendFormat"].as_str().unwrap();
            let legends = legend.split("{{").skip(1).map(|part| part.split("}}").next().unwrap());
            assert!(legends.clone().all(|label| labels.contains(&label)), "{legend}: {query}");
            used.insert(metric.name);
        }
    }
    assert_eq!(used.len(), METRICS.len(), "each metric is drawn somewhere: {used:?}");
}

#[test]
fn the_example_shows_every_metric_and_spans() {
    let text = shows(
        "observability",
        &[
            "db.operation.name=\"INCR\"",
            "http.response.status_code=200",
            "db.operation.name=\"PIPELINE GET\"",
            "as expected",
            "# TYPE",
        ],
    );
    for metric in METRICS {
        let name = exported(metric);
        // A gauge may be back at 0.
        let counted = |line: &str| metric.instrument == Instrument::Gauge || !line.ends_with(" 0");
        let series = |line: &str| {
            line.starts_with(&name)
                && line[name.len()..].starts_with(['{', '_', ' '])
                && counted(line)
        };
        let shown = text.lines().any(series);
        assert!(shown, "{name} is missing, or was never more than 0:\n{text}");
        let kind = format!("# TYPE {name} {}", format!("{:?}", metric.instrument).to_lowercase());
        assert!(
            text.contains(&kind) && text.contains(&format!("# HELP {name} {}", metric.about)),
            "{kind}"
        );
    }
}
