/*!
What has to hold of a forecaster that was read from a file, which may be damaged: sizes that fit together, and that something
can be computed with.
*/

use super::arima::Arima;
use super::fourier::Fourier;
use super::method::FitOptions;
use super::model::Model;
use crate::data::series::dates::{Dates, Places};
use crate::data::series::step::Step;
use crate::data::series::time_series::Series;

/// Most steps ahead, which rows of a test window may ask for, and longest season that `carousel forecast` takes.
const MOST_STEPS: usize = 1_000_000;
const LONGEST_SEASON: usize = 1_000_000;
/// Most coefficients of a kind in an ARIMA; its orders have bounds of their own.
const MOST_COEFFICIENTS: usize = 1000;

/// What is wrong with a series, if anything is.
pub(super) fn of_series(series: &Series) -> Result<(), String> {
    hold(!series.values.is_empty(), "a series without values")?;
    match &series.dates {
        Some(dates) => of_dates(dates, series.values.len()),
        None => Ok(()),
    }
}

fn of_dates(dates: &Dates, count: usize) -> Result<(), String> {
    match &dates.places {
        Places::Regular { step, .. } => {
            let is_some = match *step {
                Step::Fixed { milliseconds, .. } => milliseconds > 0,
                Step::BusinessDays => true,
                Step::Months { count, day, .. } => count > 0 && day > 0,
            };
            hold(is_some, "dates without a step")
        }
        Places::Irregular { dates } => hold(
            dates.len() == count,
            "another number of dates than of values",
        ),
    }
}

/// What is wrong with the options of a fit.
pub(super) fn of_options(options: &FitOptions) -> Result<(), String> {
    hold(
        (1..=MOST_STEPS).contains(&options.horizon),
        "a horizon that is no number of steps",
    )?;
    options
        .seasons
        .iter()
        .try_for_each(|&season| of_season(season))
}

fn of_season(season: usize) -> Result<(), String> {
    hold(
        (1..=LONGEST_SEASON).contains(&season),
        "a season that is no number of steps",
    )
}

/// What is wrong with a model.
pub(super) fn of_model(model: &Model) -> Result<(), String> {
    let all = |models: &[Model]| {
        hold(!models.is_empty(), "a combination of no models")?;
        models.iter().try_for_each(of_model)
    };
    let indices = |count: Option<usize>| hold(count != Some(0), "a season without indices");
    match model {
        Model::Naive(naive) => of_season(naive.season),
        Model::Naive2(naive2) => indices(naive2.season.as_ref().map(|one| one.indices.len())),
        Model::Theta(theta) => indices(theta.season.as_ref().map(|one| one.indices.len())),
        Model::Ets(ets) => hold(
            ets.form.is_seasonal() != ets.parameters.seasons.is_empty(),
            "exponential smoothing whose season is not that of its form",
        ),
        Model::Arima(arima) => of_arima(arima),
        Model::Transformed { model, .. } => of_model(model),
        Model::Decomposed { seasons, model } => {
            let rising = seasons.lengths.is_sorted_by(|one, next| one < next);
            hold(rising, "seasons out of order")?;
            seasons
                .lengths
                .iter()
                .try_for_each(|&season| of_season(season))?;
            of_model(model)
        }
        Model::Median(models) => all(models),
        Model::Mean {
            models, weights, ..
        } => {
            hold(
                models.len() == weights.len(),
                "another number of weights than of models",
            )?;
            all(models)
        }
    }
}

fn of_arima(arima: &Arima) -> Result<(), String> {
    let (orders, found) = (&arima.orders, &arima.coefficients);
    let kinds = [
        (orders.p, &found.ar),
        (orders.q, &found.ma),
        (orders.seasonal_p, &found.seasonal_ar),
        (orders.seasonal_q, &found.seasonal_ma),
    ];
    for (order, coefficients) in kinds {
        let fits = order == coefficients.len() && order <= MOST_COEFFICIENTS;
        hold(fits, "an ARIMA without the coefficients of its orders")?;
    }
    let most = orders.d.max(orders.seasonal_d);
    hold(
        most <= MOST_COEFFICIENTS,
        "an ARIMA of too many differences",
    )?;
    of_season(orders.season)?;
    orders.check().map_err(|error| error.to_string())?;
    match arima.fourier {
        None => Ok(()),
        Some(Fourier { season, order }) => {
            of_season(season)?;
            let fits = (1..=season / 2).contains(&order) && order <= MOST_COEFFICIENTS;
            hold(fits, "Fourier terms that do not fit their season")
        }
    }
}

fn hold(holds: bool, wrong: &str) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(format!("it has {wrong}")),
    }
}
