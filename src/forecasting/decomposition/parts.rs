/*!
Parts of a series.
*/

use serde::{Deserialize, Serialize};

/// How the parts of a series make it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Composition {
    /// The series is their sum.
    Additive,
    /// The series is their product.
    Multiplicative,
}

impl Composition {
    /// A value without a part.
    pub fn without(self, value: f64, part: f64) -> f64 {
        match self {
            Composition::Additive => value - part,
            Composition::Multiplicative => value / part,
        }
    }

    /// A value with a part.
    pub fn with(self, value: f64, part: f64) -> f64 {
        match self {
            Composition::Additive => value + part,
            Composition::Multiplicative => value * part,
        }
    }
}

/// A series in parts, each as long as itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Decomposition {
    /// How the parts make up the series.
    pub composition: Composition,
    /// Trend: the level without the seasons. NaN where a method does not reach the ends.
    pub trend: Vec<f64>,
    /// Seasons, from the shortest.
    pub seasons: Vec<Vec<f64>>,
    /// What remains; NaN where the value or the trend is.
    pub remainder: Vec<f64>,
}

impl Decomposition {
    /// Strength of the trend, 0 to 1: 1 − Var(remainder) / Var(trend and remainder), not below 0 (Wang, Smith and
    /// Hyndman 2006).
    pub fn trend_strength(&self) -> f64 {
        self.strength(&self.trend)
    }

    /// Strength of a season, 0 to 1, likewise.
    pub fn season_strength(&self, season: usize) -> f64 {
        self.strength(&self.seasons[season])
    }

    /// Strength of a part beside the remainder.
    fn strength(&self, part: &[f64]) -> f64 {
        let pairs = self.remainder.iter().zip(part);
        let both = pairs.map(|(remainder, part)| self.composition.with(*remainder, *part));
        let (alone, both) = (variance(self.remainder.iter().copied()), variance(both));
        match both > 0.0 {
            true => (1.0 - alone / both).clamp(0.0, 1.0),
            false => 0.0,
        }
    }
}

/// Variance of the values that are finite; 0 if there are none.
fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let known = values.filter(|value| value.is_finite());
    let count = known.clone().count().max(1) as f64;
    let mean = known.clone().map(|value| value / count).sum::<f64>();
    known.map(|value| (value - mean).powi(2) / count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remainder ±1 with variance 1; trend of variance 3 that does not correlate with it: 1 − 1/4.
    #[test]
    fn strength_is_a_share_of_variance() {
        let root = 3f64.sqrt();
        let decomposition = Decomposition {
            composition: Composition::Additive,
            trend: vec![root, root, -root, -root],
            seasons: vec![vec![0.0; 4]],
            remainder: vec![1.0, -1.0, 1.0, -1.0],
        };
        assert!((decomposition.trend_strength() - 0.75).abs() < 1e-12);
        assert_eq!(decomposition.season_strength(0), 0.0);
    }
}
