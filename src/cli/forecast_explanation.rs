/*!
`carousel forecast --explain`: what was found in a series step by step, each with a sentence on what it means for the choice
of a model, and the pictures of it.
*/

use super::digits::significant;
use super::forecast_answer::Answer;
use super::standard::line;
use crate::data::series::time_series::label;
use crate::error::Result;
use crate::forecasting::explanation::{
    Correlations, Explanation, OrdersTried, Parts, Residuals, Stationarity, Step, UnitRootTests,
    Variance,
};
use crate::forecasting::folder::{ExplanationPictures, ForecastFolder};
use crate::forecasting::method::Transform;
use crate::forecasting::seasonality::Evidence;
use crate::forecasting::selection::Score;
use crate::forecasting::unit_roots::{SIGNIFICANCE, STRONG_SEASON};
use crate::pictures;
use crate::text::escape::escaped;

/// Width of the names at the left.
const NAMES: usize = 12;
/// Number of lags that are shown.
const LAGS: usize = 24;
/// Number of characters of a bar on each side of zero.
const BAR: usize = 10;
/// Autocorrelation above which a series hardly changes in a step.
const SLOW: f64 = 0.8;
/// AICc within which models are hardly to be told apart.
const ALIKE: f64 = 2.0;

/// Prints an explanation; of one that goes on with another model of the same series, what differs.
pub(super) fn print(explanation: &Explanation, series: &str, goes_on: bool) -> Result<()> {
    if goes_on {
        line("")?;
        return print_model(explanation);
    }
    line(format!("{}, step by step", escaped(series)))?;
    print_history(explanation)?;
    print_step("variance", &explanation.variance, print_variance)?;
    print_step("seasons", &explanation.seasons, |seasons| {
        print_seasons(seasons)
    })?;
    print_step("parts", &explanation.decomposition, print_parts)?;
    print_step("unit roots", &explanation.stationarity, print_stationarity)?;
    print_step("lags", &explanation.autocorrelations, |all| {
        print_correlations(all)
    })?;
    print_step("orders", &explanation.orders, print_orders)?;
    print_model(explanation)
}

/// Writes the pictures of the first explanation, and says which.
pub(super) fn save(folder: &ForecastFolder, answers: &[Answer]) -> Result<Option<String>> {
    let explained = |answer: &'_ Answer| answer.explanation.is_some();
    let Some(answer) = answers.iter().find(|answer| explained(answer)) else {
        return Ok(None);
    };
    let names = match &answer.explanation {
        Some(explanation) => folder.save_explanation(&drawn(explanation, answer))?,
        None => Vec::new(),
    };
    let others = answers.iter().any(|other| other.series != answer.series);
    let of = match others {
        true => format!(" of {}, the first series,", escaped(&answer.series)),
        false => String::new(),
    };
    Ok((!names.is_empty()).then(|| format!("{}{of}", names.join(", "))))
}

/// Pictures of an explanation.
fn drawn(explanation: &Explanation, answer: &Answer) -> ExplanationPictures {
    // What is drawn ends with the last value that was learnt from.
    let end = explanation.history.count;
    let date = |length: usize, at: usize| label(answer.calendar.as_ref(), end - length + at);
    let parts = explanation.decomposition.found().and_then(|parts| {
        let lines: Vec<(&str, &[f64])> = parts
            .lines
            .iter()
            .map(|(name, values)| (name.as_str(), &values[..]))
            .collect();
        let length = lines.first().map_or(0, |(_, values)| values.len());
        pictures::forecast::decomposition(&lines, &|at| date(length, at))
    });
    let last = explanation
        .autocorrelations
        .found()
        .and_then(|all| all.last());
    let correlations = last.and_then(|found| {
        let of = differenced(found.seasonal_differences, found.differences);
        let title = format!("{}, {of}", answer.series);
        pictures::forecast::autocorrelations(&title, &found.acf, &found.pacf, found.bound)
    });
    let residuals = explanation.model.residuals.found().and_then(|found| {
        let title = format!("{}, {}", answer.series, explanation.model.name);
        let (values, acf) = (&found.values, &found.acf);
        let label = |at| date(values.len(), at);
        pictures::forecast::residuals(&title, values, &label, acf, found.bound)
    });
    ExplanationPictures {
        decomposition: parts,
        autocorrelations: correlations,
        residuals,
    }
}

/// Prints a line with a name at its left.
fn named(name: &str, text: impl AsRef<str>) -> Result<()> {
    line(format!("{name:NAMES$}{}", text.as_ref()))
}

