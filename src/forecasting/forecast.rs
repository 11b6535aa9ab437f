/*!
Forecasts: the next values of a series, and the intervals that hold them with a stated probability.
*/

use serde::{Deserialize, Serialize};

/// Probabilities of the intervals of a forecast, in percent, from the narrowest.
pub const LEVELS: [u8; 2] = [80, 95];
/// Quantiles of the standard normal distribution at the upper ends of the intervals of [`LEVELS`].
pub const NORMAL_QUANTILES: [f64; 2] = [1.2815515655446004, 1.959963984540054];

/// What a model expects of the next values of a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Point forecasts, one for each step of the horizon.
    pub mean: Vec<f64>,
    /// An interval for each of [`LEVELS`].
    pub intervals: [Interval; 2],
}

/// Lower and upper ends of an interval, one of each for every step of the horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Ends below which a value falls with half the probability that the level leaves.
    pub lower: Vec<f64>,
    /// Ends above which a value falls with as much.
    pub upper: Vec<f64>,
}

/// The quantile of the standard normal distribution at a probability between 0 and 1: Acklam's rational approximations (2003),
/// of a relative error below 1.2e-9.
pub fn normal_quantile(probability: f64) -> f64 {
    const TAIL: f64 = 0.02425;
    let polynomial =
        |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |probability: f64| {
        let x = (-2.0 * probability.ln()).sqrt();
        let above = [
            -7.784894002430293e-3,
            -0.3223964580411365,
            -2.400758277161838,
            -2.549732539343734,
            4.374664141464968,
            2.938163982698783,
        ];
        let below = [
            7.784695709041462e-3,
            0.3224671290700398,
            2.445134137142996,
            3.754408661907416,
            1.0,
        ];
        polynomial(&above, x) / polynomial(&below, x)
    };
    if probability < TAIL {
        return tail(probability);
    }
    if probability > 1.0 - TAIL {
        return -tail(1.0 - probability);
    }
    let centred = probability - 0.5;
    let square = centred * centred;
    let above = [
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.357751867269,
        -30.66479806614716,
        2.506628277459239,
    ];
    let below = [
        -54.47609879822406,
        161.5858368580409,
        -155.6989798598866,
        66.80131188771972,
        -13.28068155288572,
        1.0,
    ];
    centred * polynomial(&above, square) / polynomial(&below, square)
}

impl Forecast {
    /// Forecast whose errors are normally distributed, with a standard error for each step.
    pub fn normal(mean: Vec<f64>, standard_errors: &[f64]) -> Self {
        let interval = |quantile: f64| {
            let ends = |sign: f64| {
                let pairs = mean.iter().zip(standard_errors);
                pairs
                    .map(|(mean, error)| mean + sign * quantile * error)
                    .collect()
            };
            Interval {
                lower: ends(-1.0),
                upper: ends(1.0),
            }
        };
        let intervals = NORMAL_QUANTILES.map(interval);
        Forecast { mean, intervals }
    }

    /// Number of steps.
    pub fn horizon(&self) -> usize {
        self.mean.len()
    }

    /// The forecast with intervals whose ends are `factor` times as far from the mean.
    pub fn widened(mut self, factor: f64) -> Self {
        for Interval { lower, upper } in &mut self.intervals {
            for ends in [lower, upper] {
                let pairs = ends.iter_mut().zip(&self.mean);
                pairs.for_each(|(end, mean)| *end = mean + factor * (*end - mean));
            }
        }
        self
    }

    /// The forecast, if every point of it is finite. Ends of intervals that are not known are then infinite.
    pub fn finite(mut self) -> Option<Self> {
        for Interval { lower, upper } in &mut self.intervals {
            for (ends, infinite) in [(lower, f64::NEG_INFINITY), (upper, f64::INFINITY)] {
                let unknown = ends.iter_mut().filter(|end| end.is_nan());
                unknown.for_each(|end| *end = infinite);
            }
        }
        self.mean
            .iter()
            .all(|mean| mean.is_finite())
            .then_some(self)
    }

    /// The forecast with every number passed through an increasing function of its step and itself.
    pub fn map(&self, function: impl Fn(usize, f64) -> f64) -> Self {
        let all = |values: &[f64]| -> Vec<f64> {
            let steps = values.iter().enumerate();
            steps.map(|(step, value)| function(step, *value)).collect()
        };
        Forecast {
            mean: all(&self.mean),
            intervals: self.intervals.each_ref().map(|interval| Interval {
                lower: all(&interval.lower),
                upper: all(&interval.upper),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_intervals_are_quantiles_of_the_normal_distribution() {
        let forecast = Forecast::normal(vec![10.0, 20.0], &[1.0, 2.0]);
        let [eighty, ninety_five] = &forecast.intervals;
        assert!((eighty.lower[0] - 8.71845).abs() < 1e-5);
        assert!((ninety_five.upper[1] - 23.91993).abs() < 1e-5);
    }

    /// Expected: Python, statistics.NormalDist().inv_cdf.
    #[test]
    fn quantiles_of_the_normal_distribution_are_those_of_python() {
        for (probability, expected) in [
            (0.001, -3.090232306167813),
            (0.025, -1.959963984540054),
            (0.3, -0.5244005127080407),
            (0.5, 0.0),
            (0.9, 1.2815515655446004),
            (0.99, 2.3263478740408408),
        ] {
            let found = normal_quantile(probability);
            assert!((found - expected).abs() < 1e-8, "{probability}: {found}");
        }
    }

    #[test]
    fn widened_intervals_keep_their_middle() {
        let wide = Forecast::normal(vec![10.0], &[1.0]).widened(2.0);
        let expected = Forecast::normal(vec![10.0], &[2.0]);
        let ends = |forecast: &Forecast| {
            let ends = forecast.intervals.each_ref();
            ends.map(|interval| (interval.lower[0], interval.upper[0]))
        };
        let pairs = ends(&wide).into_iter().zip(ends(&expected));
        for ((lower, upper), (right_lower, right_upper)) in pairs {
            assert!((lower - right_lower).abs() < 1e-12 && (upper - right_upper).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_not_finite_is_no_forecast() {
        let unknown = Forecast::normal(vec![1.0], &[f64::NAN]).finite().unwrap();
        assert_eq!(unknown.intervals[1].lower, [f64::NEG_INFINITY]);
        assert_eq!(unknown.intervals[0].upper, [f64::INFINITY]);
        assert_eq!(Forecast::normal(vec![f64::NAN], &[1.0]).finite(), None);
        assert_eq!(Forecast::normal(vec![f64::INFINITY], &[1.0]).finite(), None);
    }

    #[test]
    fn mapping_changes_every_number_at_its_step() {
        let forecast = Forecast::normal(vec![1.0, 2.0], &[1.0, 1.0]);
        let doubled = forecast.map(|step, value| value + 10.0 * step as f64);
        assert_eq!(doubled.mean, [1.0, 12.0]);
        let shift = doubled.intervals[0].upper[1] - forecast.intervals[0].upper[1];
        assert!((shift - 10.0).abs() < 1e-12);
    }
}
