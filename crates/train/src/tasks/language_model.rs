/*!
Learning a language model: truncated back-propagation through time over contiguous streams.
*/

use std::path::PathBuf;
use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use super::beside::{self, Beside};
use super::lsa::{self, WordVectors};
use crate::distributed::{Share, World};
use crate::gradients::sampled_softmax::SampledSoftmax;
use crate::gradients::{Batch, Gradients, StreamBatch, Window};
use crate::network::{DropoutMasks, State};
use crate::recipe::{self, Circumstances, MOST_VALID_TOKENS};
use crate::run::{
    self, Base, DataSummary, Event, ExampleRow, FittedTensor, FittedValues, Notify, Prepared, Run,
};
use crate::run::{SavedRun, Task, TrainingState, model_weights};
use crate::{device, evaluation, machine};
use carousel::checkpoint::architecture::{InitialState, Interpolation, LSA_WEIGHT, Predict};
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::data_paths::DataPaths;
use carousel::checkpoint::parts::Head;
use carousel::checkpoint::record::{Budget, Figures, Record, Request, TextRecord, TrainingConfig};
use carousel::checkpoint::{Directory, ModelConfig, models};
use carousel::error::{Error, Result};
use carousel::files::absolute;
use carousel::inference::sampling::{Choice, Sampling};
use carousel::inference::{Model, generated_text};
use carousel::metrics::LanguageScore;
use carousel::text::corpus::{Corpus, CorpusPlan, Ids, corpus_cache};
use carousel::text::streams::{EvaluationStreams, TrainingStreams};
use carousel::text::{Direction, Level};
use carousel_kernels::{Precision, ThreadPool};

/// Probability that a stream's state is reset before a step.
const RESET_PROBABILITY: f64 = 0.02;
/// Number of rows, and of tokens of each besides the last one, that the plan shows.
const EXAMPLE_ROWS: usize = 3;
const EXAMPLE_STEPS: usize = 10;
/// Number of validation tokens that are read even where the budget is too short for them.
const LEAST_VALID_TOKENS: usize = 4096;

/// Number of characters of a sample.
const SAMPLE_CHARACTERS: u64 = 160;

/// A language model, and the corpus that it learns from.
pub struct LanguageModelTask {
    corpus: Corpus,
    streams: TrainingStreams,
    /// The part of the streams that this process computes.
    share: Share,
    /// Number of directions in which they are read, in turn.
    directions: usize,
    /// The steps of a window that predict.
    predict: Predict,
    valid: Ids,
    gradients: Gradients,
    /// The tokens that take part in a step's softmax, where not all do.
    sampled: Option<SampledSoftmax>,
    /// Vectors of words by latent semantic analysis, `[vocab_size, lsa_size]`: for classifiers that go on from the model.
    word_vectors: Vec<f32>,
    /// What is interpolated with the network.
    beside: Option<Beside>,
}

/// Begins a run that learns a language model from the files and folders at `paths`. `started` is when the command began,
/// `share` the part of each batch that this process will be asked to compute.
///
/// # Errors
/// A corpus that cannot be read or is too small, options that contradict each other, a directory that cannot be written.
pub fn begin(
    directory: Directory,
    paths: &[PathBuf],
    arguments: &TrainArguments,
    (started, share): (Instant, Share),
    notify: Notify,
) -> Result<Run<LanguageModelTask>> {
    recipe::language_model::check(arguments)?;
    beside::check(arguments, arguments.vocabulary()?.level)?;
    let mut arguments = arguments.clone();
    let base = base(&mut arguments)?;
    let plan = arguments.corpus_plan(paths)?;
    let device = device::device(arguments.device.unwrap_or_default())?;
    let request = Request {
        version: env!("CARGO_PKG_VERSION").to_string(),
        paths: absolute(paths.to_vec())?,
        arguments,
        documents: None,
        pairs: None,
    };
    let prepare = |request| {
        let prepared = prepare(request, plan, base.as_ref(), device, notify)?;
        share.check(prepared.record.training.batch_size)?;
        Ok(prepared)
    };
    Run::begin(directory, request, base.as_ref(), started, prepare)
}

/// Resumes a run where it was saved last; `None` if it is finished. `given` is where the user says that the corpus is now,
/// `share` the part of each batch that this process will be asked to compute.
///
/// # Errors
/// A directory without a run, damaged files, a corpus that has changed or is not found.
pub fn resume(
    directory: Directory,
    given: Option<&DataPaths>,
    (started, share): (Instant, Share),
    notify: Notify,
) -> Result<Option<Run<LanguageModelTask>>> {
    let place = directory.clone();
    let begin = |request: Request, notify: Notify| {
        begin(
            place.clone(),
            &request.paths,
            &request.arguments,
            (started, share),
            notify,
        )
    };
    let restore = |saved| restore(&directory, saved, given, share);
    run::resume(directory.clone(), given, (started, notify), begin, restore)
}

