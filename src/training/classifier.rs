/*!
Learning to tell labels, in the way of Howard and Ruder (2018): a language model's layers are taken over, thawed from the top
down, each with a smaller learning rate than the one above, under a head that sees what their outputs come to over the whole
text. Beside them a linear machine learns words, pairs and triples of words ([`crate::ngrams`]); what the two halves count is
fitted on the validation part ([`crate::calibration`]).
*/

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::Device;

use crate::backprop::{Backprop, LONGEST, Window};
use crate::calibration;
use crate::evaluation;
use crate::excerpts::{Excerpts, TYPICAL};
use crate::network::{Masks, State};
use crate::ngrams::{Features, Trial};
use crate::pooling::Head;
use crate::precision;
use crate::resume::{Base, Standing};
use crate::run::{self, Event, Left, Run, Settled, Task, absolute, enough_memory};
use crate::semantics::Semantics;
use carousel::baselines::naive_baselines;
use carousel::checkpoint::config::{self, POOLED};
use carousel::checkpoint::record::{Budget, DocumentsRecord, Figures, Options, Record, Request};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::{Error, Result};
use carousel::inference::classifier::{Calibration, Reading, plain, softmax};
use carousel::inference::ngrams::Ngrams;
use carousel::kernels::Team;
use carousel::metrics::ClassificationScore;
use carousel::recipe::{self, Circumstances};
use carousel::settings::{self, Settings};
use carousel::text::Level;
use carousel::text::encoder::Encoder;
use carousel::text::labelled::{self, Count, Rows};
use carousel::text::learner::Learner;
use carousel::text::tokenizer::Tokenizer;

/// Share of the documents that is measured on, if none are given for it.
const VALIDATION: f64 = 0.1;
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
/// Runs of words that have weights, at most.
const NGRAMS: usize = 600_000;
/// Words of the language model that the speed is measured by.
const FEW_WORDS: usize = 1000;
/// Costs of a document told wrong, and what weights that were there before may count, all of which are tried out.
const COSTS: [f32; 4] = [0.3, 1.0, 3.0, 10.0];
const PRIORS: [f32; 3] = [0.0, 0.5, 2.0];
/// Documents from which on they say themselves what their words are a sign of; with these, or with so many words, a part of
/// them is enough to choose by.
const MANY: usize = 10_000;
const MANY_WORDS: usize = 500_000;
/// Parts of fewer, each of which is held out once.
const FOLDS: usize = 5;

/// Documents and their labels, as numbers.
struct Documents {
    texts: Vec<String>,
    truth: Vec<usize>,
}

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
pub type LanguageModel<'a> = &'a mut dyn FnMut(Directory, &Path, &Settings) -> Result<()>;

