/*!
Explanation of a forecast: what is found in a series step by step, on the way that the textbooks take to a model (Box and
Jenkins 1970; Hyndman and Athanasopoulos, Forecasting: Principles and Practice), as plain figures.

Each step is computed by the functions that the models are chosen by. What cannot be computed of a series is left out, with
the reason.
*/

use serde::Serialize;

use super::arima::{LONGEST_SEASON, difference, select};
use super::autocorrelation::{
    LjungBox, autocorrelations, chi_square_tail, ljung_box, partial_autocorrelations,
};
use super::box_cox::BoxCox;
use super::decomposition::gaps::filled;
use super::decomposition::mstl::mstl;
use super::folder::FittedModel;
use super::forecast::NORMAL_QUANTILES;
use super::method::{FitOptions, Method, Transform, choice, transformation};
use super::model::Model;
use super::seasonality::{Evidence, examine};
use super::selection::Score;
use super::unit_roots::{
    Adf, Kpss, SIGNIFICANCE, SeasonalDifferences, adf, constant, differences, known, kpss,
    seasonal_differences,
};

/// Number of values at the end of a series that are looked at.
const LONGEST: usize = 20_000;
/// Number of values at its end by which orders are tried, where no method asked for an ARIMA.
const MOST_FOR_ORDERS: usize = 1000;
/// Number of the best orders that are kept.
const BEST: usize = 10;
/// Fewest known values that anything can be said of.
const FEWEST: usize = 4;
/// Numbers of lags: at least, if there are as many values, and at most.
const LAGS: [usize; 2] = [24, 400];
/// Ratio of levels, and of the deviations at them, below which swings may be said not to depend on the level.
const APART: f64 = 1.5;
/// Values of λ up to which logarithms, and a power, are suggested.
const SUGGESTED: [f64; 2] = [0.25, 0.75];

/// What is found in a series, and what became of it in a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The values that were looked at.
    pub history: History,
    /// Whether swings grow with the level.
    pub variance: Step<Variance>,
    /// What the values say of each season that was suggested.
    pub seasons: Step<Vec<Evidence>>,
    /// Trend and seasons taken apart.
    pub decomposition: Step<Parts>,
    /// Tests for what has to be differenced.
    pub stationarity: Step<Stationarity>,
    /// Autocorrelations of the values, and of their differences if these were asked for.
    pub autocorrelations: Step<Vec<Correlations>>,
    /// Orders of an ARIMA that were tried.
    pub orders: Step<OrdersTried>,
    /// The model.
    pub model: ModelExplanation,
}

/// A step of an explanation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Step<T> {
    /// What was found.
    Found(T),
    /// Nothing, and why.
    LeftOut {
        /// The reason.
        left_out: String,
    },
}

/// Values that were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct History {
    /// Number of values of the series.
    pub count: usize,
    /// Number of values, from the end, that were looked at.
    pub looked_at: usize,
    /// Number of missing ones among these.
    pub missing: usize,
    /// Least value.
    pub lowest: f64,
    /// Largest value.
    pub highest: f64,
    /// Mean.
    pub mean: f64,
}

/// Swings at low and at high levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Variance {
    /// The exponent of a Box–Cox transformation after which they differ least (Guerrero 1993).
    pub lambda: f64,
    /// Number of values in a stretch: a season, or 2.
    pub stretch: usize,
    /// The third of the stretches with the lowest means.
    pub low: Level,
    /// The third with the highest.
    pub high: Level,
    /// Transformation that this suggests.
    pub suggested: Transform,
    /// Transformation that was done, of which the following steps speak.
    pub done: Transform,
}

/// Mean of some stretches, and mean of their standard deviations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Level {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
}

/// Trend and seasons by MSTL, or STL if there is one season.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parts {
    /// Strength of the trend, from 0 to 1.
    pub trend_strength: f64,
    /// The trend at both ends.
    pub trend: [f64; 2],
    /// The seasons.
    pub seasons: Vec<SeasonPart>,
    /// Standard deviation of what remains.
    pub remainder: f64,
    /// Names and values of the series and its parts, to be drawn.
    #[serde(skip)]
    pub lines: Vec<(String, Vec<f64>)>,
}

