/*!
Learning to tell labels, in the way of Howard and Ruder (2018): a language model's layers are taken over, thawed from the top
down, each with a smaller learning rate than the one above, under a head that sees what their outputs come to over the whole
text. Beside them a linear machine learns words, pairs and triples of words ([`crate::tasks::classifier::model_selection`]); what the two halves count is
fitted on the validation part ([`crate::tasks::classifier::calibration`]).
*/

pub mod calibration;
pub mod dataset;
pub mod excerpts;
pub mod linear;
pub mod model_selection;

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use self::calibration::loss;
use crate::evaluation;
use crate::gradients::backprop::{Backprop, LONGEST, Window};
use crate::gradients::pooling::Head;
use crate::network::{Masks, State};
use crate::precision;
use crate::recipe::{self, Circumstances};
use crate::run::resume::{Base, TrainingState};
use crate::run::{self, Event, Left, Run, Settled, Task, absolute, enough_memory};
use crate::tasks::classifier::dataset::{Documents, Material};
use crate::tasks::classifier::excerpts::{DOUBT, Excerpts, TYPICAL};
use crate::tasks::classifier::model_selection::{Known, Wide};
use carousel::baselines::naive_baselines;
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::config;
use carousel::checkpoint::record::{
    Budget, DocumentsRecord, Figures, Record, Request, TrainingConfig,
};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::data::labelled::DocumentOptions;
use carousel::error::{Error, Result};
use carousel::inference::classifier::{Calibration, Reading, softmax};
use carousel::inference::linear::Ngrams;
use carousel::metrics::ClassificationScore;
use carousel::text::Level;
use carousel::text::encoder::Encoder;
use carousel::text::tokenizer::Tokenizer;
use carousel::text::vocabulary::VocabularyTrainer;
use carousel_kernels::ThreadPool;

/// Bytes of text from which on a language model is learnt first: about a million English words.
const WORTH_A_LANGUAGE_MODEL: usize = 5_000_000;
/// Share of the budget that it takes.
const LANGUAGE_MODEL_SHARE: f64 = 1.0 / 3.0;
/// What a layer's learning rate is divided by for each layer above it (Howard and Ruder 2018).
const SLOWER_BELOW: f64 = 2.6;
/// Share of the budget after which the next layer below is thawed.
const THAW: f64 = 0.05;
/// How far texts of one batch may differ in length, as a share of it.
const LENGTH_NOISE: f64 = 0.1;
/// Share of the budget from which on it is told that the linear half took it.
const WIDE_SHARE: f64 = 1.0 / 3.0;
/// Words of the language model that the speed is measured by.
const FEW_WORDS: usize = 1000;

/// What a classifier is learnt from.
pub struct Labels {
    labels: Vec<String>,
    tokenizer: Tokenizer,
    /// For each document an end of line and its tokens.
    train: Vec<Vec<u32>>,
    truth: Vec<usize>,
    valid: Vec<Vec<u32>>,
    valid_truth: Vec<usize>,
    /// What the linear half says of the validation part.
    wide: Vec<Vec<f64>>,
    ngrams: Ngrams,
    calibration: Calibration,
    /// What a document, or a part of one, of each label weighs, so that labels count alike.
    weights: Vec<f32>,
    batch_size: usize,
    dropout: f64,
    /// Whether the layers were taken over, so that they are thawed one by one.
    thaws: bool,
    layers: usize,
    /// Ways that texts are read.
    ways: usize,
    seed: u64,
    /// How to draw parts of long documents.
    excerpts: Excerpts,
    /// Documents and excerpts that are read in a pass, and their tokens in the mean.
    parts: usize,
    tokens: usize,
    /// The pass that `batches` is of.
    pass: Option<u64>,
    /// What is read side by side, the longest first.
    batches: Vec<Vec<Part>>,
    backprop: Backprop,
}

