/*!
The size of a series: its level and season, which are taken out before a network reads it, and its unit.

Level and season follow the values by exponential smoothing without a trend, which the network is left to find (Smyl 2020),
with errors that are cut off where they are very large (Gelper et al. 2010). What is known at a step depends on the values up
to it alone.
*/

use serde::{Deserialize, Serialize};

/// The smoothing of the level that is tried.
const LEVELS: [f64; 6] = [0.1, 0.2, 0.4, 0.6, 0.8, 1.0];
/// The smoothing of the season that is tried.
const SEASONS: [f64; 4] = [0.0, 0.05, 0.15, 0.4];
/// Errors beyond so many units are cut off.
const MOST_UNITS: f64 = 4.0;
/// Seasons that a series needs to have one taken out.
const SEASONS_NEEDED: usize = 2;
/// Bounds of the logarithm of the unit, as a network reads it.
const SPREADS: [f64; 2] = [-9.0, 3.0];

/// How the numbers of a column are brought to a common size. It holds parameters alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Whether logarithms are taken.
    pub logarithm: bool,
    /// Steps in a season; 1 if there is none, or there are too few values for it.
    pub season: usize,
    /// Part of an error by which the level moves.
    pub level: f64,
    /// Part of an error by which the season moves.
    pub seasonal: f64,
    /// What one is in the network's numbers: the mean absolute error of predicting the next value by level and season.
    pub unit: f64,
    /// Logarithm of the unit beside the values' size, within bounds.
    pub spread: f64,
}

/// A column with its level and season at each step.
#[derive(Clone, Debug)]
pub struct Smoothed {
    scaling: Scaling,
    /// The values, or their logarithms.
    values: Vec<f64>,
    /// The level after each value.
    level: Vec<f64>,
    /// The season after each value, behind the `scaling.season` phases before the first.
    seasonal: Vec<f64>,
}

/// What a column's smoothing begins with.
struct Start {
    level: f64,
    seasonal: Vec<f64>,
}

impl Scaling {
    /// Fits the scaling of a column that has a value. Logarithms are taken if they are wanted and all values are positive.
    pub fn fit(values: &[f64], season: usize, logarithms: bool) -> Self {
        let mut known = values.iter().filter(|value| !value.is_nan());
        let logarithm = logarithms && known.all(|value| *value > 0.0);
        let season = match values.len() >= SEASONS_NEEDED * season {
            true => season.max(1),
            false => 1,
        };
        let transformed = transformed(values, logarithm);
        let start = Start::of(&transformed, season);
        let mut best = Scaling {
            logarithm,
            season,
            level: LEVELS[0],
            seasonal: 0.0,
            unit: f64::INFINITY,
            spread: 0.0,
        };
        for level in LEVELS {
            for seasonal in SEASONS {
                if season == 1 && seasonal > 0.0 {
                    continue;
                }
                let tried = Scaling {
                    level,
                    seasonal,
                    ..best.clone()
                };
                let error = tried.error(&transformed, &start, |value| value);
                if error < best.unit {
                    (best.level, best.seasonal, best.unit) = (level, seasonal, error);
                }
            }
        }
        let size = mean(transformed.iter().map(|value| value.abs()));
        // Of a constant series nothing is left: any unit will do that is small beside it.
        let least = (size * 1e-6).max(f64::MIN_POSITIVE);
        best.unit = match best.unit.is_finite() {
            true => best.unit.max(least),
            false => size.max(least),
        };
        let beside = if logarithm { 1.0 } else { size.max(least) };
        best.spread = (best.unit / beside).ln().clamp(SPREADS[0], SPREADS[1]);
        best
    }

    /// Whether level and season predict a column better, in its own unit, after logarithms.
    pub fn is_better_with_logarithms(values: &[f64], season: usize) -> bool {
        let [with, without] = [true, false].map(|wanted| Scaling::fit(values, season, wanted));
        with.logarithm && with.error_of_values(values) <= without.error_of_values(values)
    }

    /// Mean absolute error of the predictions of the values themselves.
    fn error_of_values(&self, values: &[f64]) -> f64 {
        let transformed = transformed(values, self.logarithm);
        let start = Start::of(&transformed, self.season);
        match self.logarithm {
            true => self.error(&transformed, &start, f64::exp),
            false => self.error(&transformed, &start, |value| value),
        }
    }