/// A season that was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SeasonPart {
    /// Number of steps.
    pub season: usize,
    /// Strength, from 0 to 1.
    pub strength: f64,
    /// From the lowest place of its last course to the highest.
    pub swing: f64,
}

/// Differences that the tests ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stationarity {
    /// Number of steps in the season that may be differenced; 1 for none.
    pub season: usize,
    /// Strength of that season, where it can be measured.
    pub season_strength: Option<f64>,
    /// Number of differences a season apart, D.
    pub seasonal_differences: usize,
    /// Number of differences of neighbours, d.
    pub differences: usize,
    /// Tests of the values, and of their differences as far as they were taken.
    pub tests: Vec<UnitRootTests>,
}

/// Tests of values that may have been differenced.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct UnitRootTests {
    /// Number of differences a season apart before.
    pub seasonal_differences: usize,
    /// Number of differences of neighbours before.
    pub differences: usize,
    /// KPSS, whose null hypothesis is that there is no unit root.
    pub kpss: Option<Kpss>,
    /// ADF, whose null hypothesis is that there is one.
    pub adf: Option<Adf>,
}

/// Autocorrelations from lag 1 on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Correlations {
    /// Number of differences a season apart before.
    pub seasonal_differences: usize,
    /// Number of differences of neighbours before.
    pub differences: usize,
    /// What 19 of 20 lags stay within by chance.
    pub bound: f64,
    /// Autocorrelations.
    pub acf: Vec<f64>,
    /// Partial autocorrelations.
    pub pacf: Vec<f64>,
}

/// The search for the orders of an ARIMA.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OrdersTried {
    /// Number of values, from the end, that they were tried on.
    pub looked_at: usize,
    /// Number of models.
    pub tried: usize,
    /// The best of them, from the least AICc; the last of these is the chosen one if it is not among the best.
    pub best: Vec<OrderTried>,
    /// Name of the one that was chosen.
    pub chosen: String,
    /// Sentences that say what was not tried, and why.
    pub left_out: Vec<String>,
}

/// An ARIMA that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OrderTried {
    /// Name with the orders.
    pub name: String,
    /// AICc.
    pub aicc: f64,
    /// Whether it was refused, for a root too near to one that is not stationary or not invertible.
    pub refused: bool,
}

/// A model, what led to it, and what it leaves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelExplanation {
    /// Name.
    pub name: String,
    /// What candidates did in a backtest, of a method that weighs them by one.
    pub candidates: Vec<Score>,
    /// Sentences that say what was not tried, and why.
    pub left_out: Vec<String>,
    /// Residuals: what the model did not expect of each value from those before, on the scale that it works on.
    pub residuals: Step<Residuals>,
}

/// Residuals of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Residuals {
    /// Number of them.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Standard error of the mean.
    pub mean_error: f64,
    /// Standard deviation.
    pub deviation: f64,
    /// Test that they have no autocorrelation.
    pub ljung_box: Option<LjungBox>,
    /// Skewness, 0 for a normal distribution.
    pub skewness: f64,
    /// Kurtosis, 3 for a normal distribution.
    pub kurtosis: f64,
    /// Probability of such a skewness and kurtosis, or larger, in a normal distribution (Jarque and Bera 1980).
    pub normality: f64,
    /// What 19 of 20 autocorrelations stay within by chance.
    pub bound: f64,
    /// Autocorrelations from lag 1 on.
    pub acf: Vec<f64>,
    /// The residuals, to be drawn.
    #[serde(skip)]
    pub values: Vec<f64>,
}

impl Variance {
    /// Whether the levels are far enough apart for their swings to be compared.
    pub fn is_telling(&self) -> bool {
        self.high.mean > APART * self.low.mean
    }
}

impl UnitRootTests {
    /// Whether KPSS finds a unit root.
    pub fn kpss_rejects(&self) -> bool {
        self.kpss.is_some_and(|test| test.p_value < SIGNIFICANCE)
    }

