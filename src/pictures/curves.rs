/*!
What a run looked like: report.svg in its folder, and a line of blocks on the terminal.
*/

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

/// Width and height of the picture.
const SIZE: (u32, u32) = (900, 900);
/// The colours of a first and a second line.
const COLOURS: [RGBColor; 2] = [RGBColor(31, 119, 180), RGBColor(214, 39, 40)];
/// A name, and points.
type Curve = (&'static str, Vec<(f64, f64)>);
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The lines of metrics.jsonl as pictures: losses, learning rate and gradient norm over the steps; `None` if there is too
/// little to draw.
pub fn svg(metrics: &str) -> Option<String> {
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
    let curves: [(&str, Vec<Curve>); 3] = [
        (
            "loss, nats per token",
            vec![
                ("training", points("loss", false)),
                ("validation", points("valid_loss", true)),
            ],
        ),
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

/// From the least to the most, with some room where they are the same.
fn bounds(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        (least, most) = (least.min(value), most.max(value));
    }
    let room = if most > least {
        0.0
    } else {
        least.abs().max(1.0) / 2.0
    };
    (least <= most).then_some(least - room..most + room)
}

/// A block for each value, as high as it is among them.
pub fn sparkline(values: &[f64]) -> String {
    let Some(Range { start, end }) = bounds(values.iter().copied()) else {
        return String::new();
    };
    let block = |value: &f64| {
        let height = (value - start) / (end - start) * (BLOCKS.len() - 1) as f64;
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

    #[test]
    fn blocks_are_as_high_as_values() {
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
    fn curves_are_drawn_of_what_there_is() {
        let line = |step: u32| {
            format!(
                "{{\"step\":{step},\"loss\":{},\"learning_rate\":0.1,\"gradient_norm\":1.5}}\n",
                9 - step
            )
        };
        let metrics =
            line(1) + &line(2) + "{\"step\":2,\"loss\":7.5,\"valid_loss\":6.0}\n" + &line(3);
        let picture = svg(&metrics).unwrap();
        for expected in [
            "<svg",
            "loss, nats per token",
            "validation",
            "learning rate",
            "gradient norm",
        ] {
            assert!(picture.contains(expected), "{expected}");
        }
        assert!(svg("").is_none());
    }
}
