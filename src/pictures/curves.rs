/*!
Curves of a training run: a picture of its metrics, and sparklines for the terminal.
*/

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

use super::bounds::bounds;
use super::classification::{HEIGHT, Panel};
use crate::checkpoint::numbers::Distribution;
use crate::checkpoint::record::{Baseline, NaiveBaselines};

/// Width of the picture, and height of a chart, in pixels.
const SIZE: (u32, u32) = (900, 300);
/// Colours of a chart's curves: the run's own two, and baselines.
const COLOURS: [RGBColor; 5] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(90, 90, 90),
    RGBColor(150, 150, 150),
    RGBColor(200, 200, 200),
];
/// Name and points of a curve.
type Curve<'a> = (&'a str, Vec<(f64, f64)>);
/// Characters of a sparkline, from the lowest to the highest value.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What a run learns, which names its loss, with what it has to beat.
#[derive(Clone, Copy, Debug)]
pub enum Learnt<'b> {
    /// Text, beside the losses of baselines.
    Text(&'b [Baseline]),
    /// Labels, beside the accuracies of baselines.
    Labels(&'b NaiveBaselines),
    /// Translations.
    Translations,
    /// Values of series, by a distribution of this kind.
    Values(Distribution),
}

/// Charts of the lines of metrics.jsonl over the steps: losses, of a classifier accuracies, of a translator BLEU, learning rate
/// and gradient norm, beside what baselines have; below them panels, two in a row. `None` if there is nothing to draw.
pub fn svg(metrics: &str, learnt: Learnt, panels: &[Panel]) -> Option<String> {
    let lines: Vec<Value> = metrics
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let points = |key: &str, evaluations: bool| -> Vec<(f64, f64)> {
        let own = lines
            .iter()
            .filter(|line| line.get("valid_loss").is_some() == evaluations);
        own.filter_map(|line| Some((line["step"].as_f64()?, line[key].as_f64()?)))
            .collect()
    };
    let mut losses = vec![
        ("training", points("loss", false)),
        ("validation", points("valid_loss", true)),
    ];
    let mut charts: Vec<(&str, Vec<Curve>)> = match learnt {
        Learnt::Text(baselines) => {
            losses.extend(baseline_lines(baselines, &losses));
            vec![("loss, nats per token", losses)]
        }
        Learnt::Labels(baselines) => {
            let mut accuracies = vec![
                ("accuracy", points("accuracy", true)),
                ("balanced accuracy", points("balanced_accuracy", true)),
            ];
            accuracies.retain(|(_, points)| !points.is_empty());
            accuracies.extend(accuracy_lines(baselines, &accuracies));
            vec![
                ("loss, nats per document", losses),
                ("accuracy on the validation documents", accuracies),
            ]
        }
        Learnt::Translations => vec![("loss, nats per token of the translations", losses)],
        Learnt::Values(Distribution::Quantiles) => {
            vec![("pinball loss of the quantiles, of scaled values", losses)]
        }
        Learnt::Values(Distribution::Gaussian) => {
            vec![("negative log-likelihood, nats per scaled value", losses)]
        }
    };
    charts.push((
        "BLEU of greedy translations of validation pairs",
        vec![("", points("bleu", true))],
    ));
    for (title, key) in [
        ("learning rate", "learning_rate"),
        ("gradient norm", "gradient_norm"),
    ] {
        charts.push((title, vec![("", points(key, false))]));
    }
    charts.retain(|(_, curves)| curves.iter().any(|(_, points)| !points.is_empty()));
    if charts.is_empty() {
        return None;
    }
    compose(&charts, panels)
}

/// Charts below one another, and panels below them.
fn compose(charts: &[(&str, Vec<Curve>)], panels: &[Panel]) -> Option<String> {
    let mut picture = String::new();
    {
        let heights = [
            SIZE.1 * charts.len() as u32,
            HEIGHT * panels.len().div_ceil(2) as u32,
        ];
        let (width, height) = (SIZE.0, heights.iter().sum());
        let area = SVGBackend::with_string(&mut picture, (width, height)).into_drawing_area();
        area.fill(&WHITE).ok()?;
        let (upper, lower) = area.split_vertically(heights[0]);
        let parts = upper.split_evenly((charts.len(), 1));
        for (part, (title, curves)) in parts.iter().zip(charts) {
            draw(part, title, curves)?;
        }
        let rows = panels.len().div_ceil(2).max(1);
        for (part, panel) in lower.split_evenly((rows, 2)).iter().zip(panels) {
            panel.draw(part)?;
        }
        area.present().ok()?;
    }
    Some(picture)
}

/// Horizontal lines at the losses of baselines, the lowest first, without those that lie above the curves: they would
/// squeeze these.
fn baseline_lines<'b>(baselines: &'b [Baseline], curves: &[Curve]) -> Vec<Curve<'b>> {
    let points = || curves.iter().flat_map(|(_, points)| points);
    let (Some(steps), Some(losses)) = (
        bounds(points().map(|point| point.0)),
        bounds(points().map(|point| point.1)),
    ) else {
        return Vec::new();
    };
    let mut shown: Vec<&Baseline> = baselines
        .iter()
        .filter(|baseline| baseline.score.loss <= losses.end)
        .collect();
    shown.sort_by(|a, b| a.score.loss.total_cmp(&b.score.loss));
    let line = |baseline: &'b Baseline| {
        let loss = baseline.score.loss;
        (
            &baseline.name[..],
            vec![(steps.start, loss), (steps.end, loss)],
        )
    };
    shown.into_iter().map(line).collect()
}

