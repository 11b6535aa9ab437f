/*!
Single units: their activations over a text, and what all units say of documents.
*/

use crate::checkpoint::{Directory, ModelConfig, WeightsFile};
use crate::error::Result;
use crate::inference::recurrent::RecurrentNetwork;
use crate::text::Direction;
use carousel_kernels::recurrent::Cell;
use carousel_kernels::{Kernel, Precision};

/// Documents that are read side by side.
const STREAMS: usize = 64;

/// A unit of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its layer, from 0.
    pub layer: usize,
    /// Its number in the layer, from 0.
    pub unit: usize,
}

/// The embedding and the layers that read forwards, of a language model or of a classifier.
pub struct UnitReader {
    network: RecurrentNetwork,
    has_cell: bool,
    last: usize,
    hidden_size: usize,
}

/// Something that units have of a document as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The hidden state after the last token.
    LastHidden,
    /// The mean of the hidden states.
    MeanHidden,
    /// The cell state of an LSTM after the last token.
    LastCell,
    /// The mean of the cell states.
    MeanCell,
}

impl Feature {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Feature::LastHidden => "hidden state after the last token",
            Feature::MeanHidden => "hidden state, mean over the text",
            Feature::LastCell => "cell state after the last token",
            Feature::MeanCell => "cell state, mean over the text",
        }
    }
}

impl UnitReader {
    /// Packs a checkpoint's weights.
    ///
    /// # Errors
    /// Weights that are missing or damaged.
    pub fn open(directory: &Directory, config: &ModelConfig, threads: usize) -> Result<Self> {
        Self::load(config, &directory.load_weights(config)?, threads)
    }

    /// Packs weights.
    ///
    /// # Errors
    /// As [`UnitReader::open`].
    pub fn load(config: &ModelConfig, weights: &WeightsFile, threads: usize) -> Result<Self> {
        let network = RecurrentNetwork::load(
            config,
            &[Direction::Forward],
            |name| weights.floats(name),
            Kernel::fastest(Precision::Float32),
            threads,
        )?;
        let recurrent = config.recurrent();
        Ok(UnitReader {
            network,
            has_cell: recurrent.cell == Cell::Lstm,
            last: recurrent.num_layers - 1,
            hidden_size: recurrent.hidden_size,
        })
    }

    /// The unit's hidden state after each token.
    pub fn activations(&self, tokens: &[u32], unit: Unit) -> Vec<f32> {
        let mut state = self.network.initial_state(1);
        let after = |&token: &u32| {
            self.network.read(&[token], &mut state);
            state.layer(unit.layer).hidden_of(0)[unit.unit]
        };
        tokens.iter().map(after).collect()
    }

    /// The features that the cell has.
    pub fn features(&self) -> &'static [Feature] {
        use Feature::{LastCell, LastHidden, MeanCell, MeanHidden};
        match self.has_cell {
            true => &[LastHidden, MeanHidden, LastCell, MeanCell],
            false => &[LastHidden, MeanHidden],
        }
    }

    /// The features of the last layer's units for each document, `[features · hidden_size]` each in the order of
    /// [`UnitReader::features`]. `progress` is called with the number of tokens of each part that was read.
    pub fn document_features(
        &self,
        documents: &[Vec<u32>],
        mut progress: impl FnMut(u64),
    ) -> Vec<Vec<f32>> {
        let mut order: Vec<usize> = (0..documents.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(documents[index].len()));
        let mut all = vec![Vec::new(); documents.len()];
        for batch in order.chunks(STREAMS) {
            let texts: Vec<&[u32]> = batch.iter().map(|&index| &documents[index][..]).collect();
            for (&index, features) in batch.iter().zip(self.batch_features(&texts)) {
                all[index] = features;
            }
            progress(texts.iter().map(|text| text.len() as u64).sum());
        }
        all
    }

    /// Features of texts that are read side by side, the longest first.
    fn batch_features(&self, texts: &[&[u32]]) -> Vec<Vec<f32>> {
        let size = self.hidden_size;
        let zeros = vec![0.0; size * self.features().len()];
        let mut all = vec![zeros; texts.len()];
        let mut state = self.network.initial_state(texts.len());
        for step in 0..texts.first().map_or(0, |text| text.len()) {
            let left = texts.partition_point(|text| text.len() > step);
            if left < state.streams() {
                state = state.select(&(0..left).collect::<Vec<_>>());
            }
            let tokens: Vec<u32> = texts[..left].iter().map(|text| text[step]).collect();
            self.network.read(&tokens, &mut state);
            let layer = state.layer(self.last);
            for (stream, (text, features)) in texts[..left].iter().zip(&mut all).enumerate() {
                let mut parts = vec![layer.hidden_of(stream)];
                if self.has_cell {
                    parts.push(layer.carried_of(stream));
                }
                for (values, features) in parts.iter().zip(features.chunks_exact_mut(2 * size)) {
                    let (last, mean) = features.split_at_mut(size);
                    last.copy_from_slice(values);
                    let share = 1.0 / text.len() as f32;
                    let sums = mean.iter_mut().zip(values);
                    sums.for_each(|(sum, value)| *sum += share * value);
                }
            }
        }
        all
    }
}
