/*!
How fast this machine trains, measured once for each CPU and shape and kept in the user's cache; and which precision a run
takes, where that is left to the program: the faster one.
*/

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use std::{env, fs};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::gradients::backprop::Backprop;
use crate::network::{Masks, Network, State};
use crate::recipe;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::arguments::TrainingPrecision;
use carousel::checkpoint::record::TrainingConfig;
use carousel::error::{Error, Result};
use carousel::files;
use carousel::text::Direction;
use carousel_kernels::{Kernel, Precision, ThreadPool};

/// The measurements, within the cache.
const FILE: &str = "speeds.json";
/// Windows that are timed after one that is not, unless they take longer than this.
const WINDOWS: usize = 2;
const LONGEST: Duration = Duration::from_secs(2);

/// Settles the precision of a run, and says what there is to say about it.
///
/// # Errors
/// bfloat16 asked of a GPU that does not know it.
pub fn settle(
    config: &ModelConfig,
    training: &TrainingConfig,
    device: Device,
) -> Result<(TrainingPrecision, Option<String>)> {
    if device != Device::Cpu {
        return match (training.precision, knows_bfloat16(device)) {
            (TrainingPrecision::F32, _) | (TrainingPrecision::Auto, false) => {
                Ok((TrainingPrecision::F32, None))
            }
            (_, true) => Ok((TrainingPrecision::Bf16, None)),
            (TrainingPrecision::Bf16, false) => Err(Error::usage(
                "this GPU does not multiply bfloat16; use --precision f32",
            )),
        };
    }
    let native = Kernel::bfloat16_is_native();
    Ok(match training.precision {
        TrainingPrecision::F32 => (TrainingPrecision::F32, None),
        TrainingPrecision::Bf16 => (TrainingPrecision::Bf16, slowness(native)),
        TrainingPrecision::Auto if !native => (TrainingPrecision::F32, None),
        TrainingPrecision::Auto => {
            let speeds = measured(config, training);
            let precision = match speeds.bf16 {
                Some(bf16) if bf16 > speeds.f32 => TrainingPrecision::Bf16,
                _ => TrainingPrecision::F32,
            };
            (precision, None)
        }
    })
}

/// What to say of bfloat16 on this CPU.
fn slowness(native: bool) -> Option<String> {
    let note = "this CPU does not multiply bfloat16 by itself: --precision f32 would be faster";
    (!native).then(|| note.to_string())
}

/// Whether libtorch has an LSTM of bfloat16 for a device.
fn knows_bfloat16(device: Device) -> bool {
    let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::BFloat16, device));
    let (x, state) = (zeros(&[1, 1, 8]), zeros(&[1, 1, 2]));
    let weights = [&[8, 8][..], &[8, 2], &[8], &[8]].map(zeros);
    let states = [state.shallow_clone(), state];
    x.f_lstm(&states, &weights, true, 1, 0.0, false, false, false)
        .is_ok()
}

/// The kernels' name for it.
pub fn of_kernels(precision: TrainingPrecision) -> Precision {
    match precision {
        TrainingPrecision::Bf16 => Precision::Bfloat16,
        TrainingPrecision::F32 | TrainingPrecision::Auto => Precision::Float32,
    }
}

/// libtorch's name for it.
pub fn of_libtorch(precision: TrainingPrecision) -> Kind {
    match precision {
        TrainingPrecision::Bf16 => Kind::BFloat16,
        TrainingPrecision::F32 | TrainingPrecision::Auto => Kind::Float,
    }
}

/// Tokens a second that the recipe's nominal network trains at here.
pub fn nominal_speed(threads: i32, device: Device) -> f64 {
    let (config, training) = recipe::nominal(threads);
    if device != Device::Cpu {
        return by_autograd(&config, &training, device);
    }
    measured(&config, &training).fastest()
}

/// Tokens a second in each precision; bfloat16 only where the CPU multiplies it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Speeds {
    f32: f64,
    bf16: Option<f64>,
}

impl Speeds {
    fn fastest(&self) -> f64 {
        self.f32.max(self.bf16.unwrap_or(0.0))
    }
}