/// Horizontal lines at the accuracies of baselines.
fn accuracy_lines<'b>(baselines: &NaiveBaselines, curves: &[Curve]) -> Vec<Curve<'b>> {
    let points = || curves.iter().flat_map(|(_, points)| points);
    let Some(steps) = bounds(points().map(|point| point.0)) else {
        return Vec::new();
    };
    let line = |(name, accuracy)| (name, vec![(steps.start, accuracy), (steps.end, accuracy)]);
    [
        ("naive Bayes", baselines.naive_bayes.accuracy),
        ("majority", baselines.majority.accuracy),
    ]
    .map(line)
    .into()
}

/// Draws one chart into a part of the picture.
fn draw(area: &DrawingArea<SVGBackend, Shift>, title: &str, curves: &[Curve]) -> Option<()> {
    let all = || curves.iter().flat_map(|(_, points)| points);
    let (steps, values) = (
        bounds(all().map(|point| point.0))?,
        bounds(all().map(|point| point.1))?,
    );
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(steps, values)
        .ok()?;
    chart
        .configure_mesh()
        .x_desc("step")
        .max_light_lines(0)
        .draw()
        .ok()?;
    for ((name, points), colour) in curves.iter().zip(COLOURS) {
        let series = chart
            .draw_series(LineSeries::new(
                points.iter().copied(),
                colour.stroke_width(2),
            ))
            .ok()?;
        if !name.is_empty() {
            series.label(*name).legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(2))
            });
        }
    }
    if curves.len() > 1 {
        let labels = chart
            .configure_series_labels()
            .background_style(WHITE)
            .draw();
        labels.ok()?;
    }
    Some(())
}

/// A sparkline: for each finite value a block whose height is its place between the lowest and the highest.
pub fn sparkline(values: &[f64]) -> String {
    match bounds(values.iter().copied()) {
        Some(range) => sparkline_within(values, &range),
        None => String::new(),
    }
}

