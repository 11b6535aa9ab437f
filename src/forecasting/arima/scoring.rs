/*!
Maximum likelihood by scoring: the information matrix from numerical derivatives of the innovations (Harvey 1989, section
3.4; Box and Jenkins 1976, section 7.2), damped after Levenberg and Marquardt, in a box.

The residuals are scaled so that the likelihood, its determinant included, is that of a least-squares problem. A step then
costs one evaluation for each parameter and no more, and a handful of steps is enough.
*/

use super::cholesky::{dot, factorize, solve_lower, solve_upper};
use super::objective::Objective;

/// Largest absolute partial autocorrelation of an autoregressive part: the variance of a process beyond it is lost in
/// rounding.
const STATIONARY: f64 = 1.0 - 1e-6;
/// Largest of a moving-average part, where the likelihood is flat.
const INVERTIBLE: f64 = 1.0 - 1e-5;
/// Step of the numerical derivatives.
const STEP: f64 = 1e-6;
/// Expected gain that is not missed where the likelihood is too imprecise to show it.
const NOISE: f64 = 1e-6;
/// Steps after which the estimation ends wherever it is.
const MAX_STEPS: usize = 60;

/// Estimate of partial autocorrelations, of which the first `autoregressive` are of autoregressive parts, from `start` on.
/// It ends when a step is expected to gain less than `tolerance` in log-likelihood. The objective is left evaluated at the
/// result; `None` if it has no value at the start.
pub(super) fn maximize(
    objective: &mut Objective<'_>,
    start: &[f64],
    autoregressive: usize,
    tolerance: f64,
) -> Option<Vec<f64>> {
    let bound = |index: usize| match index < autoregressive {
        true => STATIONARY,
        false => INVERTIBLE,
    };
    let clamp = |index: usize, value: f64| value.clamp(-bound(index), bound(index));
    let mut point: Vec<f64> = (0..).zip(start).map(|(i, v)| clamp(i, *v)).collect();
    if !objective.evaluate(&point) {
        return None;
    }
    let mut damping = 1e-3;
    let mut local = Local::default();
    for _ in 0..MAX_STEPS {
        local.derive(objective, &point);
        let mut best = None;
        let free: Vec<usize> = (0..point.len())
            .filter(|&index| {
                let outward = -local.gradient[index].signum() * point[index];
                outward < bound(index)
            })
            .collect();
        let mut gain = 0.0;
        for _ in 0..12 {
            let Some(step) = local.step(&free, damping) else {
                damping = (damping * 8.0).max(1e-6);
                continue;
            };
            let mut next = point.clone();
            for (index, change) in free.iter().zip(&step) {
                next[*index] = clamp(*index, moved(point[*index], *change));
            }
            gain = local.expected_gain(&free, &step);
            if gain * (1.0 + damping) < tolerance {
                break;
            }
            if objective.evaluate(&next) && objective.value < local.value - 1e-4 * gain {
                best = Some(next);
                break;
            }
            if gain < NOISE {
                break;
            }
            damping = (damping * 8.0).max(1e-6);
        }
        let Some(next) = best else {
            objective.evaluate(&point);
            break;
        };
        if local.value - objective.value > 0.5 * gain {
            damping = if damping < 1e-9 { 0.0 } else { damping / 8.0 };
        }
        local.change.clear();
        local
            .change
            .extend(next.iter().zip(&point).map(|(b, a)| b - a));
        point = next;
    }
    Some(point)
}

/// Derivatives at a point.
#[derive(Debug, Default)]
struct Local {
    value: f64,
    residuals: Vec<f64>,
    derivatives: Vec<Vec<f64>>,
    gradient: Vec<f64>,
    information: Vec<f64>,
    /// The move to this point from the one before, if there was one.
    change: Vec<f64>,
}