/// Begins a run that learns labels from the files at `paths`; `started` is when the command began.
///
/// # Errors
/// Documents that cannot be read, one label only, options that cannot be obeyed, a directory that is taken.
pub fn begin(
    directory: Directory,
    paths: &[PathBuf],
    settings: &Settings,
    documents: &labelled::Request,
    started: Instant,
    notify: &mut dyn FnMut(Event),
    language_model: LanguageModel,
) -> Result<Run<Labels>> {
    recipe::check_classifier(settings)?;
    if !matches!(
        settings.device,
        None | Some(settings::Device::Auto | settings::Device::Cpu)
    ) {
        return Err(Error::usage(
            "classifiers are trained on the CPU; leave --device away",
        ));
    }
    let mut settings = settings.clone();
    if let Some(named) = &settings.from {
        // Named so that a run that is begun again finds it from any folder.
        let found = Directory::find(named.as_ref())?.path().to_path_buf();
        settings.from = Some(absolute(vec![found])?[0].display().to_string());
    }
    let mut validation = None;
    if let Some(valid) = &settings.valid
        && valid.parse::<f64>().is_err()
    {
        let file = absolute(vec![PathBuf::from(valid)])?.remove(0);
        settings.valid = Some(file.display().to_string());
        validation = Some(file);
    }
    let request = Request {
        version: env!("CARGO_PKG_VERSION").to_string(),
        paths: absolute(paths.to_vec())?,
        settings,
        documents: Some(labelled::Request {
            labels: true,
            ..documents.clone()
        }),
    };
    let material = Material::read(&request, validation.as_deref(), notify)?;
    let base = match &request.settings.from {
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
            let settings = of_language_model(&request.settings)?;
            notify(Event::Note(
                "first a language model is learnt from the documents' texts".to_string(),
            ));
            language_model(part.clone(), &corpus, &settings)?;
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
                &request.settings,
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
    let settings = &record.request.settings;
    // What the run began with is still of use where it has not come far.
    let far = state.is_some() && directory.has_weights();
    let base = match &settings.from {
        Some(named) if !far => Some(base(&Directory::find(named.as_ref())?)?),
        None if !far && record.subject.thaws => Some(base(&directory.language_model())?),
        _ => None,
    };
    let validation = settings
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
            let known = known(&material, base.as_ref())?;
            material.wide(&words, &known, record.options.seed)
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

/// The documents, read and divided.
struct Material {
    labels: Vec<String>,
    train: Documents,
    valid: Documents,
    hash: String,
}

impl Documents {
    fn bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }

    /// The texts alone, one after another.
    fn write(&self, path: &Path) -> Result<()> {
        let text: String = self.texts.iter().flat_map(|text| [text, "\n"]).collect();
        carousel::files::write_atomically(path, text.as_bytes())
    }

    fn words(&self) -> Vec<Vec<String>> {
        let words = |text: &String| carousel::text::ngrams::words(text);
        self.texts.iter().map(words).collect()
    }
}

impl Material {
    fn read(
        request: &Request,
        validation: Option<&Path>,
        notify: &mut dyn FnMut(Event),
    ) -> Result<Self> {
        let how = request.documents.clone().unwrap_or_default();
        let all = read_documents(&request.paths, &how, notify)?;
        let given = match validation {
            Some(path) => Some(read_documents(&[path.to_path_buf()], &how, notify)?),
            None => None,
        };
        let names: BTreeSet<&String> = all.iter().map(|(label, _)| label).collect();
        let labels: Vec<String> = names.into_iter().cloned().collect();
        if labels.len() < 2 {
            return Err(Error::new(format!(
                "all documents have the label {}; a classifier needs two or more to tell apart",
                labels.first().map_or("", String::as_str)
            )));
        }
        let number = |label: &String| labels.binary_search(label);
        let mut hasher = blake3::Hasher::new();
        for (label, text) in all.iter().chain(given.iter().flatten()) {
            for part in [label, text] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        let hash = hasher.finalize().to_hex().to_string();
        let of = |documents: Vec<(String, String)>| Documents {
            truth: documents
                .iter()
                .map(|(label, _)| number(label).expect("one of the labels"))
                .collect(),
            texts: documents.into_iter().map(|(_, text)| text).collect(),
        };
        let (train, valid) = match given {
            Some(given) => {
                let strange: Vec<&String> = given
                    .iter()
                    .map(|(label, _)| label)
                    .filter(|label| number(label).is_err())
                    .collect();
                if let Some(first) = strange.first() {
                    return Err(Error::new(format!(
                        "the documents to measure on have the label {first}, which none to train on has"
                    )));
                }
                (of(all), of(given))
            }
            None => {
                let fraction = match recipe::validation(&request.settings)? {
                    carousel::text::corpus::Validation::Fraction(fraction) => fraction,
                    _ => VALIDATION,
                };
                let all = of(all);
                for (label, name) in labels.iter().enumerate() {
                    if all.truth.iter().filter(|&&truth| truth == label).count() == 1 {
                        notify(Event::Note(format!(
                            "the label {name} is met once; it is trained on and never measured"
                        )));
                    }
                }
                divide(all, labels.len(), fraction)
            }
        };
        if valid.texts.is_empty() {
            return Err(Error::new(
                "there are too few documents to measure on a part of them; give more, or others with --valid FILE",
            ));
        }
        let known: BTreeSet<&String> = train.texts.iter().collect();
        let twice = valid
            .texts
            .iter()
            .filter(|text| known.contains(text))
            .count();
        if twice > 0 {
            notify(Event::Note(format!(
                "{twice} of the {} documents to measure on are among those to train on; what is measured is better than \
                 it should be",
                valid.texts.len()
            )));
        }
        Ok(Material {
            labels,
            train,
            valid,
            hash,
        })
    }

    fn words(&self) -> Words {
        Words {
            train: self.train.words(),
            valid: self.valid.words(),
        }
    }

    /// The linear half, learnt in the way whose calibrated loss is least on documents that were held out, and what it says of
    /// the validation part.
    fn wide(&self, words: &Words, known: &Known, seed: u64) -> Wide {
        let labels = self.labels.len();
        let features = |documents: &Told| {
            let prior = known.prior(documents, labels);
            Features::of(&documents.words, &documents.truth, labels, prior)
        };
        let all = Told::of(&words.train, &self.train.truth);
        let whole = features(&all);
        // Weights of a model that may have learnt from these documents are judged by others.
        let folds = match known {
            Known::Weights(_) => Vec::new(),
            _ => folds(&all, labels),
        };
        let folds: Vec<(Features, Told)> = std::thread::scope(|scope| {
            let learn = |(learnt, held)| scope.spawn(move || (features(&learnt), held));
            let learning: Vec<_> = folds.into_iter().map(learn).collect();
            let learnt = learning.into_iter().map(|fold| fold.join());
            learnt
                .map(|fold| fold.expect("features do not panic"))
                .collect()
        });
        let valid = Told::of(&words.valid, &self.valid.truth);
        let held: Vec<(&Features, &Told)> = match &folds[..] {
            [] => vec![(&whole, &valid)],
            folds => folds.iter().map(|(learnt, held)| (learnt, held)).collect(),
        };
        let truth: Vec<usize> = held
            .iter()
            .flat_map(|(_, held)| held.truth.clone())
            .collect();
        // As surely as can be: few documents tell ways apart by how many are right less than by how surely.
        let try_out = |trial: Trial| {
            let logits = |(learnt, held): &(&Features, &Told)| {
                let ngrams = learnt.learn(trial, NGRAMS, seed);
                let logits = held.words.iter().map(|words| ngrams.logits(words));
                logits.collect::<Vec<_>>()
            };
            let logits: Vec<Vec<f64>> = held.iter().flat_map(logits).collect();
            let none = vec![vec![0.0; labels]; logits.len()];
            let calibration = calibration::fit(&none, &logits, &truth);
            let told = none.iter().zip(&logits);
            let told = told.map(|(none, logits)| calibration.combine(none, logits));
            (loss(told, &truth), calibration, trial)
        };
        let best = |trials: &[Trial]| {
            let tried: Vec<_> = std::thread::scope(|scope| {
                let try_out = &try_out;
                let begin = |&trial| scope.spawn(move || try_out(trial));
                let trials: Vec<_> = trials.iter().map(begin).collect();
                let joined = trials.into_iter().map(|trial| trial.join());
                joined
                    .map(|tried| tried.expect("a trial does not panic"))
                    .collect()
            });
            let least = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
            least.expect("something was tried")
        };
        let usual = if known.something() { 1.0 } else { 0.0 };
        let mut found = best(&COSTS.map(|cost| Trial { cost, prior: usual }));
        if known.something() {
            let cost = found.2.cost;
            let others = best(&PRIORS.map(|prior| Trial { cost, prior }));
            if others.0 < found.0 {
                found = others;
            }
        }
        let (_, calibration, trial) = found;
        let mut ngrams = whole.learn(trial, NGRAMS, seed);
        // So that few documents need not say again how sure it may be.
        let scale = calibration.scales[1] as f32;
        ngrams
            .weights
            .iter_mut()
            .for_each(|weight| *weight *= scale);
        for (bias, more) in ngrams.bias.iter_mut().zip(&calibration.bias) {
            *bias = *bias * scale + *more as f32;
        }
        Wide::of(ngrams, &words.valid)
    }
}

/// Documents by their words, and their labels as numbers.
#[derive(Default)]
struct Told<'d> {
    words: Vec<&'d [String]>,
    truth: Vec<usize>,
}

impl<'d> Told<'d> {
    fn of(words: &'d [Vec<String>], truth: &[usize]) -> Self {
        Told {
            words: words.iter().map(|words| &words[..]).collect(),
            truth: truth.to_vec(),
        }
    }
}

/// Documents but for a part, and that part, for each of [`FOLDS`] parts with as many of each label. None, where there are so
/// many documents that a part of them is enough to choose by, and where there are too few.
fn folds<'d>(all: &Told<'d>, labels: usize) -> Vec<(Told<'d>, Told<'d>)> {
    let words: usize = all.words.iter().map(|words| words.len()).sum();
    if all.words.len() >= MANY || words >= MANY_WORDS {
        return Vec::new();
    }
    let mut seen = vec![0; labels];
    let fold_of: Vec<usize> = all
        .truth
        .iter()
        .map(|&label| {
            seen[label] += 1;
            (seen[label] - 1) % FOLDS
        })
        .collect();
    let part = |fold: usize, own: bool| {
        let mut part = Told::default();
        let documents = all.words.iter().zip(&all.truth).zip(&fold_of);
        for ((words, &truth), _) in documents.filter(|(_, of)| (**of == fold) == own) {
            part.words.push(words);
            part.truth.push(truth);
        }
        part
    };
    let folds = (0..FOLDS).map(|fold| (part(fold, false), part(fold, true)));
    folds
        .filter(|(learnt, held)| !learnt.words.is_empty() && !held.words.is_empty())
        .collect()
}

