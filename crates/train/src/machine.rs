/*!
What depends on the machine: its speed, measured for each CPU and shape once a day and kept in the user's cache, and the precision
and the gradients that a run takes where that is left to the program.
*/

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::device;
use crate::gradients::{self, Autograd, Batch, Gradients, Kernels, StreamBatch};
use crate::network::{DropoutMasks, Network, State};
use crate::recipe::language_model::nominal;
use crate::run::{Event, Notify};
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::arguments::{GradientMethod, TrainingPrecision};
use carousel::checkpoint::record::TrainingConfig;
use carousel::error::{Error, Result};
use carousel::files;
use carousel::text::Direction;
use carousel_kernels::recurrent::Cell;
use carousel_kernels::{Kernel, Precision, ThreadPool};

/// File of the measured speeds, in the cache folder.
const FILE: &str = "speeds.json";
/// How long a measured speed is trusted: the machine may have been busy with something else.
const TRUSTED: Duration = Duration::from_secs(24 * 60 * 60);
/// Number of windows that are timed after the first, and time after which no further one is begun.
const WINDOWS: usize = 2;
const LONGEST: Duration = Duration::from_secs(2);

/// Completes the options of a run by those that depend on the machine. Speeds are measured with `config`.
///
/// # Errors
/// bfloat16 on a GPU that does not multiply it; kernels on a GPU.
pub fn complete(
    training: TrainingConfig,
    config: &ModelConfig,
    device: Device,
    threads: i32,
    notify: Notify,
) -> Result<TrainingConfig> {
    let mut training = TrainingConfig {
        device: device::name(device),
        threads,
        gradients: gradients::method(training.gradients, config, device)?,
        ..training
    };
    training.precision = choose_precision(config, &training, device)?;
    let slow = training.precision == TrainingPrecision::Bf16
        && device == Device::Cpu
        && !Kernel::bfloat16_is_native();
    if slow {
        let note = "this CPU has no instruction for bfloat16: --precision f32 would be faster";
        notify(Event::Note(note.to_string()));
    }
    Ok(training)
}

/// The precision of a run; where it was left open, the faster one.
fn choose_precision(
    config: &ModelConfig,
    training: &TrainingConfig,
    device: Device,
) -> Result<TrainingPrecision> {
    let asked = training.precision;
    if device != Device::Cpu {
        return match (asked, supports_bfloat16(device)) {
            (TrainingPrecision::F32, _) | (TrainingPrecision::Auto, false) => {
                Ok(TrainingPrecision::F32)
            }
            (_, true) => Ok(TrainingPrecision::Bf16),
            (TrainingPrecision::Bf16, false) => Err(Error::usage(
                "this GPU does not multiply bfloat16; use --precision f32",
            )),
        };
    }
    let kernels = training.gradients == GradientMethod::Kernels;
    Ok(match asked {
        TrainingPrecision::Auto if kernels && Kernel::bfloat16_is_native() => {
            measured(config, training).faster()
        }
        TrainingPrecision::Auto => TrainingPrecision::F32,
        asked => asked,
    })
}

/// Whether libtorch can run an LSTM in bfloat16 on a device.
fn supports_bfloat16(device: Device) -> bool {
    let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::BFloat16, device));
    let (x, state) = (zeros(&[1, 1, 8]), zeros(&[1, 1, 2]));
    let weights = [&[8, 8][..], &[8, 2], &[8], &[8]].map(zeros);
    let states = [state.shallow_clone(), state];
    x.f_lstm(&states, &weights, true, 1, 0.0, false, false, false)
        .is_ok()
}

/// Training speed of the recipe's nominal network on this machine, in tokens a second.
pub fn nominal_speed(threads: i32, device: Device) -> f64 {
    let (config, training) = nominal(threads);
    if device == Device::Cpu {
        return measured(&config, &training).fastest();
    }
    let precision = match supports_bfloat16(device) {
        true => TrainingPrecision::Bf16,
        false => TrainingPrecision::F32,
    };
    let gradients = Gradients::Autograd(Autograd::new(precision));
    speed(&config, &training, device, gradients)
}

/// Tokens a second in each precision; bfloat16 only where the CPU multiplies it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Speeds {
    f32: f64,
    bf16: Option<f64>,
    /// When they were measured; long ago if that was not written.
    #[serde(default = "long_ago")]
    measured: SystemTime,
}

fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

impl Speeds {
    /// Whether they are trusted at a time: neither old nor from a clock that went ahead.
    fn are_recent(&self, now: SystemTime) -> bool {
        now.duration_since(self.measured)
            .is_ok_and(|age| age < TRUSTED)
    }