/// The task of a saved run, and the model that it began from, where that is still needed.
fn restore(
    directory: &Directory,
    saved: SavedRun<TextRecord>,
    given: Option<&DataPaths>,
    share: Share,
) -> Result<(Prepared<LanguageModelTask>, Option<Base>)> {
    let SavedRun {
        mut record,
        config,
        has_state,
    } = saved;
    let tokenizer = directory.load_tokenizer(&config)?;
    let has_weights = directory.has_weights();
    let base = match has_state && (has_weights || config.lsa_size() == 0) {
        true => None,
        false => base(&mut record.request.arguments.clone())?,
    };
    let has_content = |data: &DataPaths| record.subject.corpus_at(data);
    if let Some(found) = DataPaths::find_again(directory, &record.request, given, has_content)? {
        found.data.put_into(&mut record.request)?;
        record.subject.corpus = found.content;
    }
    let subject = &record.subject;
    let corpus =
        subject
            .corpus
            .prepare_again(&corpus_cache(), tokenizer, &subject.statistics.hash)?;
    let word_vectors = match config.lsa_size() {
        1.. if has_weights => directory
            .load_weights(&config)?
            .floats(LSA_WEIGHT)?
            .into_owned(),
        _ => word_vectors(&config, &corpus, base.as_ref())?,
    };
    let interpolation = config.next_token().interpolation.as_ref();
    // Rank 0 alone fits their weights, and saves them.
    let beside = interpolation
        .filter(|_| share.rank == 0)
        .map(|interpolation| Beside::restore(&corpus, interpolation))
        .transpose()?;
    Ok((task(corpus, word_vectors, beside, record, config), base))
}

/// Reads the corpus and resolves every option.
fn prepare(
    request: Request,
    mut plan: CorpusPlan,
    base: Option<&Base>,
    device: Device,
    notify: Notify,
) -> Result<Prepared<LanguageModelTask>> {
    let corpus = match base {
        None => plan.prepare(&corpus_cache())?,
        Some(base) => {
            let corpus = plan.prepare_from(&corpus_cache(), &base.tokenizer)?;
            let size = corpus.tokenizer.vocab_size();
            notify(Event::Note(format!(
                "going on from {}: {size} tokens, of which {} are new to it",
                base.path.display(),
                size - base.config.tokens().vocab_size
            )));
            base.note()
                .into_iter()
                .for_each(|note| notify(Event::Note(note)));
            corpus
        }
    };
    report_findings(&corpus, notify);
    let threads = tch::get_num_threads();
    let timed = matches!(recipe::budget(&request.arguments)?, Budget::Seconds(_));
    let circumstances = Circumstances {
        vocab_size: corpus.tokenizer.vocab_size(),
        train_tokens: corpus.train.len(),
        valid_tokens: corpus.valid.len(),
        speed: timed.then(|| machine::nominal_speed(threads, device)),
    };
    let resolved = recipe::language_model::resolve(&request.arguments, &circumstances)?;
    let mut config = resolved.config;
    device::check_memory(
        memory(&config, &resolved.training, corpus.valid.len()),
        device,
    )?;
    let training = machine::complete(resolved.training, &config, device, threads, notify)?;
    let statistics = &corpus.statistics;
    let (budget, horizon) = (&training.budget, config.next_token().horizon);
    let beside = Beside::learn(&corpus, &request.arguments, budget, horizon)?;
    let baselines = beside::baselines(&corpus, budget, beside.as_ref());
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
    let has_words = matches!(config.tokens().level, Level::Word | Level::Subword);
    if let Head::NextToken(head) = &mut config.head {
        head.lsa_size = if has_words { lsa::DIMENSIONS } else { 0 };
        head.interpolation = beside.as_ref().map(Beside::description);
    }
    let word_vectors = word_vectors(&config, &corpus, base)?;
    Ok(task(corpus, word_vectors, beside, record, config))
}

fn report_findings(corpus: &Corpus, notify: Notify) {
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
}

