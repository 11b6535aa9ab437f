/*!
All that decides how a run goes on: saved whole, restored bit for bit.

Random numbers need no state of their own: each step seeds libtorch from the run's seed and the step's number.
*/

use std::collections::HashMap;
use std::path::PathBuf;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::network::{Network, State};
use crate::optimizer::AdamW;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::directory::Weights;
use carousel::checkpoint::record::Evaluation;
use carousel::error::{Error, Result};
use carousel::text::tokenizer::Tokenizer;

/// Where a run stands, apart from its tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Updates of the weights so far.
    pub step: u64,
    /// Passes over the training part that are complete.
    pub epoch: u64,
    /// The next window of this pass.
    pub window: usize,
    /// Training tokens read so far.
    #[serde(default)]
    pub tokens: u64,
    /// Seconds that the run has taken, interruptions left out.
    pub seconds: f64,
    /// What plateaus and rescues have made of the learning rate.
    pub learning_rate_scale: f64,
    /// How often the run went back to a good state.
    pub rescues: u64,
    /// The loss of late, smoothed, to tell an explosion by.
    pub smooth_loss: f64,
    /// Steps in a row, up to the last, whose loss was far above those of late.
    pub jumps: u64,
    /// Losses since the last line of metrics.
    pub line: Mean,
    /// Losses since the last evaluation.
    pub since_evaluation: Mean,
    /// Evaluations since the best one.
    pub without_better: u64,
    /// Evaluations without a better one that count towards the next plateau.
    pub on_plateau: u64,
    /// The evaluations so far.
    pub evaluations: Vec<Evaluation>,
    /// Bytes of metrics.jsonl that belong to the run so far.
    pub metrics_length: u64,
}

/// A mean in the making.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// Of the values.
    pub sum: f64,
    /// How many.
    pub count: u64,
}

impl Mean {
    /// One value more.
    pub fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// The mean, and a fresh start; NaN of nothing.
    pub fn take(&mut self) -> f64 {
        let Mean { sum, count } = std::mem::take(self);
        sum / count as f64
    }
}

/// A run's tensors and counters at one moment, in memory.
#[derive(Clone)]
pub struct Snapshot {
    /// Where the run stood.
    pub progress: Progress,
    tensors: Vec<Stored>,
}

#[derive(Clone)]
struct Stored {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn of(name: String, tensor: &Tensor) -> Self {
        let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
        let mut bytes = vec![0; tensor.numel() * 4];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        Stored {
            name,
            shape: tensor.size().iter().map(|&size| size as usize).collect(),
            bytes,
        }
    }

    fn tensor(&self, device: Device) -> Tensor {
        let shape: Vec<i64> = self.shape.iter().map(|&size| size as i64).collect();
        Tensor::from_data_size(&self.bytes, &shape, Kind::Float).to_device(device)
    }
}

/// Where a run stands, tensors and all.
pub struct TrainingState {
    /// The last weights.
    pub network: Network,
    /// The averaged weights, in the order of the parameters; none if there are to be none.
    pub averages: Vec<Tensor>,
    /// The moments.
    pub optimizer: AdamW,
    /// The streams' memory.
    pub state: State,
    /// The counters.
    pub progress: Progress,
}

/// A trained model to go on from.
pub struct Base {
    /// Its folder.
    pub path: PathBuf,
    /// What it is.
    pub config: ModelConfig,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    /// Its weights.
    pub weights: Weights,
}

const GOOD: &str = "good.";
const PROGRESS: &str = "progress";