    /// Mean absolute error of the predictions of each value by level and season, after the first season, as `measured`.
    fn error(&self, values: &[f64], start: &Start, measured: impl Fn(f64) -> f64) -> f64 {
        let (mut level, mut seasonal) = (start.level, start.seasonal.clone());
        let (mut sum, mut count) = (0.0, 0u32);
        for (index, value) in values.iter().enumerate() {
            let season = &mut seasonal[index % self.season];
            let error = value - level - *season;
            if error.is_nan() {
                continue;
            }
            if index >= self.season {
                sum += (measured(*value) - measured(level + *season)).abs();
                count += 1;
            }
            level += self.level * error;
            *season += self.seasonal * error;
        }
        sum / f64::from(count)
    }

    /// A column with its level and season.
    pub fn smooth(&self, values: &[f64]) -> Smoothed {
        let values = transformed(values, self.logarithm);
        let start = Start::of(&values, self.season);
        let mut smoothed = Smoothed {
            scaling: self.clone(),
            values: Vec::with_capacity(values.len()),
            level: Vec::with_capacity(values.len()),
            seasonal: start.seasonal,
        };
        smoothed.follow(start.level, &values);
        smoothed
    }
}

impl Start {
    /// Level and season of the first two seasons, without their trend; of a column without a season, its first value.
    fn of(values: &[f64], season: usize) -> Self {
        let first = values.iter().find(|value| !value.is_nan()).copied();
        let first = first.unwrap_or(0.0);
        if season == 1 {
            return Start {
                level: first,
                seasonal: vec![0.0],
            };
        }
        let seasons: Vec<&[f64]> = values.chunks_exact(season).take(2).collect();
        let known = |values: &[f64]| mean(values.iter().copied());
        let means: Vec<f64> = seasons.iter().map(|values| known(values)).collect();
        let trend = match means[..] {
            [before, after] => (after - before) / season as f64,
            _ => 0.0,
        };
        let middle = (season - 1) as f64 / 2.0;
        let phase = |phase: usize| {
            let left = seasons
                .iter()
                .zip(&means)
                .map(|(values, mean)| values[phase] - mean - trend * (phase as f64 - middle));
            let left = mean(left);
            if left.is_finite() { left } else { 0.0 }
        };
        let level = means.first().map(|mean| mean - trend * (middle + 1.0));
        Start {
            level: level.filter(|level| level.is_finite()).unwrap_or(first),
            seasonal: (0..season).map(phase).collect(),
        }
    }
}

impl Smoothed {
    /// Goes on by values that came after the last.
    pub fn extend(&mut self, values: &[f64]) {
        let level = self.level.last().copied().unwrap_or_default();
        self.follow(level, &transformed(values, self.scaling.logarithm));
    }

    /// Goes on by transformed values, from the level before them.
    fn follow(&mut self, mut level: f64, values: &[f64]) {
        let Scaling {
            level: of_level,
            seasonal: of_season,
            unit,
            ..
        } = self.scaling;
        let most = MOST_UNITS * unit;
        self.seasonal.reserve(values.len());
        for value in values {
            let season = self.seasonal[self.values.len()];
            let error = (value - level - season).clamp(-most, most);
            let error = if error.is_nan() { 0.0 } else { error };
            level += of_level * error;
            self.values.push(*value);
            self.level.push(level);
            self.seasonal.push(season + of_season * error);
        }
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no steps.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The scaling.
    pub fn scaling(&self) -> &Scaling {
        &self.scaling
    }

    /// What is known at step `now` of the season at step `step`.
    fn season(&self, now: usize, step: usize) -> f64 {
        let season = self.scaling.season;
        let latest = match step <= now {
            true => season + step + season * ((now - step) / season),
            false => season + step - season * (step - now).div_ceil(season),
        };
        self.seasonal[latest]
    }

    /// The value `lag` steps before step `now` without level and season, in units; 0 where it is missing.
    pub fn past(&self, now: usize, lag: usize) -> f64 {
        let Some(step) = now.checked_sub(lag) else {
            return 0.0;
        };
        let value = self.values[step] - self.season(now, step) - self.level[now];
        if value.is_nan() {
            0.0
        } else {
            value / self.scaling.unit
        }
    }

    /// The season `ahead` steps after step `now`, in units.
    pub fn season_ahead(&self, now: usize, ahead: usize) -> f64 {
        match self.scaling.season {
            1 => 0.0,
            _ => self.season(now, now + ahead) / self.scaling.unit,
        }
    }

    /// The value `ahead` steps after step `now` without the level and season of step `now`, in units; NaN where it is missing.
    pub fn target(&self, now: usize, ahead: usize) -> f64 {
        let value = self.values.get(now + ahead).copied().unwrap_or(f64::NAN);
        (value - self.season(now, now + ahead) - self.level[now]) / self.scaling.unit
    }

    /// The value of the column's own kind that [`Smoothed::target`] has made a target of.
    pub fn restore(&self, now: usize, ahead: usize, target: f64) -> f64 {
        let value = target * self.scaling.unit + self.season(now, now + ahead) + self.level[now];
        if self.scaling.logarithm {
            value.exp()
        } else {
            value
        }
    }
}

fn transformed(values: &[f64], logarithm: bool) -> Vec<f64> {
    match logarithm {
        // A value that is not positive, in rows that came after the fit, is as good as missing.
        true => values
            .iter()
            .map(|value| if *value > 0.0 { value.ln() } else { f64::NAN })
            .collect(),
        false => values.to_vec(),
    }
}

/// Mean of the values that are known; NaN if there are none.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let known = values.filter(|value| !value.is_nan());
    let (sum, count) = known.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaling(season: usize) -> Scaling {
        Scaling {
            logarithm: false,
            season,
            level: 0.5,
            seasonal: 0.0,
            unit: 2.0,
            spread: 0.0,
        }
    }

