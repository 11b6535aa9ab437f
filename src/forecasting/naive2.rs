/*!
Naive2, against which the M competitions measure: the last value, without and then with its season if there is one.
*/

use serde::{Deserialize, Serialize};

use super::decomposition::indices::SeasonalIndices;
use super::forecast::Forecast;
use super::naive::{Naive, NaiveKind};
use super::seasonality::is_seasonal;
use crate::error::Result;

/// A Naive2 forecaster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Naive2 {
    /// The season that is taken out first, if there is one.
    pub season: Option<SeasonalIndices>,
}

/// The forecast of what is left without the season.
const NAIVE: Naive = Naive {
    kind: NaiveKind::Naive,
    season: 1,
};

impl Naive2 {
    /// Indices of classical decomposition where the M4 competition's test finds a season of this length: factors, or
    /// added if a value is not above 0.
    ///
    /// # Errors
    ///
    /// None in practice: a series too short for a season has none.
    pub fn fit(values: &[f64], season: usize) -> Result<Self> {
        let season = match is_seasonal(values, season) {
            true => Some(SeasonalIndices::suited(values, season)?),
            false => None,
        };
        Ok(Naive2 { season })
    }

    /// Name of the model.
    pub fn name(&self) -> String {
        "Naive2".to_string()
    }

    /// What was expected of each value from those before it; NaN for the first.
    pub fn predictions(&self, values: &[f64]) -> Vec<f64> {
        match &self.season {
            Some(season) => season.restored(&NAIVE.predictions(&season.removed(values)), 0),
            None => NAIVE.predictions(values),
        }
    }

    /// The values that follow `values`.
    pub fn forecast(&self, values: &[f64], horizon: usize) -> Forecast {
        match &self.season {
            Some(season) => {
                let forecast = NAIVE.forecast(&season.removed(values), horizon);
                season.restored_forecast(&forecast, values.len())
            }
            None => NAIVE.forecast(values, horizon),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_is_repeated_with_its_season() {
        let factors = [1.2, 0.9, 0.8, 1.1];
        let mut values: Vec<f64> = (0..40).map(|step| 50.0 * factors[step % 4]).collect();
        let forecast = Naive2::fit(&values, 4).unwrap().forecast(&values, 5);
        for (step, found) in forecast.mean.iter().enumerate() {
            assert!((found - 50.0 * factors[step % 4]).abs() < 1e-6);
        }
        values.truncate(11);
        let without = Naive2::fit(&values, 4).unwrap();
        assert_eq!(without.season, None);
        assert_eq!(without.forecast(&values, 2).mean, [40.0, 40.0]);
    }
}
