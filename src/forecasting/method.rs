/*!
Methods of forecasting by their names, and the one place where a method becomes a fitted model.
*/

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::arima::{Arima, Choice, Orders, Terms};
use super::box_cox::BoxCox;
use super::decomposed::Seasons;
use super::decomposition::gaps::filled;
use super::ets::form::EtsForm;
use super::ets::model::{Ets, LONGEST_SEASON};
use super::model::Model;
use super::naive::{Naive, NaiveKind};
use super::selection::{Score, select};
use super::theta::{Theta, ThetaKind};
use crate::error::{Error, Result};

/// Number of values at the end of a series by which exponential smoothing is estimated.
const LONGEST: usize = 100_000;

/// A way to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The best of several in a backtest.
    Auto,
    /// The median of several.
    Combination,
    /// The last value.
    Naive,
    /// The last season.
    SeasonalNaive,
    /// The line through both ends.
    Drift,
    /// The mean of all values.
    Mean,
    /// Simple exponential smoothing.
    Ses,
    /// Exponential smoothing with a trend.
    Holt,
    /// Exponential smoothing with a trend and a season.
    HoltWinters,
    /// Exponential smoothing, chosen by AICc.
    Ets,
    /// Theta.
    Theta,
    /// Autoregression.
    Ar,
    /// Moving average.
    Ma,
    /// Both.
    Arma,
    /// Both, on differences.
    Arima,
    /// The same, with a season.
    Sarima,
    /// A simple recurrent network.
    Rnn,
    /// A GRU.
    Gru,
    /// An LSTM.
    Lstm,
}

impl Method {
    /// Every method, in the order of help.
    pub const ALL: [Method; 19] = [
        Method::Auto,
        Method::Combination,
        Method::Naive,
        Method::SeasonalNaive,
        Method::Drift,
        Method::Mean,
        Method::Ses,
        Method::Holt,
        Method::HoltWinters,
        Method::Ets,
        Method::Theta,
        Method::Ar,
        Method::Ma,
        Method::Arma,
        Method::Arima,
        Method::Sarima,
        Method::Rnn,
        Method::Gru,
        Method::Lstm,
    ];

    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Method::Auto => "auto",
            Method::Combination => "combination",
            Method::Naive => "naive",
            Method::SeasonalNaive => "seasonal-naive",
            Method::Drift => "drift",
            Method::Mean => "mean",
            Method::Ses => "ses",
            Method::Holt => "holt",
            Method::HoltWinters => "holt-winters",
            Method::Ets => "ets",
            Method::Theta => "theta",
            Method::Ar => "ar",
            Method::Ma => "ma",
            Method::Arma => "arma",
            Method::Arima => "arima",
            Method::Sarima => "sarima",
            Method::Rnn => "rnn",
            Method::Gru => "gru",
            Method::Lstm => "lstm",
        }
    }

    /// Whether its models are recurrent networks, which need libtorch to be trained.
    pub fn is_network(self) -> bool {
        matches!(self, Method::Rnn | Method::Gru | Method::Lstm)
    }

    /// Whether its models can use columns beside the values.
    pub fn uses_regressors(self) -> bool {
        matches!(self, Method::Auto | Method::Combination) || self.takes_missing()
    }

    /// Whether its models leave missing values out, so that none need to be filled.
    pub fn takes_missing(self) -> bool {
        self.is_arima()
    }

    /// Whether its models are ARIMA models.
    pub fn is_arima(self) -> bool {
        matches!(
            self,
            Method::Ar | Method::Ma | Method::Arma | Method::Arima | Method::Sarima
        )
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let found = Method::ALL
            .into_iter()
            .find(|method| method.name() == name.trim());
        found.ok_or_else(|| {
            let names = Method::ALL.map(Method::name);
            format!("there is no method {name}; give {}", names.join(", "))
        })
    }
}

/// What is done with values before a model is fitted, so that their spread does not grow with their level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transform {
    /// Nothing.
    #[default]
    None,
    /// Logarithms.
    Log,
    /// A power from 0 (logarithms) to 1 (nothing) or above that is chosen for the series (Box and Cox).
    BoxCox,
}

