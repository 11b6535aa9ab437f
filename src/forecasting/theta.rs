/*!
Theta models: simple exponential smoothing beside a line (Assimakopoulos and Nikolopoulos 2000), in the state space form of
Fiorucci et al. (2016), whose dynamic model takes the line through what has come so far.

With the smoothing parameter given, what is expected is linear in the first level and in the weight of the line, so that a
fit is a search along one number.
*/

use serde::{Deserialize, Serialize};

use super::decomposition::gaps::filled;
use super::decomposition::indices::SeasonalIndices;
use super::forecast::Forecast;
use super::seasonality::is_seasonal;
use crate::error::{Error, Result};

/// Which line the level is drawn to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThetaKind {
    /// The line through all values that the model was fitted to, at half weight: θ = 2.
    Standard,
    /// The same line, at a weight that is fitted.
    Optimised,
    /// The line through the values so far, at a weight that is fitted.
    Dynamic,
}

/// A fitted theta model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Theta {
    /// Which line the level is drawn to.
    pub kind: ThetaKind,
    /// Part of an error that the level takes over.
    pub alpha: f64,
    /// Weight of the line, 1 − 1/θ: from 0 to 1.
    pub weight: f64,
    /// Level before the first value.
    pub level: f64,
    /// Value at step 0 and slope of the line through all values, for the kinds that have it; else 0.
    pub line: [f64; 2],
    /// Standard deviation of the errors, of values without their season.
    pub deviation: f64,
    /// The season that is taken out first, if there is one.
    pub season: Option<SeasonalIndices>,
}

/// Values of α between which the best is looked for.
const ALPHAS: [f64; 2] = [0.1, 0.99];
/// Trials from one end to the other, and of the search around the best of them.
const TRIALS: [usize; 2] = [12, 20];

impl Theta {
    /// Fit by least squares of the errors. A season is taken out by classical decomposition where the M4 competition's
    /// test finds one of this length: as factors, or added if a value is not above 0.
    ///
    /// # Errors
    ///
    /// Without any value.
    pub fn fit(values: &[f64], kind: ThetaKind, season: usize) -> Result<Self> {
        let greatest = (values.iter().filter(|value| value.is_finite()))
            .fold(f64::NAN, |most: f64, value| most.max(value.abs()));
        if greatest.is_nan() {
            return Err(Error::new(
                "a theta model needs at least one value, and the series has none",
            ));
        }
        // Over the greatest value, for squares of large numbers overflow.
        let unit = if greatest > 0.0 { greatest } else { 1.0 };
        let scaled: Vec<f64> = filled(values).iter().map(|value| value / unit).collect();
        let mut season = match is_seasonal(&scaled, season) {
            true => Some(SeasonalIndices::suited(&scaled, season)?),
            false => None,
        };
        let adjusted = match &season {
            Some(season) => season.removed(&scaled),
            None => scaled,
        };
        let mut model = fit_adjusted(&adjusted, kind);
        model.level *= unit;
        model.line = model.line.map(|part| part * unit);
        model.deviation *= unit;
        if let Some(season) = &mut season {
            season.scale(unit);
        }
        model.season = season;
        Ok(model)
    }

    /// Name of the kind.
    pub fn name(&self) -> String {
        match self.kind {
            ThetaKind::Standard => "Theta",
            ThetaKind::Optimised => "optimised Theta",
            ThetaKind::Dynamic => "dynamic optimised Theta",
        }
        .to_string()
    }

    /// Values without their season.
    fn adjusted(&self, values: &[f64]) -> Vec<f64> {
        match &self.season {
            Some(season) => season.removed(values),
            None => values.to_vec(),
        }
    }

    /// What was expected of each value from those before it.
    pub fn predictions(&self, values: &[f64]) -> Vec<f64> {
        let mut states = States::first(self);
        let predictions = self.adjusted(values).into_iter();
        let predictions: Vec<f64> = predictions
            .map(|value| states.follow(self, value))
            .collect();
        match &self.season {
            Some(season) => season.restored(&predictions, 0),
            None => predictions,
        }
    }

