/*!
The checkpoint directory: the only place that knows its file names.

Every file is replaced by one rename after a flush, so that the directory is whole at any moment.
*/

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::config::{ModelConfig, NGRAM_NUMBERS, check_version};
use super::record::{Record, Request};
use crate::error::{Error, Result};
use crate::files;
use crate::text::tokenizer::Tokenizer;

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";
const RECORD: &str = "training.json";
const METRICS: &str = "metrics.jsonl";
const RESUME: &str = "resume.safetensors";
const REPORT: &str = "report.svg";
const STANDARD_INPUT: &str = "standard-input.txt";
const LANGUAGE_MODEL: &str = "language-model";

/// A checkpoint directory, which may be empty yet.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

/// A safetensors file in memory, its tensors found by name.
pub struct Weights {
    map: Mmap,
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Directory { path: path.into() }
    }

    /// The directory that a user means by `model`: a path, or the name of a model that ships.
    ///
    /// # Errors
    /// If there is no such model; the message says where it was looked for.
    pub fn find(model: &Path) -> Result<Self> {
        if model.is_dir() {
            return Self::at(model).existing();
        }
        let shelves = shelves(env::current_exe().ok().as_deref());
        if let Some(found) = shelves
            .iter()
            .map(|shelf| shelf.join(model))
            .find(|path| path.join(CONFIG).is_file())
        {
            return Ok(Self::at(found));
        }
        let looked: Vec<String> = shelves
            .iter()
            .map(|shelf| shelf.display().to_string())
            .collect();
        Err(Error::new(format!(
            "there is no model {}: it is no folder, and not in {}; `carousel train CORPUS -o {}` makes one",
            model.display(),
            looked.join(", "),
            model.display()
        )))
    }

    fn existing(self) -> Result<Self> {
        if self.holds_checkpoint() {
            return Ok(self);
        }
        Err(Error::new(format!(
            "{} is no checkpoint: it has no {CONFIG}; give the folder that `carousel train` was given with -o",
            self.path.display()
        )))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a run has been here and got as far as a network.
    pub fn holds_checkpoint(&self) -> bool {
        self.path.join(CONFIG).exists()
    }

    /// Whether a run has been here at all.
    pub fn holds_run(&self) -> bool {
        self.path.join(RECORD).exists() || self.holds_checkpoint()
    }

    /// Takes away what a run left, but for the files to `keep`, and the folder if nothing else is in it.
    pub fn clear(&self, keep: &[PathBuf]) -> Result<()> {
        let kept: Vec<PathBuf> = keep
            .iter()
            .filter_map(|path| path.canonicalize().ok())
            .collect();
        for name in [
            CONFIG,
            TOKENIZER,
            WEIGHTS,
            RECORD,
            METRICS,
            RESUME,
            REPORT,
            STANDARD_INPUT,
        ] {
            let path = self.path.join(name);
            if !path.canonicalize().is_ok_and(|path| kept.contains(&path)) {
                remove(&path)?;
            }
            remove(&files::partial(&path))?;
        }
        // Fails if something else is there, as it should.
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }

    /// Makes the directory.
    pub fn create(&self) -> Result<()> {
        files::create_folder(&self.path)
    }

    /// Where the text of standard input is kept, so that a run can be resumed.
    pub fn standard_input(&self) -> PathBuf {
        self.path.join(STANDARD_INPUT)
    }

    /// Where the language model is kept that a classifier began with.
    pub fn language_model(&self) -> Directory {
        Directory::at(self.path.join(LANGUAGE_MODEL))
    }

    /// Writes what never changes: the network's description and its vocabulary.
    pub fn save_description(&self, config: &ModelConfig, tokenizer: &Tokenizer) -> Result<()> {
        files::write_atomically(&self.path.join(TOKENIZER), tokenizer.to_json().as_bytes())?;
        self.save_json(CONFIG, config)
    }

    /// Loads and checks config.json.
    pub fn load_config(&self) -> Result<ModelConfig> {
        // The version first: what else another version wrote may not be understood.
        #[derive(serde::Deserialize)]
        struct Version {
            format_version: u32,
        }
        let Version { format_version } = self.load_json(CONFIG)?;
        check_version(format_version)
            .map_err(|e| Error::new(format!("{}: {e}", self.path.join(CONFIG).display())))?;
        let config: ModelConfig = self.load_json(CONFIG)?;
        config
            .check()
            .map_err(|e| Error::new(format!("{}: {e}", self.path.join(CONFIG).display())))?;
        Ok(config)
    }

    /// Loads tokenizer.json and holds it against the configuration.
    pub fn load_tokenizer(&self, config: &ModelConfig) -> Result<Tokenizer> {
        let path = self.path.join(TOKENIZER);
        let tokenizer = Tokenizer::load(&path, config.level, config.split)?;
        if tokenizer.vocab_size() != config.vocab_size {
            return Err(Error::new(format!(
                "{} knows {} tokens, but {CONFIG} beside it is for {}; one of them belongs to another model",
                path.display(),
                tokenizer.vocab_size(),
                config.vocab_size
            )));
        }
        Ok(tokenizer)
    }

    /// Writes the first training.json: what was asked for.
    pub fn save_request(&self, request: &Request) -> Result<()> {
        self.save_json(RECORD, &json!({ "request": request }))
    }

    /// Loads what was asked for.
    pub fn load_request(&self) -> Result<Request> {
        #[derive(serde::Deserialize)]
        struct Requested {
            request: Request,
        }
        self.load_json(RECORD).map(|Requested { request }| request)
    }

    /// Writes training.json.
    pub fn save_record<S: Serialize>(&self, record: &Record<S>) -> Result<()> {
        self.save_json(RECORD, record)
    }

    /// Loads training.json.
    pub fn load_record<S: DeserializeOwned>(&self) -> Result<Record<S>> {
        self.load_json(RECORD)
    }

    /// Loads training.json, whatever it tells of.
    pub fn load_any_record(&self) -> Result<Value> {
        self.load_json(RECORD)
    }

    /// Writes training.json, whatever it tells of.
    pub fn save_any_record(&self, record: &Value) -> Result<()> {
        self.save_json(RECORD, record)
    }

    /// Replaces the best weights, given as the bytes of a safetensors file.
    pub fn save_weights(&self, safetensors: &[u8]) -> Result<()> {
        files::write_atomically(&self.path.join(WEIGHTS), safetensors)
    }

    /// Whether weights have been saved yet.
    pub fn has_weights(&self) -> bool {
        self.path.join(WEIGHTS).exists()
    }

    /// Opens the best weights and holds every tensor against the configuration.
    ///
    /// # Errors
    /// A missing, cut or foreign file; tensors that are missing, or of another shape or type than they should be.
    pub fn load_weights(&self, config: &ModelConfig) -> Result<Weights> {
        let path = self.path.join(WEIGHTS);
        if !path.exists() {
            return Err(Error::new(format!(
                "{} has no {WEIGHTS}: no weights were saved yet; `carousel train --resume {}` goes on",
                self.path.display(),
                self.path.display()
            )));
        }
        let weights = Weights::open(&path)?;
        weights.check(&config.tensors())?;
        weights.check(&config.fitted())?;
        Ok(weights)
    }

    /// Replaces the state that a resumed run begins with.
    pub fn save_resume(&self, safetensors: &[u8]) -> Result<()> {
        files::write_atomically(&self.path.join(RESUME), safetensors)
    }

    /// Opens the state that a resumed run begins with, if one was saved.
    pub fn load_resume(&self) -> Result<Option<Weights>> {
        let path = self.path.join(RESUME);
        if path.exists() {
            Weights::open(&path).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Writes the picture of a run.
    pub fn save_report(&self, svg: &str) -> Result<()> {
        files::write_atomically(&self.path.join(REPORT), svg.as_bytes())
    }

    /// Loads metrics.jsonl.
    pub fn load_metrics(&self) -> Result<String> {
        files::read_text(&self.path.join(METRICS))
    }

    /// The run is over: there is nothing to resume.
    pub fn remove_resume(&self) -> Result<()> {
        remove(&self.path.join(RESUME))
    }

    /// Opens metrics.jsonl for appending, cut to its first `length` bytes.
    pub fn open_metrics(&self, length: u64) -> Result<MetricsFile> {
        let path = self.path.join(METRICS);
        let failed = |e| Error::file("open", &path, e);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed)?;
        // Never longer: somebody may have emptied it meanwhile.
        let length = length.min(file.metadata().map_err(failed)?.len());
        file.set_len(length).map_err(failed)?;
        Ok(MetricsFile { file, path, length })
    }

    fn save_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(value).expect("settings are plain data");
        json.push(b'\n');
        files::write_atomically(&self.path.join(name), &json)
    }

    fn load_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.path.join(name);
        serde_json::from_str(&files::read_text(&path)?)
            .map_err(|e| Error::new(format!("{} cannot be understood: {e}", path.display())))
    }
}