/// What a fit depends on, besides the values and the method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Numbers of steps after which the series may repeat itself, the most likely first.
    pub seasons: Vec<usize>,
    /// Number of steps that will be forecast.
    pub horizon: usize,
    /// Orders p, d and q of an ARIMA, if they are not to be chosen.
    pub order: Option<[usize; 3]>,
    /// Orders P, D and Q of its season.
    pub seasonal_order: Option<[usize; 3]>,
    /// What is done with the values first.
    pub transform: Transform,
}

impl FitOptions {
    /// Number of steps in the most likely season, or 1.
    pub fn season(&self) -> usize {
        self.seasons.first().copied().unwrap_or(1)
    }
}

/// A fitted model, and what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The model.
    pub model: Model,
    /// What candidates did in a backtest, from the best, of a method that chooses by one.
    pub scores: Vec<Score>,
    /// Sentences that say what was not tried, and why.
    pub left_out: Vec<String>,
}

impl From<Model> for Fit {
    fn from(model: Model) -> Self {
        Fit {
            model,
            scores: Vec::new(),
            left_out: Vec::new(),
        }
    }
}

/// Fits a model of a method to values and columns of regressors, each at least as long; methods without regressors ignore
/// them.
///
/// # Errors
/// Values that the method, or the transformation, cannot do with; columns with gaps.
pub fn fit(
    method: Method,
    values: &[f64],
    columns: &[Vec<f64>],
    options: &FitOptions,
) -> Result<Fit> {
    if !values.iter().any(|value| value.is_finite()) {
        return Err(Error::new("every value is missing"));
    }
    // A season of one step is none, and of no step nothing.
    let mut options = options.clone();
    options.seasons.retain(|&season| season > 1);
    let options = &options;
    let season = options.season();
    let Some(transformation) = transformation(values, options.transform, season)? else {
        return fit_plainly(method, values, columns, options);
    };
    let transformed = values
        .iter()
        .map(|value| transformation.transformed(*value));
    let transformed: Vec<f64> = transformed.collect();
    let fit = fit_plainly(method, &transformed, columns, options)?;
    Ok(Fit {
        model: Model::Transformed {
            transformation,
            model: Box::new(fit.model),
        },
        ..fit
    })
}

/// The transformation that is to be done with values first, if any.
///
/// # Errors
/// Values that have no logarithm, and those that are too few to choose a power for.
pub(super) fn transformation(
    values: &[f64],
    transform: Transform,
    season: usize,
) -> Result<Option<BoxCox>> {
    if transform == Transform::None {
        return Ok(None);
    }
    check_positive(values)?;
    match transform {
        // A power below 0 has a bound that values grow towards and do not pass: intervals would have no end.
        Transform::BoxCox => Ok(Some(BoxCox {
            lambda: BoxCox::guerrero(values, season)?.lambda.max(0.0),
        })),
        _ => Ok(Some(BoxCox { lambda: 0.0 })),
    }
}

/// Fits a model to values as they are.
fn fit_plainly(
    method: Method,
    values: &[f64],
    columns: &[Vec<f64>],
    options: &FitOptions,
) -> Result<Fit> {
    let season = options.season();
    let naive = |kind, season| Ok(Model::Naive(Naive { kind, season }).into());
    match method {
        Method::Auto => {
            let selection = select(values, columns, &options.seasons, options.horizon)?;
            Ok(Fit {
                model: selection.model,
                scores: selection.scores,
                left_out: selection.left_out,
            })
        }
        Method::Combination => combination(values, columns, options),
        Method::Naive => naive(NaiveKind::Naive, 1),
        Method::SeasonalNaive => naive(NaiveKind::SeasonalNaive, season),
        Method::Drift => naive(NaiveKind::Drift, 1),
        Method::Mean => naive(NaiveKind::Mean, 1),
        Method::Ses | Method::Holt | Method::HoltWinters | Method::Ets => {
            smoothing(method, values, &options.seasons)
        }
        Method::Theta => Ok(Model::Theta(theta(values, &options.seasons)?).into()),
        Method::Ar | Method::Ma | Method::Arma | Method::Arima | Method::Sarima => {
            arima(method, values, columns, options)
        }
        Method::Rnn | Method::Gru | Method::Lstm => Err(Error::new(format!(
            "{} is a recurrent network, which carousel-train learns",
            method.name()
        ))),
    }
}

