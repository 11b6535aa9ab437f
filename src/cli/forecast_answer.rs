/*!
What a model or a network says of a series: which steps are asked for, and the forecasts of them beside what came.
*/

use std::ops::Range;

use super::forecast_flags::Arguments;
use crate::data::series::dates::{Dates, Split};
use crate::error::Result;
use crate::forecasting::accuracy::{Accuracy, scale};
use crate::forecasting::explanation::Explanation;
use crate::forecasting::folder::FittedSeries;
use crate::forecasting::forecast::Forecast;
use crate::forecasting::method::Method;
use crate::forecasting::selection::Score;

/// Forecasts of a series by a model.
pub(super) struct Answer {
    /// The series.
    pub series: String,
    /// Its model.
    pub model: AnswerModel,
    /// Dates, or numbers, of the forecasts.
    pub dates: Vec<String>,
    /// The values before them.
    pub history: Vec<f64>,
    /// Dates of these and of the forecasts, if there are any.
    pub calendar: Option<Dates>,
    /// What the model expected of the values before, if that is to be drawn.
    pub predictions: Vec<f64>,
    /// The values themselves, in a test window.
    pub actual: Option<Vec<f64>>,
    /// Number of steps that each forecast reaches.
    pub horizon: usize,
    /// The forecasts.
    pub forecast: Forecast,
    /// Their errors in a test window.
    pub accuracy: Option<Accuracy>,
    /// Number of steps in a season.
    pub season: usize,
    /// What led to the model, if that was asked for.
    pub explanation: Option<Explanation>,
}

/// What forecasts.
pub(super) struct AnswerModel {
    /// Its name.
    pub name: String,
    /// The method that it was fitted by.
    pub method: Method,
    /// How long the fit took, in seconds.
    pub seconds: f64,
    /// Its AICc, if it has one.
    pub aicc: Option<f64>,
    /// What candidates did in a backtest, if the method chooses by one.
    pub scores: Vec<Score>,
}

/// The steps of a series that are to be forecast: those after its end, or a test window.
pub(super) struct Asked<'a> {
    /// The series, with its models.
    pub fitted: &'a FittedSeries,
    /// What is learnt from and tested on.
    pub split: Split,
    /// Number of steps that each forecast reaches.
    pub horizon: usize,
    /// The steps.
    pub range: Range<usize>,
}

impl<'a> Asked<'a> {
    /// What the flags ask for of a series; without a number of steps, at most so many as a model can know `ahead`.
    ///
    /// # Errors
    /// Windows that the series has not.
    pub fn of(fitted: &'a FittedSeries, ahead: Option<usize>, flags: &Arguments) -> Result<Self> {
        let series = &fitted.series;
        let count = series.values.len();
        let split = (flags.windows()).split(series.dates.as_ref(), count, &series.id)?;
        let own = fitted.options.horizon;
        let default = match (&split.test, ahead) {
            (None, Some(ahead)) => ahead.min(own),
            _ => own,
        };
        let horizon = flags.horizon.map_or(default, |horizon| horizon as usize);
        let range = match &split.test {
            Some(test) => test.clone(),
            None => split.train.end..split.train.end + horizon,
        };
        Ok(Asked {
            fitted,
            split,
            horizon,
            range,
        })
    }

    /// Number of the steps whose values are known.
    pub fn known(&self) -> usize {
        let values = self.fitted.series.values.get(self.range.clone());
        let values = values.unwrap_or_default().iter();
        values.filter(|value| !value.is_nan()).count()
    }

    /// The errors of a forecast of a test window, by what was `learnt` from.
    pub fn accuracy(&self, forecast: &Forecast, learnt: &[f64]) -> Option<Accuracy> {
        let FittedSeries {
            series, options, ..
        } = self.fitted;
        let season = options.season();
        let test = self.split.test.clone()?;
        let scale = scale(learnt, season);
        Some(Accuracy::new(forecast, &series.values[test], scale))
    }

    /// The answer of a model, by its forecasts of these steps, what it `learnt` from, and what it expected of the values
    /// before, if that is to be drawn.
    pub fn answer(
        self,
        model: AnswerModel,
        forecast: Forecast,
        learnt: &[f64],
        predictions: Vec<f64>,
    ) -> Answer {
        let series = &self.fitted.series;
        Answer {
            series: series.id.clone(),
            model,
            dates: self.range.clone().map(|at| series.label(at)).collect(),
            history: series.values[..self.range.start].to_vec(),
            calendar: series.dates.clone(),
            predictions,
            accuracy: self.accuracy(&forecast, learnt),
            actual: (self.split.test).map(|test| series.values[test].to_vec()),
            horizon: self.horizon,
            forecast,
            season: self.fitted.options.season(),
            explanation: None,
        }
    }
}
