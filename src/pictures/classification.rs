/*!
What a classifier predicted, in pictures: its confusion, how far its probabilities can be trusted, and its folds.
*/

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::bounds::bounds;
use crate::checkpoint::cross_validation::{CrossValidation, FoldFigures};
use crate::checkpoint::record::{DocumentsRecord, ValidationRecord};
use crate::metrics::{CALIBRATION_BINS, ClassificationScore, ConfidenceBin};
use crate::text::escape::escaped;

/// Height of a panel, of which there are two beside each other, in pixels.
pub(super) const HEIGHT: u32 = 460;
/// Number of labels up to which the whole confusion matrix is shown.
const MOST_LABELS: usize = 12;
/// Number of confusions that are shown else.
const MOST_CONFUSED: usize = 14;
/// Characters of a label's name that are shown beside a matrix, and beside a bar.
const NAME: usize = 13;
const NAMES: usize = 17;
/// Place of a matrix in its panel: left and upper edge, and largest side, in pixels.
const MATRIX: (i32, i32, i32) = (112, 136, 312);
/// Share from which on a cell is so dark that its text is white.
const DARK: f64 = 0.55;

const BLUE: RGBColor = RGBColor(31, 119, 180);
const GREY: RGBColor = RGBColor(110, 110, 110);
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A part of the picture.
pub enum Panel<'r> {
    /// How often each label was predicted as which.
    Confusion(&'static str, &'r ClassificationScore),
    /// Confidence against accuracy.
    Reliability(&'r ValidationRecord),
    /// Accuracy of each fold.
    Folds(&'r CrossValidation),
}

/// The panels of a run: of the validation documents by the best weights, and of cross-validation.
pub fn panels(record: &DocumentsRecord) -> Vec<Panel<'_>> {
    let mut panels = Vec::new();
    if let Some(validated) = &record.validated {
        panels.push(Panel::Confusion(
            "validation documents, by the best weights",
            &validated.score,
        ));
        panels.push(Panel::Reliability(validated));
    }
    if let Some(found) = &record.cross_validation
        && let Some(pooled) = &found.pooled
    {
        panels.push(Panel::Confusion("cross-validation, all documents", pooled));
        panels.push(Panel::Folds(found));
    }
    panels
}

impl Panel<'_> {
    /// Draws the panel; `None` if that fails.
    pub(super) fn draw(&self, area: &Area) -> Option<()> {
        match self {
            Panel::Confusion(title, score) if score.per_label.len() <= MOST_LABELS => {
                matrix(area, title, score)
            }
            Panel::Confusion(title, score) => most_confused(area, title, score),
            Panel::Reliability(validated) => reliability(area, validated),
            Panel::Folds(found) => folds(area, found),
        }
    }
}

/// Writes a text with its anchor at a place, in pixels.
fn write(
    area: &Area,
    text: &str,
    place: (i32, i32),
    size: i32,
    (h, v): (HPos, VPos),
) -> Option<()> {
    let style = ("sans-serif", size).into_font().color(&BLACK);
    area.draw(&Text::new(
        text.to_string(),
        place,
        style.pos(Pos::new(h, v)),
    ))
    .ok()
}

/// A label's name, without its middle where it is long: many labels begin alike.
fn short(name: &str, most: usize) -> String {
    let name = escaped(name).to_string();
    let length = name.chars().count();
    if length <= most {
        return name;
    }
    let (head, tail) = (most / 2, (most - 1) / 2);
    let (head, tail) = (name.chars().take(head), name.chars().skip(length - tail));
    head.chain(['…']).chain(tail).collect()
}

fn title(area: &Area, lines: [&str; 2]) -> Option<()> {
    let middle = area.dim_in_pixel().0 as i32 / 2;
    write(area, lines[0], (middle, 12), 18, (HPos::Center, VPos::Top))?;
    write(area, lines[1], (middle, 36), 13, (HPos::Center, VPos::Top))
}