/// The median of exponential smoothing, Theta and ARIMA: of those that the values are enough for.
fn combination(values: &[f64], columns: &[Vec<f64>], options: &FitOptions) -> Result<Fit> {
    let values = &filled(values);
    let all = [Method::Ets, Method::Theta, Method::Sarima];
    let fits = all.map(|method| fit_plainly(method, values, columns, options));
    let mut models = Vec::new();
    let (mut failure, mut left_out) = (None, Vec::new());
    for fit in fits {
        match fit {
            Ok(fit) => {
                models.push(fit.model);
                left_out.extend(fit.left_out);
            }
            Err(error) => failure = Some(error),
        }
    }
    match (models.is_empty(), failure) {
        (true, Some(error)) => Err(error),
        _ => Ok(Fit {
            left_out,
            ..Model::Median(models).into()
        }),
    }
}

/// Exponential smoothing. A season that is too long for it is taken out first, as several are.
fn smoothing(method: Method, values: &[f64], seasons: &[usize]) -> Result<Fit> {
    let season = seasons.first().copied().unwrap_or(1);
    let decompose = method == Method::Ets && (seasons.len() > 1 || season > LONGEST_SEASON);
    if decompose {
        let mut lengths = seasons.to_vec();
        lengths.sort_unstable();
        lengths.retain(|length| 2 * length < values.len());
        let seasons = Seasons {
            lengths,
            logarithms: false,
        };
        if !seasons.lengths.is_empty() {
            let adjusted = seasons.parts(values)?.adjusted;
            let ets = Ets::select(&adjusted, 1, &EtsForm::sensible(false))?;
            let model = Model::Decomposed {
                seasons,
                model: Box::new(Model::Ets(ets)),
            };
            return Ok(model.into());
        }
    }
    let season = match method {
        Method::HoltWinters => smoothed_season(values.len(), seasons)?,
        _ => season,
    };
    let begin = values.len().saturating_sub(LONGEST);
    // Whole seasons are left out, for the first value kept begins one.
    let begin = begin.next_multiple_of(season).min(values.len());
    let (values, all) = (&values[begin..], values.len());
    let ets = match method {
        Method::Ses => Ets::fit(values, EtsForm::SIMPLE, 1)?,
        Method::Holt => Ets::fit(values, EtsForm::HOLT, 1)?,
        Method::HoltWinters => {
            let forms = [
                EtsForm::HOLT_WINTERS_ADDITIVE,
                EtsForm::HOLT_WINTERS_MULTIPLICATIVE,
            ];
            Ets::select(values, season, &forms)?
        }
        _ => Ets::select(values, season, &EtsForm::sensible(season > 1))?,
    };
    let left_out = (begin > 0).then(|| {
        format!(
            "the first {begin} of {all} values: exponential smoothing is estimated by the last {}",
            values.len()
        )
    });
    Ok(Fit {
        left_out: left_out.into_iter().collect(),
        ..Model::Ets(ets).into()
    })
}

/// The first season that Holt–Winters can smooth.
fn smoothed_season(count: usize, seasons: &[usize]) -> Result<usize> {
    let fits = |season: &usize| (2..=LONGEST_SEASON.min(count / 2)).contains(season);
    match (seasons.iter().copied().find(fits), seasons.first()) {
        (Some(season), _) => Ok(season),
        (None, Some(season)) => Err(Error::new(format!(
            "Holt–Winters smooths seasons of {LONGEST_SEASON} steps at most, of which the history has two, and a season of \
             {season} in {count} values is not like that; --method ets takes it out first, and --method holt does without"
        ))),
        (None, None) => Err(Error::new(
            "Holt–Winters smooths a season, and the series has none of which there are two; give --season, or --method holt",
        )),
    }
}

