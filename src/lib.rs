/*!
carousel trains recurrent networks on text and uses them, on an ordinary computer: it generates text, classifies texts, and
evaluates models beside simple baselines. The name is the LSTM's own: the constant error carousel of Hochreiter and
Schmidhuber (1997).

# Training and inference

```text
text ──► tokenizer and token ids ──► training (libtorch) ──► checkpoint directory ──► inference (plain Rust) ──► text, labels
         text, data                  crates/train            checkpoint               inference
```

- **Training** needs libtorch. It is a package of its own, `carousel-train` in `crates/train`: a library on top of this
  one, and the program that the commands `train` and `train-classifier` run.
- **Inference** needs no libtorch. It is here, and in the program `carousel`, which starts in milliseconds.
- **The checkpoint directory joins the two**: training writes it, inference reads it, and so can PyTorch.
- **Kernels**, the arithmetic on slices that both use on a CPU, are the package [`carousel_kernels`].

A user types `carousel` alone. For the commands that train it replaces itself by `carousel-train` with the same arguments;
one definition of the commands, in [`cli`], serves both programs.

# Invariants

- This library does not depend on libtorch. `carousel-train` depends on this library, never the reverse.
- The library does not print and does not exit, except in [`cli`]. Training reports its events through one callback.
- A checkpoint directory is enough to generate, classify, evaluate and resume. Only [`checkpoint::directory`] knows the
  names of its files.
- State crosses training windows, gradients do not.
- The same seed, machine and number of threads give the same weights, bit for bit, whether or not a run was interrupted.
  With a budget in steps or epochs nothing that affects the weights depends on a clock.
- `unsafe` is used only in the kernels, where a file is mapped ([`files`]), and where training views a tensor as a slice.

# Modules

- [`text`]: vocabulary, tokenizer, encoder, and the streams that a corpus is cut into
- [`data`]: labelled documents, and series of numbers
- [`checkpoint`]: the checkpoint directory, the network's configuration, the record of its training
- [`baselines`]: what a network has to beat; n-grams are a model of their own
- [`forecasting`]: statistics and models of series of numbers
- [`inference`]: networks and n-grams, text generation, classification, evaluation
- [`answers`]: what models answer, as JSON
- [`convert`]: models of PyTorch as models of this program, and models as ONNX
- [`comparison`]: networks side by side on one corpus
- [`pictures`]: training curves, those of a comparison, and forecasts
- [`metrics`], [`error`], [`files`]: losses and scores, errors for users, atomic writes
- [`server`]: a page and an HTTP interface to models
- [`cli`]: a file for each command

A module uses only those above it, and [`metrics`], [`error`] and [`files`].
*/
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod answers;
pub mod baselines;
pub mod checkpoint;
pub mod cli;
pub mod comparison;
pub mod convert;
pub mod data;
pub mod error;
pub mod files;
pub mod forecasting;
pub mod inference;
pub mod metrics;
pub mod pictures;
#[cfg(feature = "serve")]
pub mod server;
pub mod text;