/// Where models that are named, not pathed, are looked for by a program that lies here.
fn shelves(program: Option<&Path>) -> Vec<PathBuf> {
    let named = env::var_os("CAROUSEL_MODELS").map(PathBuf::from);
    let above = |levels: usize| program?.ancestors().nth(levels);
    let beside = above(2).map(|folder| folder.join("share/carousel"));
    // A program that was built here and is run from elsewhere.
    let built = above(2)
        .filter(|folder| folder.file_name() == Some(OsStr::new("target")))
        .and(above(3))
        .map(|folder| folder.join("checkpoints"));
    let data = files::data_folder();
    named
        .into_iter()
        .chain([PathBuf::from("checkpoints")])
        .chain(beside)
        .chain(built)
        .chain(data)
        .collect()
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path, e)),
        _ => Ok(()),
    }
}

/// How floating-point numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFormat {
    /// As they are computed with.
    Float32,
    /// Half the bytes, a thousandth of precision.
    Float16,
}

/// metrics.jsonl while a run appends to it.
pub struct MetricsFile {
    file: File,
    path: PathBuf,
    length: u64,
}

impl MetricsFile {
    /// Appends one object as a line.
    pub fn append(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value).expect("metrics are plain data");
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(|e| Error::file("write", &self.path, e))?;
        self.length += line.len() as u64;
        Ok(())
    }

    /// Its length in bytes, everything appended on the disk.
    pub fn flush(&mut self) -> Result<u64> {
        self.file
            .sync_data()
            .map_err(|e| Error::file("write", &self.path, e))?;
        Ok(self.length)
    }
}