    /// Whether ADF finds none.
    pub fn adf_rejects(&self) -> bool {
        self.adf.is_some_and(|test| test.p_value < SIGNIFICANCE)
    }
}

impl Correlations {
    /// Number of lags, from the first on, whose autocorrelations, and whose partial ones, are beyond chance without a gap.
    pub fn leading(&self) -> [usize; 2] {
        let leading = |values: &[f64]| {
            let beyond = values.iter().take_while(|value| value.abs() > self.bound);
            beyond.count()
        };
        [leading(&self.acf), leading(&self.pacf)]
    }

    /// Lags whose autocorrelation is beyond chance.
    pub fn beyond(&self) -> Vec<usize> {
        let lags = (1..).zip(&self.acf);
        let beyond = lags.filter(|(_, value)| value.abs() > self.bound);
        beyond.map(|(lag, _)| lag).collect()
    }
}

impl Explanation {
    /// An explanation for each model of a series, from the values that it was fitted to, of which NaN is a missing one: all
    /// steps but the last are the same.
    pub fn of_models(values: &[f64], options: &FitOptions, models: &[FittedModel]) -> Vec<Self> {
        let begin = values.len().saturating_sub(LONGEST);
        let recent = &values[begin..];
        let season = options.season();
        let work = match transformation(recent, options.transform, season) {
            Ok(Some(transformation)) => transformed(recent, &transformation),
            _ => recent.to_vec(),
        };
        let fixed = short_or_constant(&work);
        let stationarity = match &fixed {
            Some(reason) => Err(reason.clone()),
            None => Ok(stationarity(&work, season)),
        };
        let correlations = stationarity
            .clone()
            .map(|found| correlations(&work, season, &found));
        let orders = orders(&work, season, models);
        let series = Explanation {
            history: History::new(values.len(), recent),
            variance: variance(recent, season, options.transform).into(),
            seasons: evidence(&work, &options.seasons).into(),
            decomposition: parts(&work, &options.seasons).into(),
            stationarity: stationarity.into(),
            autocorrelations: correlations.into(),
            orders: orders.into(),
            model: ModelExplanation::default(),
        };
        let models = models.iter().map(|fitted| Explanation {
            model: ModelExplanation::new(fitted, recent, season),
            ..series.clone()
        });
        models.collect()
    }
}

impl<T> From<Result<T, String>> for Step<T> {
    fn from(result: Result<T, String>) -> Self {
        match result {
            Ok(found) => Step::Found(found),
            Err(left_out) => Step::LeftOut { left_out },
        }
    }
}

impl<T> Step<T> {
    /// What was found, if anything.
    pub fn found(&self) -> Option<&T> {
        match self {
            Step::Found(found) => Some(found),
            Step::LeftOut { .. } => None,
        }
    }
}

impl History {
    fn new(count: usize, recent: &[f64]) -> Self {
        let known = known(recent);
        History {
            count,
            looked_at: recent.len(),
            missing: recent.len() - known.len(),
            lowest: known.iter().copied().fold(f64::INFINITY, f64::min),
            highest: known.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            mean: mean(&known),
        }
    }
}

fn transformed(values: &[f64], transformation: &BoxCox) -> Vec<f64> {
    let values = values.iter();
    values
        .map(|value| transformation.transformed(*value))
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    values.iter().map(|value| value / count).sum()
}

/// Standard deviation, with one degree of freedom taken by the mean.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0).max(1.0)).sqrt()
}

/// Why nothing can be said of how values follow each other, if so.
fn short_or_constant(values: &[f64]) -> Option<String> {
    let known = known(values);
    if known.len() < FEWEST {
        return Some(format!(
            "{} known values are too few: it takes {FEWEST}",
            known.len()
        ));
    }
    constant(&known).then(|| "every value is the same".to_string())
}

