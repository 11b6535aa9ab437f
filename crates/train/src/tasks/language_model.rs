/*!
Learning a language model: truncated back-propagation through time over contiguous streams.
*/

use std::path::PathBuf;
use std::time::Instant;

use indicatif::HumanCount;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use crate::evaluation;
use crate::gradients::backprop::{Backprop, Window};
use crate::gradients::sampled_softmax::Shares;
use crate::network::{Masks, State};
use crate::optimizer::SomeRows;
use crate::precision;
use crate::recipe::{self, Circumstances, MOST_VALID_TOKENS, resolve};
use crate::run::resume::{Base, TrainingState};
use crate::run::{
    self, Event, Left, Run, Settled, Task, absolute, device, device_name, enough_memory,
};
use crate::tasks::lsa;
use carousel::baselines::language_baselines;
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::config::SEMANTICS;
use carousel::checkpoint::record::{Budget, Figures, Record, Request, TextRecord, TrainingConfig};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::{Error, Result};
use carousel::files;
use carousel::metrics::LanguageScore;
use carousel::text::Level;
use carousel::text::corpus::{Corpus, CorpusPlan, Ids, Validation};
use carousel::text::source::list_files;
use carousel::text::streams::{EvaluationStreams, TrainingStreams};
use carousel::text::tokenizer::Tokenizer;
use carousel_kernels::ThreadPool;

/// How likely a stream forgets what it has read before a step.
const FORGETTING: f64 = 0.02;
/// Validation tokens that are read even where the budget is too short for them.
const LEAST_VALID_TOKENS: usize = 4096;

/// What a language model is learnt from.
pub struct Text {
    corpus: Corpus,
    streams: TrainingStreams,
    /// Ways that they are read, one in turn with the other.
    ways: usize,
    valid: Ids,
    /// How gradients come about on the CPU; elsewhere by libtorch's own.
    backprop: Option<Backprop>,
    /// How likely each symbol takes part in a step, where not all do.
    shares: Option<Shares>,
    /// What words have to do with each other, `[vocab_size, semantics]`: for classifiers that go on from here.
    semantics: Vec<f32>,
}

/// Begins a run that learns a language model from the files and folders at `paths`. `started` is when the command began.
///
/// # Errors
/// A corpus that cannot be read or is too small, options that cannot be obeyed, a directory that is taken.
pub fn begin(
    directory: Directory,
    paths: &[PathBuf],
    arguments: &TrainArguments,
    started: Instant,
    notify: &mut dyn FnMut(Event),
) -> Result<Run<Text>> {
    recipe::check(arguments)?;
    let mut arguments = arguments.clone();
    let base = base(&mut arguments)?;
    let validation = match recipe::validation(&arguments)? {
        Validation::Files(files) => {
            let files = absolute(files)?;
            arguments.valid = files.first().map(|file| file.display().to_string());
            Validation::Files(absolute(list_files(&files)?)?)
        }
        fraction => fraction,
    };
    let plan = CorpusPlan {
        files: absolute(list_files(paths)?)?,
        validation,
        lossy: arguments.lossy,
        vocabulary: recipe::vocabulary(&arguments)?,
        from: None,
    };
    let device = device(arguments.device.unwrap_or_default())?;
    let request = Request {
        version: env!("CARGO_PKG_VERSION").to_string(),
        paths: absolute(paths.to_vec())?,
        arguments,
        documents: None,
    };
    let settle = |request| settle(request, plan, base.as_ref(), device, notify);
    Run::begin(directory, request, base.as_ref(), started, settle)
}

/// Takes up a run where it was saved last; `None` if it is finished.
///
/// # Errors
/// A directory without a run, damaged files, a corpus that has changed.
pub fn resume(
    directory: Directory,
    started: Instant,
    notify: &mut dyn FnMut(Event),
) -> Result<Option<Run<Text>>> {
    let run::Saved {
        record,
        config,
        tokenizer,
        state,
    } = match run::left::<Text>(&directory, notify)? {
        Left::Nothing(request) => {
            let Request {
                paths, arguments, ..
            } = *request;
            return begin(directory, &paths, &arguments, started, notify).map(Some);
        }
        Left::Finished => return Ok(None),
        Left::Saved(saved) => *saved,
    };
    let measured = directory.has_weights();
    let base = match state {
        Some(_) if measured || config.semantics == 0 => None,
        _ => base(&mut record.request.arguments.clone())?,
    };
    let cache = files::cache_folder().join("corpora");
    let subject = &record.subject;
    let corpus = subject
        .corpus
        .prepare_again(&cache, tokenizer, &subject.statistics.hash)?;
    let semantics = match config.semantics {
        1.. if measured => {
            let weights = directory.load_weights(&config)?;
            weights.floats(SEMANTICS)?.into_owned()
        }
        _ => semantics(&config, &corpus, base.as_ref())?,
    };
    let settled = settled(corpus, semantics, record, config)?;
    Run::take_up(directory, settled, state, base.as_ref(), started, notify).map(Some)
}