/// Prints what a finding means.
fn meaning(text: impl AsRef<str>) -> Result<()> {
    named("", format!("→ {}", text.as_ref()))
}

/// Prints a step, or why it is left out.
fn print_step<T>(name: &str, step: &Step<T>, print: impl Fn(&T) -> Result<()>) -> Result<()> {
    match step {
        Step::Found(found) => print(found),
        Step::LeftOut { left_out } => named(name, format!("left out: {}", escaped(left_out))),
    }
}

fn print_history(explanation: &Explanation) -> Result<()> {
    let history = &explanation.history;
    let of = match history.looked_at == history.count {
        true => format!("{}", history.count),
        false => format!("the last {} of {}", history.looked_at, history.count),
    };
    let missing = match history.missing {
        0 => "none missing".to_string(),
        missing => format!("{missing} missing"),
    };
    named(
        "values",
        format!(
            "{of}, {missing}; from {} to {}, mean {}",
            significant(history.lowest),
            significant(history.highest),
            significant(history.mean)
        ),
    )
}

fn print_variance(variance: &Variance) -> Result<()> {
    let Variance { low, high, .. } = variance;
    named(
        "variance",
        format!(
            "around {} values deviate by {}, around {} by {}; Guerrero's λ {:.2} (stretches of {})",
            significant(low.mean),
            significant(low.deviation),
            significant(high.mean),
            significant(high.deviation),
            variance.lambda,
            variance.stretch
        ),
    )?;
    let found = match variance.suggested {
        Transform::Log => "swings grow with the level: --transform log is suggested",
        Transform::BoxCox => {
            "swings grow with the level, less than in proportion: --transform box-cox is suggested"
        }
        Transform::None if variance.is_telling() => {
            "swings do not grow with the level: nothing needs to be done"
        }
        Transform::None => {
            "the level changes too little for λ to say much: nothing needs to be done"
        }
    };
    let done = match variance.done {
        Transform::None if variance.suggested == Transform::None => "",
        Transform::None => "; the steps below are of the values as they are",
        Transform::Log => "; the steps below are of logarithms",
        Transform::BoxCox => "; the steps below are of powers",
    };
    meaning(format!("{found}{done}"))
}

fn print_seasons(seasons: &[Evidence]) -> Result<()> {
    for (at, evidence) in seasons.iter().enumerate() {
        named(
            if at == 0 { "seasons" } else { "" },
            format!(
                "{}: autocorrelation {:.2} (standard error {:.2}) a season apart, {:.0} % of the variance around the level",
                evidence.season,
                evidence.autocorrelation,
                evidence.error,
                100.0 * evidence.explained
            ),
        )?;
    }
    let believed = seasons.iter().filter(|evidence| evidence.is_believed);
    let believed: Vec<String> = believed
        .map(|evidence| evidence.season.to_string())
        .collect();
    match believed.is_empty() {
        true => meaning("chance would do as much: a model without a season may do as well"),
        false => meaning(format!(
            "the values repeat themselves after {} steps: a model should hold that",
            believed.join(" and ")
        )),
    }
}

fn print_parts(parts: &Parts) -> Result<()> {
    named(
        "parts",
        format!(
            "trend from {} to {}, strength {:.2}",
            significant(parts.trend[0]),
            significant(parts.trend[1]),
            parts.trend_strength
        ),
    )?;
    for part in &parts.seasons {
        named(
            "",
            format!(
                "season of {}, strength {:.2}, {} from its lowest to its highest place",
                part.season,
                part.strength,
                significant(part.swing)
            ),
        )?;
    }
    let remainder = significant(parts.remainder);
    named("", format!("remainder, deviation {remainder}"))?;
    let strong = |strength: f64| {
        if strength > STRONG_SEASON {
            "strong"
        } else {
            "weak"
        }
    };
    let seasons = parts
        .seasons
        .iter()
        .map(|part| format!("the season of {} {}", part.season, strong(part.strength)));
    let seasons: Vec<String> = seasons.collect();
    meaning(format!(
        "the trend is {}, {} (strong is above {STRONG_SEASON} of 1)",
        strong(parts.trend_strength),
        seasons.join(", ")
    ))
}

/// What values are, after differences.
fn differenced(seasonal: usize, plain: usize) -> String {
    let times = match plain {
        1 => "differences".to_string(),
        _ => "differences of differences".to_string(),
    };
    match (seasonal, plain) {
        (0, 0) => "values".to_string(),
        (_, 0) => "seasonal differences".to_string(),
        (0, _) => times,
        (_, _) => format!("{times} of seasonal differences"),
    }
}