/// The words of the documents to train on, and of those to measure on.
struct Words {
    train: Vec<Vec<String>>,
    valid: Vec<Vec<String>>,
}

/// The linear half, and what it says of the validation part.
struct Wide {
    ngrams: Ngrams,
    logits: Vec<Vec<f64>>,
}

impl Wide {
    fn of(ngrams: Ngrams, valid: &[Vec<String>]) -> Self {
        Wide {
            logits: valid.iter().map(|words| ngrams.logits(words)).collect(),
            ngrams,
        }
    }
}

/// Every document, and the rows that are none, as they were found.
fn read_documents(
    paths: &[PathBuf],
    how: &labelled::Request,
    notify: &mut dyn FnMut(Event),
) -> Result<Vec<(String, String)>> {
    let mut documents = Vec::new();
    for path in paths {
        let rows = Rows::open(path, how)?;
        rows.notes
            .iter()
            .for_each(|note| notify(Event::Note(note.clone())));
        let (mut count, mut empty) = (Count::default(), 0);
        let mut tell = |told| notify(Event::Note(format!("{}: {told}", path.display())));
        for row in rows {
            let Some(document) = count.take(row?, &mut tell) else {
                continue;
            };
            let text = plain(&document.text).into_owned();
            if text.is_empty() {
                empty += 1;
            } else {
                documents.push((document.label.unwrap_or_default(), text));
            }
        }
        for (count, what) in [(count.broken, "broken"), (empty, "empty")] {
            if count > 0 {
                notify(Event::Note(format!(
                    "{count} {what} rows of {} were left out",
                    path.display()
                )));
            }
        }
    }
    if documents.is_empty() {
        return Err(Error::new("there are no documents to learn from"));
    }
    Ok(documents)
}

