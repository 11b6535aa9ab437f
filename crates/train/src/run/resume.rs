/*!
The state of a run, saved and restored bit for bit.

Random numbers need no state of their own: each step seeds libtorch from the run's seed and the step's number.
*/

use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tch::{Device, Kind, Tensor};

use super::state::{Counters, TrainingState};
use crate::network::NamedTensors;
use carousel::checkpoint::WeightsFile;
use carousel::error::{Error, Result};

const GOOD: &str = "good.";
const COUNTERS: &str = "progress";

/// A run's tensors and counters at one moment, in memory.
#[derive(Clone)]
pub struct Snapshot {
    /// The counters.
    pub counters: Counters,
    tensors: Vec<StoredTensor>,
}

/// A float32 tensor as it lies in a file.
#[derive(Clone)]
struct StoredTensor {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A tensor of a model that was not fitted by gradients, to be saved beside the parameters.
pub struct FittedTensor<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: FittedValues<'a>,
}

/// Values of a [`FittedTensor`].
pub enum FittedValues<'a> {
    /// float32.
    Floats(&'a [f32]),
    /// The bits of int32.
    Integers(&'a [u32]),
}

impl StoredTensor {
    fn of(name: String, tensor: &Tensor) -> Self {
        let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
        let mut bytes = vec![0; tensor.numel() * 4];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        StoredTensor {
            name,
            shape: tensor.size().iter().map(|&size| size as usize).collect(),
            bytes,
        }
    }

    fn tensor(&self, device: Device) -> Tensor {
        let shape: Vec<i64> = self.shape.iter().map(|&size| size as i64).collect();
        Tensor::from_data_size(&self.bytes, &shape, Kind::Float).to_device(device)
    }

    fn view(&self) -> TensorView<'_> {
        TensorView::new(Dtype::F32, self.shape.clone(), &self.bytes)
            .expect("a tensor's bytes fill its shape")
    }
}

/// A training state's groups of tensors by the parameters' names, as they are called in the file.
fn groups(state: &TrainingState) -> Vec<(&'static str, &NamedTensors)> {
    let mut groups = vec![
        ("weights", &state.network.parameters),
        ("first_moments", &state.optimizer.first_moments),
        ("second_moments", &state.optimizer.second_moments),
    ];
    let averages = state.averages.as_ref();
    groups.extend(averages.map(|averages| ("averages", averages)));
    let momentum = state.outer_momentum.as_ref();
    groups.extend(momentum.map(|momentum| ("outer_momentum", momentum)));
    groups
}

/// The names of the parts of the streams' state; none where no state goes on from step to step.
fn carried_parts(state: &TrainingState) -> Vec<String> {
    let carried = state.network.config.carried();
    carried.map_or_else(Vec::new, |recurrent| recurrent.layer_spec().parts())
}

impl Snapshot {
    /// Copies a training state.
    pub fn of(state: &TrainingState) -> Self {
        let mut tensors = Vec::new();
        for (group, values) in groups(state) {
            let stored = values
                .iter()
                .map(|(name, value)| StoredTensor::of(format!("{group}.{name}"), value));
            tensors.extend(stored);
        }
        let parts = carried_parts(state);
        let streams = parts.iter().zip(&state.streams.parts);
        tensors
            .extend(streams.map(|(part, value)| StoredTensor::of(format!("state.{part}"), value)));
        Snapshot {
            counters: state.counters.clone(),
            tensors,
        }
    }

    /// Sets a run back to this snapshot of it.
    pub fn restore(&self, state: &mut TrainingState) {
        let device = state.network.device();
        let stored: HashMap<&str, &StoredTensor> =
            self.tensors.iter().map(|s| (&s.name[..], s)).collect();
        let tensor = |name: String| stored[&name[..]].tensor(device);
        let group = |group: &str, like: &NamedTensors| -> NamedTensors {
            like.iter()
                .map(|(name, _)| (name.to_string(), tensor(format!("{group}.{name}"))))
                .collect()
        };
        let weights = group("weights", &state.network.parameters);
        state.network.parameters.assign(&weights);
        state.optimizer.first_moments = group("first_moments", &weights);
        state.optimizer.second_moments = group("second_moments", &weights);
        if let Some(averages) = &mut state.averages {
            *averages = group("averages", &weights);
        }
        if let Some(momentum) = &mut state.outer_momentum {
            *momentum = group("outer_momentum", &weights);
        }
        let parts = carried_parts(state);
        state.streams.parts = parts
            .iter()
            .map(|part| tensor(format!("state.{part}")))
            .collect();
        state.counters = self.counters.clone();
    }

