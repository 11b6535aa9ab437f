/*!
Pooling of the last layer's outputs over a whole text (Howard and Ruder 2018).
*/

use crate::checkpoint::architecture::POOLED;

/// The last output of a text, and the sum and the maximum of all, a number for each unit.
#[derive(Clone, Debug)]
pub struct Pooling {
    steps: usize,
    last: Vec<f32>,
    sum: Vec<f32>,
    highest: Vec<f32>,
    /// The step of each maximum.
    at: Vec<u32>,
}

impl Pooling {
    /// Of no output yet, for this number of units.
    pub fn new(size: usize) -> Self {
        Pooling {
            steps: 0,
            last: vec![0.0; size],
            sum: vec![0.0; size],
            highest: vec![f32::NEG_INFINITY; size],
            at: vec![0; size],
        }
    }

    /// Adds the outputs of the next step, in parts of one or more units each.
    pub fn add<'a>(&mut self, parts: impl IntoIterator<Item = &'a [f32]>) {
        let (step, mut first) = (self.steps as u32, 0);
        for part in parts {
            let end = self.last.len().min(first + part.len());
            let units = first..end;
            let part = &part[..units.len()];
            self.last[units.clone()].copy_from_slice(part);
            let sums = self.sum[units.clone()].iter_mut();
            let highest = self.highest[units.clone()]
                .iter_mut()
                .zip(&mut self.at[units]);
            for ((sum, (highest, at)), &output) in sums.zip(highest).zip(part) {
                *sum += output;
                let higher = output > *highest;
                *highest = if higher { output } else { *highest };
                *at = if higher { step } else { *at };
            }
            first = end;
        }
        self.steps += 1;
    }

    /// Steps that were added.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The step of each unit's maximum.
    pub fn steps_of_highest(&self) -> &[u32] {
        &self.at
    }

    /// Appends the last output, the mean and the maximum, [`POOLED`] · size numbers. `mean` is given a sum and the number
    /// of steps: training divides, inference multiplies by the reciprocal, and models were trained and calibrated so.
    pub fn append_to(&self, pooled: &mut Vec<f32>, mean: impl Fn(f32, f32) -> f32) {
        pooled.reserve(POOLED * self.last.len());
        pooled.extend_from_slice(&self.last);
        pooled.extend(self.sum.iter().map(|&sum| mean(sum, self.steps as f32)));
        pooled.extend_from_slice(&self.highest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooled_outputs_are_last_mean_and_highest() {
        // Five units in vectors of four lanes, the last of which are padding.
        let mut pooling = Pooling::new(5);
        for [first, second] in [
            [[1.0, 2.0, 3.0, 4.0], [5.0, 9.0, 9.0, 9.0]],
            [[3.0, 0.0, 3.0, 0.0], [-5.0, 9.0, 9.0, 9.0]],
        ] {
            pooling.add([&first[..], &second]);
        }
        let mut pooled = Vec::new();
        pooling.append_to(&mut pooled, |sum, steps| sum / steps);
        assert_eq!(pooled[..5], [3.0, 0.0, 3.0, 0.0, -5.0]);
        assert_eq!(pooled[5..10], [2.0, 1.0, 3.0, 2.0, 0.0]);
        assert_eq!(pooled[10..], [3.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(pooling.steps_of_highest(), [1, 0, 0, 0, 0]);
        assert_eq!(pooling.steps(), 2);
    }
}