/// Divides documents so that each label is met in both parts as often as in all, by a seed that never changes: the same
/// documents are divided in the same way, whatever else is tried.
fn divide(all: Documents, labels: usize, fraction: f64) -> (Documents, Documents) {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut held = vec![false; all.texts.len()];
    for label in 0..labels {
        let mut own: Vec<usize> = (0..all.truth.len())
            .filter(|&index| all.truth[index] == label)
            .collect();
        own.shuffle(&mut random);
        let count = (own.len() as f64 * fraction).round() as usize;
        // A label that is met twice is trained on and measured.
        let count = count.max(usize::from(own.len() > 1)).min(own.len() - 1);
        own[..count].iter().for_each(|&index| held[index] = true);
    }
    let nothing = || Documents {
        texts: Vec::new(),
        truth: Vec::new(),
    };
    let (mut train, mut valid) = (nothing(), nothing());
    for ((text, truth), held) in all.texts.into_iter().zip(all.truth).zip(held) {
        let part = if held { &mut valid } else { &mut train };
        part.texts.push(text);
        part.truth.push(truth);
    }
    (train, valid)
}

/// The settings of a language model that is to serve a classifier: its vocabulary, its sizes, and a share of its budget.
/// How it is trained best is a matter of its own.
fn of_language_model(settings: &Settings) -> Result<Settings> {
    let asked = settings.clone();
    let mut settings = Settings {
        level: asked.level.or(Some(Level::Word)),
        split: asked.split,
        vocab_size: asked.vocab_size,
        min_count: asked.min_count,
        embedding_size: asked.embedding_size,
        hidden_size: asked.hidden_size,
        num_layers: asked.num_layers,
        seed: asked.seed,
        precision: asked.precision,
        device: asked.device,
        ..Settings::default()
    };
    let share = LANGUAGE_MODEL_SHARE;
    match recipe::budget(&asked)? {
        Budget::Seconds(seconds) => {
            settings.time = Some(Duration::from_secs_f64(seconds * share));
        }
        Budget::Epochs(epochs) => settings.epochs = Some(epochs * share),
        Budget::Steps(steps) => settings.steps = Some((steps as f64 * share).ceil() as u64),
    }
    Ok(settings)
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

/// What the model to go on from knows of words.
enum Known {
    Nothing,
    /// What they are a sign of.
    Weights(Ngrams),
    /// What they have to do with each other.
    Semantics(Semantics),
}

fn known(material: &Material, base: Option<&Base>) -> Result<Known> {
    let Some(base) = base else {
        return Ok(Known::Nothing);
    };
    if base.config.labels == material.labels {
        return Ok(Known::Weights(Ngrams::load(&base.weights)?));
    }
    let semantics = match material.train.texts.len() {
        ..MANY => Semantics::load(base)?,
        _ => None,
    };
    Ok(semantics.map_or(Known::Nothing, Known::Semantics))
}

impl Known {
    fn something(&self) -> bool {
        !matches!(self, Known::Nothing)
    }

    /// Weights of words before any is learnt from documents by themselves.
    fn prior(&self, documents: &Told, labels: usize) -> Option<Ngrams> {
        match self {
            Known::Nothing => None,
            Known::Weights(weights) => Some(weights.clone()),
            Known::Semantics(semantics) => {
                Some(semantics.tell(&documents.words, &documents.truth, labels))
            }
        }
    }
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
            let mut settings = request.settings.clone();
            settings.level.get_or_insert(Level::Word);
            let bytes = material.train.bytes() as u64;
            let mut learner = Learner::new(recipe::vocabulary(&settings)?, bytes);
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
        &request.settings,
        &circumstances,
        material.train.texts.len(),
        base.map(|base| &base.config),
    )?;
    let mut options = Options {
        threads,
        ..resolved.options
    };
    // What a language model took is gone.
    let left = match (&request.settings.from, base) {
        (None, Some(_)) => 1.0 - LANGUAGE_MODEL_SHARE,
        _ => 1.0,
    };
    match &mut options.budget {
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
    let known = known(&material, base)?;
    if let (Some(base), Known::Weights(_)) = (base, &known) {
        notify(Event::Note(format!(
            "{} tells these labels already; if it has learnt from these documents, what is measured is better than it \
             should be, and the result may be worse than it: go on from a language model instead",
            base.path.display()
        )));
    }
    let wide = material.wide(&words, &known, options.seed);
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
    let windows = Options {
        bptt: 64,
        ..options.clone()
    };
    let (precision, note) = precision::settle(&alike, &windows, Device::Cpu)?;
    options.precision = precision;
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
        options,
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
    let options = &mut settled.record.options;
    if let Some(total) = recipe::total_steps(&options.budget, settled.task.steps_in_pass()) {
        options.evaluate_every = recipe::between_evaluations(total);
    }
    let needed = settled
        .task
        .memory(&settled.config, &settled.record.options);
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
    let options = &record.options;
    let encode = |documents: &Documents| -> Vec<Vec<u32>> {
        let mut encoder = Encoder::new(&tokenizer);
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
            batch_size: options.batch_size,
            dropout: config.dropout,
            thaws: record.subject.thaws,
            layers: config.num_layers,
            seed: options.seed,
            excerpts,
            parts: all,
            tokens,
            pass: None,
            batches: Vec::new(),
            tokenizer,
            backprop: Backprop::new(
                &config,
                options.batch_size,
                precision::of_kernels(options.precision),
            ),
        },
        record,
        config,
    }
}