/// Word vectors of the model that the run starts from, if it has any, else of the corpus.
fn word_vectors(config: &ModelConfig, corpus: &Corpus, base: Option<&Base>) -> Result<Vec<f32>> {
    let numbers = corpus.tokenizer.vocab_size() * config.lsa_size();
    Ok(match base {
        _ if numbers == 0 => Vec::new(),
        Some(base) if WordVectors::load(base)?.is_some() => {
            let mut known = base.weights.floats(LSA_WEIGHT)?.into_owned();
            // Words that are new to it have no vector yet.
            known.resize(numbers, 0.0);
            known
        }
        _ => {
            let train = &corpus.train;
            let ranges = lsa::sampled_ranges(train.len());
            lsa::fit(
                ranges.flat_map(|range| train.read(range)),
                &corpus.tokenizer,
            )
        }
    })
}

fn task(
    corpus: Corpus,
    word_vectors: Vec<f32>,
    beside: Option<Beside>,
    record: Record<TextRecord>,
    config: ModelConfig,
) -> Prepared<LanguageModelTask> {
    let training = &record.training;
    let sampled = || {
        let targets = training.batch_size * training.bptt;
        SampledSoftmax::new(
            &record.subject.statistics.token_counts,
            targets,
            training.candidates,
        )
    };
    Prepared {
        task: LanguageModelTask {
            streams: TrainingStreams::new(corpus.train.len(), training.batch_size, training.bptt)
                .with_horizon(corpus.train.len(), config.next_token().horizon),
            valid: corpus.valid.slice(0..record.subject.valid_tokens_read),
            sampled: (training.candidates > 0).then(sampled),
            corpus,
            share: Share::WHOLE,
            directions: config.directions().len(),
            predict: config.next_token().predict,
            gradients: Gradients::new(&config, training),
            word_vectors,
            beside,
        },
        record,
        config,
    }
}

fn memory(config: &ModelConfig, training: &TrainingConfig, valid_tokens: usize) -> u64 {
    let evaluations = EvaluationStreams::new(valid_tokens.min(MOST_VALID_TOKENS));
    recipe::memory(config, training, evaluations.streams)
}

impl Task for LanguageModelTask {
    const COMMAND: &'static str = "train";
    type Record = TextRecord;

    fn describe(&self, directory: &Directory, config: &ModelConfig) -> Result<()> {
        directory.save_description(config, &self.corpus.tokenizer)
    }