/// Swings at low and at high levels, and what they suggest.
fn variance(values: &[f64], season: usize, done: Transform) -> Result<Variance, String> {
    if let Some(reason) = short_or_constant(values) {
        return Err(reason);
    }
    let lambda = BoxCox::guerrero(values, season).map_err(|error| error.to_string())?;
    let stretch = season.max(2);
    let known = values.rchunks_exact(stretch);
    let known = known.filter(|part| part.iter().all(|value| value.is_finite()));
    let mut levels: Vec<Level> = known
        .map(|part| Level {
            mean: mean(part),
            deviation: deviation(part),
        })
        .collect();
    levels.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    let third = (levels.len() / 3).max(1);
    let level = |part: &[Level]| Level {
        mean: mean(&part.iter().map(|level| level.mean).collect::<Vec<_>>()),
        deviation: mean(&part.iter().map(|level| level.deviation).collect::<Vec<_>>()),
    };
    let mut variance = Variance {
        lambda: lambda.lambda,
        stretch,
        low: level(&levels[..third]),
        high: level(&levels[levels.len() - third..]),
        suggested: Transform::None,
        done,
    };
    let grows = variance.high.deviation > APART * variance.low.deviation;
    if grows && variance.is_telling() {
        variance.suggested = match lambda.lambda {
            lambda if lambda <= SUGGESTED[0] => Transform::Log,
            lambda if lambda <= SUGGESTED[1] => Transform::BoxCox,
            _ => Transform::None,
        };
    }
    Ok(variance)
}

/// Evidence of the seasons that were suggested.
fn evidence(values: &[f64], seasons: &[usize]) -> Result<Vec<Evidence>, String> {
    if seasons.is_empty() {
        return Err(
            "neither the step between the dates nor the values suggest one, or the series holds less than two of it"
                .to_string(),
        );
    }
    let evidence = examine(values, seasons);
    match evidence.is_empty() {
        true => Err(format!(
            "{} values hold fewer than three of the {} steps of a season",
            values.len(),
            seasons[0]
        )),
        false => Ok(evidence),
    }
}

/// Trend and seasons, those of which the series holds two.
fn parts(values: &[f64], seasons: &[usize]) -> Result<Parts, String> {
    if let Some(reason) = short_or_constant(values) {
        return Err(reason);
    }
    let mut lengths = seasons.to_vec();
    lengths.sort_unstable();
    lengths.dedup();
    lengths.retain(|&season| season > 1 && 2 * season < values.len());
    if lengths.is_empty() {
        return Err("it takes a season of which the series holds more than two".to_string());
    }
    let found = mstl(values, &lengths).map_err(|error| error.to_string())?;
    let season = |(at, &season): (usize, &usize)| {
        let last = &found.seasons[at][values.len() - season..];
        let lowest = last.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = last.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        SeasonPart {
            season,
            strength: found.season_strength(at),
            swing: highest - lowest,
        }
    };
    let taken = lengths.iter().enumerate().map(season).collect();
    let mut lines = vec![
        ("values".to_string(), values.to_vec()),
        ("trend".to_string(), found.trend.clone()),
    ];
    let names = lengths.iter().map(|season| format!("season of {season}"));
    lines.extend(names.zip(found.seasons.iter().cloned()));
    lines.push(("remainder".to_string(), found.remainder.clone()));
    Ok(Parts {
        trend_strength: found.trend_strength(),
        trend: [found.trend[0], found.trend[values.len() - 1]],
        seasons: taken,
        remainder: deviation(&known(&found.remainder)),
        lines,
    })
}

/// The differences that an ARIMA takes, with the tests.
fn stationarity(values: &[f64], season: usize) -> Stationarity {
    let season = if season > LONGEST_SEASON { 1 } else { season };
    let SeasonalDifferences { count, strength } = seasonal_differences(values, season);
    let tests = |values: &[f64], seasonal_differences: usize, differences: usize| UnitRootTests {
        seasonal_differences,
        differences,
        kpss: kpss(values, false, None),
        adf: adf(values, None),
    };
    let mut all = vec![tests(values, 0, 0)];
    let mut level = values.to_vec();
    if count > 0 {
        level = difference(&level, season);
        all.push(tests(&level, count, 0));
    }
    let most = 2.min(3 - count);
    let differenced = differences(&level, most).count;
    for taken in 1..=differenced {
        level = difference(&level, 1);
        all.push(tests(&level, count, taken));
    }
    Stationarity {
        season,
        season_strength: strength,
        seasonal_differences: count,
        differences: differenced,
        tests: all,
    }
}

