/*!
The checkpoint directory, and the names of its files, which are spelled nowhere else.

Each file is written under another name, flushed, and renamed into place, so that the directory is valid at any moment.
*/

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::config::ModelConfig;
use super::metrics_file::MetricsFile;
use super::record::Request;
use super::weights_file::WeightsFile;
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

/// A checkpoint directory, which may still be empty.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Directory { path: path.into() }
    }

    /// The same directory, which must hold a checkpoint.
    ///
    /// # Errors
    /// If it does not.
    pub fn existing(self) -> Result<Self> {
        if self.holds_checkpoint() {
            return Ok(self);
        }
        Err(Error::new(format!(
            "{} is not a checkpoint: it has no {CONFIG}; give the folder that `carousel train` wrote with -o",
            self.path.display()
        )))
    }

    /// Name of the folder, by which the model is known.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the directory has a configuration, which a run writes with its network.
    pub fn holds_checkpoint(&self) -> bool {
        self.path.join(CONFIG).exists()
    }

    /// Whether the directory has any run, also one that has not built its network yet.
    pub fn holds_run(&self) -> bool {
        self.path.join(RECORD).exists() || self.holds_checkpoint()
    }

    /// Removes a run's files, except those to `keep`, and the folder if it is then empty.
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
            remove(&files::partial_path(&path))?;
        }
        // This fails, as intended, if the folder holds other files.
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }

    /// Creates the directory.
    pub fn create(&self) -> Result<()> {
        files::create_folder(&self.path)
    }

    /// Path of the copy of standard input, which a resumed run reads.
    pub fn standard_input(&self) -> PathBuf {
        self.path.join(STANDARD_INPUT)
    }

    /// Directory of the language model that a classifier was trained from.
    pub fn language_model(&self) -> Directory {
        Directory::at(self.path.join(LANGUAGE_MODEL))
    }

    /// Writes config.json and tokenizer.json, which do not change during a run.
    pub fn save_description(&self, config: &ModelConfig, tokenizer: &Tokenizer) -> Result<()> {
        files::write_atomically(&self.path.join(TOKENIZER), tokenizer.to_json().as_bytes())?;
        self.save_json(CONFIG, &config.to_json())
    }

    /// Loads and checks config.json.
    pub fn load_config(&self) -> Result<ModelConfig> {
        let json: Value = self.load_json(CONFIG)?;
        ModelConfig::from_json(&json)
            .map_err(|e| Error::new(format!("{}: {e}", self.path.join(CONFIG).display())))
    }

    /// Loads tokenizer.json and checks it against the configuration.
    pub fn load_tokenizer(&self, config: &ModelConfig) -> Result<Tokenizer> {
        let path = self.path.join(TOKENIZER);
        let tokenizer = Tokenizer::load(&path, config.tokens().level, config.tokens().split)?;
        if tokenizer.vocab_size() != config.tokens().vocab_size {
            return Err(Error::new(format!(
                "{} has {} tokens, but {CONFIG} beside it is for {}; one of them belongs to another model",
                path.display(),
                tokenizer.vocab_size(),
                config.tokens().vocab_size
            )));
        }
        Ok(tokenizer)
    }

    /// Writes the first training.json, which holds the request alone.
    pub fn save_request(&self, request: &Request) -> Result<()> {
        self.save_json(RECORD, &json!({ "request": request }))
    }

    /// Loads the request from training.json.
    pub fn load_request(&self) -> Result<Request> {
        #[derive(serde::Deserialize)]
        struct WithRequest {
            request: Request,
        }
        self.load_json(RECORD)
            .map(|WithRequest { request }| request)
    }

    /// Writes training.json.
    pub fn save_record(&self, record: &impl Serialize) -> Result<()> {
        self.save_json(RECORD, record)
    }

    /// Loads training.json, or what is wanted of it.
    pub fn load_record<R: DeserializeOwned>(&self) -> Result<R> {
        self.load_json(RECORD)
    }

    /// Replaces the best weights by the bytes of a safetensors file.
    pub fn save_weights(&self, safetensors: &[u8]) -> Result<()> {
        files::write_atomically(&self.path.join(WEIGHTS), safetensors)
    }

    /// Whether weights have been saved yet.
    pub fn has_weights(&self) -> bool {
        self.path.join(WEIGHTS).exists()
    }

    /// Opens the best weights and checks every tensor against the configuration.
    ///
    /// # Errors
    /// A file that is missing, truncated or of another format; a tensor that is missing or has another shape.
    pub fn load_weights(&self, config: &ModelConfig) -> Result<WeightsFile> {
        let path = self.path.join(WEIGHTS);
        if !path.exists() {
            return Err(Error::new(format!(
                "{} has no {WEIGHTS}: no weights were saved yet; continue with `carousel train --resume {}`",
                self.path.display(),
                self.path.display()
            )));
        }
        let weights = WeightsFile::open(&path)?;
        weights.check(&config.tensors())?;
        weights.check(&config.fitted())?;
        Ok(weights)
    }

    /// Replaces the state that a resumed run starts from.
    pub fn save_resume(&self, safetensors: &[u8]) -> Result<()> {
        files::write_atomically(&self.path.join(RESUME), safetensors)
    }

    /// Opens the state that a resumed run starts from, if one was saved.
    pub fn load_resume(&self) -> Result<Option<WeightsFile>> {
        let path = self.path.join(RESUME);
        if path.exists() {
            WeightsFile::open(&path).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Writes report.svg.
    pub fn save_report(&self, svg: &str) -> Result<()> {
        files::write_atomically(&self.path.join(REPORT), svg.as_bytes())
    }

    /// Loads metrics.jsonl.
    pub fn load_metrics(&self) -> Result<String> {
        files::read_text(&self.path.join(METRICS))
    }

    /// Removes the state to resume from, once a run is finished.
    pub fn remove_resume(&self) -> Result<()> {
        remove(&self.path.join(RESUME))
    }

    /// Opens metrics.jsonl for appending, cut to its first `length` bytes.
    pub fn open_metrics(&self, length: u64) -> Result<MetricsFile> {
        MetricsFile::open(&self.path.join(METRICS), length)
    }

    fn save_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(value).expect("the value is plain data");
        json.push(b'\n');
        files::write_atomically(&self.path.join(name), &json)
    }

    fn load_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.path.join(name);
        serde_json::from_str(&files::read_text(&path)?)
            .map_err(|e| Error::new(format!("{} cannot be understood: {e}", path.display())))
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path, e)),
        _ => Ok(()),
    }
}