    fn steps_in_pass(&self) -> usize {
        self.directions * self.streams.windows()
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

    fn take_share(
        &mut self,
        share: Share,
        config: &ModelConfig,
        training: &TrainingConfig,
    ) -> Result<()> {
        share.check(training.batch_size)?;
        self.share = share;
        self.gradients = Gradients::new(config, &self.own(training));
        Ok(())
    }

    fn shorten_validation(&mut self, tokens: usize, record: &mut TextRecord) {
        let read = self.valid.len().min(tokens.max(LEAST_VALID_TOKENS));
        record.valid_tokens_read = read;
        self.valid = self.valid.slice(0..read);
    }

    fn step(
        &mut self,
        state: &mut TrainingState,
        training: &TrainingConfig,
        seed: u64,
        pool: &ThreadPool,
    ) -> Window {
        let (device, window) = (state.network.device(), state.counters.window);
        // Windows of a bidirectional network are read in one direction and in the other in turn.
        let directions = state.network.config.directions();
        let direction = directions[window % directions.len()];
        if let Some(recurrent) = state.network.config.carried() {
            if window == 0 || recurrent.initial_state == InitialState::Zero {
                // Nothing precedes the beginning of a pass.
                state.streams = State::zeros(recurrent, self.streams.batch_size, device);
            }
            for stream in reset_streams(self.streams.batch_size, seed) {
                state.streams.reset(recurrent.stack(direction), stream);
            }
        }
        let (inputs, targets) =
            self.streams
                .read(&self.corpus.train, window / directions.len(), direction);
        let targets = match state.network.config.next_token().predict {
            Predict::Every => targets,
            Predict::Last => last_steps(&targets, inputs.len(), self.streams.batch_size),
        };
        let sampled = self
            .sampled
            .as_ref()
            .map(|softmax| softmax.draw(&targets, seed));
        let seed = self.share.seed(seed);
        let own = self.own(training);
        let masks = DropoutMasks::draw(&state.network.config, &own, device, seed, pool);
        let whole = StreamBatch {
            direction,
            batch_size: self.streams.batch_size,
            inputs: &inputs,
            targets: &targets,
            sampled: sampled.as_ref(),
            state: &state.streams,
            masks: &masks,
        };
        match self.share {
            Share::WHOLE => self
                .gradients
                .step(&state.network, &Batch::Streams(whole), pool),
            share => {
                let (gradients, network) = (&mut self.gradients, &state.network);
                share_of(share, &whole, &network.config, |batch| {
                    gradients.step(network, &batch, pool)
                })
            }
        }
    }

    fn evaluate(
        &mut self,
        state: &TrainingState,
        training: &TrainingConfig,
        world: &World,
    ) -> Result<Option<Figures>> {
        let threads = training.threads.max(1) as usize;
        let line_end = self.corpus.tokenizer.line_end();
        let network = state.averaged_network();
        let interpolation = network.config.next_token().interpolation.as_ref();
        let cache = interpolation.map_or(0, |interpolation| interpolation.cache);
        let own = (threads, self.share);
        let mut losses = evaluation::token_losses(&network, &self.valid, line_end, cache, own);
        let mut network_nats: f64 = losses.nats.iter().sum();
        match interpolation {
            None => world.sum_numbers(std::slice::from_mut(&mut network_nats))?,
            // Weights are fitted to all tokens.
            Some(_) => {
                world.sum_numbers(&mut losses.nats)?;
                let mut cached = losses.cached.iter_mut().flatten();
                cached.try_for_each(|cached| world.sum_numbers(cached))?;
                network_nats = losses.nats.iter().sum();
            }
        }
        let all = match &mut self.beside {
            // What stands beside a network would hide that it has exploded.
            Some(beside) if network_nats.is_finite() => beside.fit(&losses),
            _ => network_nats,
        };
        let statistics = &self.corpus.statistics;
        // The part that is read of a very long validation part stands for all of it.
        let fraction = self.valid.len() as f64 / statistics.valid.tokens as f64;
        let spelling_nats = statistics.valid_spelling_nats;
        let score = |nats| LanguageScore::new(nats / fraction, spelling_nats, &statistics.valid);
        let (network, score) = (score(network_nats), score(all));
        Ok(score.loss.is_finite().then_some(Figures {
            valid_loss: score.loss,
            network_loss: self.beside.is_some().then_some(network.loss),
            bits_per_character: Some(score.bits_per_character),
            ..Figures::default()
        }))
    }

    /// A text of some characters.
    fn sample(&self, directory: &Directory) -> Option<String> {
        let model = Model::open(directory, Precision::Float32, 1).ok()?;
        let sampling = Sampling {
            repetition: None,
            choice: Choice::Random {
                top_k: None,
                top_p: None,
                min_p: None,
                temperature: 0.8,
            },
        };
        let tokens = match model.config.tokens().level {
            Level::Character | Level::Byte => SAMPLE_CHARACTERS,
            Level::Word | Level::Subword => SAMPLE_CHARACTERS / 4,
        };
        Some(generated_text::sample(&model, sampling, tokens, 0))
    }

    fn weights(&self, state: &TrainingState) -> Result<Vec<u8>> {
        let config = &state.network.config;
        let vectors = FittedTensor {
            name: LSA_WEIGHT,
            shape: vec![config.tokens().vocab_size, config.lsa_size()],
            values: FittedValues::Floats(&self.word_vectors),
        };
        let mut fitted = Vec::new();
        if !self.word_vectors.is_empty() {
            fitted.push(vectors);
        }
        let description = config.next_token().interpolation.as_ref();
        let description = description.map(Interpolation::tensors).unwrap_or_default();
        if let Some(beside) = &self.beside {
            fitted.extend(beside.tensors(&description));
        }
        model_weights(state, &fitted)
    }

    fn summary(&self, record: &TextRecord) -> DataSummary {
        let tokenizer = &self.corpus.tokenizer;
        DataSummary::Text {
            level: tokenizer.level(),
            train_tokens: record.statistics.train.tokens,
            valid_tokens: record.statistics.valid.tokens,
            evaluated_tokens: record.valid_tokens_read as u64,
            vocab_size: tokenizer.vocab_size() as u64,
            rows: self.example_rows(),
        }
    }

    fn tokens_per_character(&self) -> Option<f64> {
        let train = &self.corpus.statistics.train;
        Some(train.tokens as f64 / train.characters.max(1) as f64)
    }

    fn memory(&self, config: &ModelConfig, training: &TrainingConfig) -> u64 {
        memory(config, training, self.corpus.valid.len())
    }
}

impl LanguageModelTask {
    /// The options for the part of a batch that this process computes.
    fn own(&self, training: &TrainingConfig) -> TrainingConfig {
        TrainingConfig {
            batch_size: self.share.rows(training.batch_size).len(),
            ..training.clone()
        }
    }