/// Theta, with the first season that is not too long taken out.
fn theta(values: &[f64], seasons: &[usize]) -> Result<Theta> {
    let short = seasons.iter().find(|&&season| season <= LONGEST_SEASON);
    Theta::fit(values, ThetaKind::Standard, short.copied().unwrap_or(1))
}

/// An ARIMA of the orders that were given, or of those that have the least AICc.
fn arima(
    method: Method,
    values: &[f64],
    columns: &[Vec<f64>],
    options: &FitOptions,
) -> Result<Fit> {
    let season = options.season();
    if options.order.is_some() || options.seasonal_order.is_some() {
        let [p, d, q] = options.order.unwrap_or_default();
        let mut orders = Orders::new(p, d, q);
        if let Some([p, d, q]) = options.seasonal_order {
            if season == 1 {
                return Err(Error::new(
                    "orders of a season were given, and the series has none; give it: --seasonal 0,1,1,12",
                ));
            }
            orders = orders.with_season(p, d, q, season);
        }
        let terms = Terms {
            constant: orders.differences() == 0,
            regressors: columns,
            ..Terms::default()
        };
        return Ok(Model::Arima(Arima::fit(values, orders, &terms)?).into());
    }
    let (choice, season) = choice(method, season);
    let choice = Choice {
        regressors: columns,
        ..choice
    };
    let selection = super::arima::select(values, season, &choice);
    let has_gaps = values.iter().any(|value| value.is_nan());
    let (selection, gaps) = match selection {
        Err(_) if has_gaps => (
            super::arima::select(&filled(values), season, &choice)?,
            Some(
                "the gaps, which are filled by lines: too little is known between them".to_string(),
            ),
        ),
        selection => (selection?, None),
    };
    Ok(Fit {
        model: Model::Arima(selection.model),
        scores: Vec::new(),
        left_out: selection.left_out.into_iter().chain(gaps).collect(),
    })
}

/// What a method lets be chosen of an ARIMA's orders, and the season that it looks at.
pub(super) fn choice(method: Method, season: usize) -> (Choice<'static>, usize) {
    match method {
        Method::Ar => (Choice::autoregressive(), 1),
        Method::Ma => (Choice::moving_average(), 1),
        Method::Arma => (Choice::mixed(), 1),
        _ => (Choice::default(), season),
    }
}

