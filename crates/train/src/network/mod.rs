/*!
The network in libtorch: embedding → stacked LSTM → dropout → output. What is bidirectional has a second stack, which reads texts
from their end, over the same embedding and below the same output.

The parameters are our own, under PyTorch's names, over libtorch's LSTM operation: `tch::nn::lstm` freezes its dropout
when it is built, and would drop units in evaluation too.
*/

use std::ops::Range;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, Tensor};

use crate::slices::floats_mut;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::record::TrainingConfig;
use carousel::text::Direction;
use carousel_kernels::ThreadPool;

/// Factors of a mask that are worth another thread's while.
const CHUNK: usize = 1 << 15;

/// A network's parameters, in the order of [`ModelConfig::tensors`].
pub struct Network {
    /// What it is.
    pub config: ModelConfig,
    /// Its parameters; each asks for gradients.
    pub parameters: Vec<Tensor>,
}

/// What the network remembers of the streams it reads: `[layers, batch_size, hidden_size]` each, of the layers of both ways
/// where it reads both.
#[derive(Debug)]
pub struct State {
    /// The outputs of the last step.
    pub hidden: Tensor,
    /// The carousels.
    pub cell: Tensor,
}

impl State {
    /// An empty memory.
    pub fn zeros(config: &ModelConfig, batch_size: usize, device: Device) -> Self {
        let size = [
            (config.directions().len() * config.num_layers) as i64,
            batch_size as i64,
            config.hidden_size as i64,
        ];
        State {
            hidden: Tensor::zeros(size, (Kind::Float, device)),
            cell: Tensor::zeros(size, (Kind::Float, device)),
        }
    }

    /// The same values, cut off from the gradients of how they came about.
    pub fn detach(&self) -> Self {
        State {
            hidden: self.hidden.detach(),
            cell: self.cell.detach(),
        }
    }

    /// Empties some layers' memory of one stream.
    pub fn forget(&mut self, layers: Range<usize>, stream: usize) {
        for tensor in [&mut self.hidden, &mut self.cell] {
            let layers = tensor.narrow(0, layers.start as i64, layers.len() as i64);
            let _ = layers.select(1, stream as i64).zero_();
        }
    }
}

/// What is dropped in training of what is read one way, for the whole of a window: factors, 0 for what is dropped, else one
/// over the share that is kept.
pub struct Masks {
    /// Of the symbols' vectors, `[vocab_size, 1]` (Gal and Ghahramani 2016).
    pub embedding: Option<Tensor>,
    /// Of the vectors' places, `[batch_size, embedding_size]` (Gal and Ghahramani 2016).
    pub inputs: Option<Tensor>,
    /// Of each layer's recurrent weights, `[4 · hidden_size, hidden_size]` (Merity et al. 2018).
    pub recurrent: Vec<Option<Tensor>>,
    /// Of each layer's outputs on their way up, `[batch_size, hidden_size]` (Gal and Ghahramani 2016).
    pub outputs: Vec<Option<Tensor>>,
}

impl Masks {
    /// Nothing is dropped.
    pub fn none(config: &ModelConfig) -> Self {
        let none = || (0..config.num_layers).map(|_| None).collect();
        Masks {
            embedding: None,
            inputs: None,
            recurrent: none(),
            outputs: none(),
        }
    }

