/*!
Orders of a seasonal ARIMA: how many coefficients of each kind, how often differenced, and the length of the season.
*/

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Orders (p, d, q)(P, D, Q)[season] of a seasonal ARIMA, in the notation of Box and Jenkins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Orders {
    /// Number of autoregressive coefficients, p.
    pub p: usize,
    /// Number of times that neighbours are differenced, d.
    pub d: usize,
    /// Number of moving-average coefficients, q.
    pub q: usize,
    /// Number of autoregressive coefficients at lags of whole seasons, P.
    pub seasonal_p: usize,
    /// Number of times that values a season apart are differenced, D.
    pub seasonal_d: usize,
    /// Number of moving-average coefficients at lags of whole seasons, Q.
    pub seasonal_q: usize,
    /// Number of steps in a season; 1 for none.
    pub season: usize,
}

impl Orders {
    /// Orders without a season.
    pub fn new(p: usize, d: usize, q: usize) -> Self {
        Orders {
            p,
            d,
            q,
            seasonal_p: 0,
            seasonal_d: 0,
            seasonal_q: 0,
            season: 1,
        }
    }

    /// The same orders with those of a season of `season` steps beside them.
    pub fn with_season(self, p: usize, d: usize, q: usize, season: usize) -> Self {
        Orders {
            seasonal_p: p,
            seasonal_d: d,
            seasonal_q: q,
            season,
            ..self
        }
    }

    /// Number of coefficients, p + q + P + Q.
    pub fn coefficients(&self) -> usize {
        self.p + self.q + self.seasonal_p + self.seasonal_q
    }

    /// Number of differences, d + D.
    pub fn differences(&self) -> usize {
        self.d + self.seasonal_d
    }

    /// Number of values at the beginning of a series for which there is no difference, d + D · season.
    pub fn lost(&self) -> usize {
        self.d + self.seasonal_d * self.season
    }

    /// What a constant is, at the end of a name.
    pub(super) fn constant_name(&self) -> &'static str {
        match self.differences() {
            0 => " with mean",
            _ => " with drift",
        }
    }

    /// Longest autoregressive lag of the multiplied polynomials.
    pub(super) fn longest_ar(&self) -> usize {
        self.p + self.seasonal_p * self.season
    }

    /// Longest moving-average lag of the multiplied polynomials.
    pub(super) fn longest_ma(&self) -> usize {
        self.q + self.seasonal_q * self.season
    }

    /// Error if the orders contradict each other or ask for what nobody can compute.
    pub fn check(&self) -> Result<()> {
        let seasonal = self.seasonal_p + self.seasonal_d + self.seasonal_q > 0;
        if seasonal && self.season < 2 {
            return Err(Error::new(format!(
                "the seasonal orders ({},{},{}) need a season of 2 steps or more",
                self.seasonal_p, self.seasonal_d, self.seasonal_q
            )));
        }
        if self.differences() > 3 {
            return Err(Error::new(format!(
                "{self} takes differences {} times: at most 3 make sense",
                self.differences()
            )));
        }
        if self.longest_ar().max(self.longest_ma()) > LONGEST {
            return Err(Error::new(format!(
                "{self} looks {} steps back, more than the {LONGEST} that an ARIMA can hold; for a season as long as this, \
                 Fourier terms do",
                self.longest_ar().max(self.longest_ma())
            )));
        }
        Ok(())
    }
}

/// Longest lag that is computed: the work of a likelihood grows with its cube.
const LONGEST: usize = 800;

impl fmt::Display for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ARIMA({},{},{})", self.p, self.d, self.q)?;
        match self.seasonal_p + self.seasonal_d + self.seasonal_q {
            0 => Ok(()),
            _ => write!(
                f,
                "({},{},{})[{}]",
                self.seasonal_p, self.seasonal_d, self.seasonal_q, self.season
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_written_as_box_and_jenkins_do() {
        assert_eq!(Orders::new(2, 1, 0).to_string(), "ARIMA(2,1,0)");
        let airline = Orders::new(0, 1, 1).with_season(0, 1, 1, 12);
        assert_eq!(airline.to_string(), "ARIMA(0,1,1)(0,1,1)[12]");
        assert_eq!((airline.lost(), airline.coefficients()), (13, 2));
    }

    #[test]
    fn a_season_of_one_step_and_lags_without_end_are_errors() {
        assert!(
            Orders::new(0, 1, 1)
                .with_season(0, 1, 1, 1)
                .check()
                .is_err()
        );
        assert!(
            Orders::new(0, 0, 1)
                .with_season(0, 0, 1, 8760)
                .check()
                .is_err()
        );
        assert!(
            Orders::new(1, 1, 1)
                .with_season(0, 1, 1, 12)
                .check()
                .is_ok()
        );
    }
}
