/*!
Curves of a training run: a picture of its metrics, and sparklines for the terminal.
*/

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

use crate::checkpoint::record::Baseline;

/// Width and height of the picture, in pixels.
const SIZE: (u32, u32) = (900, 900);
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

/// Charts of the lines of metrics.jsonl: losses, beside those of baselines, learning rate and gradient norm over the steps;
/// `None` if there is nothing to draw.
pub fn svg(metrics: &str, baselines: &[Baseline]) -> Option<String> {
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
    losses.extend(baseline_lines(baselines, &losses));
    let curves: [(&str, Vec<Curve>); 3] = [
        ("loss, nats per token", losses),
        ("learning rate", vec![("", points("learning_rate", false))]),
        ("gradient norm", vec![("", points("gradient_norm", false))]),
    ];
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        area.fill(&WHITE).ok()?;
        for (part, (title, curves)) in area.split_evenly((3, 1)).iter().zip(&curves) {
            draw(part, title, curves)?;
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

/// Range from the lowest to the highest finite value, widened where they are equal.
pub(super) fn bounds(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        (lowest, highest) = (lowest.min(value), highest.max(value));
    }
    let margin = if highest > lowest {
        0.0
    } else {
        lowest.abs().max(1.0) / 2.0
    };
    (lowest <= highest).then_some(lowest - margin..highest + margin)
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
    use crate::metrics::{LanguageScore, TextSize};

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
        let picture = svg(&metrics, &[]).unwrap();
        for expected in [
            "<svg",
            "loss, nats per token",
            "validation",
            "learning rate",
            "gradient norm",
        ] {
            assert!(picture.contains(expected), "{expected}");
        }
        assert!(svg("", &[]).is_none());
    }
}