/// Reads the corpus and settles every option.
fn settle(
    request: Request,
    mut plan: CorpusPlan,
    base: Option<&Base>,
    device: Device,
    notify: &mut dyn FnMut(Event),
) -> Result<Settled<Text>> {
    let cache = files::cache_folder().join("corpora");
    let corpus = match base {
        None => plan.prepare(&cache)?,
        Some(base) => {
            let corpus = plan.prepare_from(&cache, &base.tokenizer)?;
            let new = corpus.tokenizer.vocab_size() - base.config.vocab_size;
            notify(Event::Note(format!(
                "going on from {}: {} tokens, of which {new} are new to it",
                base.path.display(),
                corpus.tokenizer.vocab_size()
            )));
            corpus
        }
    };
    let statistics = &corpus.statistics;
    statistics
        .notes
        .iter()
        .for_each(|note| notify(Event::Note(note.clone())));
    if statistics.valid_unknown > 0 {
        notify(Event::Note(format!(
            "{} of the validation part's {} tokens are not in the vocabulary",
            statistics.valid_unknown, statistics.valid.tokens
        )));
    }
    let vocab_size = corpus.tokenizer.vocab_size();
    let threads = tch::get_num_threads();
    let timed = matches!(recipe::budget(&request.arguments)?, Budget::Seconds(_));
    let circumstances = Circumstances {
        vocab_size,
        train_tokens: corpus.train.len(),
        valid_tokens: corpus.valid.len(),
        speed: timed.then(|| precision::nominal_speed(threads, device)),
    };
    let resolved = resolve(&request.arguments, &circumstances)?;
    let needed = memory(&resolved.config, &resolved.training, corpus.valid.len());
    enough_memory(needed, device)?;
    let mut training = TrainingConfig {
        device: device_name(device),
        threads,
        ..resolved.training
    };
    let (precision, note) = precision::settle(&resolved.config, &training, device)?;
    training.precision = precision;
    note.into_iter().for_each(|note| notify(Event::Note(note)));
    let baselines = language_baselines(
        &corpus.valid,
        &statistics.valid,
        statistics.valid_spelling_nats,
        &statistics.token_counts,
    );
    let record = Record {
        request,
        training,
        chosen: resolved.chosen,
        finished: None,
        evaluations: Vec::new(),
        subject: TextRecord {
            baselines,
            corpus: plan,
            valid_tokens_read: corpus.valid.len().min(MOST_VALID_TOKENS),
            statistics: statistics.clone(),
        },
    };
    let mut config = resolved.config;
    if matches!(config.level, Level::Word | Level::Subword) {
        config.semantics = lsa::DIMENSIONS;
    }
    let semantics = semantics(&config, &corpus, base)?;
    settled(corpus, semantics, record, config)
}

/// What words have to do with each other: what the model to go on from knows of it, else what the corpus tells.
fn semantics(config: &ModelConfig, corpus: &Corpus, base: Option<&Base>) -> Result<Vec<f32>> {
    let numbers = corpus.tokenizer.vocab_size() * config.semantics;
    Ok(match base {
        _ if numbers == 0 => Vec::new(),
        Some(base) if lsa::Semantics::load(base)?.is_some() => {
            let mut known = base.weights.floats(SEMANTICS)?.into_owned();
            // Words that are new to it mean nothing yet.
            known.resize(numbers, 0.0);
            known
        }
        _ => {
            let train = &corpus.train;
            let parts = lsa::looked_at(train.len());
            lsa::learn(parts.flat_map(|part| train.read(part)), &corpus.tokenizer)
        }
    })
}