fn print_stationarity(found: &Stationarity) -> Result<()> {
    for (at, tests) in found.tests.iter().enumerate() {
        named(if at == 0 { "unit roots" } else { "" }, tested(tests))?;
    }
    if let Some(strength) = found.season_strength {
        let above = match found.seasonal_differences {
            0 => "not above",
            _ => "above",
        };
        meaning(format!(
            "the season of {} has strength {strength:.2}, {above} {STRONG_SEASON}: D = {}",
            found.season, found.seasonal_differences
        ))?;
    }
    meaning(match (found.differences, found.seasonal_differences) {
        (0, 0) => "KPSS finds no unit root: d = 0".to_string(),
        (0, _) => "KPSS finds no unit root then: d = 0".to_string(),
        (count, _) => format!("KPSS asks for differences until it finds no unit root: d = {count}"),
    })?;
    let first = &found.tests[0];
    match (first.kpss_rejects(), first.adf_rejects()) {
        (true, true) => meaning(
            "of the values, KPSS rejects a steady level and ADF a random walk: a trend or a season may be what they see",
        ),
        (true, false) => meaning("of the values, both tests speak for a unit root"),
        (false, true) => meaning("of the values, both tests speak against a unit root"),
        (false, false) => {
            meaning("of the values, neither test rejects anything: they are few, or undecided")
        }
    }
}

/// Both tests in a line.
fn tested(tests: &UnitRootTests) -> String {
    let kpss = match tests.kpss {
        Some(test) => {
            // The table of the test ends there.
            let p_value = match test.p_value {
                p if p <= 0.01 => "p ≤ 0.01".to_string(),
                p if p >= 0.1 => "p ≥ 0.1".to_string(),
                p => format!("p = {p:.3}"),
            };
            format!("KPSS {:.3}, {p_value}", test.statistic)
        }
        None => "KPSS cannot be computed".to_string(),
    };
    let adf = match tests.adf {
        Some(test) => format!("ADF {:.3}, {}", test.statistic, probability(test.p_value)),
        None => "ADF cannot be computed".to_string(),
    };
    let of = differenced(tests.seasonal_differences, tests.differences);
    format!("{of}: {kpss}; {adf}")
}

/// A probability of a test.
fn probability(value: f64) -> String {
    match value < 0.001 {
        true => "p < 0.001".to_string(),
        false => format!("p = {value:.3}"),
    }
}

fn print_correlations(all: &[Correlations]) -> Result<()> {
    let Some(last) = all.last() else {
        return Ok(());
    };
    let width = 2 * BAR + 1;
    named(
        "lags",
        format!(
            "of the {}; more than chance is beyond ±{:.2}",
            differenced(last.seasonal_differences, last.differences),
            last.bound
        ),
    )?;
    named(
        "",
        format!("{:>4}{:>8} {:width$}{:>8}", "lag", "ACF", "", "PACF"),
    )?;
    let pairs = last.acf.iter().zip(&last.pacf).take(LAGS);
    for (lag, (acf, pacf)) in (1..).zip(pairs) {
        let mark = |value: &f64| if value.abs() > last.bound { '*' } else { ' ' };
        let row = format!(
            "{lag:>4}{acf:>7.2}{} {}{pacf:>7.2}{} {}",
            mark(acf),
            bar(*acf),
            mark(pacf),
            bar(*pacf)
        );
        named("", row.trim_end())?;
    }
    if all.len() > 1 {
        let first = all[0].acf.first().copied().unwrap_or_default();
        let hidden = if first > SLOW {
            ", which hid the rest"
        } else {
            ""
        };
        meaning(format!(
            "before differences the autocorrelation at lag 1 was {first:.2}{hidden}"
        ))?;
    }
    meaning(read(last))
}

/// What autocorrelations say of the orders of an ARIMA.
fn read(found: &Correlations) -> String {
    let [moving, auto] = found.leading();
    let beyond = found.beyond();
    let listed: Vec<String> = beyond.iter().take(8).map(usize::to_string).collect();
    match (moving, auto) {
        _ if beyond.is_empty() => {
            "no lag is beyond chance: there is nothing for an ARIMA to hold but the differences"
                .to_string()
        }
        (0, 0) => format!(
            "nothing at lag 1, but lags {} are beyond chance: seasonal orders hold those of whole seasons",
            listed.join(", ")
        ),
        _ => format!(
            "ACF is beyond chance up to lag {moving}, PACF up to lag {auto}: an MA({moving}) if PACF fades, an AR({auto}) \
             if ACF does"
        ),
    }
}

