/*!
Forecasts of a series in parts: its seasons are taken out by MSTL and repeated, and what is left is left to another model
(Bandara, Hyndman and Bergmeir 2021). It serves where a model cannot hold the seasons: several of them, or a long one.
*/

use serde::{Deserialize, Serialize};

use super::decomposition::gaps::filled;
use super::decomposition::mstl::mstl;
use super::forecast::Forecast;
use crate::error::Result;

/// How the seasons of a series are taken out before another model and put back after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seasons {
    /// Lengths of the seasons, in steps, from the shortest.
    pub lengths: Vec<usize>,
    /// Whether logarithms are taken first, so that seasons grow with the level.
    pub logarithms: bool,
}

/// The parts of a series with known seasons.
pub struct Parts {
    /// The values without their seasons, in logarithms if these were taken.
    pub adjusted: Vec<f64>,
    /// Each season's part of the values, as long as these.
    seasons: Vec<Vec<f64>>,
}

impl Seasons {
    /// The values without their seasons.
    ///
    /// # Errors
    /// With fewer values than two of the longest season.
    pub fn parts(&self, values: &[f64]) -> Result<Parts> {
        let mut adjusted = filled(values).into_owned();
        if self.logarithms {
            adjusted.iter_mut().for_each(|value| *value = value.ln());
        }
        let decomposition = mstl(&adjusted, &self.lengths)?;
        for part in &decomposition.seasons {
            let pairs = adjusted.iter_mut().zip(part);
            pairs.for_each(|(value, part)| *value -= part);
        }
        Ok(Parts {
            adjusted,
            seasons: decomposition.seasons,
        })
    }

    /// Values with their seasons, from the values of `parts` without them.
    pub fn restored(&self, parts: &Parts, adjusted: &[f64]) -> Vec<f64> {
        let values = adjusted.iter().enumerate().map(|(place, value)| {
            let seasons = parts.seasons.iter().map(|season| season[place]);
            self.scale(value + seasons.sum::<f64>())
        });
        values.collect()
    }

    /// A forecast of what follows `parts`, with the seasons' last course repeated.
    pub fn restored_forecast(&self, parts: &Parts, forecast: &Forecast) -> Forecast {
        let lengths = || self.lengths.iter().zip(&parts.seasons);
        let season = |step: usize| -> f64 {
            lengths()
                .map(|(length, season)| season[season.len() - length + step % length])
                .sum()
        };
        forecast.map(|step, value| self.scale(value + season(step)))
    }

    /// A value in the series' own unit.
    fn scale(&self, value: f64) -> f64 {
        match self.logarithms {
            true => value.exp(),
            false => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecasting::naive::{Naive, NaiveKind};
    use std::f64::consts::TAU;

    fn value(step: usize) -> f64 {
        let wave = |season: usize| (TAU * step as f64 / season as f64).sin();
        100.0 + 0.5 * step as f64 + 10.0 * wave(12) + 5.0 * wave(5)
    }

    fn error(seasons: &Seasons, value: impl Fn(usize) -> f64) -> f64 {
        let values: Vec<f64> = (0..120).map(&value).collect();
        let parts = seasons.parts(&values).unwrap();
        let drift = Naive {
            kind: NaiveKind::Drift,
            season: 1,
        };
        let forecast = drift.forecast(&parts.adjusted, 24);
        let forecast = seasons.restored_forecast(&parts, &forecast);
        let pairs = (120..).zip(&forecast.mean);
        let errors = pairs.map(|(step, mean)| (value(step) / mean - 1.0).abs());
        errors.fold(0.0, f64::max)
    }

    #[test]
    fn seasons_are_repeated_over_what_another_model_forecasts() {
        let seasons = Seasons {
            lengths: vec![5, 12],
            logarithms: false,
        };
        assert!(error(&seasons, value) < 0.01);
        let one = Seasons {
            lengths: vec![12],
            logarithms: false,
        };
        assert!(error(&one, value) > 0.02);
    }

    #[test]
    fn in_logarithms_a_season_grows_with_the_level() {
        let grows = |step: usize| (value(step) / 40.0).exp();
        let seasons = |logarithms| Seasons {
            lengths: vec![5, 12],
            logarithms,
        };
        assert!(error(&seasons(true), grows) < 0.05);
        assert!(error(&seasons(false), grows) > 0.1);
    }

    #[test]
    fn parts_add_up_to_the_values() {
        let values: Vec<f64> = (0..60).map(value).collect();
        let seasons = Seasons {
            lengths: vec![5, 12],
            logarithms: true,
        };
        let parts = seasons.parts(&values).unwrap();
        let restored = seasons.restored(&parts, &parts.adjusted);
        let pairs = values.iter().zip(&restored);
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-9));
    }
}