/// A sparkline whose blocks reach from the start of a range to its end.
pub fn sparkline_within(values: &[f64], range: &Range<f64>) -> String {
    let Range { start, end } = *range;
    let block = |value: &f64| {
        let place = ((value - start) / (end - start)).max(0.0);
        let height = place * (BLOCKS.len() - 1) as f64;
        BLOCKS[(height.round() as usize).min(BLOCKS.len() - 1)]
    };
    values
        .iter()
        .filter(|value| value.is_finite())
        .map(block)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{ClassificationScore, LanguageScore, TextSize};

    #[test]
    fn block_heights_follow_values() {
        let table: [(&[f64], &str); 5] = [
            (&[], ""),
            (&[1.0, 2.0], "▁█"),
            (&[2.0, 2.0], "▅▅"),
            (&[3.0, f64::NAN, 1.0, 2.0], "█▁▅"),
            (&[0.0, 1.0, 7.0], "▁▂█"),
        ];
        for (values, expected) in table {
            assert_eq!(sparkline(values), expected, "{values:?}");
        }
    }

    #[test]
    fn baselines_are_lines_unless_they_lie_above_the_curves() {
        let size = TextSize {
            tokens: 1,
            characters: 1,
            bytes: 1,
        };
        let baseline = |name: &str, loss| Baseline::new(name, LanguageScore::new(loss, 0.0, &size));
        let baselines = [
            baseline("uniform", 9.5),
            baseline("unigram", 5.0),
            baseline("ngram-6", 2.0),
        ];
        let curves = [("training", vec![(10.0, 8.0), (20.0, 3.0)])];
        let lines = baseline_lines(&baselines, &curves);
        let expected = [
            ("ngram-6", vec![(10.0, 2.0), (20.0, 2.0)]),
            ("unigram", vec![(10.0, 5.0), (20.0, 5.0)]),
        ];
        assert_eq!(lines, expected);
        assert!(baseline_lines(&baselines, &[]).is_empty());
    }

    #[test]
    fn charts_are_drawn_from_metrics() {
        let line = |step: u32| {
            format!(
                "{{\"step\":{step},\"loss\":{},\"learning_rate\":0.1,\"gradient_norm\":1.5}}\n",
                9 - step
            )
        };
        let metrics =
            line(1) + &line(2) + "{\"step\":2,\"loss\":7.5,\"valid_loss\":6.0}\n" + &line(3);
        let picture = svg(&metrics, Learnt::Text(&[]), &[]).unwrap();
        for expected in [
            "<svg",
            "loss, nats per token",
            "validation",
            "learning rate",
            "gradient norm",
        ] {
            assert!(picture.contains(expected), "{expected}");
        }
        assert!(svg("", Learnt::Text(&[]), &[]).is_none());
        for (learnt, expected) in [
            (Learnt::Translations, "per token of the translations"),
            (Learnt::Values(Distribution::Quantiles), "pinball loss"),
            (Learnt::Values(Distribution::Gaussian), "log-likelihood"),
        ] {
            let picture = svg(&metrics, learnt, &[]).unwrap();
            assert!(picture.contains(expected), "{expected}");
            assert!(!picture.contains("loss, nats per token<"), "{expected}");
        }
    }

    #[test]
    fn accuracies_are_drawn_beside_those_of_baselines() {
        let labels = ["a", "b"].map(String::from);
        let score = ClassificationScore::of_labels(&labels, &[0, 1], &[0, 0]);
        let baselines = NaiveBaselines {
            majority: score.clone(),
            naive_bayes: score,
        };
        let line = |step: u32| {
            format!(
                "{{\"step\":{step},\"loss\":0.5,\"learning_rate\":0.1,\"gradient_norm\":1.5}}\n\
                 {{\"step\":{step},\"loss\":0.5,\"valid_loss\":0.6,\"accuracy\":0.{step},\"balanced_accuracy\":0.7}}\n"
            )
        };
        let picture = svg(&(line(1) + &line(2)), Learnt::Labels(&baselines), &[]).unwrap();
        for expected in [
            "loss, nats per document",
            "accuracy on the validation documents",
            "balanced accuracy",
            "naive Bayes",
            "majority",
        ] {
            assert!(picture.contains(expected), "{expected}");
        }
        assert!(!picture.contains("per token"));
    }
}
