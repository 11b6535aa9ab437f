/*!
A season of fixed shape, which is removed before a forecast and put back after it.
*/

use serde::{Deserialize, Serialize};

use super::super::forecast::Forecast;
use super::averages::centred_average;
use super::gaps::filled;
use super::parts::Composition;
use crate::error::{Error, Result};

/// Least factor of a multiplicative season.
const LEAST_FACTOR: f64 = 0.01;

/// Seasonal indices: one number for each place in a season.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeasonalIndices {
    /// Whether they are added, with sum 0, or factors, with mean 1.
    pub composition: Composition,
    /// The index of the first value, of the second, and so on.
    pub indices: Vec<f64>,
}

impl SeasonalIndices {
    /// Indices of classical decomposition: means at each place in the season of what is left when a centred moving
    /// average is taken out.
    ///
    /// # Errors
    ///
    /// With fewer values than two seasons, and for factors with a value that is not above 0.
    pub fn classical(values: &[f64], season: usize, composition: Composition) -> Result<Self> {
        if season < 2 || values.len() < 2 * season {
            return Err(Error::new(format!(
                "{} values are too few for the indices of a season of {season}: they need two seasons, of at least 2 values \
                 each",
                values.len()
            )));
        }
        if composition == Composition::Multiplicative && values.iter().any(|value| *value <= 0.0) {
            return Err(Error::new(
                "a multiplicative season needs values above 0; take an additive one",
            ));
        }
        let trend = centred_average(&filled(values), season);
        let (mut sums, mut counts) = (vec![0.0; season], vec![0u32; season]);
        for (index, (value, trend)) in values.iter().zip(trend).enumerate() {
            let part = composition.without(*value, trend);
            if part.is_finite() {
                sums[index % season] += part;
                counts[index % season] += 1;
            }
        }
        let neutral = match composition {
            Composition::Additive => 0.0,
            Composition::Multiplicative => 1.0,
        };
        let means = sums.iter().zip(&counts);
        let mut indices: Vec<f64> = means
            .map(|(sum, count)| match count {
                0 => neutral,
                count => sum / f64::from(*count),
            })
            .collect();
        let mean = indices.iter().sum::<f64>() / season as f64;
        for index in &mut indices {
            *index = composition.without(*index, mean);
            if composition == Composition::Multiplicative {
                *index = index.max(LEAST_FACTOR);
            }
        }
        Ok(SeasonalIndices {
            composition,
            indices,
        })
    }

    /// Classical indices, as factors where all values are above 0, and else added.
    pub fn suited(values: &[f64], season: usize) -> Result<Self> {
        let composition = match values.iter().any(|value| *value <= 0.0) {
            true => Composition::Additive,
            false => Composition::Multiplicative,
        };
        Self::classical(values, season, composition)
    }

    /// Indices of the series `unit` times as large.
    pub fn scale(&mut self, unit: f64) {
        if self.composition == Composition::Additive {
            self.indices.iter_mut().for_each(|index| *index *= unit);
        }
    }

    /// The index of the value at a place in the series.
    pub fn at(&self, place: usize) -> f64 {
        self.indices[place % self.indices.len()]
    }

    /// Values without their season.
    pub fn removed(&self, values: &[f64]) -> Vec<f64> {
        let places = values.iter().enumerate();
        places
            .map(|(place, value)| self.composition.without(*value, self.at(place)))
            .collect()
    }

    /// Values with their season, the first at `place` in the series.
    pub fn restored(&self, values: &[f64], place: usize) -> Vec<f64> {
        let steps = values.iter().enumerate();
        steps
            .map(|(step, value)| self.composition.with(*value, self.at(place + step)))
            .collect()
    }

    /// A forecast of the values after `count` with its season put back.
    pub fn restored_forecast(&self, forecast: &Forecast, count: usize) -> Forecast {
        forecast.map(|step, value| self.composition.with(value, self.at(count + step)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line times factors of mean 1 that are the same in both years: the centred average of a season of 2 is the
    /// line's.
    #[test]
    fn a_season_that_was_put_in_comes_out() {
        let values: Vec<f64> = (0..24)
            .map(|index| 100.0 + [8.0, -3.0, -5.0][index % 3])
            .collect();
        let added = SeasonalIndices::classical(&values, 3, Composition::Additive).unwrap();
        for (index, expected) in added.indices.iter().zip([8.0, -3.0, -5.0]) {
            assert!((index - expected).abs() < 1e-9);
        }
        assert!(
            added
                .removed(&values)
                .iter()
                .all(|x| (x - 100.0).abs() < 1e-9)
        );
        let factors = SeasonalIndices::suited(&values, 3).unwrap();
        assert_eq!(factors.composition, Composition::Multiplicative);
        assert!((factors.at(4) - 0.97).abs() < 1e-9);
        let back = factors.restored(&[100.0, 100.0], 4);
        assert!((back[0] - 97.0).abs() < 1e-9 && (back[1] - 95.0).abs() < 1e-9);
    }

    #[test]
    fn values_that_cannot_have_factors_are_named() {
        let values = [1.0, 0.0, 2.0, 3.0];
        let error = SeasonalIndices::classical(&values, 2, Composition::Multiplicative);
        assert!(error.unwrap_err().to_string().contains("above 0"));
        assert_eq!(
            SeasonalIndices::suited(&values, 2).unwrap().composition,
            Composition::Additive
        );
        assert!(SeasonalIndices::suited(&values[..3], 2).is_err());
    }
}
