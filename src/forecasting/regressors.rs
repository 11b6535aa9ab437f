/*!
Columns of numbers that a model may use beside the values of a series: which of them say anything, and their numbers as far
as a forecast reaches.
*/

use std::ops::Range;

use super::decomposition::gaps::filled;
use super::method::Method;
use crate::data::series::time_series::{Regressor, Series};
use crate::error::{Error, Result};

/// Part of a column that must be left without those before it.
const LEAST_OWN: f64 = 1e-7;

/// The columns of a series that a model can use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usable {
    /// Names of those that are known ahead.
    pub known_ahead: Vec<String>,
    /// Names of the others.
    pub others: Vec<String>,
    /// Sentences that say which columns are left out, and why.
    pub notes: Vec<String>,
}

impl Usable {
    /// Finds the columns that are not constant in a part of the series, nor the same as others together. Those that are
    /// known ahead come first.
    pub fn find(series: &Series, train: Range<usize>) -> Self {
        let mut usable = Usable::default();
        let mut basis: Vec<Vec<f64>> = Vec::new();
        let (known, others): (Vec<&Regressor>, Vec<&Regressor>) =
            series.regressors.iter().partition(|one| one.known_ahead);
        for regressor in known.into_iter().chain(others) {
            let end = train.end.min(regressor.values.len());
            match own_part(&regressor.values[train.start.min(end)..end], &basis) {
                Ok(part) => {
                    basis.push(part);
                    match regressor.known_ahead {
                        true => usable.known_ahead.push(regressor.name.clone()),
                        false => usable.others.push(regressor.name.clone()),
                    }
                }
                Err(why) => {
                    let name = &regressor.name;
                    usable
                        .notes
                        .push(format!("{}: {name} is left out: {why}", series.id));
                }
            }
        }
        usable
    }

    /// Names of the columns that a method uses: one that chooses by a backtest takes those alone that are known ahead, as the
    /// backtest may not know the others.
    pub fn of_method(&self, method: Method) -> Vec<String> {
        let others = self.others.iter();
        match method {
            _ if !method.uses_regressors() => Vec::new(),
            Method::Auto => self.known_ahead.clone(),
            _ => self.known_ahead.iter().chain(others).cloned().collect(),
        }
    }
}

/// What a column has that a constant and the columns before it have not, of length 1; else why there is nothing.
fn own_part(values: &[f64], basis: &[Vec<f64>]) -> std::result::Result<Vec<f64>, &'static str> {
    if !values.iter().any(|value| value.is_finite()) {
        return Err("no number of it is known where a model learns");
    }
    let values = filled(values);
    if values.iter().all(|value| *value == values[0]) {
        return Err("it is constant where a model learns");
    }
    let largest = values.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    let mean = values.iter().map(|v| v / largest).sum::<f64>() / values.len() as f64;
    let mut part: Vec<f64> = values.iter().map(|v| v / largest - mean).collect();
    let whole = dot(&part, &part).sqrt();
    // Twice, as rounding leaves too much the first time.
    for other in basis.iter().chain(basis) {
        let share = dot(&part, other);
        let pairs = part.iter_mut().zip(other);
        pairs.for_each(|(value, other)| *value -= share * other);
    }
    let own = dot(&part, &part).sqrt();
    if own <= LEAST_OWN * whole {
        return Err("the columns before it say the same where a model learns");
    }
    part.iter_mut().for_each(|value| *value /= own);
    Ok(part)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The numbers of columns at the steps of a range, which may reach beyond the end of the values. What is missing before
