/*!
carousel trains a stacked recurrent language model on your text, writes new text from a prompt, and tells the sentiment, or
another label, of what it reads, from the command line of one ordinary computer. The name is the LSTM's own: the constant error carousel of Hochreiter and Schmidhuber
(1997).

# Two wings joined by a directory

```text
text ──► tokenizer.json + ids ──► TRAINING (libtorch) ──► checkpoint directory ──► INFERENCE (plain Rust) ──► text, label
         text                     src/training            checkpoint               inference
```

- **Training** needs libtorch: for parameters, randomness, and on a GPU for everything; on the CPU, gradients are made by
  [`kernels`], which are faster. It is the binary `carousel-train`, a crate of its own over this library, in
  `src/training`; the Cargo feature `train` (on by default) builds it.
- **Inference** needs none: a recurrent step is a handful of matrix–vector products. It is here, and in the binary
  `carousel`, which starts in milliseconds.
- **The checkpoint directory is the contract between them**, and with [`text`] the only thing they share. Training
  writes it, inference reads it, PyTorch can read it too.

`carousel` is the only command a person types; for the commands that learn it becomes `carousel-train`, with the same
arguments. One tree of commands ([`cli`]) serves both.

# Invariants

- This library cannot name libtorch: it does not depend on it. What learns depends on the library, never the reverse.
- The library never prints and never exits; [`cli`] does the printing. Training reports by one callback of events.
- A checkpoint directory is all that generating, measuring and resuming need. Only [`checkpoint::directory`] knows its
  file names.
- State crosses training windows, gradients do not.
- Same seed, same machine, same thread count: the same weights, bit for bit, whether or not the run was interrupted.
  With a budget in steps or epochs nothing that affects the weights depends on a clock.
- `unsafe` only in [`kernels`], where a file is mapped ([`files`]), and where a tensor is seen as a slice
  (`src/training/view.rs`).

# Rooms

- [`text`]: words to numbers; knows no model
- [`checkpoint`]: the contract
- [`settings`], [`recipe`]: what was typed, and what it comes to for a corpus
- [`kernels`]: arithmetic on slices, chosen for the CPU at run time; products in float32, bfloat16 and int8, and the
  threads that share them
- [`inference`]: the network stepped, sampled, measured and asked for labels
- [`baselines`]: what the network has to beat
- [`metrics`], [`error`], [`files`]: sums to figures, words for failures, whole-or-nothing files
- [`cli`]: a file per command
*/
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod baselines;
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod error;
pub mod files;
pub mod inference;
pub mod metrics;
pub mod pictures;
pub mod text;