/// What is read of a document: all of it, or an excerpt.
struct Part {
    document: usize,
    range: Range<usize>,
}

impl Part {
    /// How likely it is that the document's label says nothing about it.
    fn doubt(&self, documents: &[Vec<u32>]) -> f32 {
        let whole = self.range == (0..documents[self.document].len());
        if whole { 0.0 } else { DOUBT }
    }

    /// Its tokens; an excerpt is a text of its own, with an end of line before it.
    fn of<'d>(&self, documents: &'d [Vec<u32>]) -> Cow<'d, [u32]> {
        let text = &documents[self.document];
        match self.range.start {
            0 => Cow::Borrowed(&text[self.range.clone()]),
            _ => [&text[..1], &text[self.range.clone()]].concat().into(),
        }
    }
}

/// Learns a language model in a directory, from a text, with the settings that it is given.
pub type LanguageModel<'a> = &'a mut dyn FnMut(Directory, &Path, &TrainArguments) -> Result<()>;

/// Begins a run that learns labels from the files at `paths`; `started` is when the command began.
///
/// # Errors
/// Documents that cannot be read, one label only, options that cannot be obeyed, a directory that is taken.
pub fn begin(
    directory: Directory,
    paths: &[PathBuf],
    arguments: &TrainArguments,
    documents: &DocumentOptions,
    started: Instant,
    notify: &mut dyn FnMut(Event),
    language_model: LanguageModel,
) -> Result<Run<Labels>> {
    recipe::check_classifier(arguments)?;
    let mut arguments = arguments.clone();
    if let Some(named) = &arguments.from {
        // Named so that a run that is begun again finds it from any folder.
        let found = Directory::find(named.as_ref())?.path().to_path_buf();
        arguments.from = Some(absolute(vec![found])?[0].display().to_string());
    }
    let mut validation = None;
    if let Some(valid) = &arguments.valid
        && valid.parse::<f64>().is_err()
    {
        let file = absolute(vec![PathBuf::from(valid)])?.remove(0);
        arguments.valid = Some(file.display().to_string());
        validation = Some(file);
    }
    let request = Request {
        version: env!("CARGO_PKG_VERSION").to_string(),
        paths: absolute(paths.to_vec())?,
        arguments,
        documents: Some(DocumentOptions {
            labels: true,
            ..documents.clone()
        }),
    };
    let material = Material::read(&request, validation.as_deref(), notify)?;
    let base = match &request.arguments.from {
        Some(named) => Some(base(&Directory::find(named.as_ref())?)?),
        None if material.train.bytes() >= WORTH_A_LANGUAGE_MODEL => {
            // Written down first, so that a run that ends before there is a label can be taken up.
            let same = directory
                .load_request()
                .is_ok_and(|earlier| earlier == request);
            if !same {
                directory.clear(&request.paths)?;
                directory.create()?;
                directory.save_request(&request)?;
            }
            let part = directory.language_model();
            part.create()?;
            let corpus = part.standard_input();
            material.train.write(&corpus)?;
            let arguments = of_language_model(&request.arguments)?;
            notify(Event::Note(
                "first a language model is learnt from the documents' texts".to_string(),
            ));
            language_model(part.clone(), &corpus, &arguments)?;
            // The texts have served.
            let _ = std::fs::remove_file(&corpus);
            Some(base(&part)?)
        }
        None => None,
    };
    // What was done so far comes off the budget; the run's clock begins now.
    let (spent, began) = (started.elapsed(), Instant::now());
    let settle = |request| settle(request, material, base.as_ref(), spent, notify);
    Run::begin(directory, request, base.as_ref(), began, settle)
}

