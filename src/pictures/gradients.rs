/*!
A picture of how far gradients reach back in time.
*/

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

/// Width of the picture and height of a chart, in pixels.
const SIZE: (u32, u32) = (900, 420);
/// Colours of layers, from the first on.
const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
    RGBColor(23, 190, 207),
];
/// Decades that are shown at most below and above one: what is beyond has long vanished or exploded.
const DECADES: (i32, i32) = (-16, 16);

/// A line of the picture.
pub struct GradientCurve {
    /// The part of the state, such as `hidden state`: a chart for each.
    pub part: String,
    /// The layer, from 0.
    pub layer: usize,
    /// Whether it is of the trained network.
    pub trained: bool,
    /// Distances in steps, and norms relative to the nearest.
    pub points: Vec<(f64, f64)>,
}

/// Charts of relative norms over the distance, on a logarithmic scale: solid lines of the trained network, dotted ones of the
/// untrained. `None` if there is nothing to draw.
pub fn svg(title: &str, curves: &[GradientCurve]) -> Option<String> {
    let mut parts: Vec<&str> = curves.iter().map(|curve| &curve.part[..]).collect();
    parts.dedup();
    parts.sort_unstable();
    parts.dedup();
    // The hidden state first.
    parts.reverse();
    let count = parts.len();
    let mut picture = String::new();
    {
        let size = (SIZE.0, SIZE.1 * u32::try_from(count).ok()?);
        let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        area.fill(&WHITE).ok()?;
        for (chart, part) in area.split_evenly((count, 1)).iter().zip(parts) {
            let own: Vec<&GradientCurve> = curves.iter().filter(|c| c.part == part).collect();
            draw(chart, &format!("{title}: {part}"), &own)?;
        }
        area.present().ok()?;
    }
    Some(picture)
}

fn draw(
    area: &DrawingArea<SVGBackend, Shift>,
    title: &str,
    curves: &[&GradientCurve],
) -> Option<()> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let last = points().map(|point| point.0).fold(1.0, f64::max);
    let decade = |value: f64| value.log10().clamp(DECADES.0.into(), DECADES.1.into());
    let decades = || {
        points()
            .filter(|point| point.1 > 0.0)
            .map(|point| decade(point.1))
    };
    let lowest = decades().fold(0.0, f64::min).floor();
    let highest = decades().fold(0.0, f64::max).ceil().max(lowest + 1.0);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..last, lowest..highest)
        .ok()?;
    let power = |decade: &f64| format!("{:.0e}", 10f64.powf(*decade));
    let whole = |distance: &f64| format!("{distance:.0}");
    chart
        .configure_mesh()
        .x_desc("distance in time, steps")
        .y_desc("norm of the gradient, relative")
        .x_label_formatter(&whole)
        .y_label_formatter(&power)
        .max_light_lines(0)
        .draw()
        .ok()?;
    for curve in curves {
        let colour = COLOURS[curve.layer % COLOURS.len()];
        let seen = curve.points.iter().filter(|point| point.1 > 0.0);
        let line: Vec<(f64, f64)> = seen.map(|point| (point.0, decade(point.1))).collect();
        let name = format!(
            "layer {}, {}",
            curve.layer,
            if curve.trained {
                "trained"
            } else {
                "untrained"
            }
        );
        if curve.trained {
            let series = LineSeries::new(line, colour.stroke_width(2));
            let legend =
                move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(2));
            chart.draw_series(series).ok()?.label(name).legend(legend);
        } else {
            let series = DashedLineSeries::new(line, 3, 4, colour.stroke_width(1));
            let legend = move |(x, y)| {
                DashedPathElement::new(vec![(x, y), (x + 20, y)], 3, 4, colour.stroke_width(1))
            };
            chart.draw_series(series).ok()?.label(name).legend(legend);
        }
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .position(SeriesLabelPosition::LowerLeft)
        .draw()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_drawn_on_a_logarithmic_scale() {
        let curve = |part: &str, trained| GradientCurve {
            part: part.to_string(),
            layer: 1,
            trained,
            points: (0..50).map(|d| (f64::from(d), 0.5f64.powi(d))).collect(),
        };
        let all = [
            curve("hidden state", true),
            curve("hidden state", false),
            curve("cell state", true),
        ];
        let picture = svg("gradients", &all).unwrap();
        for expected in [
            "<svg",
            "gradients: hidden state",
            "gradients: cell state",
            "layer 1, untrained",
            "1e-1",
        ] {
            assert!(picture.contains(expected), "{expected}");
        }
        // Gradients that are exactly zero have no place on the scale.
        let zero = GradientCurve {
            points: vec![(0.0, 1.0), (1.0, 0.0)],
            ..curve("hidden state", true)
        };
        assert!(svg("zero", &[zero]).is_some());
    }
}