impl Weights {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
        let weights = Weights {
            map: files::map_file(&file, path)?,
            path: path.to_path_buf(),
        };
        SafeTensors::deserialize(&weights.map).map_err(|e| {
            Error::new(format!(
                "{} is no whole safetensors file: {e}; it may have been cut short",
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

    /// The sizes of a tensor.
    ///
    /// # Errors
    /// If the file has no such tensor.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).map_err(|_| self.lacks(name))?;
        Ok(tensor.shape().to_vec())
    }

    /// The numbers of a float32 tensor, or of a float16 one.
    ///
    /// # Errors
    /// If the file has no such tensor, or something in it is no finite number.
    pub fn floats(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).map_err(|_| self.lacks(name))?;
        // As they lie in the file, where the machine keeps numbers the same way; its data begins on an even address.
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
            (other, _) => {
                return Err(Error::new(format!(
                    "{}: {name} is {other:?}, but this program reads F32 and F16",
                    self.path.display()
                )));
            }
        };
        // Without a way out in the middle, this runs as fast as the memory.
        let finite = floats
            .iter()
            .fold(true, |all, value| all & value.is_finite());
        if !finite {
            return Err(Error::new(format!(
                "{}: {name} holds something that is no finite number; the file is damaged, or the training that wrote it went wrong",
                self.path.display()
            )));
        }
        Ok(floats)
    }

    /// The numbers of an int32 tensor, as the bits that they are.
    ///
    /// # Errors
    /// If the file has no such tensor of int32.
    pub fn integers(&self, name: &str) -> Result<Vec<u32>> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).map_err(|_| self.lacks(name))?;
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

    /// All tensors of a model as the bytes of another safetensors file. What the calibration is stays float32.
    ///
    /// # Errors
    /// As [`Weights::floats`] and [`Weights::integers`].
    pub fn copy(&self, config: &ModelConfig, format: NumberFormat) -> Result<Vec<u8>> {
        let mut tensors = Vec::new();
        for (name, shape) in config.tensors().into_iter().chain(config.fitted()) {
            let (dtype, bytes): (Dtype, Vec<u8>) = if name == NGRAM_NUMBERS {
                let numbers = self.integers(&name)?;
                (
                    Dtype::I32,
                    numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
                )
            } else {
                let floats = self.floats(&name)?;
                match format {
                    NumberFormat::Float16 if !name.starts_with("calibration.") => {
                        let half = |&n: &f32| half::f16::from_f32(n).to_le_bytes();
                        (Dtype::F16, floats.iter().flat_map(half).collect())
                    }
                    _ => (
                        Dtype::F32,
                        floats.iter().flat_map(|n| n.to_le_bytes()).collect(),
                    ),
                }
            };
            tensors.push((name, dtype, shape, bytes));
        }
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name, view.expect("a tensor's bytes fill its shape"))
        });
        safetensors::serialize(views, None)
            .map_err(|e| Error::new(format!("the weights cannot be written: {e}")))
    }

    /// Holds the tensors' shapes against those that are `expected`.
    pub fn check(&self, expected: &[(String, Vec<usize>)]) -> Result<()> {
        let tensors = self.tensors();
        for (name, shape) in expected {
            let found = tensors.tensor(name).map_err(|_| self.lacks(name))?;
            if found.shape() != &shape[..] {
                return Err(Error::new(format!(
                    "{}: {name} has the shape {:?}, but {CONFIG} asks for {shape:?}; they belong to different models",
                    self.path.display(),
                    found.shape()
                )));
            }
        }
        Ok(())
    }

    fn lacks(&self, name: &str) -> Error {
        Error::new(format!(
            "{} has no tensor {name}; it belongs to another kind of model",
            self.path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_looks_beside_itself_and_in_the_clone_that_it_was_built_in() {
        let looks = |program: &str, shelf: &str| {
            let shelves = shelves(Some(Path::new(program)));
            shelves.contains(&PathBuf::from(shelf))
        };
        assert!(looks(
            "/clone/target/release/carousel",
            "/clone/checkpoints"
        ));
        assert!(looks("/some/bin/carousel", "/some/share/carousel"));
        assert!(!looks("/some/user/bin/carousel", "/some/checkpoints"));
    }
}
