/*!
Pictures of forecasts, and of what is found in a series on the way to them: its parts, its autocorrelations, its residuals.
*/

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::bounds::bounds;
use crate::forecasting::forecast::Forecast;

/// Width of a picture and height of a chart, in pixels.
const SIZE: (u32, u32) = (900, 340);
/// Height of one of several charts of a series.
const PART_HEIGHT: u32 = 170;
/// Colour of values.
const VALUES: RGBColor = RGBColor(60, 60, 60);
/// Colour of what a model expects.
const MODEL: RGBColor = RGBColor(214, 39, 40);
/// Colour of intervals.
const INTERVALS: RGBColor = RGBColor(31, 119, 180);
/// Colour of lines that values are compared with.
const GREY: RGBColor = RGBColor(150, 150, 150);
/// Fewest values that are shown before a forecast, if there are as many.
const FEWEST: usize = 24;
/// Number of horizons, or of seasons, whichever are more, that are shown before a forecast.
const LENGTHS: usize = 4;
/// Most values of a line: more have no place on it.
const MOST_POINTS: usize = 1800;
/// Most characters of a chart's name: more have no place above it.
const MOST_CHARACTERS: usize = 100;
/// Length and distance of dashes, in pixels.
const DASHES: (u32, u32) = (4, 4);

/// Points of a line.
type Line = Vec<(f64, f64)>;
/// A chart that is being drawn.
type Plot<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
/// An area that charts are drawn in.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A forecast, and the history that it goes on from.
pub struct ForecastChart<'a> {
    /// Series and model.
    pub title: String,
    /// The values before the forecast.
    pub history: &'a [f64],
    /// What the model expected of each of them; NaN where it expected nothing.
    pub predictions: &'a [f64],
    /// The forecast.
    pub forecast: &'a Forecast,
    /// The values that were forecast, if they are known.
    pub actual: Option<&'a [f64]>,
    /// Date of each value of the history and, after them, of the forecasts.
    pub label: Box<dyn Fn(usize) -> String + 'a>,
    /// Number of steps in a season.
    pub season: usize,
}

/// A chart for each forecast, one below another: the end of its history, what the model expected of that, and the forecasts
/// with their intervals. `None` if there is nothing to draw.
pub fn svg(charts: &[ForecastChart]) -> Option<String> {
    picture(charts.len(), SIZE.1, |area, at| {
        draw_forecast(area, &charts[at])
    })
}

/// A series and its parts, one below another on the same steps: name and values of each. `label` is the date of a value.
pub fn decomposition(parts: &[(&str, &[f64])], label: &dyn Fn(usize) -> String) -> Option<String> {
    picture(parts.len(), PART_HEIGHT, |area, at| {
        let (name, values) = parts[at];
        draw_over_time(area, name, values, label)
    })
}

/// Autocorrelations and partial autocorrelations from lag 1 on, one below another. What lies within `bound` of zero is no more
/// than chance gives in 19 of 20 lags.
pub fn autocorrelations(title: &str, acf: &[f64], pacf: &[f64], bound: f64) -> Option<String> {
    let parts = [("autocorrelation", acf), ("partial autocorrelation", pacf)];
    picture(parts.len(), PART_HEIGHT + 50, |area, at| {
        let (name, values) = parts[at];
        let lowest = values.iter().copied().fold(-bound, f64::min);
        let range = (1.1 * lowest).max(-1.05)..1.05;
        let mut chart = plot(
            area,
            &format!("{title}: {name} by lag"),
            0.0..values.len() as f64 + 1.0,
            range,
        )?;
        draw_bars(&mut chart, values, bound)
    })
}

/// Residuals over time, their autocorrelations from lag 1 on with the bound of chance, and how often they are of which size.
/// `label` is the date of a residual.
pub fn residuals(
    title: &str,
    residuals: &[f64],
    label: &dyn Fn(usize) -> String,
    acf: &[f64],
    bound: f64,
) -> Option<String> {
    picture(3, PART_HEIGHT + 30, |area, at| match at {
        0 => draw_over_time(area, &format!("{title}: residuals"), residuals, label),
        1 => {
            let lowest = acf.iter().copied().fold(-bound, f64::min);
            let highest = acf.iter().copied().fold(bound, f64::max);
            let range = 1.2 * lowest..1.2 * highest;
            let mut chart = plot(
                area,
                "their autocorrelation by lag",
                0.0..acf.len() as f64 + 1.0,
                range,
            )?;
            draw_bars(&mut chart, acf, bound)
        }
        _ => draw_histogram(area, residuals),
    })
}

