/*!
The data of one step, and its result: loss and gradients.
*/

use tch::{Device, Tensor};

use crate::gradients::sampled_softmax::SampledTokens;
use crate::network::{DropoutMasks, NamedTensors, Sources, State, TranslationMasks};
use crate::optimizer::SparseRows;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::EMBEDDING;
use carousel::text::Direction;

/// Largest number of steps of a text through which gradients flow back.
pub const MAX_BACKWARD: usize = 2048;
/// Token id that fills up texts beside longer ones. Nothing depends on its outputs.
const PADDING: u32 = 0;

/// The data of one step.
pub enum Batch<'a> {
    /// A window of parallel streams, each token of which predicts the next.
    Streams(StreamBatch<'a>),
    /// Texts with labels.
    Texts(TextBatch<'a>),
    /// Windows of series.
    Numbers(NumberBatch<'a>),
    /// Sources with their translations.
    Pairs(PairBatch<'a>),
}

/// A window of parallel streams, time-major `[steps, batch_size]`.
pub struct StreamBatch<'a> {
    /// The direction in which it is read.
    pub direction: Direction,
    /// Number of streams.
    pub batch_size: usize,
    /// Token ids.
    pub inputs: &'a [u32],
    /// The token ids that follow, `[horizon, predicting steps, batch_size]`: those one token later first. Every step predicts,
    /// or the last alone.
    pub targets: &'a [u32],
    /// The tokens that take part in the softmax, if not all do.
    pub sampled: Option<&'a SampledTokens>,
    /// The state before the window, unless it is learnt.
    pub state: &'a State,
    /// Dropout masks.
    pub masks: &'a DropoutMasks,
}

/// Windows of series, time-major, each read from a zero state.
pub struct NumberBatch<'a> {
    /// What is read, `[steps, batch_size, input_size]`.
    pub inputs: &'a Tensor,
    /// The values that follow, `[steps or 1, batch_size, horizon]`, for every step or the last alone. NaN is one that does not
    /// count.
    pub targets: &'a Tensor,
    /// Dropout masks.
    pub masks: &'a DropoutMasks,
}

/// Sources with their translations, in any order.
#[derive(Clone, Copy)]
pub struct PairBatch<'a> {
    /// Token ids of each source, with a line end after it.
    pub sources: &'a [&'a [u32]],
    /// Token ids of each target, with a line end after it. What the decoder reads has it before the target instead.
    pub targets: &'a [&'a [u32]],
    /// The part of a target's probability that is spread over the whole vocabulary (Szegedy et al. 2016).
    pub label_smoothing: f64,
    /// Dropout masks.
    pub masks: &'a TranslationMasks,
}

/// Texts with labels, the longest first, each read from a zero state. Of texts longer than [`MAX_BACKWARD`] tokens only
/// the last window has gradients.
///
/// Labels that may be wrong are learnt with forward correction (Patrini et al. 2017): the more a label contradicts what was
/// learnt before, the less it counts.
#[derive(Clone, Copy)]
pub struct TextBatch<'a> {
    /// Token ids of each text.
    pub texts: &'a [&'a [u32]],
    /// The label of each text.
    pub labels: &'a [usize],
    /// The weight of a text of each label in the loss.
    pub weights: &'a [f32],
    /// For each text, the probability that its label is random.
    pub noise: &'a [f32],
    /// Dropout mask of the head's inputs, `[texts, pooled_size]`.
    pub head_mask: Option<&'a [f32]>,
    /// Dropout masks of each direction.
    pub masks: &'a [DropoutMasks],
    /// Length of the adversarial perturbation of each text's vectors, in units of the root mean square of their components;
    /// with one, the loss is the mean of the plain and the perturbed one (Miyato et al. 2017). 0 for none.
    pub perturbation: f64,
}

impl StreamBatch<'_> {
    /// The rows of gradients that may be other than zero, where not all tokens take part.
    pub fn sparse_rows(&self, config: &ModelConfig) -> SparseRows {
        let Some(sampled) = self.sampled else {
            return SparseRows::new();
        };
        match config.head_tensors() {
            (EMBEDDING, _) => {
                let both = self.inputs.iter().chain(&sampled.tokens);
                [(EMBEDDING.to_string(), distinct(both))].into()
            }
            (weight, _) => [
                (EMBEDDING.to_string(), distinct(self.inputs)),
                (weight.to_string(), sampled.tokens.clone()),
            ]
            .into(),
        }
    }
}

impl PairBatch<'_> {
    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.sources.len()
    }

    /// Tokens of all targets.
    pub fn target_tokens(&self) -> usize {
        self.targets.iter().map(|target| target.len()).sum()
    }

    /// The token ids of the sources as a direction reads them, `[steps, pairs]`, filled up.
    pub fn source_steps(&self, direction: Direction) -> Vec<u32> {
        let token = |source: &[u32], step: usize| {
            let position = match direction {
                Direction::Forward => Some(step),
                Direction::Reverse => source.len().checked_sub(step + 1),
            };
            source.get(position?).copied()
        };
        let tokens = steps_of(self.sources, token);
        tokens.map(|token| token.unwrap_or(PADDING)).collect()
    }

    /// The sources on a device.
    pub fn sources(&self, device: Device) -> Sources {
        let lengths = self.sources.iter().map(|source| source.len() as i64);
        let lengths: Vec<i64> = lengths.collect();
        Sources {
            tokens: self.steps(&self.source_steps(Direction::Forward), device),
            lengths: Tensor::from_slice(&lengths).to_device(device),
        }
    }

    /// Token ids of some steps on a device, `[steps, pairs]`.
    pub fn steps(&self, tokens: &[u32], device: Device) -> Tensor {
        let ids: Vec<i64> = tokens.iter().map(|&id| i64::from(id)).collect();
        let ids = Tensor::from_slice(&ids).view([-1, self.pairs() as i64]);
        ids.to_device(device)
    }

    /// The token ids that the decoder reads, `[steps, pairs]`, filled up.
    pub fn input_steps(&self) -> Vec<u32> {
        let input = |target: &[u32], step: usize| match step {
            0 => target.last().copied(),
            _ => target[..target.len() - 1].get(step - 1).copied(),
        };
        let tokens = steps_of(self.targets, input);
        tokens.map(|token| token.unwrap_or(PADDING)).collect()
    }

    /// The token ids that each step is to predict, `[steps, pairs]`; none after the end of a target.
    pub fn target_steps(&self) -> Vec<Option<u32>> {
        steps_of(self.targets, |target, step| target.get(step).copied()).collect()
    }
}

