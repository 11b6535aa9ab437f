/*!
Arithmetic on slices, below both wings, for the CPU at hand: which instructions it has is asked at run time.

- [`matrix`]: products with weights that were packed for them
- [`recurrent`]: a layer's step, and a layer over a window, forward and backward
- [`thread_pool`]: threads that share the parts of a step
- [`elementwise`]: sums, activations and updates along slices
- `lanes`, `tiles`, `rounding`: the vectors of each instruction set, the tiles of AMX, and the numbers of fewer bits

In the tests, kernels are held to plain twins with all the instructions that the CPU has; loops that the compiler makes
vectors of, with the widest.
*/

/// Compiles a loop once for each kind of CPU and chooses at run time. In the body, `FMA` says whether multiplying and
/// adding is one instruction.
macro_rules! for_each_cpu {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn portable<const FMA: bool>($($argument: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,fma")]
                fn avx512($($argument: $type),*) $(-> $result)? { portable::<true>($($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) $(-> $result)? { portable::<true>($($argument),*) }
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
                    // SAFETY: the CPU has what the function was compiled for.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the CPU has what the function was compiled for.
                    return unsafe { avx2($($argument),*) };
                }
            }
            portable::<false>($($argument),*)
        }
    };
}
pub mod cross_entropy;
pub mod elementwise;
mod lanes;
pub mod matrix;
pub mod recurrent;
mod rounding;
pub mod thread_pool;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use cross_entropy::cross_entropy;
pub use elementwise::{AdamWStep, adamw, exponentials, log_sum_exp, lstm_gates, sum_of_squares};
pub use matrix::{Columns, Kernel, Layout, Matrix, Precision, Rows};
pub use thread_pool::ThreadPool;

/// Lanes of partial sums: four registers of AVX2, or two of AVX-512.
const LANES: usize = 32;

/// a · b + c.
#[inline(always)]
fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}
