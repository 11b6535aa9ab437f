/*!
The picture of a comparison: losses, or macro F1 of classifiers, against tokens and against time.
*/

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::bounds::bounds;
use crate::comparison::curve::Point;
use crate::comparison::results::Row;

/// Width and height of the picture, in pixels.
const SIZE: (u32, u32) = (900, 900);
/// Colours of the entries, in turn.
const COLOURS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(23, 190, 207),
];
/// Colour of baselines.
const GREY: RGBColor = RGBColor(110, 110, 110);
/// Length and distance of the dashes of a baseline, in pixels.
const DASHES: (u32, u32) = (6, 4);

/// One of the two charts.
struct Chart {
    title: String,
    x_name: &'static str,
    x: fn(&Point) -> f64,
    /// Whether classifiers are shown, by their macro F1.
    labelled: bool,
}

/// Points of a line.
type Line = Vec<(f64, f64)>;
/// A chart that is being drawn.
type Plot<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Chart {
    fn y(&self, point: &Point) -> Option<f64> {
        match self.labelled {
            true => point.macro_f1,
            false => Some(point.loss),
        }
    }

    /// Names and values of the baselines.
    fn baselines<'r>(&self, rows: &'r [Row]) -> Vec<(&'r str, f64)> {
        let value = |row: &Row| match self.labelled {
            true => row.scores.macro_f1,
            false => row.scores.loss,
        };
        let baselines = rows.iter().filter(|row| row.baseline);
        baselines
            .filter_map(|row| Some((row.name.as_str(), value(row)?)))
            .collect()
    }

    /// The corner where curves seldom are.
    fn legend(&self) -> SeriesLabelPosition {
        match self.labelled {
            true => SeriesLabelPosition::LowerRight,
            false => SeriesLabelPosition::UpperRight,
        }
    }
}

/// Charts of the entries' validations, with the baselines as dashed lines; `None` if there is nothing to draw.
pub fn svg(rows: &[Row], labelled: bool) -> Option<String> {
    let (what, unit) = match labelled {
        true => ("validation macro F1", ""),
        false => ("validation loss", ", nats per token"),
    };
    let charts = [
        Chart {
            title: format!("{what} by tokens{unit}"),
            x_name: "tokens read",
            x: |point| point.tokens as f64,
            labelled,
        },
        Chart {
            title: format!("{what} by time{unit}"),
            x_name: "seconds",
            x: |point| point.seconds,
            labelled,
        },
    ];
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        area.fill(&WHITE).ok()?;
        for (part, chart) in area.split_evenly((2, 1)).iter().zip(&charts) {
            draw(part, chart, rows)?;
        }
        area.present().ok()?;
    }
    Some(picture)
}

/// Draws one chart into a part of the picture.
fn draw(area: &DrawingArea<SVGBackend, Shift>, chart: &Chart, rows: &[Row]) -> Option<()> {
    let entries: Vec<(&str, Vec<Line>)> = rows
        .iter()
        .filter_map(|row| {
            Some((
                row.name.as_str(),
                lines(&row.trained.as_ref()?.curve, chart),
            ))
        })
        .collect();
    let baselines = chart.baselines(rows);
    let points = || entries.iter().flat_map(|(_, lines)| lines.iter().flatten());
    let x = 0.0..bounds(points().map(|point| point.0))?.end;
    // Baselines far from the curves would press these together, and are named below instead.
    let curves = bounds(points().map(|point| point.1))?;
    let size = curves.end - curves.start;
    let near = |value: f64| value >= curves.start - size && value <= curves.end + size;
    let (baselines, far): (Vec<_>, Vec<_>) =
        baselines.into_iter().partition(|(_, value)| near(*value));
    let values = baselines.iter().map(|(_, value)| *value);
    let y = bounds(points().map(|point| point.1).chain(values))?;
    let margin = (y.end - y.start) * 0.04;
    let y = y.start - margin..y.end + margin;
    let mut plot = ChartBuilder::on(area)
        .caption(&chart.title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(x.clone(), y.clone())
        .ok()?;
    plot.configure_mesh()
        .x_desc(x_name(chart.x_name, &far))
        .x_label_formatter(&|value| short(*value))
        .max_light_lines(0)
        .draw()
        .ok()?;
    for ((name, lines), colour) in entries.iter().zip(COLOURS.iter().cycle()) {
        draw_entry(&mut plot, name, lines, *colour)?;
    }
    for (name, value) in baselines {
        draw_baseline(&mut plot, name, value, (&x, &y))?;
    }
    let mut labels = plot.configure_series_labels();
    let labels = labels.position(chart.legend());
    labels.background_style(WHITE.mix(0.8)).draw().ok()
}

/// The name of the x axis, with the baselines that lie outside.
fn x_name(name: &str, far: &[(&str, f64)]) -> String {
    if far.is_empty() {
        return name.to_string();
    }
    let far: Vec<String> = far
        .iter()
        .map(|(name, value)| format!("{name} {value:.2}"))
        .collect();
    format!("{name}  (outside: {})", far.join(", "))
}

fn draw_entry(plot: &mut Plot, name: &str, lines: &[Line], colour: RGBColor) -> Option<()> {
    for (index, line) in lines.iter().enumerate() {
        let series = LineSeries::new(line.iter().copied(), colour.stroke_width(2));
        let drawn = plot.draw_series(series.point_size(2)).ok()?;
        if index == 0 {
            drawn.label(name).legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(2))
            });
        }
    }
    Some(())
}

