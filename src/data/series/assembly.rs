/*!
Series from the rows of a table: rows in the order of their dates, each at its place on the grid of the step.
*/

use super::date::{Date, DateStyle, HOUR, Resolution};
use super::date_column::DateColumn;
use super::dates::{Dates, Places};
use super::findings::Findings;
use super::step::Step;
use super::table::Table;
use super::time_series::{Regressor, Series};

/// Most places of a grid for each row: with more, dates are as good as irregular.
const SPARSE: i64 = 10;

/// The rows of a series, each with its place among the values.
pub(super) struct Placement {
    dates: Option<Dates>,
    /// Rows of the table with their places.
    places: Vec<(usize, usize)>,
    count: usize,
}

impl Placement {
    /// Places rows of a table by their dates; `id` is what their series is called.
    pub fn new(
        rows: &[usize],
        column: Option<&DateColumn>,
        table: &Table,
        id: &str,
        findings: &mut Findings,
    ) -> Self {
        let Some(column) = column else {
            return Placement {
                dates: None,
                places: rows.iter().copied().zip(0..).collect(),
                count: rows.len(),
            };
        };
        let dated = rows
            .iter()
            .filter_map(|&row| Some((column.dates[row]?, row)));
        let mut dated: Vec<(Date, usize)> = dated.collect();
        sort(&mut dated, column.style, table, findings);
        let mut unique: Vec<Date> = dated.iter().map(|&(date, _)| date).collect();
        unique.dedup();
        let step = match unique[..] {
            [only] => Some(Step::of_resolution(column.style.resolution, only)),
            _ => Step::infer(&unique)
                .filter(|step| !is_sparse(step, &unique, column.style, findings)),
        };
        note_repeated(&dated, step.as_ref(), column.style, table, findings);
        match step {
            Some(step) => Self::regular(&dated, step, column.style, table, findings),
            None => {
                if unique.len() > 1 {
                    findings.irregular.add(|| id.to_string());
                }
                Self::irregular(&dated, unique, column.style)
            }
        }
    }

    fn regular(
        dated: &[(Date, usize)],
        step: Step,
        style: DateStyle,
        table: &Table,
        findings: &mut Findings,
    ) -> Self {
        let first = dated.first().map_or(0, |&(date, _)| step.index(date));
        let mut places = Vec::with_capacity(dated.len());
        let mut next = first;
        for &(date, row) in dated {
            let index = step.index(date);
            if !step.holds(date) {
                findings
                    .off_grid
                    .add(|| format!("line {} {}", table.lines[row], date.text(style)));
            }
            if index > next {
                note_gap(&step, next..index, style, findings);
            }
            next = index + 1;
            places.push((row, (index - first) as usize));
        }
        Placement {
            dates: Some(Dates {
                style,
                places: Places::Regular { step, first },
            }),
            places,
            count: (next - first) as usize,
        }
    }

    fn irregular(dated: &[(Date, usize)], unique: Vec<Date>, style: DateStyle) -> Self {
        let mut at = 0;
        let place = |&(date, row): &(Date, usize)| {
            while unique[at] != date {
                at += 1;
            }
            (row, at)
        };
        let places = dated.iter().map(place).collect();
        Placement {
            places,
            count: unique.len(),
            dates: Some(Dates {
                style,
                places: Places::Irregular { dates: unique },
            }),
        }
    }

    /// The numbers of a column at their places; the mean where a place has several.
    pub fn values(&self, numbers: &[f64]) -> Vec<f64> {
        let mut values = vec![f64::NAN; self.count];
        let mut counts: Vec<u32> = Vec::new();
        for &(row, place) in &self.places {
            let number = numbers[row];
            if number.is_nan() {
                continue;
            }
            if values[place].is_nan() {
                values[place] = number;
                continue;
            }
            counts.resize(self.count, 1);
            counts[place] += 1;
            values[place] += (number - values[place]) / f64::from(counts[place]);
        }
        values
    }

