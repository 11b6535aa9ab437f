/*!
Validation curves of runs, and their values at equal numbers of tokens.
*/

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One validation of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The run's seed.
    pub seed: u64,
    /// Updates of the weights before it.
    pub step: u64,
    /// Tokens that were read before it.
    pub tokens: u64,
    /// Seconds before it.
    pub seconds: f64,
    /// Validation loss, in nats.
    pub loss: f64,
    /// Accuracy of a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean of the labels' F1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
}

/// Curve and speed of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// The validations, in order.
    pub points: Vec<Point>,
    /// Median of the training speed.
    pub tokens_per_second: Option<f64>,
}

impl Curve {
    /// Reads the lines of metrics.jsonl. Lines that cannot be read are passed over.
    pub fn read(metrics: &str, seed: u64) -> Self {
        let lines: Vec<Value> = metrics
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let mut speeds: Vec<f64> = lines
            .iter()
            .filter_map(|line| line["tokens_per_second"].as_f64())
            .collect();
        speeds.sort_by(f64::total_cmp);
        Curve {
            points: lines.iter().filter_map(|line| point(line, seed)).collect(),
            tokens_per_second: speeds.get(speeds.len() / 2).copied(),
        }
    }

    /// Moves the losses so that the lowest becomes `loss`.
    ///
    /// Runs that are slower validate on a shorter part of the validation data, whose loss differs from that of the whole.
    pub fn move_to(&mut self, loss: f64) {
        let losses = self.points.iter().map(|point| point.loss);
        let difference = loss - losses.fold(f64::INFINITY, f64::min);
        if difference.is_finite() {
            self.points
                .iter_mut()
                .for_each(|point| point.loss += difference);
        }
    }

    /// Tokens read before the last validation.
    pub fn tokens(&self) -> Option<u64> {
        self.points.last().map(|point| point.tokens)
    }

    /// The loss after a number of tokens, between two validations on the line through both; `None` before the first
    /// validation and after the last.
    pub fn loss_at(&self, tokens: u64) -> Option<f64> {
        let after = self
            .points
            .iter()
            .position(|point| point.tokens >= tokens)?;
        let next = self.points[after];
        if next.tokens == tokens {
            return Some(next.loss);
        }
        let before = self.points[after.checked_sub(1)?];
        let part = (tokens - before.tokens) as f64 / (next.tokens - before.tokens) as f64;
        Some(before.loss + part * (next.loss - before.loss))
    }
}

fn point(line: &Value, seed: u64) -> Option<Point> {
    Some(Point {
        seed,
        step: line["step"].as_u64()?,
        tokens: line["tokens"].as_u64()?,
        seconds: line["seconds"].as_f64()?,
        loss: line["valid_loss"].as_f64()?,
        accuracy: line["accuracy"].as_f64(),
        macro_f1: line["macro_f1"].as_f64(),
    })
}

/// The largest number of tokens that all curves reach; `None` if one has no validation.
pub fn common_tokens<'a>(curves: impl Iterator<Item = &'a Curve>) -> Option<u64> {
    let reached: Option<Vec<u64>> = curves.map(Curve::tokens).collect();
    reached?.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> Curve {
        let line = |step: u64, loss: f64| {
            format!(
                "{{\"step\":{step},\"tokens\":{},\"seconds\":1.5,\"valid_loss\":{loss},\"loss\":1}}\n\
                 {{\"step\":{step},\"tokens_per_second\":{}}}\nbroken\n",
                step * 100,
                step * 7
            )
        };
        Curve::read(&(line(1, 4.0) + &line(3, 2.0) + &line(4, 1.0)), 5)
    }

    #[test]
    fn losses_between_validations_lie_on_a_line() {
        let curve = curve();
        assert_eq!(curve.points.len(), 3);
        assert_eq!(
            (curve.tokens(), curve.tokens_per_second),
            (Some(400), Some(21.0))
        );
        let table = [
            (50, None),
            (100, Some(4.0)),
            (150, Some(3.5)),
            (300, Some(2.0)),
            (400, Some(1.0)),
            (401, None),
        ];
        for (tokens, expected) in table {
            assert_eq!(curve.loss_at(tokens), expected, "{tokens}");
        }
    }

    #[test]
    fn curves_are_compared_where_all_have_been() {
        let (long, mut short) = (curve(), curve());
        short.points.pop();
        assert_eq!(common_tokens([&long, &short].into_iter()), Some(300));
        assert_eq!(common_tokens([&long, &Curve::default()].into_iter()), None);
    }

    #[test]
    fn a_curve_is_moved_by_its_best_loss() {
        let mut curve = curve();
        curve.move_to(1.5);
        let losses: Vec<f64> = curve.points.iter().map(|point| point.loss).collect();
        assert_eq!(losses, [4.5, 2.5, 1.5]);
    }
}