    /// Drops as the network's description and the options say; the seed decides what.
    pub fn draw(
        config: &ModelConfig,
        training: &TrainingConfig,
        device: Device,
        seed: u64,
        pool: &ThreadPool,
    ) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let (size, mut drawn) = (config.hidden_size, 0);
        let mut mask = |dropped: f64, [rows, columns]: [usize; 2]| {
            // Sixteen bits decide: what is dropped is exact to a 65,536th, and drawing costs little beside a step.
            let (below, kept) = ((dropped * 65536.0).round() as u32, 1.0 / (1.0 - dropped));
            let kept = (kept as f32).to_bits();
            (dropped > 0.0).then(|| {
                let shape = [rows as i64, columns as i64];
                let mut mask = Tensor::empty(shape, (Kind::Float, Device::Cpu));
                let mut parts: Vec<_> = floats_mut(&mut mask).chunks_mut(CHUNK).collect();
                // Each part begins at a place of its own in the row of random words, two factors of which a word decides.
                pool.for_each(parts.len(), &mut parts, |part, factors| {
                    let mut random = random.clone();
                    random.set_word_pos(drawn + (part * CHUNK / 2) as u128);
                    let mut bytes = vec![0; 2 * factors.len()];
                    random.fill_bytes(&mut bytes);
                    let (pairs, _) = bytes.as_chunks::<2>();
                    for (factor, &pair) in factors.iter_mut().zip(pairs) {
                        let keeps = u32::from(u16::from_le_bytes(pair)) >= below;
                        *factor = f32::from_bits(if keeps { kept } else { 0 });
                    }
                });
                drawn += (rows * columns).div_ceil(2) as u128;
                mask.to_device(device)
            })
        };
        let layers = 0..config.num_layers;
        let streams = training.batch_size;
        Masks {
            embedding: mask(training.embedding_dropout, [config.vocab_size, 1]),
            inputs: mask(training.input_dropout, [streams, config.embedding_size]),
            recurrent: layers
                .clone()
                .map(|_| mask(training.weight_drop, [4 * size, size]))
                .collect(),
            outputs: layers
                .map(|_| mask(config.dropout, [streams, size]))
                .collect(),
        }
    }
}

impl Network {
    /// Fresh parameters. The seed of libtorch's generator decides them.
    ///
    /// Input and output weights are uniform within 1/√(their inputs), as PyTorch has them; recurrent ones orthogonal, a
    /// gate at a time (Saxe et al. 2014); biases zero, but one for the forget gate (Jozefowicz et al. 2015), so that
    /// the carousel keeps what it has from the first step on.
    pub fn initialise(config: &ModelConfig, device: Device) -> Self {
        let hidden_size = config.hidden_size as i64;
        let parameters = config.tensors().into_iter().map(|(name, shape)| {
            let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
            let uniform = |bound: f64| {
                Tensor::empty(&shape, (Kind::Float, Device::Cpu)).uniform_(-bound, bound)
            };
            let initial = match name.as_str() {
                // As output weights, an embedding of unit variance would begin with wild guesses.
                "embedding.weight" if config.tie_weights => uniform(0.1),
                "embedding.weight" => Tensor::randn(&shape, (Kind::Float, Device::Cpu)),
                name if name.contains(".weight_hh") => {
                    let gates: Vec<Tensor> = (0..4)
                        .map(|_| {
                            let square = Tensor::randn(
                                [hidden_size, hidden_size],
                                (Kind::Float, Device::Cpu),
                            );
                            Tensor::linalg_qr(&square, "reduced").0
                        })
                        .collect();
                    Tensor::cat(&gates, 0)
                }
                name if name.contains(".bias_ih") => {
                    let bias = Tensor::zeros(&shape, (Kind::Float, Device::Cpu));
                    let _ = bias.narrow(0, hidden_size, hidden_size).fill_(1.0);
                    bias
                }
                name if name.contains("bias") => Tensor::zeros(&shape, (Kind::Float, Device::Cpu)),
                _ => uniform(1.0 / (config.hidden_size as f64).sqrt()),
            };
            initial.to_device(device).set_requires_grad(true)
        });
        Network {
            config: config.clone(),
            parameters: parameters.collect(),
        }
    }

    /// Replaces the values of all parameters.
    pub fn assign(&mut self, values: &[Tensor]) {
        tch::no_grad(|| {
            for (parameter, value) in self.parameters.iter_mut().zip(values) {
                parameter.copy_(value);
            }
        });
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.parameters[0].device()
    }

    /// A layer's parameters, by its place among all ([`ModelConfig::stack`]), as PyTorch orders them: input and recurrent
    /// weights, and the bias of each.
    pub fn layer(&self, index: usize) -> [&Tensor; 4] {
        std::array::from_fn(|which| &self.parameters[1 + 4 * index + which])
    }

