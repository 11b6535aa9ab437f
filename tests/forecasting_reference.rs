//! The figures of statsmodels 0.15 and statsforecast 2.1 in tests/data. `scripts/forecasting_reference.py` made them, and its
//! text says what each key means. Where carousel means something else by a word, the test says what, and why.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use carousel::forecasting::arima::{Arima, Coefficients, Orders, Terms};
use carousel::forecasting::autocorrelation::{
    autocorrelations, ljung_box, partial_autocorrelations,
};
use carousel::forecasting::box_cox::BoxCox;
use carousel::forecasting::decomposition::classical::classical;
use carousel::forecasting::decomposition::mstl::mstl;
use carousel::forecasting::decomposition::parts::{Composition, Decomposition};
use carousel::forecasting::decomposition::stl::Stl;
use carousel::forecasting::ets::form::{ErrorKind, EtsForm, SeasonKind, TrendKind};
use carousel::forecasting::ets::model::Ets;
use carousel::forecasting::ets::parameters::Parameters;
use carousel::forecasting::forecast::{Forecast, NORMAL_QUANTILES};
use carousel::forecasting::theta::{Theta, ThetaKind};
use carousel::forecasting::unit_roots::{adf, differences, kpss, seasonal_differences};

/// A file of tests/data.
#[derive(Deserialize)]
struct Reference {
    series: BTreeMap<String, Vec<Option<f64>>>,
    cases: Vec<Value>,
}

/// The cases of a file, each with the values of its series, NaN where one is missing; of one kind, if the file has several.
fn cases<T: DeserializeOwned>(file: &str, kind: Option<&str>) -> Vec<(Vec<f64>, T)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{file}.json"));
    let text = std::fs::read_to_string(&path).expect("a file");
    let reference: Reference = serde_json::from_str(&text).expect("series and cases");
    let wanted = |case: &Value| kind.is_none_or(|kind| case["kind"] == kind);
    let wanted: Vec<Value> = reference.cases.into_iter().filter(wanted).collect();
    assert!(!wanted.is_empty(), "{file} {kind:?}");
    let with_series = |case: Value| {
        let values = &reference.series[case["series"].as_str().expect("a name")];
        let values = values.iter().map(|value| value.unwrap_or(f64::NAN));
        (
            values.collect(),
            serde_json::from_value(case).expect("a case"),
        )
    };
    wanted.into_iter().map(with_series).collect()
}