/// Counts of each true label, the row, and predicted label, the column, with their shares of the row.
fn matrix(area: &Area, what: &str, score: &ClassificationScore) -> Option<()> {
    title(area, ["confusion: rows true, columns predicted", what])?;
    let (left, top, side) = MATRIX;
    let labels = score.per_label.len() as i32;
    let cell = side / labels.max(1);
    let size = (cell / 3).clamp(9, 15);
    for (index, label) in (0..).zip(&score.per_label) {
        let (name, middle) = (short(&label.label, NAME), index * cell + cell / 2);
        let beside = (left - 6, top + middle);
        write(area, &name, beside, 13, (HPos::Right, VPos::Center))?;
        column_name(area, &name, (left + middle, top - 6), cell)?;
    }
    for (row, counts) in (0..).zip(&score.confusion) {
        let all: u64 = counts.iter().sum();
        for (column, &count) in (0..).zip(counts) {
            let share = count as f64 / all.max(1) as f64;
            let corner = (left + column * cell, top + row * cell);
            let corners = [corner, (corner.0 + cell, corner.1 + cell)];
            let fill = BLUE.mix(share).filled();
            area.draw(&Rectangle::new(corners, fill)).ok()?;
            area.draw(&Rectangle::new(corners, GREY.mix(0.4))).ok()?;
            // Zeros would hide what is not one.
            if count > 0 || labels <= 4 {
                write_cell(
                    area,
                    [count.to_string(), percent(share)],
                    corner,
                    (cell, size, share),
                )?;
            }
        }
    }
    Some(())
}

/// Writes a name over a column: slanted upwards where it is wider than the column.
fn column_name(area: &Area, name: &str, place: (i32, i32), cell: i32) -> Option<()> {
    let wide = 7 * name.chars().count() as i32 > cell;
    let font = ("sans-serif", 13).into_font();
    let (font, anchor) = match wide {
        true => (
            font.transform(FontTransform::Rotate270),
            Pos::new(HPos::Left, VPos::Center),
        ),
        false => (font, Pos::new(HPos::Center, VPos::Bottom)),
    };
    let style = font.color(&BLACK).pos(anchor);
    area.draw(&Text::new(name.to_string(), place, style)).ok()
}

/// Writes two lines into a cell.
fn write_cell(
    area: &Area,
    lines: [String; 2],
    corner: (i32, i32),
    (cell, size, share): (i32, i32, f64),
) -> Option<()> {
    let colour = if share >= DARK { &WHITE } else { &BLACK };
    let middle = (corner.0 + cell / 2, corner.1 + cell / 2);
    for (line, v) in lines.into_iter().zip([VPos::Bottom, VPos::Top]) {
        let style = ("sans-serif", size).into_font().color(colour);
        let style = style.pos(Pos::new(HPos::Center, v));
        area.draw(&Text::new(line, middle, style)).ok()?;
    }
    Some(())
}

fn percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}

/// The true and the predicted label of the most frequent confusions, with their numbers, the most frequent first.
fn confusions(score: &ClassificationScore) -> Vec<(usize, usize, u64)> {
    let cells = (0..).zip(&score.confusion).flat_map(|(truth, row)| {
        let others = (0..)
            .zip(row)
            .filter(move |&(predicted, &count)| predicted != truth && count > 0);
        others.map(move |(predicted, &count)| (truth, predicted, count))
    });
    let mut cells: Vec<(usize, usize, u64)> = cells.collect();
    cells.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
    cells.truncate(MOST_CONFUSED);
    cells
}

/// The most frequent confusions as bars, where there are too many labels for a matrix.
fn most_confused(area: &Area, what: &str, score: &ClassificationScore) -> Option<()> {
    let most = confusions(score);
    let heading = match most.is_empty() {
        true => "no document was confused",
        false => "most confused: true label, predicted as",
    };
    title(area, [heading, what])?;
    let (left, top, step) = (262, 66, 27);
    let widest = area.dim_in_pixel().0 as i32 - left - 80;
    let highest = most.first().map_or(1, |&(_, _, count)| count);
    let name = |label: usize| short(&score.per_label[label].label, NAMES);
    for (line, (truth, predicted, count)) in (0..).zip(most) {
        let middle = top + line * step + step / 2;
        let pair = format!("{} → {}", name(truth), name(predicted));
        write(
            area,
            &pair,
            (left - 6, middle),
            13,
            (HPos::Right, VPos::Center),
        )?;
        let width = (f64::from(widest) * count as f64 / highest as f64) as i32;
        let corners = [(left, middle - step / 3), (left + width, middle + step / 3)];
        area.draw(&Rectangle::new(corners, BLUE.mix(0.7).filled()))
            .ok()?;
        let share = count as f64 / score.per_label[truth].examples.max(1) as f64;
        let number = format!("{count} ({})", percent(share));
        write(
            area,
            &number,
            (left + width + 5, middle),
            13,
            (HPos::Left, VPos::Center),
        )?;
    }
    Some(())
}