    /// The values that follow `values`. Intervals are those of simple exponential smoothing (Hyndman and Billah 2003),
    /// widened by the error of the drift that the line's weight times its slope is taken for ([`Theta::drift_error`]).
    ///
    /// The level lags behind a drift that is missed by δ, by δ/α; the errors so far, and with them the deviation, hold that.
    /// After h steps the forecast is off by δ (h − 1 + 1/α), so that δ² ((h − 1)² + 2 (h − 1)/α) comes to the variance.
    pub fn forecast(&self, values: &[f64], horizon: usize) -> Forecast {
        let mut states = States::first(self);
        for value in self.adjusted(values) {
            states.follow(self, value);
        }
        let missed = self.drift_error(states.line.parts[1], values.len());
        let mean = (0..horizon)
            .map(|_| states.follow(self, f64::NAN))
            .collect();
        let error = |step: usize| {
            let step = step as f64;
            let of_level = self.deviation * (1.0 + step * self.alpha * self.alpha).sqrt();
            let of_drift = missed * (step * step + 2.0 * step / self.alpha).sqrt();
            // Squares of large numbers overflow; those of this function do not.
            of_level.hypot(of_drift)
        };
        let errors: Vec<f64> = (0..horizon).map(error).collect();
        let forecast = Forecast::normal(mean, &errors);
        match &self.season {
            Some(season) => season.restored_forecast(&forecast, values.len()),
            None => forecast,
        }
    }

    /// Root mean square of what the drift of the values differs by from the weight times the slope of the line through
    /// `count` of them. The drift is normal around the slope, with the variance of least squares: 6 α²σ²/(5n) for what the
    /// level walks at random (Durlauf and Phillips 1988), and 12 σ²/n³ for the errors around it. A weight of ½ that nothing
    /// but experience speaks for leaves half of the slope besides; one that was fitted leaves its part of the variance.
    fn drift_error(&self, slope: f64, count: usize) -> f64 {
        let count = count.max(1) as f64;
        let variance = 1.2 * self.alpha * self.alpha / count + 12.0 / count.powi(3);
        let of_slope = self.deviation * variance.sqrt();
        match self.kind {
            ThetaKind::Standard => of_slope.hypot((1.0 - self.weight) * slope),
            ThetaKind::Optimised | ThetaKind::Dynamic => self.weight * of_slope,
        }
    }
}

/// The level, and the line.
struct States {
    level: f64,
    /// (1 − α) to the power of the number of values so far.
    power: f64,
    line: Line,
}

impl States {
    fn first(model: &Theta) -> Self {
        States {
            level: model.level,
            power: 1.0,
            line: Line {
                parts: model.line,
                ..Line::default()
            },
        }
    }

    /// Moves on by a value, or by what was expected if it is missing, and returns what was expected.
    fn follow(&mut self, model: &Theta, value: f64) -> f64 {
        let expected = self.level + model.weight * self.line.pull(model.alpha, self.power);
        let value = if value.is_finite() { value } else { expected };
        self.level += model.alpha * (value - self.level);
        self.power *= 1.0 - model.alpha;
        if model.kind == ThetaKind::Dynamic {
            self.line.follow(value);
        }
        expected
    }
}

/// Line through the values so far by least squares.
#[derive(Clone, Copy, Default)]
struct Line {
    /// Value at step 0, and slope.
    parts: [f64; 2],
    count: f64,
    mean: f64,
}

impl Line {
    /// Takes in one more value.
    fn follow(&mut self, value: f64) {
        self.count += 1.0;
        let count = self.count;
        let slope = match count > 1.0 {
            true => {
                ((count - 2.0) * self.parts[1] + 6.0 * (value - self.mean) / count) / (count + 1.0)
            }
            false => 0.0,
        };
        self.mean += (value - self.mean) / count;
        self.parts = [self.mean - slope * (count + 1.0) / 2.0, slope];
    }

    /// What the line adds to the level at full weight, where `power` is (1 − α) to the power of the number of values.
    fn pull(&self, alpha: f64, power: f64) -> f64 {
        power * self.parts[0] + (1.0 - power * (1.0 - alpha)) / alpha * self.parts[1]
    }
}

/// Fits a model to values without gaps and season.
fn fit_adjusted(values: &[f64], kind: ThetaKind) -> Theta {
    let mut line = Line::default();
    let lines = values.iter().map(|value| {
        let before = line;
        line.follow(*value);
        before
    });
    let mut lines: Vec<Line> = lines.collect();
    if kind != ThetaKind::Dynamic {
        lines.fill(line);
    }
    let fixed = if kind == ThetaKind::Standard {
        Some(0.5)
    } else {
        None
    };
    let squares = |alpha: f64| Normal::new(values, &lines, alpha).solve(fixed).squares;
    let alpha = least(squares);
    let solution = Normal::new(values, &lines, alpha).solve(fixed);
    let mut model = Theta {
        kind,
        alpha,
        weight: solution.weight,
        level: solution.level,
        line: if kind == ThetaKind::Dynamic {
            [0.0; 2]
        } else {
            line.parts
        },
        deviation: 0.0,
        season: None,
    };
    // From the errors themselves, for the sum of squares of a good fit is lost in rounding.
    let mut states = States::first(&model);
    let errors = values
        .iter()
        .map(|value| value - states.follow(&model, *value));
    let squares: f64 = errors.map(|error| error * error).sum();
    let parameters = if fixed.is_some() { 2.0 } else { 3.0 };
    model.deviation = (squares / (values.len() as f64 - parameters).max(1.0)).sqrt();
    model
}