fn settled(
    corpus: Corpus,
    semantics: Vec<f32>,
    record: Record<TextRecord>,
    config: ModelConfig,
) -> Result<Settled<Text>> {
    let training = &record.training;
    let backprop = (training.device == "cpu").then(|| {
        let precision = precision::of_kernels(training.precision);
        Backprop::new(&config, training.batch_size, precision)
    });
    Ok(Settled {
        task: Text {
            streams: TrainingStreams::new(corpus.train.len(), training.batch_size, training.bptt),
            valid: corpus.valid.slice(0..record.subject.valid_tokens_read),
            shares: (training.candidates > 0).then(|| {
                let targets = training.batch_size * training.bptt;
                let counts = &record.subject.statistics.token_counts;
                Shares::new(counts, targets, training.candidates)
            }),
            corpus,
            ways: config.directions().len(),
            backprop,
            semantics,
        },
        record,
        config,
    })
}

fn memory(config: &ModelConfig, training: &TrainingConfig, valid_tokens: usize) -> u64 {
    let evaluations = EvaluationStreams::new(valid_tokens.min(MOST_VALID_TOKENS));
    recipe::memory(config, training, evaluations.streams)
}

impl Task for Text {
    const COMMAND: &'static str = "train";
    type Record = TextRecord;

    fn tokenizer(&self) -> &Tokenizer {
        &self.corpus.tokenizer
    }

    fn steps_in_pass(&self) -> usize {
        self.ways * self.streams.windows()
    }

    fn tokens_in_step(&self) -> usize {
        self.streams.batch_size * self.streams.bptt
    }

    fn valid_tokens(&self) -> usize {
        self.valid.len()
    }

    fn streams(&self) -> usize {
        self.streams.batch_size
    }

    fn shorten(&mut self, tokens: usize, record: &mut TextRecord) {
        let read = self.valid.len().min(tokens.max(LEAST_VALID_TOKENS));
        record.valid_tokens_read = read;
        self.valid = self.valid.slice(0..read);
    }

    /// The window after the state that stands.
    fn window(
        &mut self,
        standing: &mut TrainingState,
        training: &TrainingConfig,
        seed: u64,
        pool: &ThreadPool,
    ) -> Window {
        let batch_size = self.streams.batch_size;
        let device = standing.network.device();
        // What reads both ways takes turns.
        let directions = standing.network.config.directions();
        let direction = directions[standing.progress.window % directions.len()];
        if standing.progress.window == 0 {
            // A pass begins where no text precedes.
            standing.state = State::zeros(&standing.network.config, batch_size, device);
        }
        for stream in forgetting(batch_size, seed) {
            let own = standing.network.config.stack(direction);
            standing.state.forget(own, stream);
        }
        let TrainingState { network, state, .. } = standing;
        let (inputs, targets) = self.streams.read(
            &self.corpus.train,
            standing.progress.window / directions.len(),
            direction,
        );
        let masks = Masks::draw(&network.config, training, device, seed, pool);
        if let Some(backprop) = &mut self.backprop {
            let ids = |ids: &[i64]| ids.iter().map(|&id| id as u32).collect::<Vec<_>>();
            let (inputs, targets) = (ids(&inputs), ids(&targets));
            let candidates = self
                .shares
                .as_ref()
                .map(|shares| shares.draw(&targets, seed));
            let candidates = candidates.as_ref();
            return backprop.window(
                network, direction, &inputs, &targets, candidates, state, &masks, pool,
            );
        }
        let tensor = |ids: &[i64]| {
            let ids = Tensor::from_slice(ids).view([-1, batch_size as i64]);
            ids.to_device(device)
        };
        let kind = precision::of_libtorch(training.precision);
        let (inputs, targets) = (tensor(&inputs), tensor(&targets));
        let tokens = inputs.numel();
        let (loss, next) = network.loss(direction, &inputs, &targets, state, &masks, kind);
        Window {
            gradients: network.gradients(&loss, &[direction]),
            loss: loss.double_value(&[]),
            rows: SomeRows::new(),
            state: next,
            tokens,
        }
    }

    fn shares(&self, _progress: f64) -> Vec<f64> {
        Vec::new()
    }

    fn evaluate(&mut self, standing: &TrainingState, training: &TrainingConfig) -> Option<Figures> {
        let nats = evaluation::nats(
            &standing.judged(),
            &self.valid,
            self.corpus.tokenizer.line_end(),
            training.threads.max(1) as usize,
        );
        let statistics = &self.corpus.statistics;
        // What is read of a very long validation part stands for all of it.
        let share = self.valid.len() as f64 / statistics.valid.tokens as f64;
        let score = LanguageScore::new(
            nats / share,
            statistics.valid_spelling_nats,
            &statistics.valid,
        );
        score.loss.is_finite().then_some(Figures {
            valid_loss: score.loss,
            bits_per_character: Some(score.bits_per_character),
            ..Figures::default()
        })
    }

