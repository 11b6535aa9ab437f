/*!
`carousel forecast --backtest`: methods side by side at several origins of each series.
*/

use std::borrow::Cow;
use std::time::Instant;

use serde_json::{Value, json};

use super::forecast_output::add_errors;
use super::standard::{json_line, line};
use crate::error::{Error, Result};
use crate::forecasting::accuracy::Accuracy;
use crate::forecasting::backtest::{backtest, origins};
use crate::forecasting::decomposition::gaps;
use crate::forecasting::method::{FitOptions, Method, fit};
use crate::forecasting::naive2::Naive2;

/// Fewest values that a model is fitted to.
const LEAST: usize = 4;

/// What is known of a series.
pub(super) struct History<'a> {
    /// Its values; NaN where one is missing.
    pub values: &'a [f64],
    /// Columns of regressors that are known ahead, as long.
    pub columns: &'a [Vec<f64>],
    /// Values with what a method needs in the place of missing ones.
    pub filled: &'a dyn Fn(&[f64], Method) -> Vec<f64>,
}

/// Number of values before the first origin of a backtest; all of them if there are too few for one.
pub(super) fn first_origin(count: usize, horizon: usize, number: usize) -> usize {
    let origins = origins(count, horizon, number, horizon, LEAST);
    origins.first().copied().unwrap_or(count)
}

/// What a backtest of a series gave.
pub(super) struct SeriesBacktest {
    /// Mean accuracy of each method, in their order; none for one that could not be fitted.
    methods: Vec<Option<(Accuracy, f64)>>,
    /// Mean accuracy of Naive2.
    naive2: Accuracy,
    /// Lengths of the histories, the shortest first.
    pub origins: Vec<usize>,
}

impl SeriesBacktest {
    /// Adds a method that was measured at the same origins, and the seconds that it took.
    pub fn add(&mut self, accuracy: Accuracy, seconds: f64) {
        self.methods.push(Some((accuracy, seconds)));
    }
}

/// Fits each method anew at `number` origins, a horizon apart, and measures what it says of the next values that are known.
/// Missing values are filled at each origin from those before it.
///
/// # Errors
/// A series that is too short for any origin.
pub(super) fn series_backtest(
    history: History<'_>,
    methods: &[Method],
    options: &FitOptions,
    number: usize,
) -> Result<SeriesBacktest> {
    let History {
        values,
        columns,
        filled,
    } = history;
    let (count, horizon) = (values.len(), options.horizon);
    let season = options.season();
    let origins = origins(count, horizon, number, horizon, LEAST.max(season));
    if origins.is_empty() {
        return Err(Error::new(format!(
            "{count} values hold no history and {horizon} to compare with; take a shorter --horizon"
        )));
    }
    let naive2 = backtest(values, horizon, season, &origins, |history, steps| {
        let history = &filled(history, Method::Naive);
        Ok::<_, Error>(Naive2::fit(history, season)?.forecast(history, steps))
    })?;
    let methods = methods.iter().map(|&method| {
        let start = Instant::now();
        let columns = match method.uses_regressors() {
            true => columns,
            false => &[],
        };
        let all = backtest(values, horizon, season, &origins, |history, steps| {
            let history = &filled(history, method);
            let model = fit(method, history, columns, options)?.model;
            let history = match model.leaves_gaps() {
                true => Cow::Borrowed(&history[..]),
                false => gaps::filled(history),
            };
            Ok::<_, Error>(model.forecast(&history, columns, steps))
        });
        let seconds = start.elapsed().as_secs_f64() / origins.len() as f64;
        all.ok().map(|all| (Accuracy::mean(&all), seconds))
    });
    Ok(SeriesBacktest {
        methods: methods.collect(),
        origins,
        naive2: Accuracy::mean(&naive2),
    })
}

/// Prints a row for each method: means over the series that it could be fitted to.
pub(super) fn print(all: &[SeriesBacktest], names: &[String], json: bool) -> Result<()> {
    if !json {
        line(format!(
            "{:18}{:>9}{:>9}{:>14}{:>9}{:>14}{:>14}{:>10}{:>9}",
            "method",
            "sMAPE",
            "MASE",
            "MAE",
            "OWA",
            "within 80 %",
            "within 95 %",
            "seconds",
            "series"
        ))?;
    }
    rows(all, names).iter().try_for_each(|row| row.print(json))
}

/// A row for each method: means over the series that it could be fitted to.
fn rows<'n>(all: &[SeriesBacktest], names: &'n [String]) -> Vec<Row<'n>> {
    let row = |(index, name): (usize, &'n String)| {
        let fitted = all.iter().filter_map(|one| {
            one.methods[index].map(|(accuracy, seconds)| (accuracy, seconds, one.naive2))
        });
        let fitted: Vec<(Accuracy, f64, Accuracy)> = fitted.collect();
        let accuracies: Vec<Accuracy> = fitted.iter().map(|one| one.0).collect();
        let naive2: Vec<Accuracy> = fitted.iter().map(|one| one.2).collect();
        let seconds = fitted.iter().map(|one| one.1).sum::<f64>() / fitted.len().max(1) as f64;
        let accuracy = Accuracy::mean(&accuracies);
        let owa = accuracy.owa(&Accuracy::mean(&naive2));
        Row {
            name,
            accuracy,
            owa,
            seconds,
            series: fitted.len(),
        }
    };
    names.iter().enumerate().map(row).collect()
}

/// The table as objects.
#[cfg(feature = "serve")]
pub(super) fn objects(all: &[SeriesBacktest], names: &[String]) -> Vec<Value> {
    rows(all, names).iter().map(Row::object).collect()
}

/// A method's figures.
struct Row<'a> {
    name: &'a str,
    accuracy: Accuracy,
    owa: f64,
    seconds: f64,
    series: usize,
}

impl Row<'_> {
    fn print(&self, json: bool) -> Result<()> {
        let Accuracy {
            smape,
            mase,
            mae,
            coverage,
        } = self.accuracy;
        if json {
            return json_line(&self.object());
        }
        if self.series == 0 {
            return line(format!("{:18}could not be fitted", self.name));
        }
        line(format!(
            "{:18}{smape:>9.3}{mase:>9.3}{mae:>14.4}{:>9.3}{:>12.1} %{:>12.1} %{:>10.3}{:>9}",
            self.name,
            self.owa,
            100.0 * coverage[0],
            100.0 * coverage[1],
            self.seconds,
            self.series
        ))
    }

    fn object(&self) -> Value {
        let mut object = json!({
            "model": self.name,
            "owa": self.owa,
            "seconds": self.seconds,
            "series": self.series,
        });
        add_errors(&mut object, &self.accuracy);
        object
    }
}