    /// The output's weights, which may be the embedding, and its bias.
    pub fn output(&self) -> (&Tensor, &Tensor) {
        let layers = self.config.directions().len() * self.config.num_layers;
        match &self.parameters[1 + 4 * layers..] {
            [weight, bias] => (weight, bias),
            [bias] => (&self.parameters[0], bias),
            _ => unreachable!("ModelConfig::tensors ends with the output"),
        }
    }

    /// Reads `inputs`, `[steps, batch_size]`, by the layers of one way, and returns logits, `[steps · batch_size,
    /// vocab_size]`, with the memory afterwards. Products are of numbers of `kind`; parameters, logits and memory stay as they
    /// are.
    pub fn forward(
        &self,
        direction: Direction,
        inputs: &Tensor,
        state: &State,
        masks: &Masks,
        kind: Kind,
    ) -> (Tensor, State) {
        let own = self.parameters[0].kind();
        let embedding = masked(&self.parameters[0], masks.embedding.as_ref());
        let mut outputs = Tensor::embedding(&embedding, inputs, -1, false, false).to_kind(kind);
        if let Some(mask) = &masks.inputs {
            outputs = &outputs * mask.to_kind(kind);
        }
        let [mut hidden, mut cell] = [&state.hidden, &state.cell].map(|s| s.split(1, 0));
        for (index, place) in self.config.stack(direction).enumerate() {
            let before =
                [&hidden[place], &cell[place]].map(|state| state.contiguous().to_kind(kind));
            let [w_ih, w_hh, b_ih, b_hh] = self.layer(place);
            let w_hh = masked(w_hh, masks.recurrent[index].as_ref());
            let weights = [w_ih, &w_hh, b_ih, b_hh].map(|weights| weights.to_kind(kind));
            let after = outputs.lstm(&before, &weights, true, 1, 0.0, false, false, false);
            outputs = after.0;
            hidden[place] = after.1.to_kind(own);
            cell[place] = after.2.to_kind(own);
            if let Some(mask) = &masks.outputs[index] {
                outputs = &outputs * mask.to_kind(kind);
            }
        }
        let (output, bias) = self.output();
        let outputs = outputs.view([-1, self.config.hidden_size as i64]);
        let state = State {
            hidden: Tensor::cat(&hidden, 0),
            cell: Tensor::cat(&cell, 0),
        };
        let [output, bias] = [output, bias].map(|weights| weights.to_kind(kind));
        let logits = outputs.linear(&output, Some(&bias)).to_kind(own);
        (logits, state)
    }

    /// The mean loss of a window, in nats per token, and the memory afterwards, cut off from its gradients; see [`Network::forward`].
    pub fn loss(
        &self,
        direction: Direction,
        inputs: &Tensor,
        targets: &Tensor,
        state: &State,
        masks: &Masks,
        kind: Kind,
    ) -> (Tensor, State) {
        let (logits, next) = self.forward(direction, inputs, state, masks, kind);
        let loss = logits.cross_entropy_loss::<Tensor>(
            &targets.view([-1]),
            None,
            Reduction::Mean,
            -100,
            0.0,
        );
        (loss, next.detach())
    }

    /// The gradients of a loss of what was read in these ways, in the order of the parameters; empty for the layers of another.
    pub fn gradients(&self, loss: &Tensor, directions: &[Direction]) -> Vec<Tensor> {
        let takes_part = |index: &usize| {
            let direction = self.config.direction_of(*index);
            direction.is_none_or(|direction| directions.contains(&direction))
        };
        let places: Vec<usize> = (0..self.parameters.len()).filter(takes_part).collect();
        let parameters: Vec<&Tensor> = places
            .iter()
            .map(|&place| &self.parameters[place])
            .collect();
        let found = Tensor::run_backward(&[loss], &parameters, false, false);
        let nothing = || Tensor::zeros([0], (Kind::Float, self.device()));
        let mut gradients: Vec<Tensor> = self.parameters.iter().map(|_| nothing()).collect();
        for (place, gradient) in places.into_iter().zip(found) {
            gradients[place] = gradient;
        }
        gradients
    }
}

