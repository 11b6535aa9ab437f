use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use carousel::checkpoint::architecture::{NGRAM_HASHES, NextToken, Recurrent, Tokens};
use carousel::checkpoint::arguments::{
    GradientMethod, GradientPrecision, RecurrentInit, Schedule, TrainArguments, TrainingPrecision,
};
use carousel::checkpoint::encoder_decoder::{Attention, EncoderDecoder};
use carousel::checkpoint::parts::{Body, Head, Input};
use carousel::checkpoint::record::{
    Baseline, Budget, Evaluation, Figures, Finish, PairBaselines, PairsRecord, Record, Request,
    TextRecord, TrainingConfig,
};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::data::pairs::LanguageProfile;
use carousel::metrics::{LanguageScore, TextSize};
use carousel::text::corpus::{CorpusPlan, CorpusStatistics, Validation};
use carousel::text::spelling::Spelling;
use carousel::text::tokenizer::Tokenizer;
use carousel::text::vocabulary::VocabularyConfig;
use carousel_kernels::recurrent::Cell;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A temporary folder for one test, which also holds the cache.
pub struct Sandbox {
    folder: tempfile::TempDir,
}

/// Exit code and output of a program.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Sandbox {
    pub fn new() -> Self {
        Sandbox {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Runs `carousel` until a file exists, and kills it. Returns whether it was still running.
    pub fn kill_at(&self, line: &str, file: &str) -> bool {
        let mut command = self.command(&crate::program());
        let mut child = command.args(words(line)).spawn().unwrap();
        while !self.path(file).exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        running
    }

    /// A command that runs a program in this folder, with one libtorch thread so that parallel tests do not wait for each
    /// other.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("OMP_NUM_THREADS", "1")
            .env_remove("CAROUSEL_MODELS")
            .stdin(Stdio::null());
        command
    }

    /// Runs `carousel` with the words of `line`; single quotes make several words one.
    pub fn carousel(&self, line: &str) -> Outcome {
        let output = self
            .command(&crate::program())
            .args(words(line))
            .output()
            .unwrap();
        Outcome::new(output)
    }

    /// As [`Sandbox::carousel`], with the file `name` of this folder as standard input.
    pub fn carousel_reading(&self, name: &str, line: &str) -> Outcome {
        let output = self
            .command(&crate::program())
            .args(words(line))
            .stdin(std::fs::File::open(self.path(name)).unwrap())
            .output()
            .unwrap();
        Outcome::new(output)
    }
}

impl Outcome {
    pub fn new(output: Output) -> Self {
        Outcome {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks that the program succeeded.
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }
}

/// Words of a command line.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_string());
        } else {
            words.extend(part.split_whitespace().map(String::from));
        }
    }
    words
}

/// Saves a small language model with made-up weights, for the characters of `alphabet`.
pub fn model_by_hand(
    directory: &Path,
    alphabet: &str,
    num_layers: usize,
    tie_weights: bool,
) -> ModelConfig {
    let hidden_size = if tie_weights { 12 } else { 20 };
    let layers = Recurrent::new(Cell::Lstm, hidden_size, num_layers);
    model_of_layers(directory, alphabet, layers, tie_weights)
}

/// The same with layers of any kind.
pub fn model_of_layers(
    directory: &Path,
    alphabet: &str,
    layers: Recurrent,
    tie_weights: bool,
) -> ModelConfig {
    let mut characters: Vec<char> = alphabet.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    model_of_tokenizer(
        directory,
        &Tokenizer::characters(&characters),
        layers,
        tie_weights,
    )
}

/// The same for any tokens.
pub fn model_of_tokenizer(
    directory: &Path,
    tokenizer: &Tokenizer,
    layers: Recurrent,
    tie_weights: bool,
) -> ModelConfig {
    let config = ModelConfig {
        input: Input::Tokens(Tokens {
            level: tokenizer.level(),
            split: tokenizer.split(),
            vocab_size: tokenizer.vocab_size(),
            embedding_size: 12,
        }),
        body: Body::Recurrent(layers),
        head: Head::NextToken(NextToken {
            tie_weights,
            ..NextToken::default()
        }),
    };
    save_model(directory, tokenizer, &config);
    config
}

/// Saves a language model of any kind with made-up weights.
pub fn save_model(directory: &Path, tokenizer: &Tokenizer, config: &ModelConfig) {
    let directory = Directory::at(directory);
    directory.create().unwrap();
    directory.save_weights(&made_up_weights(config)).unwrap();
    directory
        .save_record(&made_up_record(config, tokenizer))
        .unwrap();
    directory.save_description(config, tokenizer).unwrap();
}