/// that is filled by lines.
///
/// # Errors
/// A number that is missing after the end of the values.
pub fn columns(series: &Series, names: &[String], range: Range<usize>) -> Result<Vec<Vec<f64>>> {
    let column = |name: &String| {
        let found = series.regressors.iter().find(|one| one.name == *name);
        let values = found.map_or(&[][..], |regressor| &regressor.values);
        let mut numbers = filled(&values[..series.values.len().min(values.len())]).into_owned();
        for at in numbers.len()..range.end {
            match values.get(at).filter(|value| value.is_finite()) {
                Some(&value) => numbers.push(value),
                None => return Err(unknown(series, name, at)),
            }
        }
        numbers.truncate(range.end);
        numbers.drain(..range.start);
        Ok(numbers)
    };
    names.iter().map(column).collect()
}

fn unknown(series: &Series, name: &str, at: usize) -> Error {
    let column = name.split_once('=').map_or(name, |(column, _)| column);
    let shorter = match at.saturating_sub(series.values.len()) {
        0 => String::new(),
        steps => format!("take a --horizon of {steps} at most, "),
    };
    Error::new(format!(
        "{}: {column} is not known for {}, and a forecast needs it: add rows with their {} and {column}, and without a value, \
         to the end of the file, {shorter}or leave {column} out of --regressors and --known",
        series.id,
        series.label(at),
        if series.dates.is_some() {
            "dates"
        } else {
            "other columns"
        }
    ))
}

/// Number of steps after the end of the values for which all of the columns are known.
pub fn steps_ahead(series: &Series, names: &[String]) -> usize {
    let count = series.values.len();
    let known = |name: &String| {
        let found = series.regressors.iter().find(|one| one.name == *name);
        let after = found.map_or(&[][..], |one| one.values.get(count..).unwrap_or_default());
        after.iter().take_while(|value| value.is_finite()).count()
    };
    names.iter().map(known).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(columns: &[(&str, bool, &[f64])]) -> Series {
        let regressor = |&(name, known_ahead, values): &(&str, bool, &[f64])| Regressor {
            name: name.to_string(),
            values: values.to_vec(),
            known_ahead,
        };
        Series {
            id: "x".to_string(),
            values: vec![1.0, 2.0, 4.0, 3.0],
            dates: None,
            regressors: columns.iter().map(regressor).collect(),
        }
    }

    #[test]
    fn columns_that_say_nothing_are_left_out() {
        let all = series(&[
            ("heat", false, &[1.0, 5.0, 2.0, 7.0]),
            ("always", true, &[3.0; 6]),
            ("open", true, &[1.0, 0.0, 0.0, 1.0, 1.0]),
            ("closed", true, &[0.0, 1.0, 1.0, 0.0, 0.0]),
            ("nothing", false, &[f64::NAN; 4]),
        ]);
        let usable = Usable::find(&all, 0..4);
        assert_eq!(usable.known_ahead, ["open"]);
        assert_eq!(usable.others, ["heat"]);
        assert_eq!(usable.notes.len(), 3);
        assert!(usable.notes[0].contains("always is left out: it is constant"));
        assert!(usable.notes[1].contains("closed is left out"));
        assert!(usable.notes[2].contains("nothing is left out: no number"));
        assert_eq!(usable.of_method(Method::Sarima), ["open", "heat"]);
        assert_eq!(usable.of_method(Method::Auto), ["open"]);
        assert!(usable.of_method(Method::Ets).is_empty());
        assert_eq!(Usable::find(&all, 1..3).known_ahead.len(), 0);
    }

    #[test]
    fn what_is_missing_is_filled_before_the_end_and_an_error_after_it() {
        let heat = [1.0, f64::NAN, 3.0, 7.0, 8.0];
        let all = series(&[("heat=high", false, &heat)]);
        let names = ["heat=high".to_string()];
        assert_eq!(columns(&all, &names, 1..5).unwrap(), [[2.0, 3.0, 7.0, 8.0]]);
        assert_eq!(steps_ahead(&all, &names), 1);
        let error = columns(&all, &names, 0..7).unwrap_err().to_string();
        assert!(error.contains("heat is not known for 6"), "{error}");
        assert!(error.contains("--horizon of 1"), "{error}");
    }
}
