/*!
A safetensors file of weights, read and copied.
*/

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use carousel_kernels::{int8_rows, int8_weights};
use memmap2::Mmap;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::architecture::{DOCUMENT_HASHES, TensorShapes};
use super::config::ModelConfig;
use crate::error::{Error, Result};
use crate::files;

/// Beginnings of the names of tensors that are copied exactly.
const EXACT: [&str; 3] = ["calibration.", "interpolation.", "cache."];
/// What the name of the scales of an int8 tensor adds to the tensor's.
const SCALES: &str = ".scales";

/// A safetensors file mapped into memory, its tensors found by name.
pub struct WeightsFile {
    map: Mmap,
    path: PathBuf,
}

/// How floating-point numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFormat {
    /// float32, as they are computed with.
    Float32,
    /// float16: half the bytes, about three decimal digits.
    Float16,
    /// bfloat16: half the bytes, between two and three decimal digits.
    Bfloat16,
    /// int8 for the matrices that are only multiplied, a quarter of the bytes, with a scale for each row; float32 for
    /// everything else.
    Int8,
}

impl WeightsFile {
    /// Opens and parses a file.
    ///
    /// # Errors
    /// A file that cannot be read, or is not a whole safetensors file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
        let weights = WeightsFile {
            map: files::map_file(&file, path)?,
            path: path.to_path_buf(),
        };
        SafeTensors::deserialize(&weights.map).map_err(|e| {
            Error::new(format!(
                "{} is not a whole safetensors file: {e}; it may be truncated",
                path.display()
            ))
        })?;
        Ok(weights)
    }

    /// The parsed file.
    pub fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.map).expect("checked when it was opened")
    }

    /// The text stored under `key` in the file's header.
    pub fn metadata(&self, key: &str) -> Option<String> {
        let (_, header) = SafeTensors::read_metadata(&self.map).ok()?;
        header.metadata().as_ref()?.get(key).cloned()
    }

    /// Shape of a tensor.
    ///
    /// # Errors
    /// If the file has no such tensor.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>> {
        Ok(self.tensor(name)?.shape().to_vec())
    }

    /// Whether it has matrices of int8.
    pub fn is_int8(&self) -> bool {
        let is_int8 = |(_, tensor): (String, TensorView)| tensor.dtype() == Dtype::I8;
        self.tensors().tensors().into_iter().any(is_int8)
    }

    /// Values of a tensor of float32, float16, bfloat16, or int8 with scales, as float32. Of int8, the same are rounded again
    /// to the same.
    ///
    /// # Errors
    /// If the file has no such tensor, or a value is not finite.
    pub fn floats(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        let tensor = self.tensor(name)?;
        // Borrowed from the file where the machine's byte order is the file's and the data is aligned.
        let floats = match (tensor.dtype(), bytemuck::try_cast_slice(tensor.data())) {
            (Dtype::F32, Ok(floats)) if cfg!(target_endian = "little") => Cow::Borrowed(floats),
            (Dtype::F32, _) => {
                let (bytes, _) = tensor.data().as_chunks::<4>();
                bytes
                    .iter()
                    .map(|&bytes| f32::from_le_bytes(bytes))
                    .collect()
            }
            (Dtype::F16, _) => {
                let (bytes, _) = tensor.data().as_chunks::<2>();
                let float = |&bytes| half::f16::from_le_bytes(bytes).to_f32();
                bytes.iter().map(float).collect()
            }
            (Dtype::BF16, _) => {
                let (bytes, _) = tensor.data().as_chunks::<2>();
                let float = |&bytes| half::bf16::from_le_bytes(bytes).to_f32();
                bytes.iter().map(float).collect()
            }
            (Dtype::I8, _) => {
                let scales = self.scales(name, tensor.shape())?;
                let integers = tensor.data().iter().map(|&byte| byte as i8);
                int8_weights(&Vec::from_iter(integers), &scales).into()
            }
            (other, _) => {
                return Err(Error::new(format!(
                    "{}: {name} is {other:?}, but this program reads F32, F16, BF16 and I8",
                    self.path.display()
                )));
            }
        };
        // Without an early exit the loop is vectorized, and as fast as the memory.
        let finite = floats
            .iter()
            .fold(true, |all, value| all & value.is_finite());
        if !finite {
            return Err(Error::new(format!(
                "{}: {name} has a value that is not a finite number; the file is damaged, or the training that wrote it diverged",
                self.path.display()
            )));
        }
        Ok(floats)
    }

    /// The scales of the rows of an int8 tensor.
    fn scales(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let scales = self.tensor(&format!("{name}{SCALES}"))?;
        if shape.len() != 2 || scales.dtype() != Dtype::F32 || scales.shape() != &shape[..1] {
            return Err(Error::new(format!(
                "{}: {name} is I8, but {name}{SCALES} is not one F32 for each of its rows",
                self.path.display()
            )));
        }
        Ok(self.floats(&format!("{name}{SCALES}"))?.into_owned())
    }

    /// Values of an int32 tensor, their bits as u32.
    ///
    /// # Errors
    /// If the file has no such tensor of int32.
    pub fn integers(&self, name: &str) -> Result<Vec<u32>> {
        let tensor = self.tensor(name)?;
        if tensor.dtype() != Dtype::I32 {
            return Err(Error::new(format!(
                "{}: {name} is {:?}, but it should be I32",
                self.path.display(),
                tensor.dtype()
            )));
        }
        let (bytes, _) = tensor.data().as_chunks::<4>();
        Ok(bytes
            .iter()
            .map(|&bytes| u32::from_le_bytes(bytes))
            .collect())
    }

    /// All tensors of a model, as the bytes of a new safetensors file. The few weights of calibration and interpolation stay
    /// float32.
    ///
    /// # Errors
    /// As [`WeightsFile::floats`] and [`WeightsFile::integers`].
    pub fn copy(&self, config: &ModelConfig, format: NumberFormat) -> Result<Vec<u8>> {
        let mut tensors = Vec::new();
        let hashes = self.shape(DOCUMENT_HASHES).ok();
        let hashes = hashes.map(|shape| (DOCUMENT_HASHES.to_string(), shape));
        let all = config.tensors().into_iter().chain(config.fitted());
        let int8 = match format {
            NumberFormat::Int8 => config.int8_tensors(),
            _ => Vec::new(),
        };
        for (name, shape) in all.chain(hashes) {
            if int8.contains(&name) {
                let (integers, scales) = int8_rows(&self.floats(&name)?, shape[1]);
                let rows = vec![shape[0]];
                let scales = scales.iter().flat_map(|scale| scale.to_le_bytes());
                tensors.push((
                    format!("{name}{SCALES}"),
                    Dtype::F32,
                    rows,
                    scales.collect(),
                ));
                let bytes = integers.iter().map(|&integer| integer as u8);
                tensors.push((name, Dtype::I8, shape, bytes.collect()));
                continue;
            }
            let (dtype, bytes) = self.converted(&name, format)?;
            tensors.push((name, dtype, shape, bytes));
        }
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name, view.expect("a tensor's bytes fill its shape"))
        });
        safetensors::serialize(views, None)
            .map_err(|e| Error::new(format!("the weights cannot be written: {e}")))
    }

    /// Type and bytes of a tensor in a copy.
    fn converted(&self, name: &str, format: NumberFormat) -> Result<(Dtype, Vec<u8>)> {
        if self.tensor(name)?.dtype() == Dtype::I32 {
            return Ok((Dtype::I32, self.tensor(name)?.data().to_vec()));
        }
        let floats = self.floats(name)?;
        let exact = EXACT.iter().any(|prefix| name.starts_with(prefix));
        let floats = floats.iter();
        Ok(match format {
            NumberFormat::Float16 if !exact => {
                let half = |&value: &f32| half::f16::from_f32(value).to_le_bytes();
                (Dtype::F16, floats.flat_map(half).collect())
            }
            NumberFormat::Bfloat16 if !exact => {
                let half = |&value: &f32| half::bf16::from_f32(value).to_le_bytes();
                (Dtype::BF16, floats.flat_map(half).collect())
            }
            _ => (
                Dtype::F32,
                floats.flat_map(|value| value.to_le_bytes()).collect(),
            ),
        })
    }

    /// Checks that the file has tensors of the expected names and shapes.
    ///
    /// # Errors
    /// The first tensor that is missing or has another shape.
    pub fn check(&self, expected: &TensorShapes) -> Result<()> {
        let tensors = self.tensors();
        for (name, shape) in expected {
            let found = tensors.tensor(name).map_err(|_| self.lacks(name))?;
            if found.shape() != &shape[..] {
                return Err(Error::new(format!(
                    "{}: {name} has the shape {:?}, but the model's configuration asks for {shape:?}; they belong to \
                     different models",
                    self.path.display(),
                    found.shape()
                )));
            }
        }
        Ok(())
    }

    fn tensor(&self, name: &str) -> Result<TensorView<'_>> {
        self.tensors().tensor(name).map_err(|_| self.lacks(name))
    }

    fn lacks(&self, name: &str) -> Error {
        Error::new(format!(
            "{} has no tensor {name}; it belongs to another kind of model",
            self.path.display()
        ))
    }
}