impl TrainingState {
    /// Takes over the weights of a model whose vocabulary this one's begins with. What is new is, until it has learnt
    /// better, the mean of what is old, and as unlikely as the least likely.
    ///
    /// # Errors
    /// Weights that are no finite numbers.
    pub fn begin_with(&mut self, base: &Base) -> Result<()> {
        let old = base.config.vocab_size as i64;
        let names = self.network.config.tensors();
        let theirs = base.config.tensors();
        let has = |name: &String| theirs.iter().any(|(other, _)| other == name);
        let same_labels = base.config.labels == self.network.config.labels;
        for ((name, _), parameter) in names.iter().zip(&self.network.parameters) {
            // A head is for its own labels, and a language model has none.
            if !has(name) || (name.starts_with("head.") && !same_labels) {
                continue;
            }
            let shape: Vec<i64> = base
                .weights
                .shape(name)?
                .iter()
                .map(|&size| size as i64)
                .collect();
            let values = Tensor::from_slice(&base.weights.floats(name)?).view(&shape[..]);
            let values = values.to_device(self.network.device());
            tch::no_grad(|| {
                let mut parameter = parameter.shallow_clone();
                let new = parameter.size()[0] - shape[0];
                parameter.narrow(0, 0, shape[0]).copy_(&values);
                if new > 0 {
                    let typical = match shape.len() {
                        1 => values.min(),
                        _ => values.mean_dim([0i64].as_slice(), true, Kind::Float),
                    };
                    parameter = parameter.narrow(0, old, new);
                    parameter.copy_(&typical.expand_as(&parameter));
                }
            });
        }
        for (average, parameter) in self.averages.iter_mut().zip(&self.network.parameters) {
            tch::no_grad(|| average.copy_(parameter));
        }
        Ok(())
    }

    /// A copy of everything.
    pub fn snapshot(&self) -> Snapshot {
        let names = self.network.config.tensors();
        let groups = [
            ("weights", &self.network.parameters),
            ("first_moments", &self.optimizer.first_moments),
            ("second_moments", &self.optimizer.second_moments),
            ("averages", &self.averages),
        ];
        let mut tensors = Vec::new();
        for (group, values) in groups {
            let named = names.iter().zip(values);
            tensors.extend(
                named.map(|((name, _), value)| Stored::of(format!("{group}.{name}"), value)),
            );
        }
        tensors.push(Stored::of("state.hidden".to_string(), &self.state.hidden));
        tensors.push(Stored::of("state.cell".to_string(), &self.state.cell));
        Snapshot {
            progress: self.progress.clone(),
            tensors,
        }
    }

    /// Back to a snapshot of the same run.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        let device = self.network.device();
        let values: Vec<Tensor> = snapshot
            .tensors
            .iter()
            .map(|stored| stored.tensor(device))
            .collect();
        let count = self.network.parameters.len();
        self.network.assign(&values[..count]);
        let mut rest = values.into_iter().skip(count);
        self.optimizer.first_moments = rest.by_ref().take(count).collect();
        self.optimizer.second_moments = rest.by_ref().take(count).collect();
        self.averages = rest.by_ref().take(self.averages.len()).collect();
        if let (Some(hidden), Some(cell)) = (rest.next(), rest.next()) {
            self.state = State { hidden, cell };
        }
        self.progress = snapshot.progress.clone();
    }

    /// The weights that are measured and saved: the averages, where there are some.
    pub fn judged(&self) -> Network {
        let weights = match &self.averages[..] {
            [] => &self.network.parameters,
            averages => averages,
        };
        Network {
            config: self.network.config.clone(),
            parameters: weights.iter().map(Tensor::shallow_clone).collect(),
        }
    }

    /// Moves the averages towards the last weights: by `1 - keep`, and faster in the first steps, when there is little to
    /// keep.
    pub fn average(&mut self, keep: f64) {
        let step = self.progress.step as f64;
        let keep = keep.min((1.0 + step) / (10.0 + step));
        tch::no_grad(|| {
            for (average, parameter) in self.averages.iter_mut().zip(&self.network.parameters) {
                let _ = average.lerp_(parameter, 1.0 - keep);
            }
        });
    }

    /// The judged weights as the bytes of a safetensors file, with other tensors beside them: of float32, and one of int32
    /// by its bits.
    pub fn weights(
        &self,
        others: &[(&str, Vec<usize>, &[f32])],
        integers: Option<(&str, &[u32])>,
    ) -> Result<Vec<u8>> {
        let names = self.network.config.tensors();
        let stored: Vec<Stored> = names
            .into_iter()
            .zip(&self.judged().parameters)
            .map(|((name, _), value)| Stored::of(name, value))
            .collect();
        let others: Vec<Stored> = others
            .iter()
            .map(|(name, shape, values)| Stored {
                name: name.to_string(),
                shape: shape.clone(),
                bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            })
            .collect();
        let floats = stored.iter().chain(&others);
        let bytes: Vec<u8>;
        let mut views = views(floats.map(|s| (s.name.clone(), s)));
        if let Some((name, values)) = integers {
            bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let view = TensorView::new(Dtype::I32, vec![values.len()], &bytes);
            views.push((
                name.to_string(),
                view.expect("a tensor's bytes fill its shape"),
            ));
        }
        written(views, HashMap::new())
    }
}

