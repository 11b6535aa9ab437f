/*!
The network in libtorch: embedding → stacked LSTM → dropout → output.

The parameters are our own, under PyTorch's names, over libtorch's LSTM operation: `tch::nn::lstm` freezes its dropout
when it is built, and would drop units in evaluation too.
*/

use tch::{Device, Kind, Tensor};

use carousel::checkpoint::ModelConfig;

/// A network's parameters, in the order of [`ModelConfig::tensors`].
pub struct Network {
    /// What it is.
    pub config: ModelConfig,
    /// Its parameters; each asks for gradients.
    pub parameters: Vec<Tensor>,
}

/// What the network remembers of the streams it reads: `[num_layers, batch_size, hidden_size]` each.
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
            config.num_layers as i64,
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

    /// Empties the memory of one stream.
    pub fn forget(&mut self, stream: usize) {
        for tensor in [&mut self.hidden, &mut self.cell] {
            let _ = tensor.select(1, stream as i64).zero_();
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
                name if name.starts_with("rnn.weight_hh") => {
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
                name if name.starts_with("rnn.bias_ih") => {
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

    /// Reads `inputs`, `[steps, batch_size]`, and returns logits, `[steps · batch_size, vocab_size]`, with the memory
    /// afterwards. Units are dropped only if `train`.
    pub fn forward(&self, inputs: &Tensor, state: &State, train: bool) -> (Tensor, State) {
        let config = &self.config;
        let embedding = &self.parameters[0];
        let recurrent = &self.parameters[1..1 + 4 * config.num_layers];
        let (output, bias) = match &self.parameters[1 + 4 * config.num_layers..] {
            [weight, bias] => (weight, bias),
            [bias] => (embedding, bias),
            _ => unreachable!("ModelConfig::tensors ends with the output"),
        };
        let inputs = Tensor::embedding(embedding, inputs, -1, false, false);
        let (outputs, hidden, cell) = inputs.lstm(
            &[&state.hidden, &state.cell],
            &recurrent.iter().collect::<Vec<_>>(),
            true,
            config.num_layers as i64,
            config.dropout,
            train,
            false,
            false,
        );
        let outputs = outputs
            .view([-1, config.hidden_size as i64])
            .dropout(config.dropout, train);
        (outputs.linear(output, Some(bias)), State { hidden, cell })
    }

    /// The mean loss of a window, in nats per token, and the memory afterwards, cut off from its gradients.
    pub fn loss(
        &self,
        inputs: &Tensor,
        targets: &Tensor,
        state: &State,
        train: bool,
    ) -> (Tensor, State) {
        let (logits, next) = self.forward(inputs, state, train);
        (
            logits.cross_entropy_for_logits(&targets.view([-1])),
            next.detach(),
        )
    }

    /// The gradients of a loss, in the order of the parameters.
    pub fn gradients(&self, loss: &Tensor) -> Vec<Tensor> {
        let parameters: Vec<&Tensor> = self.parameters.iter().collect();
        Tensor::run_backward(&[loss], &parameters, false, false)
    }
}
