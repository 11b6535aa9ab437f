/*!
The checkpoint directory, and the names of its files, which are spelled nowhere else.

Each file is written under another name, flushed, and renamed into place, so that the directory is valid at any moment. A
run that is to replace another has a folder of its own in there, until it has weights that are worth it (`succession`).
*/

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::architecture::Tokens;
use super::config::ModelConfig;
use super::metrics_file::MetricsFile;
use super::record::{Finish, ImportRecord, Request};
use super::recorded_paths;
use super::weights_file::WeightsFile;
use crate::error::{Error, Result};
use crate::files;
use crate::text::source::InvalidBytes;
use crate::text::text_reader::TextReader;
use crate::text::tokenizer::Tokenizer;

pub(super) const CONFIG: &str = "config.json";
/// The vocabulary, in the format of the crate `tokenizers`.
pub const TOKENIZER: &str = "tokenizer.json";
/// The vocabulary of a translator's target, where it is not the source's.
const TARGET_TOKENIZER: &str = "target_tokenizer.json";
const SCALING: &str = "scaling.json";
const WEIGHTS: &str = "model.safetensors";
const RECORD: &str = "training.json";
const METRICS: &str = "metrics.jsonl";
const RESUME: &str = "resume.safetensors";
const REPORT: &str = "report.svg";
/// What is told of a model that is given to others.
const CARD: &str = "card.md";
const STANDARD_INPUT: &str = "standard-input.txt";
/// Name of the folders of the other networks that a forecaster averages, before their number.
const MEMBER: &str = "member-";
pub(super) const LANGUAGE_MODEL: &str = "language-model";
/// The folder of the runs of folds, while a classifier is cross-validated.
pub(super) const FOLDS: &str = ".folds";
/// The folder of a run that is to replace the one in the directory.
pub(super) const SUCCESSOR: &str = ".new-run";
/// The folder of a run that replaces it: what lies in it counts, and is being moved to the directory.
pub(super) const ARRIVING: &str = ".moving-in";
/// The files of a run.
pub(super) const FILES: [&str; 11] = [
    CONFIG,
    TOKENIZER,
    TARGET_TOKENIZER,
    SCALING,
    WEIGHTS,
    RECORD,
    METRICS,
    RESUME,
    REPORT,
    CARD,
    STANDARD_INPUT,
];

/// Those that describe the network and its input.
const DESCRIPTION: [&str; 4] = [TOKENIZER, TARGET_TOKENIZER, SCALING, CONFIG];

/// Contents of files that describe a network and its input, by their names.
pub type RunFiles = BTreeMap<String, String>;

/// A checkpoint directory, which may still be empty.
#[derive(Clone, Debug)]
pub struct Directory {
    /// What the user calls it.
    pub(super) path: PathBuf,
    /// The folder of its files: that one, or one in it, for a run that is to replace another.
    pub(super) place: PathBuf,
}