/// Sums of the normal equations for the first level and the weight of the line.
#[derive(Default)]
struct Normal {
    level_level: f64,
    level_weight: f64,
    weight_weight: f64,
    level_rest: f64,
    weight_rest: f64,
    rest_rest: f64,
}

/// First level and weight, with the sum of the squared errors.
struct Solution {
    level: f64,
    weight: f64,
    squares: f64,
}

impl Normal {
    fn new(values: &[f64], lines: &[Line], alpha: f64) -> Self {
        let mut sums = Normal::default();
        // Level without its first, and how much of the first is left.
        let (mut level, mut left) = (0.0, 1.0);
        for (value, line) in values.iter().zip(lines) {
            let rest = value - level;
            let pull = line.pull(alpha, left);
            sums.level_level += left * left;
            sums.level_weight += left * pull;
            sums.weight_weight += pull * pull;
            sums.level_rest += left * rest;
            sums.weight_rest += pull * rest;
            sums.rest_rest += rest * rest;
            level += alpha * (value - level);
            left *= 1.0 - alpha;
        }
        sums
    }

    /// Least squares with the weight between 0 and 1, or with a fixed one.
    fn solve(&self, fixed: Option<f64>) -> Solution {
        let determinant =
            self.level_level * self.weight_weight - self.level_weight * self.level_weight;
        let free = match determinant > 1e-12 * self.level_level * self.weight_weight {
            true => {
                (self.level_level * self.weight_rest - self.level_weight * self.level_rest)
                    / determinant
            }
            false => 0.5,
        };
        let weight = fixed.unwrap_or(free.clamp(0.0, 1.0));
        let level = (self.level_rest - weight * self.level_weight) / self.level_level;
        let squares = self.rest_rest
            + level * level * self.level_level
            + weight * weight * self.weight_weight
            - 2.0
                * (level * self.level_rest + weight * self.weight_rest
                    - level * weight * self.level_weight);
        Solution {
            level,
            weight,
            squares: squares.max(0.0),
        }
    }
}