    fn fastest(&self) -> f64 {
        self.f32.max(self.bf16.unwrap_or(0.0))
    }

    fn faster(&self) -> TrainingPrecision {
        match self.bf16 {
            Some(bf16) if bf16 > self.f32 => TrainingPrecision::Bf16,
            _ => TrainingPrecision::F32,
        }
    }
}

/// Speeds of the kernels, from the cache or measured.
fn measured(config: &ModelConfig, training: &TrainingConfig) -> Speeds {
    let path = files::cache_folder().join(FILE);
    // A cache that cannot be read is measured again, and one that cannot be written does without.
    let known = fs::read(&path).unwrap_or_default();
    let mut known: BTreeMap<String, Speeds> = serde_json::from_slice(&known).unwrap_or_default();
    let (shape, now) = (shape(config, training), SystemTime::now());
    if let Some(&speeds) = known.get(&shape).filter(|speeds| speeds.are_recent(now)) {
        return speeds;
    }
    let by_kernels = |precision| {
        let kernels = Kernels::new(config, training.batch_size, precision);
        speed(
            config,
            training,
            Device::Cpu,
            Gradients::Kernels(Box::new(kernels)),
        )
    };
    let speeds = Speeds {
        f32: by_kernels(TrainingPrecision::F32),
        bf16: Kernel::bfloat16_is_native().then(|| by_kernels(TrainingPrecision::Bf16)),
        measured: now,
    };
    known.insert(shape, speeds);
    if files::create_folder(&files::cache_folder()).is_ok() {
        let json = serde_json::to_vec_pretty(&known).expect("numbers are plain data");
        let _ = files::write_atomically(&path, &json);
    }
    speeds
}

/// Key of a measured speed: CPU, threads, and shape of the network and its batches.
fn shape(config: &ModelConfig, training: &TrainingConfig) -> String {
    let (tokens, recurrent) = (config.tokens(), config.recurrent());
    format!(
        "{}, {}, {} threads: {}{} x {}, embedding {}, {} symbols, batch {} x {}",
        cpu(),
        Kernel::fastest(Precision::Bfloat16).instructions(),
        training.threads,
        match recurrent.cell {
            // As it was named before there were others.
            Cell::Lstm => String::new(),
            Cell::Skip => format!("skip {:?} ", recurrent.skip),
            cell => format!("{} ", cell.name()),
        },
        recurrent.num_layers,
        recurrent.hidden_size,
        tokens.embedding_size,
        tokens.vocab_size,
        training.batch_size,
        training.bptt
    )
}

/// Speed of the fastest of a few windows, in tokens a second.
fn speed(
    config: &ModelConfig,
    training: &TrainingConfig,
    device: Device,
    mut gradients: Gradients,
) -> f64 {
    let network = Network::initialise(config, training.recurrent_init, device);
    let pool = ThreadPool::new(training.threads.max(1) as usize);
    let state = State::zeros(config.recurrent(), training.batch_size, device);
    let masks = DropoutMasks::none(config);
    let vocab_size = config.tokens().vocab_size;
    let tokens = 0..training.batch_size * training.bptt;
    let tokens: Vec<u32> = tokens.map(|i| (i * 7919 % vocab_size) as u32).collect();
    let batch = Batch::Streams(StreamBatch {
        direction: Direction::Forward,
        batch_size: training.batch_size,
        inputs: &tokens,
        targets: &tokens,
        sampled: None,
        state: &state,
        masks: &masks,
    });
    let mut timed = || {
        let began = Instant::now();
        let window = gradients.step(&network, &batch, &pool);
        if device != Device::Cpu {
            // Reading a number waits until everything before it is computed.
            let last = window.gradients.tensors().last().expect("a gradient");
            last.sum(Kind::Float).double_value(&[]);
        }
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

/// The CPU's name.
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
    fn old_speeds_are_not_trusted() {
        let now = SystemTime::now();
        let speeds = |measured| Speeds {
            f32: 1.0,
            bf16: None,
            measured,
        };
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert!(speeds(now).are_recent(now));
        assert!(speeds(now - hours(23)).are_recent(now));
        assert!(!speeds(now - hours(25)).are_recent(now));
        assert!(!speeds(now + hours(1)).are_recent(now));
        let old: Speeds = serde_json::from_str(r#"{"f32": 2.0, "bf16": 3.0}"#).unwrap();
        assert!(!old.are_recent(now));
        assert_eq!(old.fastest(), 3.0);
    }
}
