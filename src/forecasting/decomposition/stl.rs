/*!
STL: decomposition into a season that changes slowly, a trend and a remainder, by local regression (Cleveland,
Cleveland, McRae and Terpenning 1990).
*/

use super::averages::moving_average;
use super::gaps::filled;
use super::loess::{Degree, Loess};
use super::parts::{Composition, Decomposition};
use crate::error::{Error, Result};

/// Number of values up to which every value gets a regression of its own; beyond, each tenth of a window does.
const EXACT: usize = 20_000;

/// How STL smooths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stl {
    /// Number of steps in a season.
    pub season: usize,
    /// Number of seasons over which the season is smoothed, odd.
    pub season_window: usize,
    /// What is put through these seasons.
    pub season_degree: Degree,
    /// Number of values over which the trend is smoothed, odd.
    pub trend_window: usize,
    /// Number of values over which the season is smoothed to find what of it belongs to the trend, odd.
    pub low_pass_window: usize,
    /// Whether values far from what the parts say lose their weight.
    pub robust: bool,
}

impl Stl {
    /// Smoothing as in statsmodels: the season by lines, the trend over the least odd number from 1.5 seasons /
    /// (1 − 1.5 / `season_window`), the season's own trend over the least odd number above a season.
    pub fn new(season: usize, season_window: usize) -> Self {
        let window = season_window.max(3) | 1;
        let trend = (1.5 * season as f64 / (1.0 - 1.5 / window as f64)).ceil();
        Stl {
            season,
            season_window: window,
            season_degree: Degree::Linear,
            trend_window: (trend as usize).max(3) | 1,
            low_pass_window: (season + 1) | 1,
            robust: false,
        }
    }

    /// Decomposes a series. Its missing values are filled by lines, and are missing in the remainder.
    ///
    /// # Errors
    ///
    /// With fewer values than two seasons.
    pub fn decompose(&self, values: &[f64]) -> Result<Decomposition> {
        if self.season < 2 || values.len() < 2 * self.season {
            return Err(Error::new(format!(
                "{} values cannot be decomposed by a season of {}: it takes two seasons, of at least 2 values each",
                values.len(),
                self.season
            )));
        }
        let mut state = State::new(self, values.len());
        let known = filled(values);
        let (rounds, passes) = if self.robust { (16, 2) } else { (1, 5) };
        for round in 0..rounds {
            if round > 0 {
                state.weigh(&known);
            }
            for _ in 0..passes {
                state.pass(&known);
            }
        }
        let parts = state.trend.iter().zip(&state.seasonal);
        let remainder = values.iter().zip(parts);
        let remainder = remainder.map(|(value, (trend, season))| match value.is_finite() {
            true => value - trend - season,
            false => f64::NAN,
        });
        Ok(Decomposition {
            composition: Composition::Additive,
            remainder: remainder.collect(),
            trend: state.trend,
            seasons: vec![state.seasonal],
        })
    }
}

/// Parts as they are so far, and the smoothers.
struct State {
    season: usize,
    of_season: Loess,
    of_trend: Loess,
    low_pass: Loess,
    trend: Vec<f64>,
    seasonal: Vec<f64>,
    /// Weights of the values, once they are not alike.
    weights: Option<Vec<f64>>,
    /// The smoothed season, from one season before the series to one after it.
    cycle: Vec<f64>,
    work: Vec<f64>,
}

impl State {
    fn new(stl: &Stl, count: usize) -> Self {
        let loess = |window: usize, degree: Degree| Loess {
            window,
            degree,
            jump: if count > EXACT {
                window.div_ceil(10)
            } else {
                1
            },
        };
        State {
            season: stl.season,
            // The jump of the season counts seasons.
            of_season: loess(stl.season_window, stl.season_degree),
            of_trend: loess(stl.trend_window, Degree::Linear),
            low_pass: loess(stl.low_pass_window, Degree::Linear),
            trend: vec![0.0; count],
            seasonal: vec![0.0; count],
            weights: None,
            cycle: vec![0.0; count + 2 * stl.season],
            work: vec![0.0; count],
        }
    }

    /// Takes the season, and then the trend, once more from what the other leaves.
    fn pass(&mut self, values: &[f64]) {
        for (rest, (value, trend)) in self.work.iter_mut().zip(values.iter().zip(&self.trend)) {
            *rest = value - trend;
        }
        self.smooth_season();
        let averages = moving_average(&self.cycle, self.season);
        let averages = moving_average(&moving_average(&averages, self.season), 3);
        self.low_pass.smooth(&averages, None, &mut self.work);
        let low = self.cycle[self.season..].iter().zip(&self.work);
        for (season, (cycle, low)) in self.seasonal.iter_mut().zip(low) {
            *season = cycle - low;
        }
        for (rest, (value, season)) in self.work.iter_mut().zip(values.iter().zip(&self.seasonal)) {
            *rest = value - season;
        }
        self.of_trend
            .smooth(&self.work, self.weights.as_deref(), &mut self.trend);
    }