/// What `token` finds at each step of each text, `[steps, texts]`.
fn steps_of<'t>(
    texts: &'t [&'t [u32]],
    token: impl Fn(&'t [u32], usize) -> Option<u32> + Copy + 't,
) -> impl Iterator<Item = Option<u32>> + 't {
    let steps = texts.iter().map(|text| text.len()).max().unwrap_or(0);
    (0..steps).flat_map(move |step| texts.iter().map(move |text| token(text, step)))
}

/// Token ids in ascending order, each once.
fn distinct<'a>(tokens: impl IntoIterator<Item = &'a u32>) -> Vec<u32> {
    let mut tokens: Vec<u32> = tokens.into_iter().copied().collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

impl TextBatch<'_> {
    /// Tokens of all texts.
    pub fn tokens(&self) -> usize {
        self.texts.iter().map(|text| text.len()).sum()
    }

    /// Steps of the longest text.
    pub fn steps(&self) -> usize {
        self.texts.iter().map(|text| text.len()).max().unwrap_or(0)
    }

    /// The token ids of some steps as a direction reads them, `[steps, texts]`, padded.
    pub fn inputs(&self, direction: Direction, steps: std::ops::Range<usize>) -> Vec<u32> {
        let token = |step: usize, text: &&[u32]| direction.token(text, step).unwrap_or(PADDING);
        steps
            .flat_map(|step| self.texts.iter().map(move |text| token(step, text)))
            .collect()
    }

    /// The sum of the weights of the texts' labels.
    pub fn weight(&self) -> f64 {
        let weights = self.labels.iter().map(|&label| self.weights[label]);
        weights.map(f64::from).sum()
    }

    /// The rows of gradients that may be other than zero for any part of the texts: which window is the last depends on the
    /// longest of a part.
    pub fn sparse_rows_of_parts(&self, config: &ModelConfig) -> SparseRows {
        match self.steps() <= MAX_BACKWARD {
            true => self.sparse_rows(config),
            false => {
                let read = self.texts.iter().copied().flatten();
                [(EMBEDDING.to_string(), distinct(read.chain(&[PADDING])))].into()
            }
        }
    }

    /// The rows of gradients that may be other than zero: of the embedding, those of the last window.
    pub fn sparse_rows(&self, config: &ModelConfig) -> SparseRows {
        let last = self.windows().last().unwrap_or_default();
        let directions = config.recurrent().directions().iter();
        let read: Vec<u32> = directions
            .flat_map(|&direction| self.inputs(direction, last.clone()))
            .collect();
        [(EMBEDDING.to_string(), distinct(&read))].into()
    }

    /// The windows in which the texts are read: the first is the short one, so that the last is a whole one.
    pub fn windows(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (steps, count) = (self.steps(), self.steps().div_ceil(MAX_BACKWARD));
        (0..count).map(move |index| {
            let end = steps - (count - 1 - index) * MAX_BACKWARD;
            end.saturating_sub(MAX_BACKWARD)..end
        })
    }
}

/// Whether a parameter takes part in reading these directions.
pub fn takes_part(config: &ModelConfig, name: &str, directions: &[Direction]) -> bool {
    let direction = config.direction_of(name);
    direction.is_none_or(|direction| directions.contains(&direction))
}

/// Loss and gradients of one step.
pub struct Window {
    /// Mean loss: in nats, per token or per text; of quantiles, per value.
    pub loss: f64,
    /// Gradients of the parameters that took part. The next step replaces their values.
    pub gradients: NamedTensors,
    /// Rows that may be other than zero, where not all may be.
    pub rows: SparseRows,
    /// The state after a window of streams.
    pub state: Option<State>,
    /// Tokens, or steps of series, read.
    pub tokens: usize,
    /// How much it counts in the mean over processes that train together: 1 where all have parts alike.
    pub weight: f64,
}

impl Window {
    /// Makes the rows of gradients that may be other than zero those of the whole batch, of which this is the window of a
    /// part.
    pub fn widen(&mut self, of_all: SparseRows) {
        for name in of_all.keys() {
            // Not in place: what computes gradients remembers which rows it has written, to clear no others.
            let own: Vec<i64> = self.rows[name].iter().map(|&row| row.into()).collect();
            let gradient = self.gradients.get_mut(name);
            let own = Tensor::from_slice(&own).to_device(gradient.device());
            let fresh = tch::no_grad(|| {
                let rows = gradient.index_select(0, &own);
                gradient.zeros_like().index_copy_(0, &own, &rows)
            });
            *gradient = fresh;
        }
        self.rows = of_all;
    }
}
