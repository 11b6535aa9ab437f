/*!
Arithmetic on slices for recurrent networks, on the CPU at hand, whose instructions are detected at run time.

From the bottom up:
- `cpu`, `lanes`, `rounding`: instructions, vectors, and encodings of bfloat16 and int8
- `layout`, `block`, `tiles`: panels of outputs, and the inner loops of their products
- [`Kernel`], [`Rows`], [`Matrix`], [`Columns`], [`PackedWeights`]: encoded inputs, packed weights, and their products
- [`recurrent`]: one step of a layer, and a layer over a window, forward and backward
- `elementwise`, [`cross_entropy`](cross_entropy()): sums, activations, optimizer updates and the loss
- [`ThreadPool`]: threads that work on parts of one step

The tests compare the kernels with plain float64 twins, for every instruction set that the CPU has. Loops that the
compiler vectorizes are compared for the widest set only.
*/

mod block;
mod columns;
mod cpu;
mod cross_entropy;
mod elementwise;
mod int8;
mod kernel;
mod lanes;
mod layout;
mod matrix;
mod packed_weights;
mod products;
pub mod recurrent;
mod rounding;
mod rows;
mod thread_pool;
#[cfg(target_arch = "x86_64")]
mod tiles;
#[cfg(test)]
mod twins;

pub use columns::Columns;
pub use cross_entropy::{Targets, cross_entropy};
pub use elementwise::{
    AdamWStep, adamw, add_to_pools, additive_scores, dot_products, exponentials, gelu_in_place,
    log_sum_exp, sum_of_squares, tanh_in_place, weighted_sum,
};
pub use int8::{int8_rows, int8_weights};
pub use kernel::{Kernel, Precision};
pub use layout::Layout;
pub use matrix::Matrix;
pub use packed_weights::PackedWeights;
pub use rows::Rows;
pub use thread_pool::ThreadPool;