/// A picture of charts one below another.
fn picture(count: usize, height: u32, draw: impl Fn(&Area, usize) -> Option<()>) -> Option<String> {
    if count == 0 {
        return None;
    }
    let mut picture = String::new();
    {
        let size = (SIZE.0, height * u32::try_from(count).ok()?);
        let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        area.fill(&WHITE).ok()?;
        for (at, part) in area.split_evenly((count, 1)).iter().enumerate() {
            draw(part, at)?;
        }
        area.present().ok()?;
    }
    Some(picture)
}

fn draw_forecast(area: &Area, chart: &ForecastChart) -> Option<()> {
    let count = chart.history.len();
    let length = LENGTHS * chart.forecast.horizon().max(chart.season);
    let start = count.saturating_sub(length.max(FEWEST));
    let history = points(&chart.history[start..], start);
    let fit = points(&chart.predictions[start..], start);
    let mean = points(&chart.forecast.mean, count);
    let actual = chart
        .actual
        .map(|actual| points(actual, count))
        .unwrap_or_default();
    let [eighty, ninety_five] = chart
        .forecast
        .intervals
        .each_ref()
        .map(|ends| (points(&ends.lower, count), points(&ends.upper, count)));
    // Intervals of a poor model may be very wide; they are cut off rather than the series be flattened.
    let central = bounds_of(&[&history, &mean, &actual])?;
    let whole = bounds_of(&[&history, &mean, &actual, &ninety_five.0, &ninety_five.1])?;
    let room = 2.0 * (central.end - central.start);
    let range = whole.start.max(central.start - room)..whole.end.min(central.end + room);
    let end = count + chart.forecast.horizon();
    let date = |at: &f64| (chart.label)(at.round() as usize);
    let mut plot = plot_with(
        area,
        &chart.title,
        start as f64..end as f64 - 1.0,
        range,
        &date,
    )?;
    for (ends, strength) in [(&ninety_five, 0.15), (&eighty, 0.25)] {
        let ends = joined(history.last(), ends);
        plot.draw_series(std::iter::once(Polygon::new(ends, INTERVALS.mix(strength))))
            .ok()?;
    }
    draw_line(&mut plot, &fit, MODEL, 1, Some("fit"))?;
    draw_line(&mut plot, &history, VALUES, 2, Some("values"))?;
    let from_last = history.last().into_iter().chain(&mean).copied();
    draw_line(
        &mut plot,
        &from_last.collect::<Vec<_>>(),
        INTERVALS,
        2,
        Some("forecast, 80 and 95 %"),
    )?;
    if !actual.is_empty() {
        draw_line(&mut plot, &actual, VALUES, 1, None)?;
    }
    plot.configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .position(SeriesLabelPosition::UpperLeft)
        .draw()
        .ok()
}

/// A line of values under their dates.
fn draw_over_time(
    area: &Area,
    name: &str,
    values: &[f64],
    label: &dyn Fn(usize) -> String,
) -> Option<()> {
    let line = points(values, 0);
    let date = |at: &f64| label(at.round() as usize);
    let steps = 0.0..(values.len().max(2) - 1) as f64;
    let mut chart = plot_with(area, name, steps, bounds_of(&[&line])?, &date)?;
    draw_line(&mut chart, &line, VALUES, 1, None)
}

/// The outline of an interval, which begins at the last value.
fn joined(last: Option<&(f64, f64)>, (lower, upper): &(Line, Line)) -> Line {
    let upper = upper.iter().rev();
    last.into_iter()
        .chain(lower)
        .chain(upper)
        .copied()
        .collect()
}