/// Takes up a run where it was saved last; `None` if it is finished.
///
/// # Errors
/// A directory without a run, damaged files, documents that have changed.
pub fn resume(
    directory: Directory,
    started: Instant,
    notify: &mut dyn FnMut(Event),
    language_model: LanguageModel,
) -> Result<Option<Run<Labels>>> {
    let run::Saved {
        record,
        config,
        tokenizer,
        state,
    } = match run::left::<Labels>(&directory, notify)? {
        Left::Nothing(request) => {
            let run = begin(
                directory,
                &request.paths,
                &request.arguments,
                &request.documents.unwrap_or_default(),
                started,
                notify,
                language_model,
            );
            return run.map(Some);
        }
        Left::Finished => return Ok(None),
        Left::Saved(saved) => *saved,
    };
    let arguments = &record.request.arguments;
    // What the run began with is still of use where it has not come far.
    let far = state.is_some() && directory.has_weights();
    let base = match &arguments.from {
        Some(named) if !far => Some(base(&Directory::find(named.as_ref())?)?),
        None if !far && record.subject.thaws => Some(base(&directory.language_model())?),
        _ => None,
    };
    let validation = arguments
        .valid
        .as_ref()
        .filter(|valid| valid.parse::<f64>().is_err());
    let material = Material::read(&record.request, validation.map(Path::new), &mut |_| ())?;
    if material.hash != record.subject.hash {
        return Err(Error::new(
            "the documents have changed since the run began; begin another with -o",
        ));
    }
    let words = material.words();
    let wide = match directory.has_weights() {
        true => Wide::of(
            Ngrams::load(&directory.load_weights(&config)?)?,
            &words.valid,
        ),
        false => {
            let known = Known::of(&material, base.as_ref())?;
            Wide::learn(&material, &words, &known, record.training.seed)
        }
    };
    if wide.ngrams.numbers.len() != config.ngrams {
        return Err(Error::new(format!(
            "the model that {} goes on from has changed, and nothing was measured yet: begin again with --overwrite",
            directory.path().display()
        )));
    }
    let settled = settled(material, tokenizer, wide, record, config);
    Run::take_up(directory, settled, state, base.as_ref(), started, notify).map(Some)
}

/// The settings of a language model that is to serve a classifier: its vocabulary, its sizes, and a share of its budget.
/// How it is trained best is a matter of its own.
fn of_language_model(arguments: &TrainArguments) -> Result<TrainArguments> {
    let asked = arguments.clone();
    let mut arguments = TrainArguments {
        level: asked.level.or(Some(Level::Word)),
        split: asked.split,
        vocab_size: asked.vocab_size,
        min_count: asked.min_count,
        embedding_size: asked.embedding_size,
        hidden_size: asked.hidden_size,
        num_layers: asked.num_layers,
        bidirectional: asked.bidirectional,
        seed: asked.seed,
        precision: asked.precision,
        device: asked.device,
        ..TrainArguments::default()
    };
    let share = LANGUAGE_MODEL_SHARE;
    match recipe::budget(&asked)? {
        Budget::Seconds(seconds) => {
            arguments.time = Some(Duration::from_secs_f64(seconds * share));
        }
        Budget::Epochs(epochs) => arguments.epochs = Some(epochs * share),
        Budget::Steps(steps) => arguments.steps = Some((steps as f64 * share).ceil() as u64),
    }
    Ok(arguments)
}

/// A model to go on from.
fn base(directory: &Directory) -> Result<Base> {
    let config = directory.load_config()?;
    Ok(Base {
        tokenizer: directory.load_tokenizer(&config)?,
        weights: directory.load_weights(&config)?,
        path: directory.path().to_path_buf(),
        config,
    })
}

/// Whether a classifier to go on from has not learnt from what these settings hold out: the share that is the default is of
/// the same documents each time.
fn held_out_alike(base: &Base, arguments: &TrainArguments) -> bool {
    let request = Directory::at(&base.path).load_request();
    arguments.valid.is_none() && request.is_ok_and(|request| request.arguments.valid.is_none())
}