impl Snapshot {
    /// This snapshot and the good one to go back to, as the bytes of a safetensors file. They are often the same.
    pub fn serialize(&self, good: &Snapshot) -> Result<Vec<u8>> {
        let json = |snapshot: &Snapshot| {
            serde_json::to_string(&snapshot.progress).expect("counters are plain data")
        };
        let mut metadata = HashMap::from([(PROGRESS.to_string(), json(self))]);
        let own = self.tensors.iter().map(|s| (s.name.clone(), s));
        if good.progress.step == self.progress.step {
            return serialize(own, metadata);
        }
        metadata.insert(format!("{GOOD}{PROGRESS}"), json(good));
        serialize(
            own.chain(
                good.tensors
                    .iter()
                    .map(|s| (format!("{GOOD}{}", s.name), s)),
            ),
            metadata,
        )
    }

    /// Reads both back; they are held against the shapes of `fresh`, a snapshot of the same network untrained.
    ///
    /// # Errors
    /// A file that is damaged or belongs to another run.
    pub fn read(saved: &Weights, fresh: &Snapshot) -> Result<(Snapshot, Snapshot)> {
        let current = Self::read_one(saved, fresh, "")?.ok_or_else(|| {
            Error::new("the saved state holds no counters; delete it to start anew")
        })?;
        let good = Self::read_one(saved, fresh, GOOD)?.unwrap_or_else(|| current.clone());
        Ok((current, good))
    }

    fn read_one(saved: &Weights, fresh: &Snapshot, prefix: &str) -> Result<Option<Snapshot>> {
        let Some(json) = saved.metadata(&format!("{prefix}{PROGRESS}")) else {
            return Ok(None);
        };
        let progress = serde_json::from_str(&json).map_err(|e| {
            Error::new(format!(
                "the saved state's counters cannot be understood: {e}"
            ))
        })?;
        let shapes: Vec<_> = fresh
            .tensors
            .iter()
            .map(|s| (format!("{prefix}{}", s.name), s.shape.clone()))
            .collect();
        saved.check(&shapes)?;
        let found = saved.tensors();
        let tensors = fresh
            .tensors
            .iter()
            .zip(&shapes)
            .map(|(stored, (name, _))| {
                let tensor = found.tensor(name).expect("checked just before");
                Stored {
                    bytes: tensor.data().to_vec(),
                    ..stored.clone()
                }
            });
        Ok(Some(Snapshot {
            progress,
            tensors: tensors.collect(),
        }))
    }
}

fn serialize<'s>(
    tensors: impl Iterator<Item = (String, &'s Stored)>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    written(views(tensors), metadata)
}

fn views<'s>(tensors: impl Iterator<Item = (String, &'s Stored)>) -> Vec<(String, TensorView<'s>)> {
    let view = |stored: &'s Stored| {
        let view = TensorView::new(Dtype::F32, stored.shape.clone(), &stored.bytes);
        view.expect("a tensor's bytes fill its shape")
    };
    tensors.map(|(name, stored)| (name, view(stored))).collect()
}

fn written(views: Vec<(String, TensorView)>, metadata: HashMap<String, String>) -> Result<Vec<u8>> {
    let metadata = Some(metadata).filter(|m| !m.is_empty());
    safetensors::serialize(views, metadata)
        .map_err(|e| Error::new(format!("the weights cannot be written: {e}")))
}