/// Autocorrelations of values, and of the differences that were asked for.
fn correlations(values: &[f64], season: usize, asked: &Stationarity) -> Vec<Correlations> {
    let of = |values: &[f64], seasonal_differences: usize, differences: usize| {
        let count = known(values).len();
        let lags = LAGS[0].max(2 * season).min(count / 3).min(LAGS[1]);
        Correlations {
            seasonal_differences,
            differences,
            bound: bound(count),
            acf: autocorrelations(values, lags),
            pacf: partial_autocorrelations(values, lags),
        }
    };
    let mut all = vec![of(values, 0, 0)];
    let mut level = values.to_vec();
    for _ in 0..asked.seasonal_differences {
        level = difference(&level, asked.season);
    }
    for _ in 0..asked.differences {
        level = difference(&level, 1);
    }
    if asked.seasonal_differences + asked.differences > 0 {
        all.push(of(&level, asked.seasonal_differences, asked.differences));
    }
    all
}

/// What 19 of 20 autocorrelations of `count` values without any stay within.
fn bound(count: usize) -> f64 {
    NORMAL_QUANTILES[1] / (count.max(1) as f64).sqrt()
}

/// The search for the orders of an ARIMA, as the first method that asks for one does it.
fn orders(values: &[f64], season: usize, models: &[FittedModel]) -> Result<OrdersTried, String> {
    let methods = models.iter().map(|model| model.method);
    let asked = methods.clone().find(|method| method.is_arima());
    let begin = match asked {
        Some(_) => 0,
        None => values.len().saturating_sub(MOST_FOR_ORDERS),
    };
    let recent = &values[begin..];
    let (choice, season) = choice(asked.unwrap_or(Method::Sarima), season);
    let found = select(recent, season, &choice).map_err(|error| error.to_string())?;
    let mut best: Vec<OrderTried> = found
        .tried
        .iter()
        .filter_map(|tried| {
            Some(OrderTried {
                name: tried.name(),
                aicc: tried.aicc?,
                refused: tried.refused,
            })
        })
        .collect();
    best.sort_by(|a, b| a.aicc.total_cmp(&b.aicc));
    // The chosen one is kept in any case.
    let chosen = best.iter().position(|tried| !tried.refused);
    if let Some(chosen) = chosen.filter(|&chosen| chosen >= BEST) {
        best.swap(BEST - 1, chosen);
    }
    best.truncate(BEST);
    Ok(OrdersTried {
        looked_at: recent.len(),
        tried: found.tried.len(),
        best,
        chosen: found.model.name(),
        left_out: found.left_out,
    })
}

impl Default for ModelExplanation {
    fn default() -> Self {
        ModelExplanation {
            name: String::new(),
            candidates: Vec::new(),
            left_out: Vec::new(),
            residuals: Step::LeftOut {
                left_out: "there is no model".to_string(),
            },
        }
    }
}

impl ModelExplanation {
    fn new(fitted: &FittedModel, values: &[f64], season: usize) -> Self {
        ModelExplanation {
            name: fitted.model.name(),
            candidates: fitted.scores.clone(),
            left_out: fitted.left_out.clone(),
            residuals: Residuals::new(&fitted.model, values, season).into(),
        }
    }
}

impl Residuals {
    /// Residuals of a model; of one of transformed values, on their scale.
    fn new(model: &Model, values: &[f64], season: usize) -> Result<Self, String> {
        let (model, values) = match model {
            Model::Transformed {
                transformation,
                model,
            } => (&**model, transformed(values, transformation)),
            _ => (model, values.to_vec()),
        };
        let predictions = match model {
            Model::Arima(arima) => arima.predictions(&values, &[]),
            _ => model.predictions(&filled(&values), &[]),
        };
        let pairs = values.iter().zip(predictions);
        let residuals = pairs.map(|(value, expected)| value - expected);
        let finite = |residual: f64| residual.is_finite().then_some(residual);
        let all: Vec<f64> = residuals
            .map(|residual| finite(residual).unwrap_or(f64::NAN))
            .collect();
        let first = all.iter().position(|residual| !residual.is_nan());
        let all = all[first.unwrap_or(all.len())..].to_vec();
        let known = known(&all);
        if known.len() < FEWEST {
            return Err(format!(
                "{} of the values were expected by the model, and it takes {FEWEST}",
                known.len()
            ));
        }
        if constant(&known) {
            return Err(format!("each of them is {}", known[0]));
        }
        Ok(Residuals::of(model, all, &known, season))
    }