    fn weights(&self, standing: &TrainingState) -> Result<Vec<u8>> {
        let config = &standing.network.config;
        let shape = vec![config.vocab_size, config.semantics];
        match &self.semantics[..] {
            [] => standing.weights(&[], None),
            semantics => standing.weights(&[(SEMANTICS, shape, semantics)], None),
        }
    }

    fn describe(&self, record: &TextRecord) -> Vec<(&'static str, String)> {
        let count = |n: u64| HumanCount(n).to_string();
        let statistics = &record.statistics;
        let tokenizer = &self.corpus.tokenizer;
        let mut lines = vec![(
            "corpus",
            format!(
                "{} tokens ({}) to train on, {} to measure on, {} different ones",
                count(statistics.train.tokens),
                tokenizer.level(),
                count(statistics.valid.tokens),
                count(tokenizer.vocab_size() as u64),
            ),
        )];
        let read = record.valid_tokens_read as u64;
        if read < statistics.valid.tokens {
            let read = count(read);
            lines.push((
                "measuring",
                format!("the first {read} tokens at each evaluation; `evaluate` reads all"),
            ));
        }
        lines
    }

    fn tokens_per_character(&self) -> Option<f64> {
        let train = &self.corpus.statistics.train;
        Some(train.tokens as f64 / train.characters.max(1) as f64)
    }

    fn memory(&self, config: &ModelConfig, training: &TrainingConfig) -> u64 {
        memory(config, training, self.corpus.valid.len())
    }
}

/// The streams that forget what they have read before a step.
///
/// Otherwise texts are only ever read from far within, and what a network makes of a text's beginning is left to chance:
/// one with 650 units spent 8 nats on each word of a text from its start that it had learnt to predict with 5. Melis et al.
/// (2018) do this too, in the code of their experiments.
fn forgetting(streams: usize, seed: u64) -> impl Iterator<Item = usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Numbers of their own, besides those that decide what is dropped.
    random.set_stream(1);
    (0..streams).filter(move |_| random.random_bool(FORGETTING))
}

/// The model to go on from, if one was named; the settings take over what it is.
fn base(arguments: &mut TrainArguments) -> Result<Option<Base>> {
    let Some(named) = &arguments.from else {
        return Ok(None);
    };
    let directory = Directory::find(named.as_ref())?;
    let config = directory.load_config()?;
    let kept = [
        (
            "--hidden-size",
            &mut arguments.hidden_size,
            config.hidden_size,
        ),
        (
            "--embedding-size",
            &mut arguments.embedding_size,
            config.embedding_size,
        ),
        ("--num-layers", &mut arguments.num_layers, config.num_layers),
    ];
    for (option, given, own) in kept {
        if given.is_some_and(|given| given != own) {
            return Err(contradiction(&directory, option, own));
        }
        *given = Some(own);
    }
    if arguments.level.is_some_and(|level| level != config.level) {
        return Err(contradiction(&directory, "--level", config.level));
    }
    if arguments.split.is_some_and(|split| split != config.split) {
        return Err(contradiction(
            &directory,
            "--split",
            format!("{:?}", config.split).to_lowercase(),
        ));
    }
    let kept = [
        (
            "--tie-weights",
            &mut arguments.tie_weights,
            config.tie_weights,
        ),
        (
            "--bidirectional",
            &mut arguments.bidirectional,
            config.bidirectional,
        ),
    ];
    for (option, given, own) in kept {
        if given.is_some_and(|given| given != own) {
            return Err(contradiction(&directory, option, own));
        }
        *given = Some(own);
    }
    arguments.level = Some(config.level);
    arguments.split = (config.level == Level::Word).then_some(config.split);
    // Named so that a run that is begun again finds it from any folder.
    arguments.from = Some(
        absolute(vec![directory.path().to_path_buf()])?[0]
            .display()
            .to_string(),
    );
    Ok(Some(Base {
        tokenizer: directory.load_tokenizer(&config)?,
        weights: directory.load_weights(&config)?,
        path: directory.path().to_path_buf(),
        config,
    }))
}

fn contradiction(directory: &Directory, option: &str, own: impl std::fmt::Display) -> Error {
    Error::usage(format!(
        "{} has {option} {own}, and --from keeps that; leave {option} away",
        directory.path().display()
    ))
}