    /// This snapshot and the last good one, which a rescue returns to, as the bytes of a safetensors file. If they are of the
    /// same step, only this one is written.
    pub fn serialize(&self, good: &Snapshot) -> Result<Vec<u8>> {
        let json = |snapshot: &Snapshot| {
            serde_json::to_string(&snapshot.counters).expect("counters are plain data")
        };
        let mut metadata = HashMap::from([(COUNTERS.to_string(), json(self))]);
        let mut views: Vec<_> = self
            .tensors
            .iter()
            .map(|s| (s.name.clone(), s.view()))
            .collect();
        if good.counters.step != self.counters.step {
            metadata.insert(format!("{GOOD}{COUNTERS}"), json(good));
            views.extend(
                good.tensors
                    .iter()
                    .map(|s| (format!("{GOOD}{}", s.name), s.view())),
            );
        }
        serialize(views, Some(metadata))
    }

    /// Reads both back, and compares their shapes with those of `fresh`, a snapshot of the same network untrained.
    ///
    /// # Errors
    /// A file that is damaged or belongs to another run.
    pub fn read(saved: &WeightsFile, fresh: &Snapshot) -> Result<(Snapshot, Snapshot)> {
        let current = Self::read_one(saved, fresh, "")?.ok_or_else(|| {
            Error::new("the saved state has no counters; delete it to start again")
        })?;
        let good = Self::read_one(saved, fresh, GOOD)?.unwrap_or_else(|| current.clone());
        Ok((current, good))
    }

    fn read_one(saved: &WeightsFile, fresh: &Snapshot, prefix: &str) -> Result<Option<Snapshot>> {
        let Some(json) = saved.metadata(&format!("{prefix}{COUNTERS}")) else {
            return Ok(None);
        };
        let counters = serde_json::from_str(&json).map_err(|e| {
            Error::new(format!(
                "the counters of the saved state cannot be read ({e}); delete it to start again"
            ))
        })?;
        let shape =
            |stored: &StoredTensor| (format!("{prefix}{}", stored.name), stored.shape.clone());
        let shapes: Vec<_> = fresh.tensors.iter().map(shape).collect();
        saved.check(&shapes)?;
        let found = saved.tensors();
        let tensors = fresh
            .tensors
            .iter()
            .zip(&shapes)
            .map(|(stored, (name, _))| StoredTensor {
                bytes: found
                    .tensor(name)
                    .expect("checked just before")
                    .data()
                    .to_vec(),
                ..stored.clone()
            });
        Ok(Some(Snapshot {
            counters,
            tensors: tensors.collect(),
        }))
    }
}

/// The averaged weights of a state as the bytes of a safetensors file, with other tensors beside them.
pub fn model_weights(state: &TrainingState, fitted: &[FittedTensor]) -> Result<Vec<u8>> {
    let network = state.averaged_network();
    let stored = network
        .parameters
        .iter()
        .map(|(name, value)| StoredTensor::of(name.to_string(), value));
    let stored: Vec<StoredTensor> = stored.collect();
    let bytes: Vec<(Dtype, Vec<u8>)> = fitted.iter().map(|tensor| tensor.values.bytes()).collect();
    let mut views: Vec<_> = stored.iter().map(|s| (s.name.clone(), s.view())).collect();
    for (tensor, (dtype, bytes)) in fitted.iter().zip(&bytes) {
        let view = TensorView::new(*dtype, tensor.shape.clone(), bytes);
        views.push((
            tensor.name.to_string(),
            view.expect("a tensor's bytes fill its shape"),
        ));
    }
    serialize(views, None)
}

impl FittedValues<'_> {
    fn bytes(&self) -> (Dtype, Vec<u8>) {
        match self {
            FittedValues::Floats(values) => (
                Dtype::F32,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ),
            FittedValues::Integers(values) => (
                Dtype::I32,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ),
        }
    }
}

fn serialize(
    views: Vec<(String, TensorView)>,
    metadata: Option<HashMap<String, String>>,
) -> Result<Vec<u8>> {
    safetensors::serialize(views, metadata)
        .map_err(|e| Error::new(format!("the weights cannot be written: {e}")))
}