    /// By hand: level 4, then 4 + 0.5 · 2 = 5, then 5 + 0.5 · 4 = 7.
    #[test]
    fn level_is_taken_out_and_put_back() {
        let smoothed = scaling(1).smooth(&[4.0, 6.0, 9.0]);
        let past: Vec<f64> = (0..4).map(|lag| smoothed.past(2, lag)).collect();
        assert_eq!(past, [1.0, -0.5, -1.5, 0.0]);
        assert_eq!(smoothed.target(0, 1), 1.0);
        assert_eq!(smoothed.target(1, 1), 2.0);
        assert!(smoothed.target(2, 1).is_nan());
        assert_eq!(smoothed.restore(1, 1, 2.0), 9.0);
    }

    #[test]
    fn a_pure_season_leaves_nothing() {
        let values: Vec<f64> = (0..24).map(|i| [10.0, 3.0, 5.0][i % 3]).collect();
        let smoothed = Scaling::fit(&values, 3, true).smooth(&values);
        for ahead in 1..=3 {
            assert!(smoothed.past(20, ahead).abs() < 1e-6);
            let restored = smoothed.restore(20, ahead, 0.0);
            assert!((restored - values[20 + ahead]).abs() < 1e-6, "{restored}");
        }
    }

    #[test]
    fn logarithms_suit_a_season_that_grows_with_the_level() {
        let season = |i: u32| f64::from(i % 4) / 4.0 + f64::from(i * 7919 % 31) / 310.0;
        let growing: Vec<f64> = (0..48)
            .map(|i| 1.05f64.powi(i as i32) * (1.0 + season(i)))
            .collect();
        let steady: Vec<f64> = (0..48).map(|i| 0.05 * f64::from(i) + season(i)).collect();
        assert!(Scaling::is_better_with_logarithms(&growing, 4));
        assert!(!Scaling::is_better_with_logarithms(&steady, 4));
    }

    #[test]
    fn nothing_after_a_step_changes_what_it_knows() {
        let values: Vec<f64> = (0..60)
            .map(|i| 50.0 + (f64::from(i) * 1.7).sin() * 9.0)
            .collect();
        let scaling = Scaling::fit(&values, 7, false);
        let (all, mut first) = (scaling.smooth(&values), scaling.smooth(&values[..40]));
        for lag in 0..30 {
            assert_eq!(all.past(39, lag), first.past(39, lag));
            assert_eq!(
                all.restore(39, lag + 1, 0.7),
                first.restore(39, lag + 1, 0.7)
            );
        }
        first.extend(&values[40..50]);
        first.extend(&values[50..]);
        assert_eq!((first.len(), first.past(59, 9)), (60, all.past(59, 9)));
        assert_eq!(first.restore(59, 8, 0.7), all.restore(59, 8, 0.7));
    }

    #[test]
    fn extreme_columns_have_a_unit() {
        for values in [
            vec![7.0; 9],
            vec![0.0; 9],
            vec![1e300, 2e300, 1e300, 3e300],
            vec![1e-300, 2e-300, 3e-300],
            vec![f64::NAN, 5.0, f64::NAN, -5.0],
            vec![1.0],
        ] {
            let scaling = Scaling::fit(&values, 4, true);
            assert!(
                scaling.unit.is_finite() && scaling.unit > 0.0,
                "{values:?}: {scaling:?}"
            );
            assert!(scaling.spread.is_finite());
            let smoothed = scaling.smooth(&values);
            assert!(smoothed.past(values.len() - 1, 0).is_finite(), "{values:?}");
        }
    }
}