/// Checks that values have logarithms.
fn check_positive(values: &[f64]) -> Result<()> {
    let wrong = values.iter().position(|value| *value <= 0.0);
    wrong.map_or(Ok(()), |at| {
        Err(Error::new(format!(
            "value {} is {}, and only numbers above zero have logarithms; leave --transform away",
            at + 1,
            values[at]
        )))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values as they come in files: usual, alike, missing, huge, tiny, infinite.
    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => -100.0..1000.0,
            4 => (0..4).prop_map(f64::from),
            2 => Just(f64::NAN),
            1 => prop::sample::select(vec![
                0.0,
                -0.0,
                1e300,
                -1e300,
                f64::MAX,
                1e-300,
                f64::MIN_POSITIVE,
                f64::INFINITY,
                f64::NEG_INFINITY,
            ]),
        ]
    }

    /// Series of some of these, many of which stay as they are or grow for a while.
    fn series() -> impl Strategy<Value = Vec<f64>> {
        let stretch = (value(), -2.0..2.0, 1..24usize, any::<bool>());
        let stretches = prop::collection::vec(stretch, 0..8);
        stretches.prop_map(|stretches| {
            let values = stretches.into_iter().map(|(first, slope, count, moves)| {
                let slope = if moves { slope } else { 0.0 };
                (0..count).map(move |step| first + slope * step as f64)
            });
            values.flatten().collect()
        })
    }

    fn options() -> impl Strategy<Value = FitOptions> {
        let season = prop::sample::select(vec![0, 1, 2, 3, 4, 7, 12, 24, 30, 1000]);
        let transform = prop_oneof![
            6 => Just(Transform::None),
            1 => Just(Transform::Log),
            1 => Just(Transform::BoxCox),
        ];
        let order = prop::option::weighted(0.2, prop::array::uniform3(0..4usize));
        let seasonal = prop::option::weighted(0.2, prop::array::uniform3(0..3usize));
        let seasons = prop::collection::vec(season, 0..3);
        (seasons, 0..9usize, order, seasonal, transform).prop_map(
            |(seasons, horizon, order, seasonal_order, transform)| FitOptions {
                seasons,
                horizon,
                order,
                seasonal_order,
                transform,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// A model or an error, whatever the series; numbers where it is an ordinary one.
        #[test]
        fn no_method_fails_on_odd_series(values in series(), options in options()) {
            let ordinary = values.iter().all(|value| value.abs() < 1e6 || value.is_nan());
            for method in Method::ALL {
                let Ok(Fit { model, .. }) = fit(method, &values, &[], &options) else {
                    continue;
                };
                let history = match method.takes_missing() {
                    true => values.clone(),
                    false => filled(&values).into_owned(),
                };
                prop_assert_eq!(model.predictions(&history, &[]).len(), values.len());
                let forecast = model.forecast(&history, &[], options.horizon);
                prop_assert_eq!(forecast.mean.len(), options.horizon);
                let finite = forecast.mean.iter().all(|mean| mean.is_finite());
                let plain = options.transform == Transform::None;
                prop_assert!(finite || !ordinary || !plain, "{}: {:?}", model.name(), forecast);
            }
        }
    }

    #[test]
    fn methods_are_known_by_their_names() {
        for method in Method::ALL {
            assert_eq!(method.name().parse(), Ok(method));
            assert_eq!(
                serde_json::to_value(method).unwrap(),
                method.name(),
                "the name in files"
            );
        }
        let message = "prophecy".parse::<Method>().unwrap_err();
        assert!(message.contains("auto, combination, naive"), "{message}");
    }

    /// Of every third value no difference is known.
    #[test]
    fn an_arima_is_fitted_where_gaps_leave_no_difference() {
        let mut values: Vec<f64> = (0..48).map(f64::from).collect();
        let gap = |at: usize| !at.is_multiple_of(3);
        (0..48)
            .filter(|at| gap(*at))
            .for_each(|at| values[at] = f64::NAN);
        let fit = fit(Method::Arima, &values, &[], &FitOptions::default()).unwrap();
        assert!(fit.left_out[0].contains("filled by lines"), "{fit:?}");
        let mean = fit.model.forecast(&values, &[], 1).mean[0];
        assert!((mean - 48.0).abs() < 1.5, "{mean}");
    }

    #[test]
    fn holt_winters_says_which_seasons_it_smooths() {
        let values: Vec<f64> = (0..60).map(|at| f64::from(at % 12)).collect();
        let fit = |seasons: &[usize]| {
            let options = FitOptions {
                seasons: seasons.to_vec(),
                ..FitOptions::default()
            };
            fit(Method::HoltWinters, &values, &[], &options)
        };
        assert!(fit(&[48, 12]).unwrap().model.name().starts_with("ETS(A,A,"));
        let error = |seasons: &[usize]| fit(seasons).unwrap_err().to_string();
        assert!(error(&[48]).contains("a season of 48 in 60 values"));
        assert!(error(&[]).contains("give --season"));
    }

    #[test]
    fn logarithms_need_positive_values() {
        let options = FitOptions {
            transform: Transform::Log,
            ..FitOptions::default()
        };
        let error = fit(Method::Naive, &[2.0, -1.0], &[], &options).unwrap_err();
        assert!(error.to_string().starts_with("value 2 is -1"), "{error}");
        let error = fit(Method::Naive, &[f64::NAN], &[], &FitOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "every value is missing");
    }
}