fn measured(config: &ModelConfig, training: &TrainingConfig) -> Speeds {
    let path = files::cache_folder().join(FILE);
    // A cache that cannot be read is measured anew, and one that cannot be written does without.
    let known = fs::read(&path).unwrap_or_default();
    let mut known: BTreeMap<String, Speeds> = serde_json::from_slice(&known).unwrap_or_default();
    let shape = format!(
        "{}, {}, {} threads: {} x {}, embedding {}, {} symbols, batch {} x {}",
        cpu(),
        Kernel::fastest(Precision::Bfloat16).instructions(),
        training.threads,
        config.num_layers,
        config.hidden_size,
        config.embedding_size,
        config.vocab_size,
        training.batch_size,
        training.bptt
    );
    if let Some(&speeds) = known.get(&shape) {
        return speeds;
    }
    let native = Kernel::bfloat16_is_native();
    let speeds = Speeds {
        f32: by_kernels(config, training, TrainingPrecision::F32),
        bf16: native.then(|| by_kernels(config, training, TrainingPrecision::Bf16)),
    };
    known.insert(shape, speeds);
    if files::create_folder(&files::cache_folder()).is_ok() {
        let json = serde_json::to_vec_pretty(&known).expect("numbers are plain data");
        let _ = files::write_atomically(&path, &json);
    }
    speeds
}

/// Tokens a second of our own gradients.
fn by_kernels(
    config: &ModelConfig,
    training: &TrainingConfig,
    precision: TrainingPrecision,
) -> f64 {
    let network = Network::initialise(config, Device::Cpu);
    let streams = training.batch_size;
    let mut backprop = Backprop::new(config, streams, of_kernels(precision));
    let pool = ThreadPool::new(training.threads.max(1) as usize);
    let state = State::zeros(config, streams, Device::Cpu);
    let masks = Masks::none(config);
    speed(config, training, |tokens| {
        backprop.window(
            &network,
            Direction::Forward,
            tokens,
            tokens,
            None,
            &state,
            &masks,
            &pool,
        );
    })
}

/// Tokens a second of libtorch's gradients.
fn by_autograd(config: &ModelConfig, training: &TrainingConfig, device: Device) -> f64 {
    let network = Network::initialise(config, device);
    let state = State::zeros(config, training.batch_size, device);
    let masks = Masks::none(config);
    let kind = match knows_bfloat16(device) {
        true => Kind::BFloat16,
        false => Kind::Float,
    };
    speed(config, training, |tokens| {
        let ids: Vec<i64> = tokens.iter().map(|&id| i64::from(id)).collect();
        let ids = Tensor::from_slice(&ids).view([-1, training.batch_size as i64]);
        let ids = ids.to_device(device);
        let (loss, _) = network.loss(Direction::Forward, &ids, &ids, &state, &masks, kind);
        let gradients = network.gradients(&loss, &[Direction::Forward]);
        // A number is there only when all before it is done.
        gradients[0].sum(Kind::Float).double_value(&[]);
    })
}

/// Tokens a second of windows, at best.
fn speed(config: &ModelConfig, training: &TrainingConfig, mut window: impl FnMut(&[u32])) -> f64 {
    let tokens: Vec<u32> = (0..training.batch_size * training.bptt)
        .map(|i| (i * 7919 % config.vocab_size) as u32)
        .collect();
    let mut timed = || {
        let began = Instant::now();
        window(&tokens);
        began.elapsed()
    };
    let mut best = timed();
    let began = Instant::now();
    for _ in 0..WINDOWS {
        if began.elapsed() < LONGEST {
            best = best.min(timed());
        }
    }
    tokens.len() as f64 / best.as_secs_f64()
}

fn cpu() -> String {
    let all = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let line = all.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let parts: Vec<String> = ["model name", "cpu family", "model\t"]
        .into_iter()
        .filter_map(value)
        .collect();
    if parts.is_empty() {
        env::consts::ARCH.to_string()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_without_bfloat16_is_told_of() {
        assert_eq!(slowness(true), None);
        assert!(slowness(false).unwrap().contains("--precision f32"));
        // libtorch emulates it where the CPU does not know it.
        assert!(knows_bfloat16(Device::Cpu));
    }
}
