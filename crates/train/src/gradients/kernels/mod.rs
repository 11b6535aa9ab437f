/*!
Gradients on the CPU without a graph: every product and every step by kernels, in float32 or with bfloat16 products.
Weights, sums, loss and gradients are float32 either way.

[`stack`] runs the recurrent layers forward and backward, [`embedding`] makes their inputs, [`next_token`] and [`labels`]
are the heads; [`translation`] runs a translator; [`buffers`] and [`scratch`] keep memory from one step to the next.
*/

mod adversarial;
mod buffers;
mod embedding;
mod labels;
mod memory;
mod next_token;
mod panels;
mod scratch;
mod stack;
mod taped_layer;
mod translation;
mod window_input;
mod workspace;

pub use translation::TranslationKernels;

use crate::gradients::batch::{Batch, StreamBatch, Window};
use crate::network::{Network, State};
use crate::precision;
use buffers::GradientBuffers;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::EMBEDDING;
use carousel::checkpoint::arguments::TrainingPrecision;
use carousel_kernels::{Kernel, ThreadPool};
use memory::StepMemory;
use next_token::NextTokenHead;
use scratch::Scratch;
use stack::LayerStack;
use window_input::WindowInput;
use workspace::Workspace;

/// Kernels, and what they keep from one step to the next.
pub struct Kernels {
    workspace: Workspace,
    next_token: NextTokenHead,
}

impl Kernels {
    /// Kernels for windows of `batch_size` streams.
    pub fn new(config: &ModelConfig, batch_size: usize, precision: TrainingPrecision) -> Self {
        let kernel = Kernel::fastest(precision::of_kernels(precision));
        Kernels {
            workspace: Workspace {
                stack: LayerStack::new(config, batch_size, kernel),
                memory: StepMemory {
                    gradients: GradientBuffers::zeros(config),
                    scratch: Scratch::new(kernel),
                },
            },
            next_token: NextTokenHead::default(),
        }
    }

    /// Loss and gradients of a batch.
    pub fn step(&mut self, network: &Network, batch: &Batch, pool: &ThreadPool) -> Window {
        match batch {
            Batch::Streams(batch) => self.streams(network, batch, pool),
            Batch::Texts(batch) => self.workspace.texts(network, batch, pool),
            // `gradients::method` never chooses kernels for them.
            Batch::Numbers(_) | Batch::Pairs(_) => unreachable!("these gradients are libtorch's"),
        }
    }

    fn streams(&mut self, network: &Network, batch: &StreamBatch, pool: &ThreadPool) -> Window {
        clear_for(&mut self.workspace.memory.gradients, network, batch, pool);
        let window = WindowInput {
            network,
            direction: batch.direction,
            inputs: batch.inputs,
            is_first: true,
            masks: batch.masks,
        };
        let Workspace { stack, memory } = &mut self.workspace;
        let learned = initial_state(network, batch.state.parts[0].size()[1]);
        let state = learned.as_ref().unwrap_or(batch.state);
        let activations = stack.forward(&window, state, None, true, pool);
        let top = activations.outputs(stack);
        let predictions = batch.targets.len() / network.config.next_token().horizon;
        let (nats, outputs_gradient) = self.next_token.step(network, batch, top, memory, pool);
        let inputs_gradient = stack.backward(&window, &activations, outputs_gradient, memory, pool);
        memory.scratch.put_back(inputs_gradient);
        Window {
            loss: nats / predictions as f64,
            gradients: memory.gradients.of(&network.config, &[batch.direction]),
            rows: memory.gradients.rows().clone(),
            tokens: batch.inputs.len(),
            weight: 1.0,
            state: Some(activations.state(state)),
        }
    }
}

/// The learnt state that texts and windows begin with, if it is learnt.
fn initial_state(network: &Network, batch_size: i64) -> Option<State> {
    let learned = network.initial_state(batch_size)?;
    Some(learned.map(|part| part.detach().contiguous()))
}

/// Clears the gradients that are added to, or written in some rows alone. Without a sample, tied weights need no clearing:
/// the output writes all of them, before the embedding adds to them.
fn clear_for(
    gradients: &mut GradientBuffers,
    network: &Network,
    batch: &StreamBatch,
    pool: &ThreadPool,
) {
    let sparse = batch.sparse_rows(&network.config);
    let (weight, _) = network.config.head_tensors();
    if batch.sampled.is_some() || weight != EMBEDDING {
        gradients.clear(EMBEDDING, sparse.get(EMBEDDING), pool);
    }
    if let Some(rows) = sparse.get(weight).filter(|_| weight != EMBEDDING) {
        gradients.clear(weight, Some(rows), pool);
    }
}