/// Accuracy of the documents of each bin of confidence, with their numbers; on the diagonal, confidence is what it claims.
fn reliability(area: &Area, validated: &ValidationRecord) -> Option<()> {
    let error = validated.score.calibration_error.unwrap_or(0.0);
    let what = format!("calibration error {error:.4}; above, documents in each bin");
    title(area, ["reliability of the validation documents", &what])?;
    let bins = (0..).zip(&validated.confidence_bins);
    let filled: Vec<(usize, &ConfidenceBin)> = bins.filter(|(_, bin)| bin.documents > 0).collect();
    let edge = |bin: usize| bin as f64 / CALIBRATION_BINS as f64;
    let first = filled.first().map_or(0.0, |(bin, _)| edge(*bin));
    let start = if first >= 0.46 { 0.46 } else { 0.0 };
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_top(56)
        .margin_right(20)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(start..1.0, 0.0..1.08)
        .ok()?;
    chart
        .configure_mesh()
        .x_desc("confidence: probability of the predicted label")
        .y_desc("accuracy")
        .max_light_lines(0)
        .draw()
        .ok()?;
    let bars = filled.iter().map(|(bin, it)| {
        let corners = [(edge(*bin).max(start), 0.0), (edge(bin + 1), it.accuracy)];
        Rectangle::new(corners, BLUE.mix(0.6).filled())
    });
    chart.draw_series(bars).ok()?;
    let frames = filled.iter().map(|(bin, it)| {
        let corners = [(edge(*bin).max(start), 0.0), (edge(bin + 1), it.accuracy)];
        Rectangle::new(corners, BLUE.stroke_width(1))
    });
    chart.draw_series(frames).ok()?;
    let diagonal = [(start, start), (1.0, 1.0)];
    chart
        .draw_series(DashedLineSeries::new(diagonal, 6, 4, GREY.stroke_width(1)))
        .ok()?;
    let means = filled
        .iter()
        .map(|(_, it)| Circle::new((it.confidence, it.accuracy), 3, BLUE.filled()));
    chart.draw_series(means).ok()?;
    let style = ("sans-serif", 11).into_font().color(&BLACK);
    let style = style.pos(Pos::new(HPos::Center, VPos::Center));
    let numbers = filled.iter().map(|(bin, it)| {
        let middle = (edge(*bin).max(start) + edge(bin + 1)) / 2.0;
        Text::new(thousands(it.documents), (middle, 1.04), style.clone())
    });
    chart.draw_series(numbers).ok()?;
    Some(())
}

/// A number that is short enough for a bin.
fn thousands(n: u64) -> String {
    match n {
        10_000.. => format!("{}k", n / 1000),
        _ => n.to_string(),
    }
}

