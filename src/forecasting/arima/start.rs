/*!
Where an estimation starts: the regression of Hannan and Rissanen (1982) on lagged values and on lagged residuals of a long
autoregression.
*/

use super::super::autocorrelation::autocovariances;
use super::cholesky::{dot, factorize, solve_lower, solve_upper};
use super::coefficients::{lengths, partials};
use super::orders::Orders;
use super::sample::Sample;

/// A sample without its regression, and the residuals of a long autoregression, which the starts of all orders share.
#[derive(Clone, Debug)]
pub(super) struct Start {
    values: Vec<f64>,
    residuals: Vec<f64>,
    /// Number of values at the beginning without a residual.
    order: usize,
}

impl Start {
    /// Preparation for a sample of this season.
    pub(super) fn new(sample: &Sample, season: usize) -> Self {
        let values = detached(sample);
        let count = values.len();
        let usual = (10.0 * (count.max(1) as f64).log10()) as usize;
        let order = usual.max(2 * season + 2).min(count / 4);
        let weights = long_autoregression(&values, order);
        let residuals = (0..count)
            .map(|time| match time < order {
                true => 0.0,
                false => {
                    let past = values[time - order..time].iter().rev();
                    values[time] - past.zip(&weights).map(|(v, w)| v * w).sum::<f64>()
                }
            })
            .collect();
        Start {
            values,
            residuals,
            order,
        }
    }

    /// Partial autocorrelations to start from; zeros where the series is too short for a regression.
    pub(super) fn partials(&self, orders: &Orders) -> Vec<f64> {
        let count = orders.coefficients();
        let longest = orders.longest_ar().max(orders.longest_ma());
        let begin = self.order + longest;
        if count == 0 || self.values.len() < begin + 2 * count + 2 {
            return vec![0.0; count];
        }
        let [p, seasonal_p, q, seasonal_q] = lengths(orders);
        let lagged = |of: &'static str, step: usize, number: usize| {
            (1..=number).map(move |index| (of, index * step))
        };
        let columns: Vec<&[f64]> = lagged("values", 1, p)
            .chain(lagged("values", orders.season, seasonal_p))
            .chain(lagged("residuals", 1, q))
            .chain(lagged("residuals", orders.season, seasonal_q))
            .map(|(of, lag)| {
                let source = match of {
                    "values" => &self.values,
                    _ => &self.residuals,
                };
                &source[begin - lag..self.values.len() - lag]
            })
            .collect();
        let Some(solution) = least_squares(&self.values[begin..], &columns) else {
            return vec![0.0; count];
        };
        let mut result = Vec::with_capacity(count);
        let mut rest = &solution[..];
        for (part, length) in lengths(orders).into_iter().enumerate() {
            let (own, after) = rest.split_at(length);
            rest = after;
            let sign = if part < 2 { 1.0 } else { -1.0 };
            let own: Vec<f64> = own.iter().map(|value| sign * value).collect();
            result.extend(inside(&own));
        }
        result
    }
}

/// Largest partial autocorrelation to start from.
const LARGEST: f64 = 0.95;

/// Partial autocorrelations of coefficients, which are made smaller, those of long lags more, until they have any.
fn inside(coefficients: &[f64]) -> Vec<f64> {
    let mut scaled = coefficients.to_vec();
    for _ in 0..200 {
        let found = partials(&scaled);
        if let Some(found) = found.filter(|all| all.iter().all(|v| v.abs() <= LARGEST)) {
            return found;
        }
        let mut factor = 1.0;
        for value in &mut scaled {
            factor *= 0.95;
            *value *= factor;
        }
    }
    vec![0.0; coefficients.len()]
}

/// Values of a sample without their regression on the columns; 0 where they are missing.
pub(super) fn detached(sample: &Sample) -> Vec<f64> {
    let known: Vec<f64> = sample
        .values
        .iter()
        .map(|value| f64::from(u8::from(!value.is_nan())))
        .collect();
    let masked = |column: &[f64]| -> Vec<f64> {
        let pairs = column.iter().zip(&known);
        pairs
            .map(|(value, known)| if *known > 0.0 { *value } else { 0.0 })
            .collect()
    };
    let mut values = masked(&sample.values);
    let columns: Vec<Vec<f64>> = sample.columns.iter().map(|c| masked(c)).collect();
    let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let weights = least_squares(&values, &slices).unwrap_or_default();
    for (column, weight) in columns.iter().zip(weights) {
        for (value, other) in values.iter_mut().zip(column) {
            *value -= weight * other;
        }
    }
    values
}

/// Coefficients of an autoregression by the equations of Yule and Walker.
fn long_autoregression(values: &[f64], order: usize) -> Vec<f64> {
    let covariances = autocovariances(values, order);
    let mut weights: Vec<f64> = Vec::with_capacity(order);
    let mut variance = covariances[0];
    for count in 0..order {
        let past = covariances[1..=count].iter().rev();
        let sum: f64 = weights.iter().zip(past).map(|(w, c)| w * c).sum();
        if variance <= 0.0 {
            weights.push(0.0);
            continue;
        }
        let partial = (covariances[count + 1] - sum) / variance;
        let before = weights.clone();
        for (weight, other) in weights.iter_mut().zip(before.iter().rev()) {
            *weight -= partial * other;
        }
        weights.push(partial);
        variance *= 1.0 - partial * partial;
    }
    weights
}

/// Least squares of values on columns; `None` where they are not finite.
pub(in super::super) fn least_squares(values: &[f64], columns: &[&[f64]]) -> Option<Vec<f64>> {
    let count = columns.len();
    let mut normal = vec![0.0; count * count];
    for row in 0..count {
        for column in 0..=row {
            normal[row * count + column] = dot(columns[row], columns[column]);
        }
    }
    let mut solution: Vec<f64> = columns.iter().map(|column| dot(values, column)).collect();
    if !factorize(&mut normal, count) {
        return None;
    }
    solve_lower(&normal, count, &mut solution);
    solve_upper(&normal, count, &mut solution);
    let finite = solution.iter().all(|value| value.is_finite());
    finite.then_some(solution)
}
