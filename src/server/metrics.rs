/*!
Counts of what was served, in Prometheus' text format.
*/

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Answers that are counted together: of one endpoint, with one status.
type Answers = (&'static str, u16);

/// Counts since the start of the server.
#[derive(Default)]
pub struct Metrics {
    /// Number of requests and their seconds, by endpoint and status.
    requests: Mutex<BTreeMap<Answers, (u64, f64)>>,
    /// Connections at present.
    pub connections: AtomicI64,
}

/// Counts of one model.
#[derive(Default)]
pub struct ModelMetrics {
    /// Tokens of prompts.
    pub prompt_tokens: AtomicU64,
    /// Tokens that were generated.
    pub tokens: AtomicU64,
    /// Texts that grow at present.
    pub growing: AtomicI64,
    /// Requests that wait for their turn at present.
    pub waiting: AtomicI64,
    /// Texts whose first token was generated, and the microseconds until then.
    pub first_tokens: AtomicU64,
    /// The microseconds.
    pub first_token_micros: AtomicU64,
}

/// Each metric of a model: its name, kind, meaning and value.
type ModelMetric = (
    &'static str,
    &'static str,
    &'static str,
    fn(&ModelMetrics) -> f64,
);

const OF_MODELS: [ModelMetric; 6] = [
    (
        "carousel_prompt_tokens_total",
        "counter",
        "Tokens of prompts that were read.",
        |one| one.prompt_tokens.load(Ordering::Relaxed) as f64,
    ),
    (
        "carousel_tokens_total",
        "counter",
        "Tokens that were generated.",
        |one| one.tokens.load(Ordering::Relaxed) as f64,
    ),
    (
        "carousel_texts_growing",
        "gauge",
        "Texts that grow side by side at present.",
        |one| one.growing.load(Ordering::Relaxed) as f64,
    ),
    (
        "carousel_requests_waiting",
        "gauge",
        "Requests that wait for their turn at present.",
        |one| one.waiting.load(Ordering::Relaxed) as f64,
    ),
    (
        "carousel_first_token_seconds_count",
        "counter",
        "Requests whose first token was generated.",
        |one| one.first_tokens.load(Ordering::Relaxed) as f64,
    ),
    (
        "carousel_first_token_seconds_sum",
        "counter",
        "Seconds from a request to its first token, summed.",
        |one| one.first_token_micros.load(Ordering::Relaxed) as f64 / 1e6,
    ),
];

impl Metrics {
    /// Counts an answered request.
    pub fn answered(&self, endpoint: &'static str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().expect("nothing panics with the lock");
        let (count, seconds) = requests.entry((endpoint, status)).or_default();
        *count += 1;
        *seconds += took.as_secs_f64();
    }

    /// All metrics, with those of models by their names.
    pub fn text(&self, models: &[(&str, &ModelMetrics)]) -> String {
        let mut text = String::new();
        let requests = self.requests.lock().expect("nothing panics with the lock");
        let mut family = |name: &str, kind: &str, help: &str, rows: Vec<(String, f64)>| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in rows {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let labels = |(endpoint, status): &(&str, u16)| {
            format!("{{endpoint=\"{endpoint}\",status=\"{status}\"}}")
        };
        let counts = requests
            .iter()
            .map(|(key, one)| (labels(key), one.0 as f64));
        let help = "Requests that were answered.";
        family("carousel_requests_total", "counter", help, counts.collect());
        let seconds = requests.iter().map(|(key, one)| (labels(key), one.1));
        let help = "Seconds until the answers began, summed.";
        family(
            "carousel_request_seconds_total",
            "counter",
            help,
            seconds.collect(),
        );
        let connections = self.connections.load(Ordering::Relaxed) as f64;
        let help = "Connections at present.";
        family(
            "carousel_connections",
            "gauge",
            help,
            vec![(String::new(), connections)],
        );
        for (name, kind, help, value) in OF_MODELS {
            let rows = models.iter().map(|(model, metrics)| {
                (format!("{{model=\"{}\"}}", escaped(model)), value(metrics))
            });
            family(name, kind, help, rows.collect());
        }
        text
    }
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_lines_of_prometheus() {
        let (metrics, model) = (Metrics::default(), ModelMetrics::default());
        metrics.answered("/health", 200, Duration::from_millis(500));
        metrics.answered("/health", 200, Duration::from_millis(250));
        model.tokens.store(7, Ordering::Relaxed);
        let text = metrics.text(&[("a \"b\"", &model)]);
        for line in [
            "carousel_requests_total{endpoint=\"/health\",status=\"200\"} 2",
            "carousel_request_seconds_total{endpoint=\"/health\",status=\"200\"} 0.75",
            "carousel_tokens_total{model=\"a \\\"b\\\"\"} 7",
            "# TYPE carousel_texts_growing gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