impl Directory {
    /// The directory at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Directory {
            place: path.clone(),
            path,
        }
    }

    /// The same directory, which must hold a checkpoint.
    ///
    /// # Errors
    /// If it does not.
    pub fn existing(self) -> Result<Self> {
        if self.holds_checkpoint() {
            return Ok(self);
        }
        let path = self.path.display();
        Err(Error::new(match self.holds_run() {
            true => format!(
                "the run in {path} has no network yet; `{}` continues it",
                self.resume_command()
            ),
            false => format!(
                "{path} is not a checkpoint: it has no {CONFIG}; give the folder that `carousel train` wrote with -o"
            ),
        }))
    }

    /// Name of the folder, by which the model is known.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The command that resumes the run; of a forecaster's network that is the one that began it, again.
    pub fn resume_command(&self) -> String {
        let is_classifier = |request: Request| request.documents.is_some();
        let is_forecaster = |config: ModelConfig| config.forecaster().is_some();
        let is_translator = |request: Request| request.pairs.is_some();
        let command = match self.load_request().is_ok_and(is_classifier) {
            true => "train-classifier",
            false if self.load_request().is_ok_and(is_translator) => "train-translator",
            false if self.load_config().is_ok_and(is_forecaster) => {
                return "carousel forecast FILE -o DIR".to_string();
            }
            false => "train",
        };
        format!("carousel {command} --resume {}", self.path.display())
    }

    /// Path of the directory, as the user calls it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of a file that is read.
    fn file(&self, name: &str) -> PathBuf {
        let arriving = self.place.join(ARRIVING).join(name);
        match arriving.exists() {
            true => arriving,
            false => self.place.join(name),
        }
    }

    /// Whether the directory has a configuration, which a run writes with its network.
    pub fn holds_checkpoint(&self) -> bool {
        self.file(CONFIG).exists()
    }

    /// Whether the directory has any run, also one that has not built its network yet.
    pub fn holds_run(&self) -> bool {
        self.file(RECORD).exists() || self.holds_checkpoint()
    }

    /// Whether the directory has a run that has not come to its end.
    pub fn holds_unfinished_run(&self) -> bool {
        self.holds_run() && self.finish().is_none()
    }

    /// Why the run ended, if it has.
    fn finish(&self) -> Option<Finish> {
        #[derive(serde::Deserialize)]
        struct WithFinish {
            finished: Option<Finish>,
        }
        let record: WithFinish = self.load_json(RECORD).ok()?;
        record.finished
    }

    /// Whether the run was given up before any weights were worth saving, so that nothing can be done with it.
    pub fn holds_failure(&self) -> bool {
        !self.has_weights() && self.finish() == Some(Finish::Diverged)
    }

    /// Removes a run's files, except those to `keep`, and the folder if it is then empty.
    pub fn clear(&self, keep: &[PathBuf]) -> Result<()> {
        let kept: Vec<PathBuf> = keep
            .iter()
            .filter_map(|path| path.canonicalize().ok())
            .collect();
        for name in FILES {
            let path = self.place.join(name);
            if !path.canonicalize().is_ok_and(|path| kept.contains(&path)) {
                remove(&path)?;
            }
            remove(&files::partial_path(&path))?;
        }
        remove_folder(&self.place.join(FOLDS))?;
        // This fails, as intended, if the folder holds other files.
        let _ = fs::remove_dir(&self.place);
        Ok(())
    }

    /// Creates the directory.
    pub fn create(&self) -> Result<()> {
        files::create_folder(&self.place)
    }

    /// Path of the copy of standard input, which a resumed run reads.
    pub fn standard_input(&self) -> PathBuf {
        self.place.join(STANDARD_INPUT)
    }

    /// Directory of the language model that a classifier was trained from.
    pub fn language_model(&self) -> Directory {
        Directory {
            path: self.path.join(LANGUAGE_MODEL),
            place: self.place.join(LANGUAGE_MODEL),
        }
    }

    /// Directory of the run of a fold, counted from 1.
    pub fn fold(&self, number: usize) -> Directory {
        Directory::at(self.place.join(FOLDS).join(number.to_string()))
    }

    /// Removes the run of a fold, and the folder of all folds if it is then empty.
    ///
    /// # Errors
    /// Files that cannot be removed.
    pub fn remove_fold(&self, number: usize) -> Result<()> {
        remove_folder(&self.fold(number).place)?;
        // This fails, as intended, if there are others.
        let _ = fs::remove_dir(self.place.join(FOLDS));
        Ok(())
    }

    /// Directory of one of the networks that a forecaster averages, by its number from 1; the first is in this one.
    pub fn member(&self, number: usize) -> Directory {
        if number == 1 {
            return self.clone();
        }
        let name = format!("{MEMBER}{number}");
        Directory {
            path: self.path.join(&name),
            place: self.place.join(&name),
        }
    }

    /// Writes config.json and tokenizer.json, which do not change during a run.
    pub fn save_description(&self, config: &ModelConfig, tokenizer: &Tokenizer) -> Result<()> {
        files::write_atomically(&self.place.join(TOKENIZER), tokenizer.to_json().as_bytes())?;
        self.save_json(CONFIG, &config.to_json())
    }

    /// Writes config.json and the tokenizers of a translator, that of the target only where it is not the source's. They do not
    /// change during a run.
    pub fn save_translator(
        &self,
        config: &ModelConfig,
        source: &Tokenizer,
        target: Option<&Tokenizer>,
    ) -> Result<()> {
        if let Some(target) = target {
            let path = self.place.join(TARGET_TOKENIZER);
            files::write_atomically(&path, target.to_json().as_bytes())?;
        }
        self.save_description(config, source)
    }

    /// Writes config.json and scaling.json of a forecaster, which do not change during a run.
    pub fn save_forecaster(&self, config: &ModelConfig, scaling: &impl Serialize) -> Result<()> {
        self.save_json(SCALING, scaling)?;
        self.save_json(CONFIG, &config.to_json())
    }

    /// The files that describe the network and its input, which do not change during a run.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn run_files(&self) -> Result<RunFiles> {
        let there = DESCRIPTION.iter().filter(|name| self.file(name).is_file());
        let read = |name: &&str| Ok((name.to_string(), files::read_text(&self.file(name))?));
        there.map(read).collect()
    }

    /// Writes such files.
    ///
    /// # Errors
    /// A file of another name; a directory that cannot be written.
    pub fn save_run_files(&self, contents: &RunFiles) -> Result<()> {
        if let Some(name) = contents
            .keys()
            .find(|name| !DESCRIPTION.contains(&&name[..]))
        {
            return Err(Error::new(format!("{name:?} is no file of a run")));
        }
        // A folder holds a checkpoint once it has a config.json: that is written last.
        for name in DESCRIPTION {
            if let Some(content) = contents.get(name) {
                files::write_atomically(&self.place.join(name), content.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Loads scaling.json: how the numbers of each series are brought to a common size.
    pub fn load_scaling<T: DeserializeOwned>(&self) -> Result<T> {
        self.load_json(SCALING)
    }

    /// Loads and checks config.json.
    pub fn load_config(&self) -> Result<ModelConfig> {
        let json: Value = self.load_json(CONFIG)?;
        ModelConfig::from_json(&json)
            .map_err(|e| Error::new(format!("{}: {e}", self.file(CONFIG).display())))
    }

    /// Loads tokenizer.json and checks it against the configuration.
    ///
    /// # Errors
    /// A forecaster, which reads no text; a file that is missing or belongs to another model.
    pub fn load_tokenizer(&self, config: &ModelConfig) -> Result<Tokenizer> {
        if config.forecaster().is_some() {
            return Err(Error::new(format!(
                "{0} forecasts numbers and reads no text; use it with `carousel forecast -m {0}`",
                self.path.display()
            )));
        }
        self.load_tokenizer_of(TOKENIZER, config.tokens())
    }

    /// Loads the tokenizers of a translator, checked against the configuration: the source's, and the target's where that is
    /// another.
    ///
    /// # Errors
    /// A model that is no translator; a file that is missing or belongs to another model.
    pub fn load_tokenizers(&self, config: &ModelConfig) -> Result<(Tokenizer, Option<Tokenizer>)> {
        let source = self.load_tokenizer(config)?;
        let written = config
            .target()
            .ok_or_else(|| Error::new(format!("{} is not a translator", self.path.display())))?;
        let target = match written.shared_vocabulary {
            true => None,
            false => Some(self.load_tokenizer_of(TARGET_TOKENIZER, written.tokens)?),
        };
        Ok((source, target))
    }

    /// Loads a tokenizer, which must be of these tokens.
    fn load_tokenizer_of(&self, name: &str, tokens: &Tokens) -> Result<Tokenizer> {
        let path = self.file(name);
        let tokenizer = Tokenizer::load(&path, tokens.level, tokens.split)?;
        if tokenizer.vocab_size() != tokens.vocab_size {
            return Err(Error::new(format!(
                "{} has {} tokens, but {CONFIG} beside it is for {}; one of them belongs to another model",
                path.display(),
                tokenizer.vocab_size(),
                tokens.vocab_size
            )));
        }
        Ok(tokenizer)
    }

    /// Loads card.md, if the model has one: its data, licence, figures and weaknesses, as its makers tell them.
    ///
    /// # Errors
    /// A card that cannot be read.
    pub fn load_card(&self) -> Result<Option<String>> {
        let path = self.file(CARD);
        match path.is_file() {
            true => TextReader::open(&path, InvalidBytes::Replaced)?
                .rest()
                .map(Some),
            false => Ok(None),
        }
    }

    /// Writes the first training.json, which holds the request alone.
    pub fn save_request(&self, request: &Request) -> Result<()> {
        self.save_record(&json!({ "request": request }))
    }

    /// Loads the request from training.json.
    pub fn load_request(&self) -> Result<Request> {
        #[derive(serde::Deserialize)]
        struct WithRequest {
            request: Request,
        }
        self.load_record().map(|WithRequest { request }| request)
    }

    /// Checks that this program trained the model, so that there is a run to resume or to look into.
    ///
    /// # Errors
    /// A model that was imported.
    pub fn check_own_run(&self) -> Result<()> {
        match self.load_record::<ImportRecord>() {
            Ok(record) => Err(Error::new(format!(
                "{0} was imported from {1}, and its training is not known; `carousel train CORPUS --from {0} -o DIR` trains it \
                 further",
                self.path.display(),
                record.imported
            ))),
            Err(_) => Ok(()),
        }
    }

    /// Writes training.json. Paths in the directory are recorded relative to it, so that the directory can be moved.
    pub fn save_record(&self, record: &impl Serialize) -> Result<()> {
        let mut record = serde_json::to_value(record).expect("a record is plain data");
        recorded_paths::make_relative(&mut record, &self.folders());
        self.save_json(RECORD, &record)
    }

    /// Writes a training.json that is to be shared: without the folders of this machine.
    pub fn save_shared_record(&self, mut record: Value) -> Result<()> {
        recorded_paths::strip_folders(&mut record);
        self.save_json(RECORD, &record)
    }

    /// Loads training.json, or what is wanted of it, with the paths of files in the directory as they are now.
    pub fn load_record<R: DeserializeOwned>(&self) -> Result<R> {
        let mut record: Value = self.load_json(RECORD)?;
        recorded_paths::make_absolute(&mut record, &self.folders());
        R::deserialize(record).map_err(|e| not_understood(&self.file(RECORD), &e))
    }

    /// Where the directory was when its training.json was written; `None` if that is not known.
    pub fn recorded_folder(&self) -> Option<PathBuf> {
        let record: Value = self.load_json(RECORD).ok()?;
        recorded_paths::folder(&record)
    }

    /// The folders that files of the run may lie in: its own, and the user's.
    fn folders(&self) -> [&Path; 2] {
        [&self.place, &self.path]
    }

    /// Replaces the best weights by the bytes of a safetensors file.
    pub fn save_weights(&self, safetensors: &[u8]) -> Result<()> {
        files::write_atomically(&self.place.join(WEIGHTS), safetensors)
    }

    /// Whether its weights are int8, as a copy has them; not if they cannot be read.
    pub fn is_int8(&self) -> bool {
        WeightsFile::open(&self.file(WEIGHTS)).is_ok_and(|weights| weights.is_int8())
    }

    /// Whether weights have been saved yet.
    pub fn has_weights(&self) -> bool {
        self.file(WEIGHTS).exists()
    }

    /// Opens the best weights and checks every tensor against the configuration.
    ///
    /// # Errors
    /// A file that is missing, truncated or of another format; a tensor that is missing or has another shape.
    pub fn load_weights(&self, config: &ModelConfig) -> Result<WeightsFile> {
        let path = self.file(WEIGHTS);
        if !path.exists() {
            return Err(self.without_weights());
        }
        let weights = WeightsFile::open(&path)?;
        weights.check(&config.tensors())?;
        weights.check(&config.fitted())?;
        Ok(weights)
    }

    fn without_weights(&self) -> Error {
        let path = self.path.display();
        Error::new(match self.holds_failure() {
            true => format!(
                "{path} has no {WEIGHTS}: its loss diverged before any weights were worth saving; begin again, with a lower \
                 --learning-rate, in another folder or with --overwrite"
            ),
            false => format!(
                "{path} has no {WEIGHTS}: no weights were saved yet; continue with `{}`",
                self.resume_command()
            ),
        })
    }

    /// Replaces the state that a resumed run starts from.
    pub fn save_resume(&self, safetensors: &[u8]) -> Result<()> {
        files::write_atomically(&self.place.join(RESUME), safetensors)
    }

    /// Opens the state that a resumed run starts from, if one was saved.
    pub fn load_resume(&self) -> Result<Option<WeightsFile>> {
        let path = self.file(RESUME);
        if path.exists() {
            WeightsFile::open(&path).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Writes report.svg.
    pub fn save_report(&self, svg: &str) -> Result<()> {
        files::write_atomically(&self.place.join(REPORT), svg.as_bytes())
    }

    /// Whether there is a metrics.jsonl.
    pub fn holds_metrics(&self) -> bool {
        self.file(METRICS).is_file()
    }

    /// Loads metrics.jsonl.
    pub fn load_metrics(&self) -> Result<String> {
        files::read_text(&self.file(METRICS))
    }

    /// Removes the state to resume from, once a run is finished.
    pub fn remove_resume(&self) -> Result<()> {
        remove(&self.place.join(RESUME))
    }

    /// Opens metrics.jsonl for appending, cut to its first `length` bytes.
    pub fn open_metrics(&self, length: u64) -> Result<MetricsFile> {
        MetricsFile::open(&self.place.join(METRICS), length)
    }

    fn save_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(value).expect("the value is plain data");
        json.push(b'\n');
        files::write_atomically(&self.place.join(name), &json)
    }

    fn load_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.file(name);
        serde_json::from_str(&files::read_text(&path)?).map_err(|e| not_understood(&path, &e))
    }
}

fn not_understood(path: &Path, error: &serde_json::Error) -> Error {
    Error::new(format!("{} cannot be understood: {error}", path.display()))
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path, e)),
        _ => Ok(()),
    }
}