/// The accuracy of each fold, and the mean of all, beside naive Bayes.
fn folds(area: &Area, found: &CrossValidation) -> Option<()> {
    let (mean, deviation) = (found.mean?, found.standard_deviation?);
    let own = |figures: &FoldFigures| figures.classifier.accuracy;
    let naive_bayes = |figures: &FoldFigures| figures.naive_bayes.accuracy;
    let what = format!(
        "mean {:.4}, standard deviation {:.4}; lines are means",
        own(&mean),
        own(&deviation)
    );
    title(area, ["accuracy of each fold", &what])?;
    let figures = || found.folds.iter().map(|fold| &fold.figures);
    let y = bounds(figures().flat_map(|it| [own(it), naive_bayes(it)]))?;
    let margin = (y.end - y.start) * 0.1;
    let x = 0.5..found.folds.len() as f64 + 0.5;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_top(56)
        .margin_right(20)
        .x_label_area_size(40)
        .y_label_area_size(60)
        // Room for the legend above.
        .build_cartesian_2d(x.clone(), y.start - margin..y.end + 4.0 * margin)
        .ok()?;
    chart
        .configure_mesh()
        .x_desc("fold")
        .y_desc("accuracy")
        .x_labels(found.folds.len().min(20))
        .x_label_formatter(&|fold| match fold.fract() == 0.0 {
            true => format!("{fold}"),
            false => String::new(),
        })
        .max_light_lines(0)
        .draw()
        .ok()?;
    let both = [
        ("classifier", BLUE, own as fn(&FoldFigures) -> f64),
        ("naive Bayes", GREY, naive_bayes),
    ];
    for (name, colour, accuracy) in both {
        let places = (1u32..).map(f64::from).zip(figures().map(accuracy));
        let points = places.map(|place| Circle::new(place, 4, colour.filled()));
        let series = chart.draw_series(points).ok()?;
        series
            .label(name)
            .legend(move |(x, y)| Circle::new((x + 10, y), 4, colour.filled()));
        let line = [(x.start, accuracy(&mean)), (x.end, accuracy(&mean))];
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(1)))
            .ok()?;
    }
    let mut labels = chart.configure_series_labels();
    let labels = labels.position(SeriesLabelPosition::UpperRight);
    labels.background_style(WHITE.mix(0.8)).draw().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panel of its own as SVG.
    fn svg(panel: &Panel) -> String {
        let mut picture = String::new();
        {
            let area = SVGBackend::with_string(&mut picture, (450, HEIGHT)).into_drawing_area();
            panel.draw(&area).unwrap();
            area.present().unwrap();
        }
        picture
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|label| format!("label {label}")).collect()
    }

    #[test]
    fn a_matrix_has_counts_and_shares() {
        let score = ClassificationScore::of_labels(&names(2), &[0, 0, 0, 0, 1], &[0, 0, 0, 1, 1]);
        let picture = svg(&Panel::Confusion("what", &score));
        for expected in ["label 0", "label 1", "75%", "25%", "100%", "0%", "what"] {
            assert!(picture.contains(expected), "{expected}\n{picture}");
        }
    }

    #[test]
    fn of_many_labels_the_most_confused_are_shown() {
        // Label 3 is taken for 5 three times of four, and 7 for 1 once of two.
        let truth = [3, 3, 3, 3, 7, 7, 0];
        let predicted = [5, 5, 5, 3, 1, 7, 0];
        let score = ClassificationScore::of_labels(&names(20), &truth, &predicted);
        assert_eq!(confusions(&score), [(3, 5, 3), (7, 1, 1)]);
        let picture = svg(&Panel::Confusion("what", &score));
        for expected in [
            "label 3 → label 5",
            "3 (75%)",
            "label 7 → label 1",
            "1 (50%)",
        ] {
            assert!(picture.contains(expected), "{expected}");
        }
        let right = ClassificationScore::of_labels(&names(20), &truth, &truth);
        let picture = svg(&Panel::Confusion("what", &right));
        assert!(picture.contains("no document was confused"));
    }

    #[test]
    fn bins_have_their_documents() {
        let probabilities: Vec<Vec<f64>> = (0..40)
            .map(|i| vec![0.9 - f64::from(i % 2) * 0.2, 0.0])
            .collect();
        let validated = ValidationRecord::new(&names(2), &[0; 40], &probabilities);
        let picture = svg(&Panel::Reliability(&validated));
        assert!(picture.contains("calibration error 0.2000"), "{picture}");
        assert_eq!(picture.matches("\n20\n").count(), 2, "{picture}");
    }

    #[test]
    fn folds_are_drawn_beside_naive_bayes() {
        let mut found = CrossValidation::of_documents(String::new());
        for predicted in [[0, 1], [0, 0]] {
            let score = ClassificationScore::of_labels(&names(2), &[0, 1], &predicted);
            found.push(&score, &score);
        }
        let picture = svg(&Panel::Folds(&found));
        for expected in ["naive Bayes", "mean 0.7500, standard deviation 0.3536"] {
            assert!(picture.contains(expected), "{expected}");
        }
    }

    #[test]
    fn long_names_are_cut_and_harmless() {
        assert_eq!(short("a\nb", 5), "a\\nb");
        assert_eq!(short("abcdefgh", 5), "ab…gh");
        assert_eq!(short("abcdefgh", 6), "abc…gh");
    }
}