/// The α of the least squares: by trials over the range, and then by golden sections around the best.
fn least(squares: impl Fn(f64) -> f64) -> f64 {
    let width = (ALPHAS[1] - ALPHAS[0]) / (TRIALS[0] - 1) as f64;
    let mut best = (f64::INFINITY, 0.5);
    for trial in 0..TRIALS[0] {
        let alpha = ALPHAS[0] + trial as f64 * width;
        let squares = squares(alpha);
        if squares < best.0 {
            best = (squares, alpha);
        }
    }
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (
        (best.1 - width).max(ALPHAS[0]),
        (best.1 + width).min(ALPHAS[1]),
    );
    let inner = |low: f64, high: f64| (high - golden * (high - low), low + golden * (high - low));
    let (mut left, mut right) = inner(low, high);
    let (mut at_left, mut at_right) = (squares(left), squares(right));
    for _ in 0..TRIALS[1] {
        if at_left <= at_right {
            high = right;
            (right, at_right) = (left, at_left);
            left = inner(low, high).0;
            at_left = squares(left);
        } else {
            low = left;
            (left, at_left) = (right, at_right);
            right = inner(low, high).1;
            at_right = squares(right);
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line and remainders that repeat after 11.
    fn series() -> Vec<f64> {
        let values = (0..60)
            .map(|step: i32| 100.0 + 0.5 * f64::from(step) + 3.0 * f64::from(step * 7 % 11 - 5));
        values.collect()
    }

    /// By `DynamicOptimizedTheta` and `OptimizedTheta` of statsforecast 2.1.1: what it forecasts at the parameters that
    /// it finds.
    #[test]
    fn forecasts_are_those_of_statsforecast() {
        let mut line = Line::default();
        series().iter().for_each(|value| line.follow(*value));
        let dynamic = Theta {
            kind: ThetaKind::Dynamic,
            alpha: 0.10948674611299848,
            weight: 1.0 - 1.0 / 1.646182714272756,
            level: 63.99934340549177,
            line: [0.0; 2],
            deviation: 1.0,
            season: None,
        };
        let optimised = Theta {
            kind: ThetaKind::Optimised,
            alpha: 0.1,
            weight: 1.0 - 1.0 / 15.893886788088338,
            level: 10.568999335225543,
            line: line.parts,
            ..dynamic.clone()
        };
        let expected = [
            (dynamic, [128.09253073, 128.28126194, 128.46798802]),
            (optimised, [130.56682591, 131.0505991, 131.53437228]),
        ];
        for (model, means) in expected {
            let forecast = model.forecast(&series(), 3);
            for (found, expected) in forecast.mean.iter().zip(means) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
    }

    /// Least squares against all smoothing parameters, levels and weights nearby.
    #[test]
    fn a_fit_has_the_least_squares() {
        let squares = |model: &Theta| -> f64 {
            let pairs = series().into_iter().zip(model.predictions(&series()));
            pairs
                .map(|(value, expected)| (value - expected).powi(2))
                .sum()
        };
        for kind in [
            ThetaKind::Standard,
            ThetaKind::Optimised,
            ThetaKind::Dynamic,
        ] {
            let model = Theta::fit(&series(), kind, 1).unwrap();
            let least = squares(&model);
            for step in [-0.05, 0.05] {
                let mut near = vec![Theta {
                    level: model.level + step,
                    ..model.clone()
                }];
                if kind != ThetaKind::Standard && (0.05..0.95).contains(&model.weight) {
                    near.push(Theta {
                        weight: model.weight + step,
                        ..model.clone()
                    });
                }
                if (0.15..0.94).contains(&model.alpha) {
                    near.push(Theta {
                        alpha: model.alpha + step,
                        ..model.clone()
                    });
                }
                assert!(near.iter().all(|near| squares(near) > least), "{kind:?}");
            }
        }
    }

    /// By hand: σ = 2, α = ½, a slope of 0.4 over 40 values.
    #[test]
    fn intervals_hold_the_error_of_the_drift() {
        let model = Theta {
            kind: ThetaKind::Standard,
            alpha: 0.5,
            weight: 0.5,
            level: 10.0,
            line: [10.0, 0.4],
            deviation: 2.0,
            season: None,
        };
        let width = |model: &Theta, step: usize| {
            let forecast = model.forecast(&[10.0; 40], step);
            let interval = &forecast.intervals[1];
            (interval.upper[step - 1] - interval.lower[step - 1]) / 2.0 / 1.959963984540054
        };
        let of_slope: f64 = 1.2 * 0.25 * 4.0 / 40.0 + 12.0 * 4.0 / 64_000.0;
        let standard = 4.0 * (1.0 + 8.0 * 0.25) + (0.2f64.powi(2) + of_slope) * (64.0 + 32.0);
        assert!((width(&model, 1) - 2.0).abs() < 1e-9);
        assert!((width(&model, 9) - standard.sqrt()).abs() < 1e-9);
        let fitted = Theta {
            kind: ThetaKind::Optimised,
            ..model
        };
        let optimised = 4.0 * (1.0 + 8.0 * 0.25) + 0.25 * of_slope * (64.0 + 32.0);
        assert!((width(&fitted, 9) - optimised.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn a_season_is_taken_out_and_put_back() {
        let factors = [1.2, 0.9, 0.8, 1.1];
        let values: Vec<f64> = (0..40).map(|step| 50.0 * factors[step % 4]).collect();
        let model = Theta::fit(&values, ThetaKind::Dynamic, 4).unwrap();
        let forecast = model.forecast(&values, 5);
        for (step, found) in forecast.mean.iter().enumerate() {
            assert!((found - 50.0 * factors[step % 4]).abs() < 1e-6);
        }
        let below: Vec<f64> = values.iter().map(|value| value - 55.0).collect();
        let model = Theta::fit(&below, ThetaKind::Dynamic, 4).unwrap();
        assert!((model.forecast(&below, 1).mean[0] - 5.0).abs() < 1e-6);
    }

    #[test]
    fn odd_series_have_a_model_or_a_clear_error() {
        for values in [
            vec![1.0],
            vec![0.0, 0.0, 0.0],
            vec![1.0, f64::NAN, 3.0],
            vec![-1e300, 1e300, 1e300, -1e300],
            vec![1e-300, 2e-300],
        ] {
            for kind in [
                ThetaKind::Standard,
                ThetaKind::Optimised,
                ThetaKind::Dynamic,
            ] {
                let model = Theta::fit(&values, kind, 2).unwrap();
                let forecast = model.forecast(&values, 3);
                assert!(forecast.mean.iter().all(|value| value.is_finite()));
            }
        }
        assert!(Theta::fit(&[f64::NAN], ThetaKind::Standard, 1).is_err());
    }
}