    /// The first rows of the first window: their first tokens, and the last one.
    fn example_rows(&self) -> Vec<ExampleRow> {
        let (inputs, targets) = self.streams.read(&self.corpus.train, 0, Direction::Forward);
        let (size, streams) = (inputs.len(), self.streams.batch_size);
        let steps = size / streams;
        let text = |&id: &u32| self.corpus.tokenizer.decode(&[id]);
        let row = |stream: usize| {
            let shown = (0..steps.saturating_sub(1).min(EXAMPLE_STEPS)).chain([steps - 1]);
            let mut row = ExampleRow {
                inputs: Vec::new(),
                targets: Vec::new(),
            };
            for step in shown {
                let position = step * streams + stream;
                let predicts = self.predict == Predict::Every || step + 1 == steps;
                let all = targets.chunks_exact(size).filter(|_| predicts);
                row.inputs.push(text(&inputs[position]));
                row.targets
                    .push(all.map(|targets| text(&targets[position])).collect());
            }
            row
        };
        (0..streams.min(EXAMPLE_ROWS)).map(row).collect()
    }
}

/// The step of a share of the streams. The state after it is that of all streams, of which the share's are new; the rows of
/// gradients that may be other than zero are those of the whole batch.
fn share_of(
    share: Share,
    whole: &StreamBatch,
    config: &ModelConfig,
    step: impl FnOnce(Batch) -> Window,
) -> Window {
    let rows = share.rows(whole.batch_size);
    let own = |tokens: &[u32]| -> Vec<u32> {
        let steps = tokens.chunks_exact(whole.batch_size);
        steps
            .flat_map(|step| &step[rows.clone()])
            .copied()
            .collect()
    };
    let (inputs, targets) = (own(whole.inputs), own(whole.targets));
    let narrow = |part: &Tensor| part.narrow(1, rows.start as i64, rows.len() as i64);
    let state = whole.state.map(|part| narrow(part).contiguous());
    let mut window = step(Batch::Streams(StreamBatch {
        batch_size: rows.len(),
        inputs: &inputs,
        targets: &targets,
        state: &state,
        ..*whole
    }));
    if let Some(own) = &window.state {
        let all = whole.state.map(Tensor::copy);
        for (all, own) in all.parts.iter().zip(&own.parts) {
            tch::no_grad(|| narrow(all).copy_(own));
        }
        window.state = Some(all);
    }
    window.widen(whole.sparse_rows(config));
    window
}

/// The targets of the last step, `[horizon, batch_size]`, of those of every step of `size` inputs.
fn last_steps(targets: &[u32], size: usize, batch_size: usize) -> Vec<u32> {
    let distances = targets.chunks_exact(size);
    distances
        .flat_map(|targets| &targets[size - batch_size..])
        .copied()
        .collect()
}

/// The streams whose state is reset before a step.
///
/// Otherwise the network hardly ever reads from the zero state, and predicts texts badly that are read from their start: one
/// with 650 units spent 8 nats on each word of such a text, which it had learnt to predict with 5. Melis et al. (2018) do
/// this too, in the code of their experiments.
fn reset_streams(streams: usize, seed: u64) -> impl Iterator<Item = usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Apart from the random numbers for dropout.
    random.set_stream(1);
    (0..streams).filter(move |_| random.random_bool(RESET_PROBABILITY))
}

/// The model given by `--from`, if there is one. Its sizes and options become those of the arguments.
fn base(arguments: &mut TrainArguments) -> Result<Option<Base>> {
    let Some(named) = &arguments.from else {
        return Ok(None);
    };
    let directory = models::find(named.as_ref())?;
    let config = directory.load_config()?;
    config.check_network(directory.path())?;
    let model = directory.path().display().to_string();
    let tokens = config.tokens();
    recipe::keep_sizes(&model, &config, arguments)?;
    recipe::keep(&model, "--level", &mut arguments.level, tokens.level)?;
    if arguments.split.is_some_and(|split| split != tokens.split) {
        let own = format!("{:?}", tokens.split).to_lowercase();
        return Err(Error::usage(format!(
            "{model} has --split {own}, and --from keeps that; leave --split away"
        )));
    }
    recipe::keep(
        &model,
        "--tie-weights",
        &mut arguments.tie_weights,
        config.tie_weights(),
    )?;
    arguments.split = (tokens.level == Level::Word).then_some(tokens.split);
    // By its absolute path, so that a run that is begun again finds it from any folder.
    arguments.from = Some(
        absolute(vec![directory.path().to_path_buf()])?[0]
            .display()
            .to_string(),
    );
    Base::load(&directory).map(Some)
}
