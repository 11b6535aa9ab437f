/*!
`carousel-train doctor --libtorch`: what libtorch is loaded, for `carousel doctor`.
*/

use std::fs;
use std::path::Path;

use serde_json::json;

use carousel::cli::{standard, version};
use carousel::error::Result;

/// Prints a JSON object.
pub fn run() -> Result<()> {
    standard::json_line(&json!({
        "made_for": version::LIBTORCH,
        "folder": folder(),
        "cuda": cuda(),
    }))
}

/// The folder of the library that is loaded, where the system tells it.
fn folder() -> Option<String> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let loaded = maps
        .lines()
        .find(|line| line.ends_with("/libtorch_cpu.so"))?;
    let path = loaded.get(loaded.find('/')?..)?;
    Some(Path::new(path).parent()?.display().to_string())
}

/// Which GPU there is, or why there is none.
fn cuda() -> String {
    match (tch::utils::has_cuda(), tch::Cuda::device_count()) {
        (true, 1..) => format!(
            "{} GPUs, --device cuda:0 and so on; built by the project, not run by it: scripts/gpu.py checks it in ten minutes",
            tch::Cuda::device_count()
        ),
        (true, _) => "libtorch has CUDA, but finds no GPU or no driver: training uses the CPU".to_string(),
        (false, _) => {
            "this libtorch has no CUDA (make libtorch CUDA=1 build fetches one): training uses the CPU".to_string()
        }
    }
}
