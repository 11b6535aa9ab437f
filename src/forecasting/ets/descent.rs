/*!
Minimum of the likelihood's loss by the method of Broyden, Fletcher, Goldfarb and Shanno, from a gradient that is exact.
*/

use super::likelihood::Likelihood;

/// Most steps of a search.
const STEPS: usize = 200;
/// Most trials along one direction.
const TRIALS: usize = 25;
/// Longest first trial along a direction, in units of the coordinates.
const REACH: f64 = 3.0;
/// A search ends after two steps that gain less.
const GAIN: f64 = 1e-4;

/// A search: where it is, and what it knows of the curvature.
struct Search {
    point: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
    /// Approximate inverse of the second derivatives, by rows.
    inverse: Vec<f64>,
    /// Whether `inverse` has learnt from a step.
    learnt: bool,
}

/// Moves `point` to a local minimum of the loss, and returns the loss there. A point where the loss is infinite stays.
pub(super) fn descend(likelihood: &mut Likelihood, point: &mut [f64]) -> f64 {
    let count = point.len();
    let mut search = Search {
        point: point.to_vec(),
        loss: likelihood.loss(point),
        gradient: vec![0.0; count],
        inverse: vec![0.0; count * count],
        learnt: false,
    };
    if !search.loss.is_finite() {
        return search.loss;
    }
    search.forget();
    likelihood.gradient(point, &mut search.gradient);
    let mut next = Trial {
        point: vec![0.0; count],
        gradient: vec![0.0; count],
        direction: vec![0.0; count],
    };
    let mut idle = 0;
    for _ in 0..STEPS {
        let before = search.loss;
        if !search.step(likelihood, &mut next) {
            if !search.learnt {
                break;
            }
            search.forget();
            continue;
        }
        idle = if before - search.loss < GAIN {
            idle + 1
        } else {
            0
        };
        if idle == 2 {
            break;
        }
    }
    point.copy_from_slice(&search.point);
    search.loss
}

/// Memory of a step.
struct Trial {
    point: Vec<f64>,
    gradient: Vec<f64>,
    direction: Vec<f64>,
}

impl Search {
    /// Takes the curvature as unknown.
    fn forget(&mut self) {
        let count = self.point.len();
        self.inverse.fill(0.0);
        self.inverse
            .iter_mut()
            .step_by(count + 1)
            .for_each(|x| *x = 1.0);
        self.learnt = false;
    }

    /// Goes down along one direction; false if that leads nowhere.
    fn step(&mut self, likelihood: &mut Likelihood, next: &mut Trial) -> bool {
        let count = self.point.len();
        for (row, place) in self.inverse.chunks_exact(count).zip(&mut next.direction) {
            *place = -dot(row, &self.gradient);
        }
        let slope = dot(&next.direction, &self.gradient);
        if slope.is_nan() || slope >= 0.0 {
            return false;
        }
        let longest = next
            .direction
            .iter()
            .fold(0.0f64, |most, x| most.max(x.abs()));
        let most = if self.learnt { REACH } else { 0.5 };
        let mut length = (most / longest).min(1.0);
        for _ in 0..TRIALS {
            for ((to, from), along) in next.point.iter_mut().zip(&self.point).zip(&next.direction) {
                *to = from + length * along;
            }
            let loss = likelihood.loss(&next.point);
            if loss <= self.loss + 1e-4 * length * slope {
                likelihood.gradient(&next.point, &mut next.gradient);
                self.learn(next);
                self.loss = loss;
                return true;
            }
            // The minimum of the parabola through both losses and the slope.
            let bend = 2.0 * (loss - self.loss - length * slope);
            let share = if bend.is_finite() {
                -slope * length / bend
            } else {
                0.0
            };
            length *= share.clamp(0.1, 0.5);
        }
        false
    }

    /// Moves to the point of a trial and learns the curvature on the way.
    fn learn(&mut self, next: &mut Trial) {
        let count = self.point.len();
        std::mem::swap(&mut self.point, &mut next.point);
        std::mem::swap(&mut self.gradient, &mut next.gradient);
        // What was `next` is now the way come, and the change of the gradient.
        for (way, point) in next.point.iter_mut().zip(&self.point) {
            *way = point - *way;
        }
        for (change, gradient) in next.gradient.iter_mut().zip(&self.gradient) {
            *change = gradient - *change;
        }
        let (way, change) = (&next.point, &next.gradient);
        let product = dot(way, change);
        let norms = dot(way, way) * dot(change, change);
        if product.is_nan() || product <= 1e-8 * norms.sqrt() {
            return;
        }
        if !self.learnt {
            let scale = product / dot(change, change);
            self.inverse
                .iter_mut()
                .step_by(count + 1)
                .for_each(|x| *x = scale);
            self.learnt = true;
        }
        let moved = &mut next.direction;
        for (row, place) in self.inverse.chunks_exact(count).zip(moved.iter_mut()) {
            *place = dot(row, change);
        }
        let factor = (1.0 + dot(change, moved) / product) / product;
        for (row, (way_row, moved_row)) in self
            .inverse
            .chunks_exact_mut(count)
            .zip(way.iter().zip(moved.iter()))
        {
            for (place, (way, moved)) in row.iter_mut().zip(way.iter().zip(moved.iter())) {
                *place += factor * way_row * way - (way_row * moved + moved_row * way) / product;
            }
        }
    }
}

/// Sum of the products of two vectors.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}