    /// The series of a column: without what is missing at its beginning and at its end. What `regressors` have after its
    /// end is known ahead.
    pub fn series(
        &self,
        id: &str,
        numbers: &[f64],
        regressors: &[Regressor],
        findings: &mut Findings,
    ) -> Option<Series> {
        let values = self.values(numbers);
        let is_known = |value: &f64| !value.is_nan();
        let (Some(start), Some(last)) = (
            values.iter().position(is_known),
            values.iter().rposition(is_known),
        ) else {
            findings.empty.add(|| id.to_string());
            return None;
        };
        if last + 1 < values.len() && regressors.is_empty() {
            let rest = values.len() - last - 1;
            findings.open_end.add(|| format!("{rest} of {id}"));
        }
        let own = |regressor: &Regressor| Regressor {
            values: self.values(&regressor.values)[start..].to_vec(),
            ..regressor.clone()
        };
        let mut dates = self.dates.as_ref().map(|dates| dates.without_first(start));
        if let Some(dates) = &mut dates {
            dates.truncate(last + 1 - start);
        }
        Some(Series {
            id: id.to_string(),
            values: values[start..=last].to_vec(),
            dates,
            regressors: regressors.iter().map(own).collect(),
        })
    }
}

/// Whether dates are so far apart that hardly any place of the grid has one; the largest step is then told.
fn is_sparse(step: &Step, dates: &[Date], style: DateStyle, findings: &mut Findings) -> bool {
    let place = |date: Option<&Date>| date.map_or(0, |&date| step.index(date));
    let places = place(dates.last()) - place(dates.first());
    if places <= SPARSE * dates.len() as i64 + 1000 {
        return false;
    }
    let pairs = dates.windows(2);
    if let Some(pair) = pairs.max_by_key(|pair| pair[1].0 - pair[0].0) {
        findings
            .far
            .add(|| format!("{} after {}", pair[1].text(style), pair[0].text(style)));
    }
    true
}

/// Puts rows in the order of their dates. Those of a file with the newest first are expected to go backwards.
fn sort(dated: &mut [(Date, usize)], style: DateStyle, table: &Table, findings: &mut Findings) {
    let backwards = dated
        .windows(2)
        .filter(|pair| pair[1].0 < pair[0].0)
        .count();
    if backwards == 0 {
        return;
    }
    if 2 * backwards > dated.len() {
        dated.reverse();
        findings.newest_first = true;
    }
    let mut latest = dated[0];
    for &(date, row) in dated.iter() {
        if date < latest.0 && !is_clock_change(date, style) {
            let line = table.lines[row];
            findings
                .backwards
                .add(|| format!("line {line} {}", date.text(style)));
        }
        latest = latest.max((date, row));
    }
    dated.sort_by_key(|&(date, _)| date);
}

/// Whether clocks without a time zone may be changed at a time: before four in the morning, in spring or in autumn.
fn is_clock_change(date: Date, style: DateStyle) -> bool {
    let (_, month, _) = date.civil();
    let season = matches!(month, 3 | 4 | 9..=11);
    style.offset.is_none() && style.resolution > Resolution::Day && season && date.time() < 4 * HOUR
}

fn note_repeated(
    dated: &[(Date, usize)],
    step: Option<&Step>,
    style: DateStyle,
    table: &Table,
    findings: &mut Findings,
) {
    let has_times = matches!(step, Some(Step::Fixed { milliseconds, .. }) if *milliseconds <= HOUR);
    for pair in dated.windows(2) {
        let ((date, row), (next, next_row)) = (pair[0], pair[1]);
        if date != next {
            continue;
        }
        let lines = || {
            let (one, other) = (table.lines[row], table.lines[next_row]);
            format!(
                "{} on lines {} and {}",
                date.text(style),
                one.min(other),
                one.max(other)
            )
        };
        match has_times && is_clock_change(date, style) {
            true => findings.repeated_hour.add(lines),
            false => findings.repeated.add(lines),
        }
    }
}

/// Notes the places of a grid that no row has.
fn note_gap(step: &Step, missing: std::ops::Range<i64>, style: DateStyle, findings: &mut Findings) {
    let first = step.date(missing.start);
    let length = step.date(missing.end).0 - first.0;
    let count = missing.end - missing.start;
    let text = || match count {
        1 => first.text(style),
        _ => format!("{count} from {}", first.text(style)),
    };
    match length == HOUR && is_clock_change(first, style) {
        true => findings.skipped_hour.add(text),
        false => findings.gaps.add(text),
    }
}
