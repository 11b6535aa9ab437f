/*!
STL: decomposition into a season that changes slowly, a trend and a remainder, by local regression (Cleveland,
Cleveland, McRae and Terpenning 1990).
*/

use super::averages::moving_average;
use super::gaps::filled;
use super::loess::Loess;
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
    /// Number of values over which the trend is smoothed, odd.
    pub trend_window: usize,
    /// Whether values far from what the parts say lose their weight.
    pub robust: bool,
}

impl Stl {
    /// Smoothing as in statsmodels: the trend over the least odd number from 1.5 seasons / (1 − 1.5 / `season_window`).
    pub fn new(season: usize, season_window: usize) -> Self {
        let window = season_window.max(3) | 1;
        let trend = (1.5 * season as f64 / (1.0 - 1.5 / window as f64)).ceil();
        Stl {
            season,
            season_window: window,
            trend_window: (trend as usize).max(3) | 1,
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
        let loess = |window: usize| Loess {
            window,
            jump: if count > EXACT {
                window.div_ceil(10)
            } else {
                1
            },
        };
        State {
            season: stl.season,
            // The jump of the season counts seasons.
            of_season: loess(stl.season_window),
            of_trend: loess(stl.trend_window),
            low_pass: loess((stl.season + 1) | 1),
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