/// Settles every option.
fn settle(
    request: Request,
    material: Material,
    base: Option<&Base>,
    spent: Duration,
    notify: &mut dyn FnMut(Event),
) -> Result<Settled<Labels>> {
    let tokenizer = match base {
        Some(base) => base.tokenizer.clone(),
        None => {
            let mut arguments = request.arguments.clone();
            arguments.level.get_or_insert(Level::Word);
            let bytes = material.train.bytes() as u64;
            let mut learner = VocabularyTrainer::new(recipe::vocabulary(&arguments)?, bytes);
            for text in &material.train.texts {
                learner.push(text.as_bytes());
                learner.push(b"\n");
            }
            learner.finish()?
        }
    };
    let threads = tch::get_num_threads();
    let circumstances = Circumstances {
        vocab_size: tokenizer.vocab_size(),
        train_tokens: material.train.bytes() / 5,
        valid_tokens: material.valid.bytes() / 5,
        speed: None,
    };
    let resolved = recipe::resolve_classifier(
        &request.arguments,
        &circumstances,
        material.train.texts.len(),
        base.map(|base| &base.config),
    )?;
    let mut training = TrainingConfig {
        threads,
        ..resolved.training
    };
    // What a language model took is gone.
    let left = match (&request.arguments.from, base) {
        (None, Some(_)) => 1.0 - LANGUAGE_MODEL_SHARE,
        _ => 1.0,
    };
    match &mut training.budget {
        Budget::Seconds(seconds) => {
            *seconds -= spent.as_secs_f64();
            if *seconds <= 0.0 {
                return Err(Error::new(
                    "the budget is spent before a label is learnt; give more --time",
                ));
            }
        }
        Budget::Epochs(epochs) => *epochs *= left,
        Budget::Steps(steps) => *steps = ((*steps as f64 * left) as u64).max(1),
    }
    let words = material.words();
    let known = Known::of(&material, base)?;
    if let (Some(base), Known::Weights(_)) = (base, &known)
        && !held_out_alike(base, &request.arguments)
    {
        notify(Event::Note(format!(
            "{} tells these labels already, and documents that it has learnt from may be among those to measure on: what \
             is measured may be better than it should be, and what is chosen by it worse",
            base.path.display()
        )));
    }
    let began = Instant::now();
    let wide = Wide::learn(&material, &words, &known, training.seed);
    if let Budget::Seconds(seconds) = training.budget
        && began.elapsed().as_secs_f64() > seconds * WIDE_SHARE
    {
        notify(Event::Note(format!(
            "weights of words took {:.0} of {seconds:.0} seconds; the network has the rest",
            began.elapsed().as_secs_f64()
        )));
    }
    let config = ModelConfig {
        labels: material.labels.clone(),
        ngrams: wide.ngrams.numbers.len(),
        vocab_size: tokenizer.vocab_size(),
        level: tokenizer.level(),
        split: tokenizer.split(),
        ..resolved.config
    };
    config.check()?;
    // The layers are what takes the time: a language model with the same ones, and few words, tells the faster precision.
    let alike = ModelConfig {
        task: config::Task::LanguageModel,
        labels: Vec::new(),
        vocab_size: config.vocab_size.min(FEW_WORDS),
        ..config.clone()
    };
    let windows = TrainingConfig {
        bptt: 64,
        ..training.clone()
    };
    let (precision, note) = precision::settle(&alike, &windows, Device::Cpu)?;
    training.precision = precision;
    note.into_iter().for_each(|note| notify(Event::Note(note)));
    let baselines = naive_baselines(
        &material.labels,
        (&words.train, &material.train.truth),
        (&words.valid, &material.valid.truth),
    );
    let mut label_counts = vec![0; material.labels.len()];
    let all = material.train.truth.iter();
    all.for_each(|&label| label_counts[label] += 1);
    let record = Record {
        request,
        training,
        chosen: resolved.chosen,
        finished: None,
        evaluations: Vec::new(),
        subject: DocumentsRecord {
            train_documents: material.train.texts.len() as u64,
            valid_documents: material.valid.texts.len() as u64,
            label_counts,
            hash: material.hash.clone(),
            thaws: base.is_some(),
            baselines,
        },
    };
    let mut settled = settled(material, tokenizer, wide, record, config);
    let training = &mut settled.record.training;
    if let Some(total) = recipe::total_steps(&training.budget, settled.task.steps_in_pass()) {
        training.evaluate_every = recipe::between_evaluations(total);
    }
    let needed = settled
        .task
        .memory(&settled.config, &settled.record.training);
    enough_memory(needed, Device::Cpu)?;
    Ok(settled)
}