    fn of(model: &Model, all: Vec<f64>, known: &[f64], season: usize) -> Self {
        let (count, mean, deviation) = (known.len(), mean(known), deviation(known));
        let moment = |power: i32| {
            let unit = known.iter().map(|value| (value - mean) / deviation);
            let scale = (count as f64 / (count as f64 - 1.0)).powf(f64::from(power) / 2.0);
            scale * unit.map(|value| value.powi(power)).sum::<f64>() / count as f64
        };
        let (skewness, kurtosis) = (moment(3), moment(4));
        let jarque_bera = count as f64 / 6.0 * (skewness.powi(2) + (kurtosis - 3.0).powi(2) / 4.0);
        let fitted = match model {
            Model::Arima(arima) => arima.orders.coefficients(),
            _ => 0,
        };
        let lags = match season {
            1 => 10,
            season => 2 * season,
        };
        let lags = lags.min(count / 5).max(fitted + 1);
        Residuals {
            count,
            mean,
            mean_error: deviation / (count as f64).sqrt(),
            deviation,
            ljung_box: ljung_box(&all, lags, fitted),
            skewness,
            kurtosis,
            normality: chi_square_tail(jarque_bera, 2.0),
            bound: bound(count),
            acf: autocorrelations(&all, LAGS[0].max(2 * season).min(count / 3).min(LAGS[1])),
            values: all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::method::fit;
    use super::super::test_series::{mixed, noise, seasonal};
    use super::*;

    fn options(seasons: &[usize]) -> FitOptions {
        FitOptions {
            seasons: seasons.to_vec(),
            horizon: 6,
            ..FitOptions::default()
        }
    }

    fn explained(values: &[f64], method: Method, options: &FitOptions) -> Explanation {
        let fit = fit(method, values, &[], options).expect("a model");
        let fitted = FittedModel {
            method,
            model: fit.model,
            regressors: Vec::new(),
            seconds: 0.0,
            scores: fit.scores,
            left_out: fit.left_out,
        };
        let mut all = Explanation::of_models(values, options, &[fitted]);
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    /// Expected: statsmodels 0.15, kpss (nlags=2), adfuller (maxlag=5, autolag=None), STL (period=12, seasonal=11), acf, and
    /// jarque_bera
    /// of the differences a season apart, which the seasonal naive forecast leaves.
    #[test]
    fn figures_are_those_of_statsmodels() {
        let found = explained(&seasonal(), Method::SeasonalNaive, &options(&[12]));
        let stationarity = found.stationarity.found().unwrap();
        assert_eq!(stationarity.seasonal_differences, 1);
        let first = stationarity.tests[0];
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found}");
        near(first.kpss.unwrap().statistic, 2.473492361860431);
        near(first.adf.unwrap().statistic, -2.4603674789858574);
        let parts = found.decomposition.found().unwrap();
        near(parts.seasons[0].strength, 0.9067750514635862);
        near(parts.trend_strength, 0.9232248948345985);
        let correlations = found.autocorrelations.found().unwrap();
        near(correlations[0].acf[0], 0.9081931964676343);
        near(correlations[1].acf[0], 0.5837803600820287);
        let residuals = found.model.residuals.found().unwrap();
        near(residuals.skewness, 0.42833094097350727);
        near(residuals.kurtosis, 3.5321875237081386);
        near(residuals.normality, 0.08205594813215954);
    }

    #[test]
    fn the_model_that_was_chosen_is_the_best_that_was_tried() {
        let found = explained(&mixed(130), Method::Arima, &options(&[]));
        let orders = found.orders.found().unwrap();
        assert_eq!(orders.chosen, found.model.name);
        let best = orders.best.iter().find(|tried| !tried.refused).unwrap();
        assert_eq!(best.name, orders.chosen);
        assert!(orders.best.len() <= BEST && orders.best.is_sorted_by_key(|tried| tried.aicc));
        // An ARIMA leaves nothing of its own process.
        let residuals = found.model.residuals.found().unwrap();
        assert!(residuals.ljung_box.unwrap().p_value > SIGNIFICANCE);
        assert!(
            found.autocorrelations.found().unwrap()[0]
                .beyond()
                .contains(&1)
        );
    }

    #[test]
    fn logarithms_are_suggested_where_swings_are_in_proportion() {
        let noise = noise(120, 2);
        let grows: Vec<f64> = (0..120)
            .map(|step| 50.0 * (0.02 * step as f64 + 0.1 * noise[step]).exp())
            .collect();
        let steady: Vec<f64> = (0..120)
            .map(|step| 50.0 + step as f64 + noise[step])
            .collect();
        let suggested = |values: &[f64]| {
            let found = explained(values, Method::Naive, &options(&[12]));
            found.variance.found().unwrap().suggested
        };
        assert_eq!(suggested(&grows), Transform::Log);
        assert_eq!(suggested(&steady), Transform::None);
    }

    #[test]
    fn steps_after_a_transformation_are_of_what_it_gives() {
        let values: Vec<f64> = seasonal().iter().map(|value| value.exp()).collect();
        let log = FitOptions {
            transform: Transform::Log,
            ..options(&[12])
        };
        let found = explained(&values, Method::SeasonalNaive, &log);
        let plain = explained(&seasonal(), Method::SeasonalNaive, &options(&[12]));
        let tests = |found: &Explanation| {
            found.stationarity.found().unwrap().tests[0]
                .kpss
                .unwrap()
                .statistic
        };
        assert!((tests(&found) - tests(&plain)).abs() < 1e-9);
        let deviation = |found: &Explanation| found.model.residuals.found().unwrap().deviation;
        assert!((deviation(&found) - deviation(&plain)).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_computed_is_left_out_with_a_reason() {
        let line: Vec<f64> = (0..30).map(f64::from).collect();
        let mut gaps = seasonal();
        gaps[3..40].fill(f64::NAN);
        let odd: [&[f64]; 7] = [
            &[5.0],
            &[1.0, 2.0, 4.0],
            &[7.0; 40],
            &line,
            &gaps,
            &[1e300, 1e299, 3e300, 2e300, 1e300],
            &[-1.0, f64::NAN, 3.0, f64::NAN, f64::NAN, 2.0, 1.0],
        ];
        for values in odd {
            for seasons in [&[][..], &[4], &[12, 365]] {
                for method in [Method::Auto, Method::Naive] {
                    let found = explained(values, method, &options(seasons));
                    assert!(serde_json::to_value(&found).is_ok());
                    assert_eq!(found.history.count, values.len());
                }
            }
        }
        let found = explained(&[7.0; 40], Method::Naive, &options(&[4]));
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["stationarity"]["left_out"], "every value is the same");
        assert_eq!(json["model"]["residuals"]["left_out"], "each of them is 0");
        let found = explained(&[1.0, 2.0, 4.0], Method::Naive, &options(&[]));
        let json = serde_json::to_value(&found).unwrap();
        let reason = json["autocorrelations"]["left_out"].as_str().unwrap();
        assert!(reason.contains("too few"), "{reason}");
    }

    #[test]
    fn of_a_long_series_the_end_is_looked_at() {
        let values = noise(LONGEST + 500, 6);
        let found = explained(&values, Method::Naive, &options(&[24]));
        assert_eq!(
            (found.history.count, found.history.looked_at),
            (LONGEST + 500, LONGEST)
        );
        assert_eq!(found.orders.found().unwrap().looked_at, MOST_FOR_ORDERS);
    }
}