/// A bar to the left or to the right of zero.
fn bar(value: f64) -> String {
    let length = ((value.abs().min(1.0) * BAR as f64).round()) as usize;
    let filled = "█".repeat(length);
    match value < 0.0 {
        true => format!("{filled:>BAR$}│{:BAR$}", ""),
        false => format!("{:BAR$}│{filled:<BAR$}", ""),
    }
}

fn print_orders(found: &OrdersTried) -> Result<()> {
    named(
        "orders",
        format!(
            "{} ARIMA models tried on {} values; the best by AICc:",
            found.tried, found.looked_at
        ),
    )?;
    for tried in &found.best {
        let refused = match tried.refused {
            true => "  refused: a root near to 1",
            false => "",
        };
        named("", format!("{:>12.2}  {}{refused}", tried.aicc, tried.name))?;
    }
    for left_out in &found.left_out {
        named("", format!("left out: {left_out}"))?;
    }
    let kept: Vec<f64> = found
        .best
        .iter()
        .filter(|tried| !tried.refused)
        .map(|tried| tried.aicc)
        .collect();
    let near = kept
        .iter()
        .filter(|aicc| **aicc < kept[0] + ALIKE)
        .count()
        .saturating_sub(1);
    let best = match found.best.first().is_some_and(|first| first.refused) {
        true => "is the best of those that were not refused",
        false => "is the best",
    };
    let others = match near {
        0 => format!("no other is within {ALIKE} of it"),
        1 => format!("another is within {ALIKE} of it and hardly worse"),
        near => format!("{near} others are within {ALIKE} of it and hardly worse"),
    };
    meaning(format!("{} {best}; {others}", found.chosen))
}

fn print_model(explanation: &Explanation) -> Result<()> {
    let model = &explanation.model;
    named("model", &model.name)?;
    for Score {
        name,
        smape,
        weight,
    } in &model.candidates
    {
        let smape = match smape {
            Some(smape) => format!("sMAPE {smape:.2} %"),
            None => "no backtest".to_string(),
        };
        named("", format!("weight {weight:.2}  {smape:16}  {name}"))?;
    }
    if !model.candidates.is_empty() {
        meaning(
            "each candidate forecast the end of the history; the less it erred, the more it weighs in the mean",
        )?;
    }
    let told = explanation.orders.found().map(|orders| &orders.left_out);
    let untold = |what: &&String| !told.is_some_and(|told| told.contains(what));
    for left_out in model.left_out.iter().filter(untold) {
        named("", format!("left out: {left_out}"))?;
    }
    print_step("residuals", &model.residuals, print_residuals)?;
    line("")
}

fn print_residuals(found: &Residuals) -> Result<()> {
    named(
        "residuals",
        format!(
            "{}; mean {} (standard error {}), deviation {}",
            found.count,
            significant(found.mean),
            significant(found.mean_error),
            significant(found.deviation)
        ),
    )?;
    if let Some(test) = found.ljung_box {
        named(
            "",
            format!(
                "Ljung–Box of {} lags {:.2}, {}; skewness {:.2}, kurtosis {:.2}, Jarque–Bera {}",
                test.lags,
                test.statistic,
                probability(test.p_value),
                found.skewness,
                found.kurtosis,
                probability(found.normality)
            ),
        )?;
    }
    let biased = found.mean.abs() > 2.0 * found.mean_error;
    let mean = match (biased, found.mean > 0.0) {
        (true, true) => "their mean is above 0: the values were higher than the model expected",
        (true, false) => "their mean is below 0: the values were lower than the model expected",
        (false, _) => "their mean is 0 within chance",
    };
    let follows = match found.ljung_box {
        Some(test) if test.p_value < SIGNIFICANCE => {
            "they follow from each other, so that a better model may be found"
        }
        Some(_) => "they do not follow from each other, so that nothing is left to learn from",
        None => "they are too few for a test that they follow from each other",
    };
    let normal = match found.normality < SIGNIFICANCE {
        true => "they are not normally distributed: intervals are approximate",
        false => "they may be normally distributed, as the intervals suppose",
    };
    meaning(mean)?;
    meaning(follows)?;
    meaning(normal)
}
