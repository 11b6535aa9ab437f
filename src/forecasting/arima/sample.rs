/*!
A series prepared for estimation: differenced, scaled, with its regressors.
*/

use super::orders::Orders;

/// Differences of a series and of its regressors, scaled so that no square overflows.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Differences of the values; NaN where one of the values is missing.
    pub values: Vec<f64>,
    /// Differences of the regressors, each scaled by itself.
    pub columns: Vec<Vec<f64>>,
    /// Number of differences that are known.
    pub observed: usize,
    /// What the differences were divided by.
    pub scale: f64,
    /// What each column was divided by.
    pub column_scales: Vec<f64>,
    /// Sum of squared residuals, in the scaled unit, below which it is rounding.
    pub least_squares: f64,
}

/// Differences of `values` as the orders ask: `lost` fewer.
pub(super) fn differenced(values: &[f64], orders: &Orders) -> Vec<f64> {
    let steps = std::iter::repeat_n(orders.season, orders.seasonal_d);
    let mut result = values.to_vec();
    for step in steps.chain(std::iter::repeat_n(1, orders.d)) {
        result = difference(&result, step);
    }
    result
}

/// Differences of values `step` apart: `step` fewer.
pub(in super::super) fn difference(values: &[f64], step: usize) -> Vec<f64> {
    let pairs = values.iter().zip(values.iter().skip(step));
    pairs.map(|(before, after)| after - before).collect()
}

impl Sample {
    /// Sample of a series with its regressors, each at least as long.
    pub(super) fn new(values: &[f64], orders: &Orders, regressors: &[Vec<f64>]) -> Self {
        let largest = largest(values);
        let unit: Vec<f64> = values.iter().map(|value| value / largest).collect();
        let mut values = differenced(&unit, orders);
        let missing: Vec<bool> = values.iter().map(|value| value.is_nan()).collect();
        let observed = missing.iter().filter(|missing| !**missing).count();
        let deviation = root_mean_square(&values);
        let deviation = match deviation > ROUNDING {
            true => deviation,
            false => 1.0,
        };
        values.iter_mut().for_each(|value| *value /= deviation);
        let (columns, column_scales) = regressors
            .iter()
            .map(|column| {
                let mut column = differenced(&column[..unit.len()], orders);
                let scale = root_mean_square(&column);
                let scale = if scale > 0.0 { scale } else { 1.0 };
                column.iter_mut().for_each(|value| *value /= scale);
                (column, scale)
            })
            .unzip();
        Sample {
            values,
            columns,
            observed,
            scale: deviation * largest,
            column_scales,
            least_squares: observed as f64 * (ROUNDING / deviation).powi(2),
        }
    }

    /// Whether no difference is missing.
    pub(super) fn complete(&self) -> bool {
        self.observed == self.values.len()
    }
}

/// Size, relative to the largest value, of what rounding leaves where there is nothing.
const ROUNDING: f64 = 1e-13;

/// Largest of the absolute values; 1 if there are none but 0.
fn largest(values: &[f64]) -> f64 {
    let largest = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    if largest > 0.0 { largest } else { 1.0 }
}

/// Root of the mean square of the values that are known.
fn root_mean_square(values: &[f64]) -> f64 {
    let known = values.iter().filter(|value| !value.is_nan());
    let (sum, count) = known.fold((0.0, 0u64), |(sum, n), v| (sum + v * v, n + 1));
    (sum / count.max(1) as f64).sqrt()
}
