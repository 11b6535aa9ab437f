/*!
The names of a training precision in the kernels and in libtorch.
*/

use tch::Kind;

use carousel::checkpoint::arguments::TrainingPrecision;
use carousel_kernels::Precision;

/// The kernels' name.
pub fn of_kernels(precision: TrainingPrecision) -> Precision {
    match precision {
        TrainingPrecision::Bf16 => Precision::Bfloat16,
        TrainingPrecision::F32 | TrainingPrecision::Auto => Precision::Float32,
    }
}

/// libtorch's name.
pub fn of_libtorch(precision: TrainingPrecision) -> Kind {
    match precision {
        TrainingPrecision::Bf16 => Kind::BFloat16,
        TrainingPrecision::F32 | TrainingPrecision::Auto => Kind::Float,
    }
}
