/*!
The device that training runs on.
*/

use tch::Device;

use carousel::checkpoint::arguments::DeviceChoice;
use carousel::error::{Error, Result};
use carousel::files;

const MIB: u64 = 1 << 20;

/// The device that was asked for.
///
/// # Errors
/// A GPU that is not there: it is never silently replaced.
pub fn device(asked: DeviceChoice) -> Result<Device> {
    match asked {
        DeviceChoice::Auto => Ok(Device::cuda_if_available()),
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(number)
            if tch::Cuda::is_available() && (number as i64) < tch::Cuda::device_count() =>
        {
            Ok(Device::Cuda(number))
        }
        DeviceChoice::Cuda(number) => Err(Error::usage(format!(
            "libtorch finds no GPU number {number}; use --device cpu, or a libtorch with CUDA (make libtorch CUDA=1)"
        ))),
    }
}

/// The device that a run began on.
///
/// # Errors
/// If it is not there.
pub fn named(name: &str) -> Result<Device> {
    let found = name.parse().ok().and_then(|asked| device(asked).ok());
    found.ok_or_else(|| {
        Error::new(format!(
            "the run began on {name}, which is not here; resume it there, or start again with -o"
        ))
    })
}

/// The name of a device, as `--device` takes it.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".to_string(),
    }
}

/// Checks that `needed` bytes of memory are available on the CPU.
///
/// # Errors
/// If there is too little.
pub fn check_memory(needed: u64, device: Device) -> Result<()> {
    match files::available_memory() {
        Some(available) if device == Device::Cpu && needed > available => Err(Error::new(format!(
            "this network needs about {} MiB of memory to train, and {} MiB are free; give a smaller --hidden-size, \
             --batch-size, --bptt or --vocab-size",
            needed / MIB,
            available / MIB
        ))),
        _ => Ok(()),
    }
}
