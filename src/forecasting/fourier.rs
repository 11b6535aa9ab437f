/*!
Fourier terms: sines and cosines of a season's length, as regressors where the season is too long for other models
(Young, Pedregal and Tych 1999; Hyndman and Athanasopoulos, Forecasting: Principles and Practice, section 10.5).
*/

use std::f64::consts::TAU;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Waves of a season: its length and the lengths half, a third, … of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fourier {
    /// Number of steps in a season.
    pub season: usize,
    /// Number of wave lengths, at most half of the season.
    pub order: usize,
}

impl Fourier {
    /// Number of columns: a sine and a cosine for each wave length, and no sine for that of two steps, where it is 0.
    pub fn len(&self) -> usize {
        2 * self.order - usize::from(2 * self.order == self.season)
    }

    /// Whether there are no columns.
    pub fn is_empty(&self) -> bool {
        self.order == 0
    }

    /// Columns at the first `count` steps: for each wave length its cosine, then its sine.
    pub fn columns(&self, count: usize) -> Vec<Vec<f64>> {
        let waves = (0..self.len()).map(|index| {
            let cycles = index / 2 + 1;
            let wave = |step: usize| {
                // Within a season, for sines of large angles are imprecise.
                let part = (step % self.season * cycles) % self.season;
                let angle = TAU * part as f64 / self.season as f64;
                if index % 2 == 0 {
                    angle.cos()
                } else {
                    angle.sin()
                }
            };
            (0..count).map(wave).collect()
        });
        waves.collect()
    }
}

impl fmt::Display for Fourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waves = if self.order == 1 { "wave" } else { "waves" };
        write!(f, "{} Fourier {waves} of {} steps", self.order, self.season)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_cosines_and_sines() {
        let fourier = Fourier {
            season: 4,
            order: 2,
        };
        let expected = [
            [1.0, 0.0, -1.0, 0.0, 1.0],
            [0.0, 1.0, 0.0, -1.0, 0.0],
            [1.0, -1.0, 1.0, -1.0, 1.0],
        ];
        let columns = fourier.columns(5);
        assert_eq!(columns.len(), expected.len());
        for (column, expected) in columns.iter().zip(expected) {
            for (a, b) in column.iter().zip(expected) {
                assert!((a - b).abs() < 1e-15, "{column:?}");
            }
        }
    }

    #[test]
    fn a_season_repeats_exactly() {
        let fourier = Fourier {
            season: 7,
            order: 3,
        };
        for column in fourier.columns(7000) {
            assert_eq!(column[1..7], column[6994..]);
        }
    }
}
