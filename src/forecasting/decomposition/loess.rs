/*!
Local regression of evenly spaced values, as in STL (Cleveland et al. 1990): a mean of a window of neighbours, or a line
through it, of which the near ones weigh more.
*/

/// What is put through a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degree {
    /// Its mean.
    Constant,
    /// A line.
    Linear,
}

/// A smoother.
#[derive(Clone, Copy, Debug)]
pub struct Loess {
    /// Number of neighbours in the window.
    pub window: usize,
    /// What is put through it.
    pub degree: Degree,
    /// Steps from one regression to the next; between them values lie on a line.
    pub jump: usize,
}

/// Weight of a neighbour at a distance, in a window that reaches `reach`: the tricube.
fn tricube(distance: f64, reach: f64) -> f64 {
    if distance <= 0.001 * reach {
        return 1.0;
    }
    if distance > 0.999 * reach {
        return 0.0;
    }
    let share = distance / reach;
    let rest = 1.0 - share * share * share;
    rest * rest * rest
}

impl Loess {
    /// Smooths `values` into `smooth`, which is as long. `weights`, if there are any, are those of the values.
    pub fn smooth(&self, values: &[f64], weights: Option<&[f64]>, smooth: &mut [f64]) {
        let count = values.len();
        if count < 2 {
            smooth.copy_from_slice(values);
            return;
        }
        let jump = self.jump.clamp(1, count - 1);
        let half = (self.window - 1) / 2;
        // Away from the ends, without weights, each window weighs its neighbours alike, and a line through them passes
        // their mean.
        let kernel: Vec<f64> = match weights {
            None if self.window < count => centred_kernel(half),
            _ => Vec::new(),
        };
        let at = |place: usize| {
            if !kernel.is_empty() && place >= half && place + half < count {
                let around = &values[place - half..=place + half];
                return around
                    .iter()
                    .zip(&kernel)
                    .map(|(value, weight)| value * weight)
                    .sum();
            }
            self.estimate(values, weights, place as f64)
                .unwrap_or(values[place])
        };
        let last = (count - 1) / jump * jump;
        for place in (0..=last).step_by(jump) {
            smooth[place] = at(place);
        }
        if jump > 1 {
            if last < count - 1 {
                smooth[count - 1] = at(count - 1);
                join(&mut smooth[last..]);
            }
            for place in (0..last).step_by(jump) {
                join(&mut smooth[place..=place + jump]);
            }
        }
    }

    /// Value at a place, which may be one step outside, of what is put through its window; none if all weights in it
    /// are 0.
    pub fn estimate(&self, values: &[f64], weights: Option<&[f64]>, place: f64) -> Option<f64> {
        let count = values.len();
        let window = self.window.min(count);
        let half = self.window.div_ceil(2) as f64 - 1.0;
        let left = (place - half).clamp(0.0, (count - window) as f64) as usize;
        let right = left + window - 1;
        let mut reach = (place - left as f64).max(right as f64 - place);
        if self.window > count {
            reach += ((self.window - count) / 2) as f64;
        }
        let weight = |index: usize| {
            let near = tricube((index as f64 - place).abs(), reach);
            near * weights.map_or(1.0, |weights| weights[index])
        };
        let (mut total, mut first, mut sum) = (0.0, 0.0, 0.0);
        let neighbours = || (left..=right).zip(&values[left..=right]);
        for (index, value) in neighbours() {
            let weight = weight(index);
            total += weight;
            first += weight * (index as f64 - place);
            sum += weight * value;
        }
        if total <= 0.0 {
            return None;
        }
        let mean = sum / total;
        if self.degree == Degree::Constant {
            return Some(mean);
        }
        let centre = first / total;
        let (mut spread, mut slope) = (0.0, 0.0);
        for (index, value) in neighbours() {
            let weight = weight(index);
            let way = index as f64 - place - centre;
            spread += weight * way * way;
            slope += weight * way * value;
        }
        if reach > 0.0 && (spread / total).sqrt() > 0.001 * (count - 1) as f64 {
            return Some(mean - centre * slope / spread);
        }
        Some(mean)
    }
}

/// Weights of the neighbours up to `half` steps before and after, with sum 1.
fn centred_kernel(half: usize) -> Vec<f64> {
    let weights: Vec<f64> = (0..=2 * half)
        .map(|index| tricube(index.abs_diff(half) as f64, half as f64))
        .collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

/// Puts what is between the ends of a slice on the line between them.
fn join(values: &mut [f64]) {
    let steps = values.len() - 1;
    let (first, last) = (values[0], values[steps]);
    for (step, value) in values.iter_mut().enumerate().take(steps).skip(1) {
        *value = first + (last - first) / steps as f64 * step as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line() {
        let line: Vec<f64> = (0..50).map(|index| 3.0 - 0.5 * f64::from(index)).collect();
        let weights = vec![0.5; 50];
        for (window, jump) in [(7, 1), (21, 3), (101, 10), (3, 1)] {
            for weights in [None, Some(weights.as_slice())] {
                let mut smooth = vec![0.0; 50];
                let loess = Loess {
                    window,
                    degree: Degree::Linear,
                    jump,
                };
                loess.smooth(&line, weights, &mut smooth);
                for (smooth, value) in smooth.iter().zip(&line) {
                    assert!((smooth - value).abs() < 1e-9, "{window} {jump}");
                }
            }
        }
    }

    #[test]
    fn a_value_without_weight_has_no_effect() {
        let mut values = vec![1.0; 20];
        values[9] = 1000.0;
        let mut weights = vec![1.0; 20];
        weights[9] = 0.0;
        for degree in [Degree::Constant, Degree::Linear] {
            let loess = Loess {
                window: 5,
                degree,
                jump: 1,
            };
            let mut smooth = vec![0.0; 20];
            loess.smooth(&values, Some(&weights), &mut smooth);
            assert!(smooth.iter().all(|value| (value - 1.0).abs() < 1e-12));
        }
    }

    /// At the end of a line a mean of the values before it lies lower.
    #[test]
    fn a_mean_does_not_follow_a_line_beyond_its_values() {
        let line: Vec<f64> = (0..20).map(f64::from).collect();
        let at_end = |degree| {
            let loess = Loess {
                window: 5,
                degree,
                jump: 1,
            };
            loess.estimate(&line, None, 20.0).unwrap()
        };
        assert!((at_end(Degree::Linear) - 20.0).abs() < 1e-9);
        assert!((15.0..19.0).contains(&at_end(Degree::Constant)));
    }
}