    /// Smooths each place in the season over the seasons, and goes on by one season at both ends.
    fn smooth_season(&mut self) {
        let (count, season) = (self.work.len(), self.season);
        let mut smooth = Vec::new();
        for place in 0..season {
            let every = |values: &[f64]| -> Vec<f64> {
                values[place..].iter().step_by(season).copied().collect()
            };
            let values = every(&self.work);
            let weights = self.weights.as_deref().map(every);
            let weights = weights.as_deref();
            smooth.resize(values.len(), 0.0);
            self.of_season.smooth(&values, weights, &mut smooth);
            let outside = |at: f64| self.of_season.estimate(&values, weights, at);
            let before = outside(-1.0).unwrap_or(smooth[0]);
            let after = outside(values.len() as f64).unwrap_or(smooth[values.len() - 1]);
            self.cycle[place] = before;
            for (index, value) in smooth.iter().enumerate() {
                self.cycle[place + (index + 1) * season] = *value;
            }
            self.cycle[place + (values.len() + 1) * season] = after;
        }
        debug_assert_eq!(self.cycle.len(), count + 2 * season);
    }

    /// Takes weight from the values that are far from what the parts say: the bisquare, up to six medians.
    fn weigh(&mut self, values: &[f64]) {
        let parts = self.trend.iter().zip(&self.seasonal);
        let far = values.iter().zip(parts);
        let far: Vec<f64> = far
            .map(|(value, (trend, season))| (value - trend - season).abs())
            .collect();
        let reach = 6.0 * median(&far);
        let weight = |far: &f64| {
            if reach == 0.0 || *far <= 0.001 * reach {
                1.0
            } else if *far <= 0.999 * reach {
                (1.0 - (far / reach).powi(2)).powi(2)
            } else {
                0.0
            }
        };
        self.weights = Some(far.iter().map(weight).collect());
    }
}

/// Median of at least one value.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    let middle = sorted.len() / 2;
    let (below, upper, _) = sorted.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    match values.len().is_multiple_of(2) {
        true => (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + upper) / 2.0,
        false => upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line, a season of 12 and remainders that repeat after 11.
    fn series() -> Vec<f64> {
        (0..60)
            .map(|step: i32| {
                let time = f64::from(step);
                let season = 10.0 * (std::f64::consts::TAU * time / 12.0).sin();
                100.0 + 0.5 * time + season + 3.0 * f64::from(step * 7 % 11 - 5)
            })
            .collect()
    }

    /// Compares trend and season at some places.
    fn agree(found: &Decomposition, trend: [f64; 5], season: [f64; 5]) {
        for (index, place) in [0, 7, 20, 33, 59].into_iter().enumerate() {
            assert!((found.trend[place] - trend[index]).abs() < 1e-8, "{place}");
            assert!(
                (found.seasons[0][place] - season[index]).abs() < 1e-8,
                "{place}"
            );
        }
    }

    /// By `STL(y, period=12).fit()` of statsmodels 0.15.
    #[test]
    fn parts_are_those_of_statsmodels() {
        agree(
            &Stl::new(12, 7).decompose(&series()).unwrap(),
            [
                96.9437289205,
                102.5960173697,
                109.9181769484,
                116.5048534343,
                129.9713389902,
            ],
            [
                -8.2187338191,
                -7.1076530137,
                -12.1824687506,
                -13.2181556833,
                2.380152028,
            ],
        );
    }

    /// By `STL(y, period=12, robust=True).fit()` of statsmodels 0.15, the value at 20 being 80 higher.
    #[test]
    fn robust_parts_are_those_of_statsmodels() {
        let mut values = series();
        values[20] += 80.0;
        let stl = Stl {
            robust: true,
            ..Stl::new(12, 7)
        };
        agree(
            &stl.decompose(&values).unwrap(),
            [
                96.902980713,
                102.4819135285,
                107.9513433974,
                116.7850123303,
                129.597323908,
            ],
            [
                -7.9842667775,
                -6.1559494862,
                -17.7992607751,
                -12.4260817022,
                2.0519825287,
            ],
        );
    }

    /// By `STL(y, period=12, seasonal=13, trend_jump=3, seasonal_jump=2, low_pass_jump=4).fit()` of statsmodels 0.15.
    #[test]
    fn parts_by_jumps_are_those_of_statsmodels() {
        let values = series();
        let stl = Stl::new(12, 13);
        let mut state = State::new(&stl, values.len());
        (
            state.of_trend.jump,
            state.of_season.jump,
            state.low_pass.jump,
        ) = (3, 2, 4);
        (0..5).for_each(|_| state.pass(&values));
        let found = Decomposition {
            composition: Composition::Additive,
            trend: state.trend,
            seasons: vec![state.seasonal],
            remainder: Vec::new(),
        };
        agree(
            &found,
            [
                95.9752100649,
                102.6026058768,
                109.9299222358,
                116.4163333333,
                130.3175634739,
            ],
            [
                -6.6463233588,
                -5.0467700178,
                -12.4935546148,
                -12.0568977528,
                3.7493772321,
            ],
        );
    }

    #[test]
    fn a_long_series_is_smoothed_by_jumps_to_nearly_the_same() {
        let values: Vec<f64> = (0..EXACT + 1).map(|step| series()[step % 60]).collect();
        let by_jumps = Stl::new(12, 7).decompose(&values).unwrap();
        let exact = Stl::new(12, 7).decompose(&values[..EXACT]).unwrap();
        for place in 0..EXACT - 60 {
            assert!((by_jumps.trend[place] - exact.trend[place]).abs() < 0.5);
        }
    }

    #[test]
    fn gaps_are_missing_in_the_remainder_alone() {
        let mut values = series();
        values[30] = f64::NAN;
        let found = Stl::new(12, 7).decompose(&values).unwrap();
        assert!(found.remainder[30].is_nan() && found.trend[30].is_finite());
        assert_eq!(
            found
                .remainder
                .iter()
                .filter(|value| value.is_nan())
                .count(),
            1
        );
        assert!(Stl::new(31, 7).decompose(&values).is_err());
    }
}
