/*!
What the program is: its version, commit, the libtorch that it is made for, and the instructions that it computes with.
*/

use std::sync::LazyLock;

use carousel_kernels::{Kernel, Precision};

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built from; empty outside a clone.
pub const COMMIT: &str = env!("CAROUSEL_COMMIT");
/// The version of libtorch that training is made for.
pub const LIBTORCH: &str = env!("CAROUSEL_LIBTORCH");

/// The kernels' precisions, by the names of `--precision`.
const PRECISIONS: [(&str, Precision); 3] = [
    ("f32", Precision::Float32),
    ("bf16", Precision::Bfloat16),
    ("int8", Precision::Int8),
];

/// What `--version` prints after the program's name.
pub static LONG: LazyLock<String> = LazyLock::new(|| {
    let commit = match COMMIT {
        "" => String::new(),
        commit => format!(" (commit {commit})"),
    };
    let kernels: Vec<String> = kernels()
        .map(|(name, instructions)| format!("{name} {instructions}"))
        .collect();
    format!(
        "{VERSION}{commit}\nkernels: {}\ntraining: with libtorch {LIBTORCH}; `carousel doctor` tells whether it is there",
        kernels.join(", ")
    )
});

/// The instructions that each precision is computed with on this CPU.
pub fn kernels() -> impl Iterator<Item = (&'static str, String)> {
    let instructions = |precision| Kernel::fastest(precision).instructions();
    PRECISIONS
        .map(|(name, precision)| (name, instructions(precision)))
        .into_iter()
}