/// Differences found, to be shown together.
#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    /// Notes a number that is farther from what is expected than `tolerance` times its size.
    fn near(&mut self, what: impl Display, found: f64, expected: f64, tolerance: f64) {
        let far = (found - expected).abs() / expected.abs();
        if far.is_nan() || far > tolerance {
            self.0.push(format!(
                "{what}: {found}, expected {expected}, {far:.1e} off"
            ));
        }
    }

    /// The same of many numbers, against the largest of them: a season may pass through 0.
    fn all_near(&mut self, what: impl Display, found: &[f64], expected: &[f64], tolerance: f64) {
        if found.len() != expected.len() {
            let lengths = format!("{} numbers, expected {}", found.len(), expected.len());
            self.0.push(format!("{what}: {lengths}"));
            return;
        }
        let size = expected
            .iter()
            .fold(0.0, |most: f64, value| most.max(value.abs()));
        let pairs = found.iter().zip(expected);
        let far = pairs.map(|(a, b)| (a - b).abs() / size);
        let far = far.fold(0.0, |most: f64, far| {
            if far > most || far.is_nan() {
                far
            } else {
                most
            }
        });
        if far.is_nan() || far > tolerance {
            self.0.push(format!(
                "{what}: {far:.1e} off\n    {found:?}\n    expected {expected:?}"
            ));
        }
    }

    fn no_less(&mut self, what: impl Display, found: f64, expected: f64) {
        if found.is_nan() || found < expected {
            self.0
                .push(format!("{what}: {found}, at least {expected} expected"));
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: impl Display, found: T, expected: T) {
        if found != expected {
            self.0
                .push(format!("{what}: {found:?}, expected {expected:?}"));
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

/// Standard errors of a forecast, from the widths of its intervals.
fn standard_errors(forecast: &Forecast) -> Vec<f64> {
    let interval = &forecast.intervals[1];
    let widths = interval.upper.iter().zip(&interval.lower);
    widths
        .map(|(upper, lower)| (upper - lower) / 2.0 / NORMAL_QUANTILES[1])
        .collect()
}

#[derive(Deserialize)]
struct ArimaCase {
    series: String,
    order: [usize; 3],
    seasonal: [usize; 4],
    mean: bool,
    regressors: Option<Vec<Vec<f64>>>,
    parameters: ArimaParameters,
    log_likelihood: f64,
    aicc: f64,
    elsewhere: Elsewhere,
    forecast: Vec<f64>,
    standard_errors: Vec<f64>,
    future_regressors: Option<Vec<Vec<f64>>>,
    last_predictions: Vec<f64>,
}

#[derive(Deserialize)]
struct Elsewhere {
    parameters: ArimaParameters,
    log_likelihood: f64,
}

#[derive(Clone, Deserialize)]
struct ArimaParameters {
    ar: Vec<f64>,
    ma: Vec<f64>,
    seasonal_ar: Vec<f64>,
    seasonal_ma: Vec<f64>,
    regression: Vec<f64>,
    variance: f64,
    mean: Option<f64>,
}

impl ArimaCase {
    fn name(&self) -> String {
        format!("{} {}", self.series, self.orders())
    }

    fn orders(&self) -> Orders {
        let ([p, d, q], [seasonal_p, seasonal_d, seasonal_q, season]) = (self.order, self.seasonal);
        Orders::new(p, d, q).with_season(seasonal_p, seasonal_d, seasonal_q, season)
    }

    fn regressors(&self) -> Vec<Vec<f64>> {
        self.regressors.clone().unwrap_or_default()
    }

    /// The model of these parameters. statsmodels' mean is that of the differences, carousel's constant what the series grows
    /// by in a step: where the difference is that of a season, its season-th part.
    fn model(&self, parameters: &ArimaParameters) -> Arima {
        let orders = self.orders();
        let steps = orders.season.pow(orders.seasonal_d as u32) as f64;
        let given = parameters.clone();
        Arima {
            orders,
            coefficients: Coefficients {
                ar: given.ar,
                ma: given.ma,
                seasonal_ar: given.seasonal_ar,
                seasonal_ma: given.seasonal_ma,
            },
            constant: given.mean.map(|mean| mean / steps),
            fourier: None,
            regression: given.regression,
            sigma: given.variance.sqrt(),
            log_likelihood: f64::NAN,
            aicc: f64::NAN,
        }
    }
}

#[test]
fn arima_likelihoods_are_those_of_statsmodels() {
    let mut found = Found::default();
    let cases = cases::<ArimaCase>("arima", None);
    assert_eq!(cases.len(), 14);
    for (values, case) in cases {
        let points = [
            ("at the best", &case.parameters, case.log_likelihood),
            (
                "elsewhere",
                &case.elsewhere.parameters,
                case.elsewhere.log_likelihood,
            ),
        ];
        for (place, parameters, expected) in points {
            let model = case.model(parameters);
            let own = model.log_likelihood_of(&values, &case.regressors());
            let name = format!("{} {place}", case.name());
            found.near(name, own.expect("a likelihood"), expected, 1e-6);
        }
    }
    found.none();
}

/// AICc counts the same parameters. At the edge of what is invertible carousel's moving-average roots stop a little earlier.
#[test]
fn arima_optima_are_no_worse_than_those_of_statsmodels() {
    let mut found = Found::default();
    for (values, case) in cases::<ArimaCase>("arima", None) {
        let regressors = case.regressors();
        let terms = Terms {
            constant: case.mean,
            regressors: &regressors,
            fourier: None,
        };
        let model = Arima::fit(&values, case.orders(), &terms).expect("a model");
        let at_the_edge = case.parameters.ma.iter().any(|value| value.abs() > 0.9999);
        let tolerance = if at_the_edge { 1e-3 } else { 1e-6 };
        let name = case.name();
        found.no_less(&name, model.log_likelihood, case.log_likelihood - tolerance);
        let parameters = case.aicc + 2.0 * case.log_likelihood;
        let own = model.aicc + 2.0 * model.log_likelihood;
        found.near(format!("{name}, AICc"), own, parameters, 1e-9);
    }
    found.none();
}

#[test]
fn arima_forecasts_are_those_of_statsmodels() {
    let mut found = Found::default();
    for (values, case) in cases::<ArimaCase>("arima", None) {
        let model = case.model(&case.parameters);
        let mut regressors = case.regressors();
        let future = case.future_regressors.clone().unwrap_or_default();
        for (column, more) in regressors.iter_mut().zip(future) {
            column.extend(more);
        }
        let name = case.name();
        let forecast = model.forecast(&values, &regressors, case.forecast.len());
        found.all_near(&name, &forecast.mean, &case.forecast, 1e-5);
        for (step, (own, expected)) in (1..).zip(
            standard_errors(&forecast)
                .into_iter()
                .zip(&case.standard_errors),
        ) {
            found.near(
                format!("{name}, standard error of step {step}"),
                own,
                *expected,
                1e-5,
            );
        }
        let predictions = model.predictions(&values, &regressors);
        let last = &predictions[values.len() - case.last_predictions.len()..];
        found.all_near(
            format!("{name}, predictions"),
            last,
            &case.last_predictions,
            1e-5,
        );
    }
    found.none();
}

#[derive(Deserialize)]
struct EtsCase {
    series: String,
    model: String,
    season: usize,
    parameters: EtsParameters,
    criterion: f64,
    aicc: f64,
    residuals: Vec<f64>,
    forecast: Vec<f64>,
    variance: f64,
    standard_errors: Option<Vec<f64>>,
    simulated: Option<Vec<f64>>,
    log_likelihood: f64,
    best: f64,
}

#[derive(Deserialize)]
struct EtsParameters {
    alpha: f64,
    beta: Option<f64>,
    gamma: Option<f64>,
    phi: Option<f64>,
    level: f64,
    trend: Option<f64>,
    seasonal: Option<Vec<f64>>,
}

impl EtsCase {
    fn name(&self) -> String {
        format!("{} {}", self.series, self.model)
    }

    fn form(&self) -> EtsForm {
        let all = EtsForm::sensible(true);
        let found = all.into_iter().find(|form| form.to_string() == self.model);
        found.expect("a form")
    }

    fn given(&self) -> Ets {
        let given = &self.parameters;
        Ets {
            form: self.form(),
            parameters: Parameters {
                alpha: given.alpha,
                beta: given.beta.unwrap_or(0.0),
                gamma: given.gamma.unwrap_or(0.0),
                phi: given.phi.unwrap_or(1.0),
                level: given.level,
                slope: given.trend.unwrap_or(0.0),
                seasons: given.seasonal.clone().unwrap_or_default(),
            },
            deviation: self.variance.sqrt(),
            aicc: None,
        }
    }

    /// Errors of a model, relative where they are multiplied, and the criterion that they give: −2 logarithm of the
    /// likelihood without its constants.
    fn criterion(&self, model: &Ets, values: &[f64]) -> (Vec<f64>, f64) {
        let predictions = model.predictions(values);
        let relative = model.form.error == ErrorKind::Multiplicative;
        let pairs = values.iter().zip(&predictions);
        let errors: Vec<f64> = pairs
            .map(|(value, expected)| match relative {
                true => value / expected - 1.0,
                false => value - expected,
            })
            .collect();
        let squares: f64 = errors.iter().map(|error| error * error).sum();
        let logarithms: f64 = predictions.iter().map(|expected| expected.abs().ln()).sum();
        let logarithms = if relative { logarithms } else { 0.0 };
        let criterion = values.len() as f64 * squares.ln() + 2.0 * logarithms;
        (errors, criterion)
    }
}

/// The recursions and the likelihood; of forecasts the script says where statsforecast's own differ. Standard errors are
/// exact, or with a multiplicative season those of simulated paths.
#[test]
fn exponential_smoothing_is_that_of_statsforecast() {
    let mut found = Found::default();
    for (values, case) in cases::<EtsCase>("smoothing", Some("ets")) {
        let (name, model) = (case.name(), case.given());
        let (errors, criterion) = case.criterion(&model, &values);
        let ends = [&errors[..3], &errors[errors.len() - 3..]].concat();
        found.all_near(format!("{name}, errors"), &ends, &case.residuals, 1e-9);
        found.near(
            format!("{name}, likelihood"),
            criterion,
            case.criterion,
            1e-9,
        );
        let forecast = model.forecast(&values, case.forecast.len());
        found.all_near(&name, &forecast.mean, &case.forecast, 1e-9);
        let exact = case.standard_errors.as_ref().map(|all| (all, 1e-9));
        let simulated = case.simulated.as_ref().map(|all| (all, 5e-3));
        let (expected, tolerance) = exact.or(simulated).expect("standard errors");
        let own = standard_errors(&forecast);
        found.all_near(
            format!("{name}, standard errors"),
            &own,
            expected,
            tolerance,
        );
    }
    found.none();
}

/// AICc counts the same parameters. A form without trend and season is fitted as well. With them the fit is that of the
/// likelihood times what is likely of slope and season beforehand (`src/forecasting/ets/parameters.rs`), so that its
/// likelihood is lower: by little, but for a trend that comes to its end without any noise in it, which is hardly likely
/// beforehand.
#[test]
fn exponential_smoothing_is_fitted_as_well_as_by_statsforecast() {
    let mut found = Found::default();
    for (values, case) in cases::<EtsCase>("smoothing", Some("ets")) {
        let model = Ets::fit(&values, case.form(), case.season).expect("a model");
        let (_, criterion) = case.criterion(&model, &values);
        let aicc = model.aicc.expect("enough values");
        let (name, penalty) = (case.name(), case.aicc - case.criterion);
        found.near(format!("{name}, penalty"), aicc - criterion, penalty, 1e-6);
        let plain = model.form.trend == TrendKind::None && model.form.season == SeasonKind::None;
        let (expected, tolerance) = match case.series.as_str() {
            _ if plain => (
                case.criterion + 2.0 * (case.log_likelihood - case.best),
                1e-3,
            ),
            "damped" => (case.criterion, 20.0),
            _ => (case.criterion, 5.0),
        };
        found.no_less(name, -criterion, -expected - tolerance);
    }
    found.none();
}

#[derive(Deserialize)]
struct ThetaCase {
    series: String,
    model: String,
    season: usize,
    parameters: ThetaParameters,
    forecast: Vec<f64>,
}

#[derive(Deserialize)]
struct ThetaParameters {
    initial_smoothed: f64,
    alpha: f64,
    theta: f64,
}

/// statsforecast leaves the errors of the first three values out of what it makes small, and stops early; carousel counts
/// all. So the models are compared at statsforecast's parameters, and the fit has no larger errors than it has there. The
/// dynamic model with a given weight (DSTM) carousel does not have.
#[test]
fn theta_is_that_of_statsforecast() {
    let mut found = Found::default();
    let mut compared = 0;
    for (values, case) in cases::<ThetaCase>("smoothing", Some("theta")) {
        let kind = match case.model.as_str() {
            "STM" => ThetaKind::Standard,
            "OTM" => ThetaKind::Optimised,
            "DOTM" => ThetaKind::Dynamic,
            _ => continue,
        };
        compared += 1;
        let fitted = Theta::fit(&values, kind, case.season).expect("a model");
        let given = Theta {
            alpha: case.parameters.alpha,
            weight: 1.0 - 1.0 / case.parameters.theta,
            level: case.parameters.initial_smoothed,
            ..fitted.clone()
        };
        let name = format!("{} {}", case.series, case.model);
        let forecast = given.forecast(&values, case.forecast.len());
        found.all_near(&name, &forecast.mean, &case.forecast, 1e-9);
        // Of values without their season, as the fit takes them.
        let squares = |model: &Theta| -> f64 {
            let errors = model.predictions(&values).into_iter().zip(&values);
            let errors = errors.enumerate().map(|(place, (expected, value))| {
                let index = model.season.as_ref().map_or(1.0, |season| season.at(place));
                (value - expected) / index
            });
            errors.map(|error| error * error).sum()
        };
        let (own, others) = (squares(&fitted), squares(&given));
        found.no_less(format!("{name}, errors"), others, own * (1.0 - 1e-9));
    }
    assert_eq!(compared, 15);
    found.none();
}

#[derive(Deserialize)]
struct BoxCoxCase {
    series: String,
    method: String,
    season: Option<usize>,
    lower: f64,
    upper: f64,
    lambda: f64,
}

/// carousel's exponents reach a little farther down, and it has no other method than Guerrero's.
#[test]
fn box_cox_exponents_are_those_of_statsforecast() {
    let mut found = Found::default();
    for (values, case) in cases::<BoxCoxCase>("smoothing", Some("box-cox")) {
        if case.method != "guerrero" {
            continue;
        }
        let own = BoxCox::guerrero(&values, case.season.unwrap_or(1)).expect("an exponent");
        let lambda = own.lambda.clamp(case.lower, case.upper);
        found.near(&case.series, lambda, case.lambda, 1e-3);
    }
    found.none();
}

#[derive(Deserialize)]
struct StlCase {
    series: String,
    period: usize,
    seasonal: usize,
    trend: usize,
    robust: bool,
    trend_component: Vec<f64>,
    seasonal_component: Vec<f64>,
}

#[derive(Deserialize)]
struct StrengthCase {
    season: f64,
    trend: f64,
}

/// Each case of STL is followed by one of the strengths that it finds.
#[test]
fn stl_is_that_of_statsmodels() {
    let mut found = Found::default();
    let strengths = cases::<StrengthCase>("decomposition", Some("strength"));
    let cases = cases::<StlCase>("decomposition", Some("stl"));
    for ((values, case), (_, strength)) in cases.into_iter().zip(strengths) {
        let stl = Stl {
            robust: case.robust,
            ..Stl::new(case.period, case.seasonal)
        };
        let name = format!("{} {}", case.series, case.period);
        found.same(format!("{name}, window"), stl.trend_window, case.trend);
        let own: Decomposition = stl.decompose(&values).expect("parts");
        found.all_near(&name, &own.trend, &case.trend_component, 1e-9);
        found.all_near(&name, &own.seasons[0], &case.seasonal_component, 1e-9);
        let strengths = [own.season_strength(0), own.trend_strength()];
        found.near(
            format!("{name}, season"),
            strengths[0],
            strength.season,
            1e-8,
        );
        found.near(format!("{name}, trend"), strengths[1], strength.trend, 1e-8);
    }
    found.none();
}

#[derive(Deserialize)]
struct MstlCase {
    periods: Vec<usize>,
    every: usize,
    trend_component: Vec<f64>,
    seasonal_components: Vec<Vec<f64>>,
}

#[test]
fn mstl_is_that_of_statsmodels() {
    let mut found = Found::default();
    for (values, case) in cases::<MstlCase>("decomposition", Some("mstl")) {
        let own = mstl(&values, &case.periods).expect("parts");
        let some = |all: &[f64]| -> Vec<f64> { all.iter().step_by(case.every).copied().collect() };
        found.all_near("trend", &some(&own.trend), &case.trend_component, 1e-9);
        for (part, expected) in own.seasons.iter().zip(&case.seasonal_components) {
            found.all_near("season", &some(part), expected, 1e-9);
        }
        found.same("seasons", own.seasons.len(), case.seasonal_components.len());
    }
    found.none();
}

#[derive(Deserialize)]
struct ClassicalCase {
    series: String,
    period: usize,
    model: Composition,
    indices: Vec<f64>,
}

#[test]
fn classical_indices_are_those_of_statsmodels() {
    let mut found = Found::default();
    for (values, case) in cases::<ClassicalCase>("decomposition", Some("classical")) {
        let own = classical(&values, case.period, case.model).expect("parts");
        let indices = &own.seasons[0][..case.period];
        found.all_near(&case.series, indices, &case.indices, 1e-10);
    }
    found.none();
}

#[derive(Deserialize)]
struct UnitRootCase {
    series: String,
    regression: String,
    #[serde(default)]
    chosen: bool,
    lags: usize,
    statistic: f64,
    p: f64,
}

/// carousel's ADF has a constant and no trend. Where statsmodels chose the lags by AIC, they are given here: without any,
/// carousel takes the rule of R's tseries, which depends on the number of values alone.
#[test]
fn unit_root_tests_are_those_of_statsmodels() {
    let mut found = Found::default();
    for (values, case) in cases::<UnitRootCase>("statistics", Some("kpss")) {
        let trend = case.regression == "ct";
        let own = kpss(&values, trend, Some(case.lags)).expect("a test");
        let name = format!("KPSS, {} {} {}", case.series, case.regression, case.lags);
        found.near(&name, own.statistic, case.statistic, 1e-9);
        found.near(format!("{name}, p"), own.p_value, case.p, 1e-9);
    }
    let mut compared = 0;
    for (values, case) in cases::<UnitRootCase>("statistics", Some("adf")) {
        if case.regression != "c" {
            continue;
        }
        compared += 1;
        let own = adf(&values, Some(case.lags)).expect("a test");
        let name = format!("ADF, {} {} {}", case.series, case.lags, case.chosen);
        found.near(&name, own.statistic, case.statistic, 1e-7);
        found.near(format!("{name}, p"), own.p_value, case.p, 1e-6);
    }
    assert_eq!(compared, 15);
    found.none();
}

#[derive(Deserialize)]
struct CorrelationCase {
    series: String,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct LjungBoxCase {
    series: String,
    lags: usize,
    fitted: usize,
    statistic: f64,
    p: f64,
}

/// statsmodels begins with lag 0, carousel with lag 1.
#[test]
fn autocorrelations_are_those_of_statsmodels() {
    let mut found = Found::default();
    for (values, case) in cases::<CorrelationCase>("statistics", Some("acf")) {
        let own = autocorrelations(&values, case.values.len() - 1);
        found.all_near(&case.series, &own, &case.values[1..], 1e-10);
    }
    for (values, case) in cases::<CorrelationCase>("statistics", Some("pacf")) {
        let own = partial_autocorrelations(&values, case.values.len() - 1);
        found.all_near(&case.series, &own, &case.values[1..], 1e-9);
    }
    for (values, case) in cases::<LjungBoxCase>("statistics", Some("ljung-box")) {
        let own = ljung_box(&values, case.lags, case.fitted).expect("a test");
        let name = format!("{} {}", case.series, case.lags);
        found.near(&name, own.statistic, case.statistic, 1e-10);
        let p = format!("{name}, p");
        match case.p > 0.0 {
            true => found.near(p, own.p_value, case.p, 1e-6),
            false => found.same(p, own.p_value, 0.0),
        }
    }
    found.none();
}

#[derive(Deserialize)]
struct DifferencesCase {
    series: String,
    season: usize,
    seasonal: usize,
    plain: usize,
}

#[test]
fn differences_are_those_of_statsforecast() {
    let mut found = Found::default();
    for (values, case) in cases::<DifferencesCase>("statistics", Some("differences")) {
        let seasonal = seasonal_differences(&values, case.season).count;
        let left = match seasonal {
            0 => values.clone(),
            _ => {
                let pairs = values.iter().zip(&values[case.season..]);
                pairs.map(|(before, after)| after - before).collect()
            }
        };
        found.same(&case.series, seasonal, case.seasonal);
        found.same(&case.series, differences(&left, 2).count, case.plain);
    }
    found.none();
}
