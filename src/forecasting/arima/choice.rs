/*!
What a seasonal ARIMA is chosen from.
*/

/// What may be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Largest p.
    pub max_p: usize,
    /// Largest q.
    pub max_q: usize,
    /// Largest P.
    pub max_seasonal_p: usize,
    /// Largest Q.
    pub max_seasonal_q: usize,
    /// Number of differences; chosen by tests if there is none.
    pub d: Option<usize>,
    /// Number of seasonal differences; chosen by the strength of the season if there is none.
    pub seasonal_d: Option<usize>,
    /// Whether a constant may be tried.
    pub constant: bool,
    /// Whether all orders with p + q + P + Q ≤ 5 are tried, and not neighbours of the best alone.
    pub exhaustive: bool,
    /// Columns of numbers known at every step, each at least as long as the series.
    pub regressors: &'a [Vec<f64>],
}

impl Default for Choice<'_> {
    fn default() -> Self {
        Choice {
            max_p: 5,
            max_q: 5,
            max_seasonal_p: 2,
            max_seasonal_q: 2,
            d: None,
            seasonal_d: None,
            constant: true,
            exhaustive: false,
            regressors: &[],
        }
    }
}

impl Choice<'_> {
    /// Autoregressions alone: no differences, no moving average, no season.
    pub fn autoregressive() -> Self {
        Choice {
            max_q: 0,
            ..Choice::mixed()
        }
    }

    /// Moving averages alone: no differences, no autoregression, no season.
    pub fn moving_average() -> Self {
        Choice {
            max_p: 0,
            ..Choice::mixed()
        }
    }

    /// Autoregressions with moving averages: no differences, no season.
    pub fn mixed() -> Self {
        Choice {
            max_seasonal_p: 0,
            max_seasonal_q: 0,
            d: Some(0),
            seasonal_d: Some(0),
            ..Choice::default()
        }
    }
}
