/*!
Which precision a run takes, where that is left to the program: the faster one, measured once for each CPU and shape and
kept in the user's cache.
*/

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use std::{env, fs};

use tch::Device;

use crate::backprop::Backprop;
use crate::network::{Masks, Network, State};
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::record::Options;
use carousel::files;
use carousel::kernels::{self, Kernel, Team};
use carousel::settings::Precision;

/// The measurements, within the cache.
const FILE: &str = "precision.json";
/// Windows that are timed after one that is not, unless they take longer than this.
const WINDOWS: usize = 2;
const LONGEST: Duration = Duration::from_secs(2);

/// Settles the precision of a run, and says what there is to say about it.
pub fn settle(
    config: &ModelConfig,
    options: &Options,
    device: Device,
) -> (Precision, Option<String>) {
    let native = Kernel::bfloat16_is_native();
    match options.precision {
        Precision::F32 => (Precision::F32, None),
        Precision::Bf16 if device != Device::Cpu => {
            let note = "bfloat16 is for the CPU; on a GPU float32 is used".to_string();
            (Precision::F32, Some(note))
        }
        Precision::Bf16 => {
            let note =
                "this CPU does not multiply bfloat16 by itself: --precision f32 would be faster";
            (Precision::Bf16, (!native).then(|| note.to_string()))
        }
        Precision::Auto if device != Device::Cpu || !native => (Precision::F32, None),
        Precision::Auto => (measured(config, options), None),
    }
}

/// The kernels' name for it.
pub fn of_kernels(precision: Precision) -> kernels::Precision {
    match precision {
        Precision::Bf16 => kernels::Precision::Bfloat16,
        Precision::F32 | Precision::Auto => kernels::Precision::Float32,
    }
}

fn measured(config: &ModelConfig, options: &Options) -> Precision {
    let path = files::cache_folder().join(FILE);
    // A cache that cannot be read is measured anew, and one that cannot be written does without.
    let known = fs::read(&path).unwrap_or_default();
    let mut known: BTreeMap<String, Precision> = serde_json::from_slice(&known).unwrap_or_default();
    let shape = format!(
        "{}, {} threads: {} x {}, embedding {}, {} symbols, batch {} x {}",
        cpu(),
        options.threads,
        config.num_layers,
        config.hidden_size,
        config.embedding_size,
        config.vocab_size,
        options.batch_size,
        options.bptt
    );
    if let Some(&precision) = known.get(&shape) {
        return precision;
    }
    let [f32, bf16] =
        [Precision::F32, Precision::Bf16].map(|precision| seconds(config, options, precision));
    let faster = if bf16 < f32 {
        Precision::Bf16
    } else {
        Precision::F32
    };
    known.insert(shape, faster);
    if files::create_folder(&files::cache_folder()).is_ok() {
        let json = serde_json::to_vec_pretty(&known).expect("names are plain data");
        let _ = files::write_atomically(&path, &json);
    }
    faster
}

/// What a window takes, at best.
fn seconds(config: &ModelConfig, options: &Options, precision: Precision) -> f64 {
    let network = Network::initialise(config, Device::Cpu);
    let streams = options.batch_size;
    let mut backprop = Backprop::new(&network, streams, of_kernels(precision));
    let team = Team::new(options.threads.max(1) as usize);
    let tokens: Vec<u32> = (0..streams * options.bptt)
        .map(|i| (i * 7919 % config.vocab_size) as u32)
        .collect();
    let state = State::zeros(config, streams, Device::Cpu);
    let masks = Masks::none(config);
    let mut window = || {
        let began = Instant::now();
        backprop.window(&network, &tokens, &tokens, &state, &masks, &team);
        began.elapsed()
    };
    let mut best = window();
    let began = Instant::now();
    for _ in 0..WINDOWS {
        if began.elapsed() < LONGEST {
            best = best.min(window());
        }
    }
    best.as_secs_f64()
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