/// Saves a small translator with made-up weights; its tokenizers are the source's, and the target's where that is another.
pub fn translator_by_hand(
    directory: &Path,
    source: &Tokenizer,
    target: Option<&Tokenizer>,
    attention: Attention,
) -> ModelConfig {
    let tokens = |tokenizer: &Tokenizer| Tokens {
        level: tokenizer.level(),
        split: tokenizer.split(),
        vocab_size: tokenizer.vocab_size(),
        embedding_size: 12,
    };
    let config = ModelConfig {
        input: Input::Tokens(tokens(source)),
        body: Body::EncoderDecoder(EncoderDecoder {
            target: tokens(target.unwrap_or(source)),
            shared_vocabulary: target.is_none(),
            encoder: Recurrent {
                bidirectional: true,
                ..Recurrent::new(Cell::Gru, 10, 1)
            },
            decoder: Recurrent::new(Cell::Lstm, 20, 2),
            attention,
            input_feeding: true,
        }),
        head: Head::NextToken(NextToken::default()),
    };
    let directory = Directory::at(directory);
    directory.create().unwrap();
    directory.save_weights(&made_up_weights(&config)).unwrap();
    let Record {
        request,
        training,
        chosen,
        evaluations,
        finished,
        ..
    } = made_up_record(&config, source);
    let record = Record {
        request,
        training,
        chosen,
        evaluations,
        finished,
        subject: PairsRecord {
            train_pairs: 300,
            train_tokens: [3000, 2500],
            valid_pairs: 20,
            hash: "0".repeat(64),
            profile: LanguageProfile {
                source_words: ["a", "bad", "cab"].map(String::from).to_vec(),
                target_words: ["stu", "uvw", "xyz"].map(String::from).to_vec(),
                source_blocks: vec![0],
            },
            baselines: PairBaselines::default(),
        },
    };
    directory.save_record(&record).unwrap();
    directory.save_translator(&config, source, target).unwrap();
    config
}

fn made_up_weights(config: &ModelConfig) -> Vec<u8> {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = config
        .tensors()
        .into_iter()
        .chain(config.fitted())
        .enumerate()
        .map(|(which, (name, shape))| {
            let count = shape.iter().product::<usize>();
            let values = (0..count).map(|i| ((i * (which + 3)) as f32).cos() * 0.7);
            (name, shape, values.flat_map(f32::to_le_bytes).collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let dtype = match name.as_str() {
            NGRAM_HASHES => Dtype::I32,
            _ => Dtype::F32,
        };
        (name, TensorView::new(dtype, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

fn made_up_record(config: &ModelConfig, tokenizer: &Tokenizer) -> Record<TextRecord> {
    Record {
        request: Request {
            version: "0.0.0".to_string(),
            paths: vec![PathBuf::from("made-up.txt")],
            arguments: TrainArguments::default(),
            documents: None,
            pairs: None,
        },
        subject: made_up_corpus(config, tokenizer),
        training: made_up_training(),
        chosen: Vec::new(),
        evaluations: vec![Evaluation {
            step: 7,
            epoch: 1.0,
            train_loss: 2.5,
            figures: Figures {
                valid_loss: 2.25,
                bits_per_character: Some(3.246),
                ..Figures::default()
            },
            seconds: 1.5,
        }],
        finished: Some(Finish::Budget),
    }
}

fn made_up_corpus(config: &ModelConfig, tokenizer: &Tokenizer) -> TextRecord {
    let ids = 0..tokenizer.vocab_size() as u32;
    let known = ids.filter(|&id| Some(id) != tokenizer.unknown());
    let text = tokenizer.decode(&known.collect::<Vec<_>>());
    let size = TextSize {
        tokens: 100,
        characters: 100,
        bytes: 100,
    };
    let score = LanguageScore::new(100.0, 0.0, &size);
    TextRecord {
        corpus: CorpusPlan {
            files: vec![PathBuf::from("made-up.txt")],
            validation: Validation::Fraction(0.1),
            lossy: false,
            vocabulary: VocabularyConfig {
                level: config.tokens().level,
                split: config.tokens().split,
                vocab_size: None,
                min_count: 1,
                normalization: tokenizer.normalization(),
            },
            from: None,
        },
        statistics: CorpusStatistics {
            train: size,
            valid: size,
            valid_unknown: 0,
            valid_spelling_nats: 0.0,
            hash: "0".repeat(64),
            token_counts: (0..config.tokens().vocab_size as u64).collect(),
            spelling: Spelling {
                characters: text.chars().map(|c| (c, 3)).collect(),
                tokens: 100,
            },
            notes: Vec::new(),
        },
        valid_tokens_read: 100,
        baselines: vec![
            Baseline::new("uniform", score),
            Baseline::new("unigram", score),
        ],
    }
}

fn made_up_training() -> TrainingConfig {
    TrainingConfig {
        budget: Budget::Steps(7),
        batch_size: 1,
        bptt: 1,
        learning_rate: 0.1,
        schedule: Schedule::Cosine,
        warmup: 0.0,
        weight_decay: 0.0,
        clip_norm: 1.0,
        embedding_dropout: 0.0,
        input_dropout: 0.0,
        weight_drop: 0.0,
        adversarial: 0.0,
        label_smoothing: 0.0,
        candidates: 0,
        ema: 0.0,
        patience: 0,
        evaluate_every: 7,
        seed: 1,
        precision: TrainingPrecision::F32,
        gradients: GradientMethod::Auto,
        recurrent_init: RecurrentInit::default(),
        device: "cpu".to_string(),
        threads: 1,
        world_size: 1,
        gradient_precision: GradientPrecision::default(),
        sync_every: 1,
    }
}