/// Mean nats that logits spend on what is true.
fn loss(logits: impl Iterator<Item = Vec<f64>>, truth: &[usize]) -> f64 {
    let nats: f64 = logits
        .zip(truth)
        .map(|(logits, &truth)| -softmax(&logits)[truth].max(f64::MIN_POSITIVE).ln())
        .sum();
    nats / truth.len() as f64
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
        standing: &mut Standing,
        options: &Options,
        seed: u64,
        team: &Team,
    ) -> Window {
        self.shuffle(standing.progress.epoch);
        let batch = &self.batches[standing.progress.window];
        let texts: Vec<Cow<[u32]>> = batch.iter().map(|part| part.of(&self.train)).collect();
        let texts: Vec<&[u32]> = texts.iter().map(|text| &text[..]).collect();
        let labels: Vec<usize> = batch.iter().map(|part| self.truth[part.document]).collect();
        let network = &standing.network;
        let options = Options {
            batch_size: texts.len(),
            ..options.clone()
        };
        let mut masks = Masks::draw(&network.config, &options, Device::Cpu, seed, team);
        // What the head sees is dropped instead.
        if let Some(last) = masks.outputs.last_mut() {
            *last = None;
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(2);
        let kept = 1.0 - self.dropout;
        let mut factor = || match random.random_bool(kept) {
            true => (1.0 / kept) as f32,
            false => 0.0,
        };
        let seen = texts.len() * POOLED * network.config.hidden_size;
        let head = Head {
            labels: &labels,
            weights: &self.weights,
            mask: (self.dropout > 0.0).then(|| (0..seen).map(|_| factor()).collect()),
        };
        let window = self.backprop.texts(network, &texts, &head, &masks, team);
        Window {
            // Documents begin from nothing; the run's state stays as it is.
            state: State {
                hidden: standing.state.hidden.shallow_clone(),
                cell: standing.state.cell.shallow_clone(),
            },
            ..window
        }
    }

    /// The head at once; the layers below it one after another, from the top down.
    fn shares(&self, progress: f64) -> Vec<f64> {
        if !self.thaws {
            return Vec::new();
        }
        let share = |depth: usize| match progress >= THAW * depth as f64 {
            true => SLOWER_BELOW.powi(-(depth as i32)),
            false => 0.0,
        };
        let layers = (0..self.layers).flat_map(|layer| [share(self.layers - layer); 4]);
        let embedding = [share(self.layers + 1)];
        embedding
            .into_iter()
            .chain(layers)
            .chain([1.0, 1.0])
            .collect()
    }

    fn evaluate(&mut self, standing: &Standing, options: &Options) -> Option<Figures> {
        let threads = options.threads.max(1) as usize;
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

    fn weights(&self, standing: &Standing) -> Result<Vec<u8>> {
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

    fn memory(&self, config: &ModelConfig, options: &Options) -> u64 {
        let longest = self.train.iter().map(Vec::len).max().unwrap_or(0);
        let whole = Options {
            bptt: longest.min(LONGEST),
            ..options.clone()
        };
        recipe::memory(config, &whole, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_is_held_out_once_and_none_where_one_alone_has_its_label() {
        let words: Vec<Vec<String>> = (0..23).map(|i| vec![i.to_string()]).collect();
        // Of 23 documents, 12 and 8 of two labels, and three of another.
        let truth: Vec<usize> = (0..23)
            .map(|i| match i {
                0..12 => 0,
                12..20 => 1,
                _ => 2,
            })
            .collect();
        let all = Told::of(&words, &truth);
        let found = folds(&all, 3);
        assert_eq!(found.len(), FOLDS);
        let mut held: Vec<&[String]> = Vec::new();
        for (learnt, out) in &found {
            assert_eq!(learnt.words.len() + out.words.len(), 23);
            assert!(out.words.iter().all(|words| !learnt.words.contains(words)));
            for (label, at_least) in [(0, 2), (1, 1)] {
                let count = out.truth.iter().filter(|&&truth| truth == label).count();
                assert!(count >= at_least, "{count} of {label}");
            }
            held.extend(&out.words);
        }
        held.sort();
        held.dedup();
        assert_eq!(held.len(), 23);

        let few = Told::of(&words[11..13], &truth[11..13]);
        assert!(folds(&few, 3).is_empty());
        let many: Vec<Vec<String>> = vec![vec!["so".to_string()]; MANY];
        assert!(folds(&Told::of(&many, &vec![0; MANY]), 1).is_empty());
    }
}