impl Local {
    /// Derivatives at the point that the objective was evaluated at.
    fn derive(&mut self, objective: &mut Objective<'_>, point: &[f64]) {
        let count = point.len();
        self.value = objective.value;
        self.residuals.clone_from(&objective.residuals);
        self.derivatives.resize_with(count, Vec::new);
        let squares = dot(&self.residuals, &self.residuals);
        let weight = objective.observed() / squares.max(f64::MIN_POSITIVE);
        let before = std::mem::take(&mut self.gradient);
        let mut moved = point.to_vec();
        for index in 0..count {
            // Inward, so that the other point is within the bounds.
            let step = if point[index] > 0.0 { -STEP } else { STEP };
            moved[index] = point[index] + step;
            let found = objective.evaluate(&moved);
            moved[index] = point[index];
            let out = &mut self.derivatives[index];
            out.clear();
            match found {
                true => {
                    let pairs = objective.residuals.iter().zip(&self.residuals);
                    out.extend(pairs.map(|(after, before)| (after - before) / step));
                }
                false => out.resize(self.residuals.len(), 0.0),
            }
            self.gradient
                .push(weight * dot(&self.derivatives[index], &self.residuals));
        }
        self.information.resize(count * count, 0.0);
        for row in 0..count {
            for column in 0..=row {
                let value = weight * dot(&self.derivatives[row], &self.derivatives[column]);
                self.information[row * count + column] = value;
                self.information[column * count + row] = value;
            }
        }
        self.correct(&before);
    }

    /// Correction of the information matrix by what the last move did to the gradient (Broyden, Fletcher, Goldfarb and Shanno
    /// 1970), as far as it stays positive definite.
    fn correct(&mut self, before: &[f64]) {
        let (count, change) = (self.gradient.len(), &self.change);
        if change.len() != count {
            return;
        }
        let turn: Vec<f64> = self
            .gradient
            .iter()
            .zip(before)
            .map(|(b, a)| b - a)
            .collect();
        let rows = self.information.chunks_exact(count.max(1));
        let product: Vec<f64> = rows.map(|row| dot(row, change)).collect();
        let (seen, expected) = (dot(&turn, change), dot(&product, change));
        if seen < 0.1 * expected || expected <= 0.0 {
            return;
        }
        for row in 0..count {
            for column in 0..count {
                self.information[row * count + column] +=
                    turn[row] * turn[column] / seen - product[row] * product[column] / expected;
            }
        }
    }

    /// Step of the free parameters; `None` if the damped information matrix is singular.
    fn step(&self, free: &[usize], damping: f64) -> Option<Vec<f64>> {
        let (all, count) = (self.gradient.len(), free.len());
        let mut matrix = vec![0.0; count * count];
        for (row, &from) in free.iter().enumerate() {
            for (column, &to) in free.iter().enumerate() {
                matrix[row * count + column] = self.information[from * all + to];
            }
            matrix[row * count + row] *= 1.0 + damping;
            matrix[row * count + row] += f64::MIN_POSITIVE;
        }
        let mut step: Vec<f64> = free.iter().map(|&index| -self.gradient[index]).collect();
        if !factorize(&mut matrix, count) {
            return None;
        }
        solve_lower(&matrix, count, &mut step);
        solve_upper(&matrix, count, &mut step);
        step.iter().all(|value| value.is_finite()).then_some(step)
    }

    /// Gain in log-likelihood that a parabola through the derivatives expects of a step.
    fn expected_gain(&self, free: &[usize], step: &[f64]) -> f64 {
        let count = self.gradient.len();
        let mut change = vec![0.0; count];
        for (index, value) in free.iter().zip(step) {
            change[*index] = *value;
        }
        let linear = dot(&change, &self.gradient);
        let square: f64 = (0..count)
            .map(|row| change[row] * dot(&self.information[row * count..][..count], &change))
            .sum();
        -(linear + 0.5 * square)
    }
}

/// Partial autocorrelation after a change that is of its own size where it is small, and smaller towards the ends −1 and 1:
/// the change of its inverse hyperbolic tangent.
fn moved(partial: f64, change: f64) -> f64 {
    let rest = (1.0 - partial * partial).max(1e-9);
    (partial.clamp(-1.0 + 1e-9, 1.0 - 1e-9).atanh() + change / rest).tanh()
}