fn settled(
    material: Material,
    tokenizer: Tokenizer,
    wide: Wide,
    record: Record<DocumentsRecord>,
    config: ModelConfig,
) -> Settled<Labels> {
    let training = &record.training;
    let encode = |documents: &Documents| -> Vec<Vec<u32>> {
        let mut encoder = Encoder::forgiving(&tokenizer);
        let line_end = tokenizer.line_end();
        let tokens = |text: &String| Reading::of(text, &mut encoder, line_end).tokens;
        documents.texts.iter().map(tokens).collect()
    };
    let (train, valid) = (encode(&material.train), encode(&material.valid));
    let excerpts = Excerpts::new(&tokenizer);
    let labels = material.labels.len();
    let (mut parts, mut tokens) = (vec![0; labels], 0);
    for (text, &label) in train.iter().zip(&material.train.truth) {
        parts[label] += 1 + excerpts.count(text);
        tokens += text.len() + excerpts.count(text) * TYPICAL;
    }
    let all: usize = parts.iter().sum();
    let typical = all as f32 / labels as f32;
    Settled {
        task: Labels {
            labels: material.labels,
            weights: parts.iter().map(|&n| typical / n.max(1) as f32).collect(),
            train,
            truth: material.train.truth,
            valid,
            valid_truth: material.valid.truth,
            wide: wide.logits,
            ngrams: wide.ngrams,
            calibration: Calibration {
                scales: [1.0, 1.0],
                bias: vec![0.0; labels],
            },
            batch_size: training.batch_size,
            dropout: config.dropout,
            thaws: record.subject.thaws,
            layers: config.num_layers,
            ways: config.directions().len(),
            seed: training.seed,
            excerpts,
            parts: all,
            tokens,
            pass: None,
            batches: Vec::new(),
            tokenizer,
            backprop: Backprop::new(
                &config,
                training.batch_size,
                precision::of_kernels(training.precision),
            ),
        },
        record,
        config,
    }
}

impl Labels {
    /// Divides the documents of a pass into batches of about one length, in a random order.
    fn shuffle(&mut self, pass: u64) {
        if self.pass == Some(pass) {
            return;
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(pass);
        let mut parts = Vec::new();
        for (document, text) in self.train.iter().enumerate() {
            let whole = 0..text.len();
            let drawn =
                (0..self.excerpts.count(text)).map(|_| self.excerpts.draw(text, &mut random));
            let ranges: Vec<Range<usize>> = std::iter::once(whole).chain(drawn).collect();
            for range in ranges {
                let noise = 1.0 + LENGTH_NOISE * random.random::<f64>();
                parts.push((range.len() as f64 * noise, Part { document, range }));
            }
        }
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut parts = parts.into_iter().map(|(_, part)| part).peekable();
        self.batches.clear();
        while parts.peek().is_some() {
            let mut batch: Vec<Part> = parts.by_ref().take(self.batch_size).collect();
            batch.sort_by_key(|part| std::cmp::Reverse(part.range.len()));
            self.batches.push(batch);
        }
        self.batches.shuffle(&mut random);
        self.pass = Some(pass);
    }
}

impl Task for Labels {
    const COMMAND: &'static str = "train-classifier";
    type Record = DocumentsRecord;

    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn steps_in_pass(&self) -> usize {
        self.parts.div_ceil(self.batch_size)
    }

