/*!
Pooling of the last layer's outputs over whole texts (Howard and Ruder 2018).
*/

use carousel_kernels::add_to_pools;

use crate::checkpoint::architecture::POOLED;

/// The last output, and the sum and the maximum of all outputs, of texts that are read side by side. Values are
/// `[groups, texts, lanes]`; the lanes of all groups are the units, with padding in the last group.
pub struct Pooling {
    texts: usize,
    size: usize,
    lanes: usize,
    /// Number of outputs of each text that were added.
    lengths: Vec<usize>,
    last: Vec<f32>,
    sums: Vec<f32>,
    highest: Vec<f32>,
    /// The step of each maximum.
    steps: Vec<u32>,
}

impl Pooling {
    /// A pooling without outputs.
    pub fn new(texts: usize, size: usize, lanes: usize) -> Self {
        let count = size.next_multiple_of(lanes) * texts;
        Pooling {
            texts,
            size,
            lanes,
            lengths: vec![0; texts],
            last: vec![0.0; count],
            sums: vec![0.0; count],
            highest: vec![f32::NEG_INFINITY; count],
            steps: vec![0; count],
        }
    }

    /// Adds the next outputs, `[panels, reading, lanes]`, of the first `reading` texts, which all have as many outputs so far.
    pub fn add(&mut self, reading: usize, outputs: &[f32]) {
        let step = self.lengths.first().map_or(0, |&length| length as u32);
        let (all, own) = (self.texts * self.lanes, reading * self.lanes);
        for (panel, outputs) in outputs.chunks_exact(own).enumerate() {
            let range = panel * all..panel * all + own;
            self.last[range.clone()].copy_from_slice(outputs);
            let (sums, highest) = (
                &mut self.sums[range.clone()],
                &mut self.highest[range.clone()],
            );
            add_to_pools(outputs, step, sums, highest, &mut self.steps[range]);
        }
        self.lengths[..reading]
            .iter_mut()
            .for_each(|length| *length += 1);
    }

    /// The texts one by one, for outputs that come as rows of all units.
    ///
    /// # Panics
    /// If a panel does not have as many lanes as there are units.
    pub fn each_text(&mut self) -> impl Iterator<Item = PooledText<'_>> {
        assert_eq!(self.lanes, self.size, "a panel of all units");
        let values = self
            .sums
            .chunks_exact_mut(self.size)
            .zip(self.highest.chunks_exact_mut(self.size));
        let values = values
            .zip(self.steps.chunks_exact_mut(self.size))
            .zip(self.last.chunks_exact_mut(self.size));
        let texts = values.zip(&mut self.lengths);
        texts.map(|((((sums, highest), steps), last), length)| PooledText {
            length,
            last,
            sums,
            highest,
            steps,
        })
    }

    /// Number of outputs of a text that were added.
    pub fn length(&self, text: usize) -> usize {
        self.lengths[text]
    }

    /// The step of the maximum of a text's unit.
    pub fn step_of_highest(&self, text: usize, unit: usize) -> usize {
        self.steps[self.position(text, unit)] as usize
    }

    /// Appends the last output, the mean and the maximum of a text, [`POOLED`] · size numbers. `mean` is given a sum and
    /// the number of outputs: training divides and inference multiplies by the reciprocal, as models were calibrated.
    pub fn append_to(&self, pooled: &mut Vec<f32>, text: usize, mean: impl Fn(f32, f32) -> f32) {
        let length = self.lengths[text] as f32;
        pooled.reserve(POOLED * self.size);
        let units = || (0..self.size).map(|unit| self.position(text, unit));
        pooled.extend(units().map(|position| self.last[position]));
        pooled.extend(units().map(|position| mean(self.sums[position], length)));
        pooled.extend(units().map(|position| self.highest[position]));
    }

    fn position(&self, text: usize, unit: usize) -> usize {
        (unit / self.lanes * self.texts + text) * self.lanes + unit % self.lanes
    }
}

/// One text's part of a [`Pooling`].
pub struct PooledText<'a> {
    length: &'a mut usize,
    last: &'a mut [f32],
    sums: &'a mut [f32],
    highest: &'a mut [f32],
    steps: &'a mut [u32],
}

impl PooledText<'_> {
    /// Number of units.
    pub fn size(&self) -> usize {
        self.last.len()
    }

    /// Adds the next output, a number for each unit.
    pub fn add(&mut self, output: &[f32]) {
        self.last.copy_from_slice(output);
        add_to_pools(
            output,
            *self.length as u32,
            self.sums,
            self.highest,
            self.steps,
        );
        *self.length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooled_outputs_are_last_mean_and_highest() {
        // Two texts, five units; the second text ends first.
        let outputs = [[1.0, 2.0, 3.0, 4.0, 5.0], [3.0, 0.0, 3.0, 0.0, -5.0]];
        let other = [-1.0; 5];
        // In vectors of four lanes, the last of which are padding.
        let panels = |texts: &[[f32; 5]]| -> Vec<f32> {
            let lanes = (0..8)
                .step_by(4)
                .flat_map(|first| texts.iter().map(move |text| (first, text)));
            lanes
                .flat_map(|(first, text)| {
                    (0..4).map(move |lane| text.get(first + lane).copied().unwrap_or(9.0))
                })
                .collect()
        };
        let mut in_panels = Pooling::new(2, 5, 4);
        in_panels.add(2, &panels(&[outputs[0], other]));
        in_panels.add(1, &panels(&[outputs[1]]));
        let mut in_rows = Pooling::new(2, 5, 5);
        let mut texts: Vec<PooledText> = in_rows.each_text().collect();
        outputs.iter().for_each(|output| texts[0].add(output));
        texts[1].add(&other);
        for pooling in [in_panels, in_rows] {
            let pooled = |text: usize| {
                let mut pooled = Vec::new();
                pooling.append_to(&mut pooled, text, |sum, length| sum / length);
                pooled
            };
            let first = pooled(0);
            assert_eq!(first[..5], outputs[1]);
            assert_eq!(first[5..10], [2.0, 1.0, 3.0, 2.0, 0.0]);
            assert_eq!(first[10..], [3.0, 2.0, 3.0, 4.0, 5.0]);
            assert_eq!(pooled(1), [-1.0; 15]);
            let steps: Vec<usize> = (0..5)
                .map(|unit| pooling.step_of_highest(0, unit))
                .collect();
            assert_eq!((steps, pooling.length(0)), (vec![1, 0, 0, 0, 0], 2));
        }
    }
}