/// A parameter as it is in a window.
fn masked(parameter: &Tensor, mask: Option<&Tensor>) -> Tensor {
    mask.map_or_else(|| parameter.shallow_clone(), |mask| parameter * mask)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use carousel::checkpoint::config::{Cell, FORMAT_VERSION, Task};
    use carousel::text::{Level, Split};

    pub fn config(tie_weights: bool, dropout: f64) -> ModelConfig {
        ModelConfig {
            format_version: FORMAT_VERSION,
            task: Task::LanguageModel,
            level: Level::Character,
            split: Split::Natural,
            cell: Cell::Lstm,
            vocab_size: 7,
            embedding_size: if tie_weights { 3 } else { 5 },
            hidden_size: 3,
            num_layers: 2,
            dropout,
            tie_weights,
            bidirectional: false,
            labels: Vec::new(),
            ngrams: 0,
            semantics: 0,
        }
    }

    pub fn training(batch_size: usize) -> TrainingConfig {
        let (_, nominal) = crate::recipe::nominal(1);
        TrainingConfig {
            batch_size,
            ..nominal
        }
    }

    /// Every tensor filled with 0.5 · cos(0, k, 2k, …), where k counts the tensors from 1.
    pub fn network_of_cosines(config: &ModelConfig) -> Network {
        let mut network = Network::initialise(config, Device::Cpu);
        let values: Vec<Tensor> = network
            .parameters
            .iter()
            .zip(1..)
            .map(|(parameter, k)| {
                let count = Tensor::arange(parameter.numel() as i64, (Kind::Float, Device::Cpu));
                ((count * k).cos() * 0.5).view(parameter.size().as_slice())
            })
            .collect();
        network.assign(&values);
        network
    }

    fn window() -> (Tensor, Tensor) {
        let inputs = Tensor::from_slice(&[1i64, 4, 2, 5, 3, 6]).view([3, 2]);
        (
            inputs,
            Tensor::from_slice(&[2i64, 5, 3, 6, 4, 0]).view([3, 2]),
        )
    }

    fn assert_close(found: &Tensor, expected: &[f32]) {
        let found = Vec::<f32>::try_from(found.flatten(0, -1)).unwrap();
        assert_eq!(found.len(), expected.len());
        let close = found
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(close, "{found:?}\nis not\n{expected:?}");
    }

    /// The numbers are PyTorch's:
    /// ```python
    /// lstm, e, o = nn.LSTM(5, 3, 2), nn.Embedding(7, 5), nn.Linear(3, 7)
    /// for k, p in enumerate([e.weight, *lstm.parameters(), o.weight, o.bias], 1):
    ///     p.data = (torch.cos(torch.arange(p.numel()).float() * k) * 0.5).view(p.shape)
    /// ys, (h, c) = lstm(e(torch.tensor([[1, 4], [2, 5], [3, 6]])))
    /// print(o(ys)[-1], h, c, F.cross_entropy(o(ys).view(-1, 7), torch.tensor([2, 5, 3, 6, 4, 0])))
    /// ```
    #[test]
    fn the_network_agrees_with_pytorch() {
        let network = network_of_cosines(&config(false, 0.0));
        let (inputs, targets) = window();
        let zeros = State::zeros(&network.config, 2, Device::Cpu);
        let (logits, state) = network.forward(
            Direction::Forward,
            &inputs,
            &zeros,
            &Masks::none(&network.config),
            Kind::Float,
        );
        #[rustfmt::skip]
        assert_close(&logits.narrow(0, 4, 2), &[
            0.207_655_07, -0.174_665_36, -0.262_202_95, 0.243_594_88, 0.339_341_88, -0.288_709_2, -0.431_724_64,
            0.211_314_95, -0.171_157, -0.264_780_46, 0.239_291_36, 0.340_591_73, -0.284_020_1, -0.431_527_9,
        ]);
        #[rustfmt::skip]
        assert_close(&state.hidden, &[
            0.123_493_77, -0.223_113_83, -0.054_028_15, 0.158_460_77, -0.204_591_7, -0.030_422_702,
            -0.327_218_06, 0.231_972_13, -0.153_965_53, -0.323_819_7, 0.229_861_42, -0.148_696_14,
        ]);
        #[rustfmt::skip]
        assert_close(&state.cell, &[
            0.223_625_02, -0.437_367_23, -0.089_142_844, 0.256_165_4, -0.470_791_8, -0.046_263_605,
            -0.873_335_6, 0.543_735_3, -0.244_504_18, -0.856_982_8, 0.547_553_1, -0.239_588_75,
        ]);
        let (loss, _) = network.loss(
            Direction::Forward,
            &inputs,
            &targets,
            &zeros,
            &Masks::none(&network.config),
            Kind::Float,
        );
        assert!((loss.double_value(&[]) - 1.981_091).abs() < 1e-5);
    }

    #[test]
    fn gradients_are_the_slopes_of_the_loss() {
        let networks = [
            (false, Direction::Forward),
            (true, Direction::Forward),
            (true, Direction::Reverse),
        ];
        for (tie_weights, direction) in networks {
            let mut network = network_of_cosines(&ModelConfig {
                bidirectional: direction == Direction::Reverse,
                ..config(tie_weights, 0.0)
            });
            network.parameters = network
                .parameters
                .iter()
                .map(|p| p.detach().to_kind(Kind::Double).set_requires_grad(true))
                .collect();
            let zeros = State::zeros(&network.config, 2, Device::Cpu);
            let zeros = State {
                hidden: zeros.hidden.to_kind(Kind::Double),
                cell: zeros.cell.to_kind(Kind::Double),
            };
            let (inputs, targets) = window();
            let masks = Masks::none(&network.config);
            let loss = |network: &Network| {
                network
                    .loss(direction, &inputs, &targets, &zeros, &masks, Kind::Double)
                    .0
            };
            let gradients = network.gradients(&loss(&network), &[direction]);
            const NUDGE: f64 = 1e-6;
            for (index, gradient) in gradients.iter().enumerate() {
                let owner = network.config.direction_of(index);
                let takes_part = owner.is_none_or(|owner| owner == direction);
                assert_eq!(gradient.numel() > 0, takes_part);
                for at in 0..gradient.numel() as i64 {
                    let nudged = |by: f64| {
                        tch::no_grad(|| {
                            let _ = network.parameters[index].view(-1).get(at).g_add_scalar_(by);
                            let loss = loss(&network).double_value(&[]);
                            let _ = network.parameters[index]
                                .view(-1)
                                .get(at)
                                .g_add_scalar_(-by);
                            loss
                        })
                    };
                    let slope = (nudged(NUDGE) - nudged(-NUDGE)) / (2.0 * NUDGE);
                    let found = gradient.view(-1).double_value(&[at]);
                    assert!(
                        (found - slope).abs() < 1e-7,
                        "{index} {at}: {found} is not {slope}"
                    );
                }
            }
        }
    }

    /// Where `--device cuda` computes; on the CPU, autograd stands in for it.
    fn devices() -> Vec<Device> {
        if !tch::Cuda::is_available() {
            return vec![Device::Cpu];
        }
        vec![Device::Cpu, Device::Cuda(0)]
    }

    #[test]
    fn products_of_bfloat16_hardly_change_loss_and_gradients() {
        for device in devices() {
            let mut config = config(true, 0.3);
            (config.vocab_size, config.hidden_size) = (40, 24);
            config.embedding_size = 24;
            let mut training = training(3);
            (training.embedding_dropout, training.weight_drop) = (0.1, 0.2);
            tch::manual_seed(5);
            let network = Network::initialise(&config, device);
            let ids = |by: i64| {
                let ids = Tensor::arange(36, (Kind::Int64, device)) * by + 3;
                ids.remainder(40).view([12, 3])
            };
            let (inputs, targets) = (ids(7), ids(11));
            let state = State::zeros(&config, 3, device);
            let masks = Masks::draw(&config, &training, device, 1, &ThreadPool::new(2));
            let [exact, mixed] = [Kind::Float, Kind::BFloat16].map(|kind| {
                let (loss, next) =
                    network.loss(Direction::Forward, &inputs, &targets, &state, &masks, kind);
                assert_eq!(next.hidden.kind(), Kind::Float);
                (
                    loss.double_value(&[]),
                    network.gradients(&loss, &[Direction::Forward]),
                )
            });
            assert!((exact.0 - mixed.0).abs() < 0.01, "{device:?}");
            assert_ne!(exact.0, mixed.0, "bfloat16 was used on {device:?}");
            for (exact, mixed) in exact.1.iter().zip(&mixed.1) {
                assert_eq!(mixed.kind(), Kind::Float);
                let off = (exact - mixed).norm().double_value(&[]);
                let length = exact.norm().double_value(&[]);
                assert!(off < 0.05 * length, "{device:?}: {off} of {length}");
            }
        }
    }

    #[test]
    fn what_is_dropped_is_dropped_for_a_whole_window() {
        let mut config = config(false, 0.5);
        (config.hidden_size, config.vocab_size) = (200, 400);
        let mut training = training(2);
        (training.embedding_dropout, training.weight_drop) = (0.5, 0.5);
        training.input_dropout = 0.5;
        let masks = Masks::draw(&config, &training, Device::Cpu, 1, &ThreadPool::new(2));
        let Masks {
            embedding,
            inputs,
            recurrent,
            outputs,
        } = &masks;
        let all = [embedding, inputs]
            .into_iter()
            .chain(recurrent)
            .chain(outputs);
        let sizes = [[400, 1], [2, 5], [800, 200], [800, 200], [2, 200], [2, 200]];
        for (mask, size) in all.zip(sizes) {
            let mask = mask.as_ref().unwrap();
            assert_eq!(mask.size(), size);
            let kept = Vec::<f32>::try_from(mask.flatten(0, -1)).unwrap();
            assert!(kept.iter().all(|&factor| factor == 0.0 || factor == 2.0));
            let share = kept.iter().sum::<f32>() / kept.len() as f32;
            assert!((share - 1.0).abs() < 0.3 || kept.len() < 20, "{share}");
        }
        config.dropout = 0.0;
        let masks = Masks::draw(
            &config,
            &self::training(2),
            Device::Cpu,
            1,
            &ThreadPool::new(2),
        );
        assert!(
            masks.embedding.is_none()
                && masks.inputs.is_none()
                && masks
                    .outputs
                    .iter()
                    .chain(&masks.recurrent)
                    .all(Option::is_none)
        );
    }

    #[test]
    fn a_fresh_network_knows_nothing_and_keeps_what_it_has() {
        for tie_weights in [false, true] {
            let mut config = config(tie_weights, 0.0);
            (config.vocab_size, config.hidden_size) = (50, 32);
            config.embedding_size = 32;
            let network = Network::initialise(&config, Device::Cpu);
            let tokens = Tensor::arange(50, (Kind::Int64, Device::Cpu)).view([25, 2]);
            let zeros = State::zeros(&config, 2, Device::Cpu);
            let loss = network
                .loss(
                    Direction::Forward,
                    &tokens,
                    &tokens.roll([1], [0]),
                    &zeros,
                    &Masks::none(&config),
                    Kind::Float,
                )
                .0
                .double_value(&[]);
            assert!((loss - 50f64.ln()).abs() < 0.15, "{loss}");
            let recurrent = &network.parameters[2].narrow(0, 0, 32);
            let identity = recurrent.matmul(&recurrent.tr());
            let off = (identity - Tensor::eye(32, (Kind::Float, Device::Cpu)))
                .abs()
                .max()
                .double_value(&[]);
            assert!(off < 1e-5, "recurrent weights are orthogonal: {off}");
            let forget = network.parameters[3].narrow(0, 32, 32);
            assert_eq!(forget.min().double_value(&[]), 1.0);
            assert_eq!(
                network.parameters[3]
                    .narrow(0, 64, 64)
                    .abs()
                    .max()
                    .double_value(&[]),
                0.0
            );
        }
    }
}