/// Removes a folder with everything in it, if it is there.
pub(super) fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", folder, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::architecture::{NextToken, Recurrent};
    use super::super::encoder_decoder::{Attention, EncoderDecoder};
    use super::super::parts::{Body, Head, Input};
    use super::*;
    use crate::text::{Level, Split};
    use carousel_kernels::recurrent::Cell;

    #[test]
    fn a_translators_tokenizers_come_back() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::at(place.path());
        let (source, target) = (
            Tokenizer::characters(&['\n', 'a']),
            Tokenizer::characters(&['\n', 'b', 'c']),
        );
        let tokens = |tokenizer: &Tokenizer| Tokens {
            level: Level::Character,
            split: Split::Natural,
            vocab_size: tokenizer.vocab_size(),
            embedding_size: 4,
        };
        let config = |target: &Tokenizer, shared_vocabulary| ModelConfig {
            input: Input::Tokens(tokens(&source)),
            body: Body::EncoderDecoder(EncoderDecoder {
                target: tokens(target),
                shared_vocabulary,
                encoder: Recurrent::new(Cell::Gru, 3, 1),
                decoder: Recurrent::new(Cell::Gru, 3, 1),
                attention: Attention::Dot,
                input_feeding: false,
            }),
            head: Head::NextToken(NextToken::default()),
        };
        let written = |tokenizer: &Tokenizer| tokenizer.to_json();
        for (other, target) in [(None, &source), (Some(&target), &target)] {
            let config = config(target, other.is_none());
            directory.save_translator(&config, &source, other).unwrap();
            let (own, found) = directory.load_tokenizers(&config).unwrap();
            assert_eq!(written(&own), written(&source));
            assert_eq!(found.as_ref().map(written), other.map(written));
        }
        // A target of another size than the file's.
        let other = config(&source, false);
        let error = directory.load_tokenizers(&other).map(|_| ()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(TARGET_TOKENIZER), "{error}");
    }
}