    fn tokens_in_step(&self) -> usize {
        self.tokens / self.steps_in_pass()
    }

    fn valid_tokens(&self) -> usize {
        self.valid.iter().map(Vec::len).sum()
    }

    fn streams(&self) -> usize {
        1
    }

    /// All of the validation part is always measured: its documents are what the calibration is fitted on.
    fn shorten(&mut self, _tokens: usize, _record: &mut DocumentsRecord) {}

    fn window(
        &mut self,
        standing: &mut TrainingState,
        training: &TrainingConfig,
        seed: u64,
        pool: &ThreadPool,
    ) -> Window {
        self.shuffle(standing.progress.epoch);
        let batch = &self.batches[standing.progress.window];
        let texts: Vec<Cow<[u32]>> = batch.iter().map(|part| part.of(&self.train)).collect();
        let texts: Vec<&[u32]> = texts.iter().map(|text| &text[..]).collect();
        let labels: Vec<usize> = batch.iter().map(|part| self.truth[part.document]).collect();
        let doubts: Vec<f32> = batch.iter().map(|part| part.doubt(&self.train)).collect();
        let network = &standing.network;
        let training = TrainingConfig {
            batch_size: texts.len(),
            ..training.clone()
        };
        let mut masks: Vec<Masks> = Vec::new();
        for (way, _) in (0..).zip(network.config.directions()) {
            let mut drawn = Masks::draw(
                &network.config,
                &training,
                Device::Cpu,
                seed.wrapping_add(way),
                pool,
            );
            // What the head sees is dropped instead.
            if let Some(last) = drawn.outputs.last_mut() {
                *last = None;
            }
            // A word that is dropped is dropped whichever way it is read.
            if let Some(first) = masks.first() {
                drawn.embedding = first.embedding.as_ref().map(Tensor::shallow_clone);
            }
            masks.push(drawn);
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(2);
        let kept = 1.0 - self.dropout;
        let mut factor = || match random.random_bool(kept) {
            true => (1.0 / kept) as f32,
            false => 0.0,
        };
        let seen = texts.len() * network.config.pooled();
        let head = Head {
            labels: &labels,
            weights: &self.weights,
            doubts: &doubts,
            mask: (self.dropout > 0.0).then(|| (0..seen).map(|_| factor()).collect()),
        };
        let window =
            self.backprop
                .texts(network, &texts, &head, &masks, training.adversarial, pool);
        Window {
            // Documents begin from nothing; the run's state stays as it is.
            state: State {
                hidden: standing.state.hidden.shallow_clone(),
                cell: standing.state.cell.shallow_clone(),
            },
            ..window
        }
    }

    /// The head at once; the layers below it one after another, from the top down. The vectors of words come last, but learn as
    /// fast as the layer above them: a step moves only those that stand in it.
    fn shares(&self, progress: f64) -> Vec<f64> {
        if !self.thaws {
            return Vec::new();
        }
        let thawed = |depth: usize| progress >= THAW * depth as f64;
        let share = |depth: usize| match thawed(depth) {
            true => SLOWER_BELOW.powi(-(depth as i32)),
            false => 0.0,
        };
        let layers: Vec<f64> = (0..self.layers)
            .flat_map(|layer| [share(self.layers - layer); 4])
            .collect();
        let embedding = match thawed(self.layers + 1) {
            true => vec![share(self.layers)],
            false => vec![0.0],
        };
        [embedding, layers.repeat(self.ways), vec![1.0, 1.0]].concat()
    }

    fn evaluate(&mut self, standing: &TrainingState, training: &TrainingConfig) -> Option<Figures> {
        let threads = training.threads.max(1) as usize;
        let encoder = evaluation::encoder(&standing.judged(), threads);
        let texts: Vec<&[u32]> = self.valid.iter().map(|text| &text[..]).collect();
        let deep = encoder.logits(&texts);
        if deep.iter().flatten().any(|logit| !logit.is_finite()) {
            return None;
        }
        self.calibration = calibration::fit(&deep, &self.wide, &self.valid_truth);
        let both = deep.iter().zip(&self.wide);
        let logits: Vec<Vec<f64>> = both
            .map(|(deep, wide)| self.calibration.combine(deep, wide))
            .collect();
        let told: Vec<Vec<f64>> = logits.iter().map(|logits| softmax(logits)).collect();
        let score = ClassificationScore::of_probabilities(&self.labels, &self.valid_truth, &told);
        Some(Figures {
            valid_loss: loss(logits.into_iter(), &self.valid_truth),
            accuracy: Some(score.accuracy),
            macro_f1: Some(score.macro_f1),
            ..Figures::default()
        })
    }

    fn weights(&self, standing: &TrainingState) -> Result<Vec<u8>> {
        let Calibration { scales, bias } = &self.calibration;
        let floats = |numbers: &[f64]| numbers.iter().map(|&n| n as f32).collect::<Vec<f32>>();
        let (count, labels) = (self.ngrams.numbers.len(), self.labels.len());
        standing.weights(
            &[
                (
                    config::NGRAM_WEIGHTS,
                    vec![count, labels],
                    &self.ngrams.weights,
                ),
                (config::NGRAM_BIAS, vec![labels], &self.ngrams.bias),
                (config::SCALES, vec![2], &floats(scales)),
                (config::LABEL_BIAS, vec![labels], &floats(bias)),
            ],
            Some((config::NGRAM_NUMBERS, &self.ngrams.numbers)),
        )
    }

    fn describe(&self, record: &DocumentsRecord) -> Vec<(&'static str, String)> {
        let count = |n: u64| HumanCount(n).to_string();
        let labels = self.labels.iter().zip(&record.label_counts);
        let labels: Vec<String> = labels
            .map(|(label, &times)| format!("{label} ({})", count(times)))
            .collect();
        let long = self
            .train
            .iter()
            .filter(|text| text.len() > LONGEST)
            .count();
        let tokens: usize = self.train.iter().map(Vec::len).sum();
        let mut lines = vec![
            (
                "documents",
                format!(
                    "{} to train on ({} tokens, {}), {} to measure on",
                    count(record.train_documents),
                    count(tokens as u64),
                    self.tokenizer.level(),
                    count(record.valid_documents)
                ),
            ),
            ("labels", labels.join(", ")),
            (
                "words",
                format!(
                    "{} words, pairs and triples of words have weights",
                    count(self.ngrams.numbers.len() as u64)
                ),
            ),
        ];
        if long > 0 {
            lines.push((
                "",
                format!(
                    "{} documents are longer than {} tokens: read whole, learnt from by their last part",
                    count(long as u64),
                    count(LONGEST as u64)
                ),
            ));
        }
        let excerpts = self.parts - self.train.len();
        if excerpts > 0 {
            lines.push((
                "",
                format!(
                    "in each pass {} excerpts of long documents besides, so that short ones are told too",
                    count(excerpts as u64)
                ),
            ));
        }
        let naive = &record.baselines;
        lines.push((
            "to beat",
            format!(
                "naive Bayes {:.4}, majority {:.4} of the documents to measure on",
                naive.naive_bayes.accuracy, naive.majority.accuracy
            ),
        ));
        lines
    }

    fn tokens_per_character(&self) -> Option<f64> {
        None
    }

    fn memory(&self, config: &ModelConfig, training: &TrainingConfig) -> u64 {
        let longest = self.train.iter().map(Vec::len).max().unwrap_or(0);
        let whole = TrainingConfig {
            bptt: longest.min(LONGEST),
            ..training.clone()
        };
        recipe::memory(config, &whole, 0)
    }
}