/// The chart of a name with both axes.
fn plot<'a, 'b>(area: &Area<'b>, name: &str, x: Range<f64>, y: Range<f64>) -> Option<Plot<'a, 'b>> {
    plot_with(area, name, x, y, &|step: &f64| format!("{step:.0}"))
}

fn plot_with<'a, 'b>(
    area: &Area<'b>,
    name: &str,
    x: Range<f64>,
    y: Range<f64>,
    label: &dyn Fn(&f64) -> String,
) -> Option<Plot<'a, 'b>> {
    let margin = 0.05 * (y.end - y.start);
    let y = y.start - margin..y.end + margin;
    let numbers = y.clone();
    let mut chart = ChartBuilder::on(area)
        .caption(shortened(name), ("sans-serif", 16))
        .margin(10)
        .margin_right(30)
        .x_label_area_size(28)
        .y_label_area_size(80)
        .build_cartesian_2d(x, y)
        .ok()?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&label)
        .y_label_formatter(&|at: &f64| number(*at, &numbers))
        .draw()
        .ok()?;
    Some(chart)
}

/// A name that has its place above a chart.
fn shortened(name: &str) -> String {
    match name.chars().count() > MOST_CHARACTERS {
        true => name
            .chars()
            .take(MOST_CHARACTERS - 1)
            .chain(['…'])
            .collect(),
        false => name.to_string(),
    }
}

/// A number at an axis, with as many decimals as its range asks for.
fn number(value: f64, range: &Range<f64>) -> String {
    // The sum of steps along an axis is seldom exactly zero.
    let is_zero = value.abs() < 1e-9 * (range.end - range.start);
    let value = if is_zero { 0.0 } else { value };
    let decimals = 1.0 - (range.end - range.start).log10().floor();
    match decimals {
        -13.0..=6.0 => format!("{value:.*}", decimals.max(0.0) as usize),
        _ => format!("{value:.2e}"),
    }
}

/// Points of known values, whose first one has the number `first`. Of very many the lowest and the highest of each stretch are
/// left.
fn points(values: &[f64], first: usize) -> Line {
    let known =
        |(at, &value): (usize, &f64)| value.is_finite().then_some(((first + at) as f64, value));
    let all: Line = values.iter().enumerate().filter_map(known).collect();
    if all.len() <= MOST_POINTS {
        return all;
    }
    let stretch = all.len().div_ceil(MOST_POINTS / 2);
    let ends = |part: &[(f64, f64)]| {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let ends = [part.iter().min_by(by_value), part.iter().max_by(by_value)];
        let mut ends: Line = ends.into_iter().flatten().copied().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends
    };
    all.chunks(stretch).flat_map(ends).collect()
}

/// Range of the values of lines.
fn bounds_of(lines: &[&[(f64, f64)]]) -> Option<Range<f64>> {
    bounds(
        lines
            .iter()
            .flat_map(|line| line.iter())
            .map(|point| point.1),
    )
}

fn draw_line(
    chart: &mut Plot,
    points: &[(f64, f64)],
    colour: RGBColor,
    width: u32,
    name: Option<&str>,
) -> Option<()> {
    let line = LineSeries::new(points.iter().copied(), colour.stroke_width(width));
    let series = chart.draw_series(line).ok()?;
    if let Some(name) = name.filter(|_| !points.is_empty()) {
        series.label(name).legend(move |(x, y)| {
            PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(width))
        });
    }
    Some(())
}

/// Bars from zero at the lags from 1 on, and dashed lines at the bounds of chance.
fn draw_bars(chart: &mut Plot, values: &[f64], bound: f64) -> Option<()> {
    let end = values.len() as f64 + 1.0;
    for at in [-bound, bound] {
        let (length, distance) = DASHES;
        let dashes = DashedPathElement::new(
            vec![(0.0, at), (end, at)],
            length,
            distance,
            INTERVALS.stroke_width(1),
        );
        chart.draw_series(std::iter::once(dashes)).ok()?;
    }
    let zero = PathElement::new(vec![(0.0, 0.0), (end, 0.0)], GREY.stroke_width(1));
    chart.draw_series(std::iter::once(zero)).ok()?;
    let known = values
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_finite());
    let bars = known.map(|(at, &value)| {
        let lag = at as f64 + 1.0;
        let colour = if value.abs() > bound { MODEL } else { VALUES };
        PathElement::new(vec![(lag, 0.0), (lag, value)], colour.stroke_width(3))
    });
    chart.draw_series(bars).ok().map(|_| ())
}