/// Draws a dashed line over the whole width, with its name.
fn draw_baseline(
    plot: &mut Plot,
    name: &str,
    value: f64,
    (x, y): (&Range<f64>, &Range<f64>),
) -> Option<()> {
    let ends = [(x.start, value), (x.end, value)];
    let dashes = DashedLineSeries::new(ends, DASHES.0, DASHES.1, GREY.stroke_width(1));
    plot.draw_series(dashes).ok()?;
    let style = ("sans-serif", 13).into_font().color(&GREY);
    let text = Text::new(name.to_string(), label_place(value, x, y), style);
    plot.draw_series([text]).ok()?;
    Some(())
}

/// A line for each seed.
fn lines(curve: &[Point], chart: &Chart) -> Vec<Line> {
    let of_one_seed = |points: &[Point]| {
        let place = |point: &Point| Some(((chart.x)(point), chart.y(point)?));
        points.iter().filter_map(place).collect()
    };
    curve
        .chunk_by(|one, other| one.seed == other.seed)
        .map(of_one_seed)
        .collect()
}

/// The place of a baseline's name: above its line, or below where there is no room above.
fn label_place(value: f64, x: &Range<f64>, y: &Range<f64>) -> (f64, f64) {
    let (width, height) = (x.end - x.start, y.end - y.start);
    let above = value + 0.045 * height;
    let place = if above > y.end {
        value - 0.01 * height
    } else {
        above
    };
    (x.start + 0.01 * width, place)
}

/// A number with k or M for thousands and millions.
fn short(value: f64) -> String {
    match value.abs() {
        1e6.. => format!("{}M", value / 1e6),
        1e3.. => format!("{}k", value / 1e3),
        _ => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::results::{Scores, Trained};

    #[test]
    fn every_entry_and_baseline_is_drawn() {
        let point = |step: u64| Point {
            seed: 1,
            step,
            tokens: step * 1000,
            seconds: step as f64,
            loss: 3.0 / step as f64,
            accuracy: None,
            macro_f1: None,
        };
        let entry = |name: &str| Row {
            name: name.to_string(),
            trained: Some(Trained {
                curve: (1..4).map(point).collect(),
                ..Trained::default()
            }),
            ..Row::default()
        };
        let uniform = Row {
            name: "uniform".to_string(),
            baseline: true,
            scores: Scores {
                loss: Some(4.0),
                ..Scores::default()
            },
            ..Row::default()
        };
        let picture = svg(&[entry("lstm"), entry("lstm:autograd"), uniform], false).unwrap();
        for expected in ["lstm:autograd", "uniform", "tokens read", "seconds"] {
            assert!(picture.contains(expected), "{expected}");
        }
        assert!(svg(&[], false).is_none());
    }

    #[test]
    fn large_numbers_are_short() {
        assert_eq!([1500.0, 2e6, 30.0].map(short), ["1.5k", "2M", "30"]);
    }
}