fn draw_histogram(area: &Area, values: &[f64]) -> Option<()> {
    let known: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    let range = bounds(known.iter().copied())?;
    // As many bins as the cube root of the number of values suggests (Rice).
    let bins = ((2.0 * (known.len() as f64).cbrt()).ceil() as usize).clamp(4, 60);
    let width = (range.end - range.start) / bins as f64;
    let mut counts = vec![0.0f64; bins];
    for value in &known {
        let bin = ((value - range.start) / width) as usize;
        counts[bin.min(bins - 1)] += 1.0;
    }
    let highest = counts.iter().copied().fold(1.0, f64::max);
    let value = |at: &f64| number(*at, &range);
    let mut chart = plot_with(
        area,
        "how often they are of which size",
        range.clone(),
        0.0..highest,
        &value,
    )?;
    let bars = counts.iter().enumerate().map(|(bin, &count)| {
        let left = range.start + bin as f64 * width;
        Rectangle::new(
            [(left, 0.0), (left + 0.95 * width, count)],
            INTERVALS.mix(0.6).filled(),
        )
    });
    chart.draw_series(bars).ok().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize) -> Vec<f64> {
        (0..count)
            .map(|t| 100.0 + t as f64 + 20.0 * (t as f64 / 2.0).sin())
            .collect()
    }

    #[test]
    fn forecasts_are_drawn_with_history_fit_and_intervals() {
        let history = wave(60);
        let mut predictions = history.clone();
        predictions[0] = f64::NAN;
        let forecast = Forecast::normal(wave(12), &[5.0; 12]);
        let chart = ForecastChart {
            title: "sales: drift".to_string(),
            history: &history,
            predictions: &predictions,
            forecast: &forecast,
            actual: None,
            label: Box::new(|at| format!("month {at}")),
            season: 12,
        };
        let picture = svg(&[chart]).unwrap();
        for expected in [
            "<svg",
            "sales: drift",
            "fit",
            "forecast, 80 and 95 %",
            "month 60",
            "<polygon",
        ] {
            assert!(picture.contains(expected), "{expected}");
        }
        assert!(svg(&[]).is_none());
    }

    #[test]
    fn a_long_name_is_cut() {
        let short = shortened(&"é".repeat(MOST_CHARACTERS));
        assert!(!short.contains('…'));
        let long = shortened(&"é".repeat(MOST_CHARACTERS + 1));
        assert!(long.ends_with('…') && long.chars().count() == MOST_CHARACTERS);
    }

    #[test]
    fn parts_correlations_and_residuals_are_drawn_from_slices() {
        let values = wave(100);
        let month = |at: usize| format!("month {at}");
        let parts = decomposition(&[("series", &values), ("trend", &values)], &month).unwrap();
        assert!(parts.contains("trend") && parts.contains("month 20"));
        let acf = [0.5, 0.1, -0.3];
        let picture = autocorrelations("sales", &acf, &acf, 0.2).unwrap();
        assert!(picture.contains("partial autocorrelation by lag"));
        let picture = residuals("sales", &values, &month, &acf, 0.2).unwrap();
        for expected in ["sales: residuals", "<rect", "month 20"] {
            assert!(picture.contains(expected), "{expected}");
        }
        assert!(decomposition(&[("empty", &[f64::NAN])], &month).is_none());
    }

    #[test]
    fn very_long_lines_keep_their_lowest_and_highest_values() {
        let mut values = vec![0.0; 100_000];
        (values[5000], values[70_001]) = (9.0, -9.0);
        let points = points(&values, 10);
        assert!(points.len() <= MOST_POINTS);
        assert!(points.contains(&(5010.0, 9.0)) && points.contains(&(70_011.0, -9.0)));
    }
}
