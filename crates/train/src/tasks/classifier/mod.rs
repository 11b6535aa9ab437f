/*!
Learning a classifier, in the way of Howard and Ruder (2018): a language model's layers are taken over and unfrozen from the
top down, each with a smaller learning rate than the one above, under a head that sees the pooled outputs of the whole text.
Beside them a linear classifier learns words, n-grams of words and pieces of words (`model_selection`, `linear`); the weights of
both in the sum are fitted on the validation part (`calibration`). How well all that does is shown by cross-validation
(`cross_validation`, `folds`), where it is asked for.
*/

mod batches;
pub(crate) mod calibration;
mod class_weights;
mod cross_validation;
mod dataset;
mod excerpts;
mod folds;
mod linear;
mod model_selection;
mod prepare;
mod task;

pub use cross_validation::{FoldRun, TrainFold};
pub use task::ClassifierTask;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::run::{self, Base, Event, Notify, Prepared, Run, SavedRun};
use crate::{device, recipe};
use carousel::checkpoint::arguments::{ClassWeights, TrainArguments};
use carousel::checkpoint::cross_validation::CrossValidation;
use carousel::checkpoint::data_paths::DataPaths;
use carousel::checkpoint::record::{Budget, DocumentsRecord, Record, Request};
use carousel::checkpoint::{Directory, models};
use carousel::data::labelled::DocumentOptions;
use carousel::error::{Error, Result};
use carousel::files::absolute;
use carousel::inference::linear::LinearClassifier;
use carousel::text::Level;
use carousel::text::preprocessing::Preprocessing;
use dataset::Dataset;
use model_selection::{FittedLinear, Prior};
use prepare::LANGUAGE_MODEL_FRACTION;

/// Bytes of text from which on a language model is learnt first: about a million English words.
const WORTH_A_LANGUAGE_MODEL: usize = 5_000_000;

/// Learns a language model in a directory, from a text, with the arguments that it is given; the moment is when the run
/// began that needs it.
pub type LearnLanguageModel<'a> =
    &'a mut dyn FnMut(Directory, &Path, &TrainArguments, Instant) -> Result<()>;

/// What is trained before a classifier's own run, by its caller, who watches for interruptions and shows progress.
pub struct Inner<'a> {
    /// Learns the language model that a classifier goes on from.
    pub language_model: LearnLanguageModel<'a>,
    /// Trains the runs of cross-validation; without it they are only announced.
    pub fold: Option<TrainFold<'a>>,
}

/// Begins a run that learns labels from the files at `paths`, after the cross-validation that was asked for; `started` is
/// when the command began.
///
/// # Errors
/// Documents that cannot be read, one label only, options that contradict each other, a device that is not there, a directory that cannot
/// be written.
pub fn begin(
    directory: Directory,
    paths: &[PathBuf],
    (arguments, documents): (&TrainArguments, &DocumentOptions),
    started: Instant,
    notify: Notify,
    mut inner: Inner,
) -> Result<Run<ClassifierTask>> {
    recipe::classifier::check(arguments)?;
    device::device(arguments.device.unwrap_or_default())?;
    let mut arguments = arguments.clone();
    // Recorded, as runs of old have another default.
    arguments
        .class_weights
        .get_or_insert(ClassWeights::Balanced);
    let validation = name_absolutely(&mut arguments)?;
    let request = Request {
        version: env!("CARGO_PKG_VERSION").to_string(),
        paths: absolute(paths.to_vec())?,
        arguments,
        documents: Some(DocumentOptions {
            labels: true,
            ..documents.clone()
        }),
        pairs: None,
    };
    let dataset = Dataset::read(&request, validation.as_deref(), notify)?;
    let spent = started.elapsed() / recipe::runs(&request.arguments) as u32;
    let found = match request.arguments.folds {
        Some(_) => {
            let data = (&request, &dataset);
            Some(cross_validation::run(
                &directory, data, spent, notify, &mut inner,
            )?)
        }
        None => None,
    };
    let started = cross_validation::before(spent);
    let data = (dataset, found);
    begin_on(
        directory,
        request,
        data,
        started,
        notify,
        inner.language_model,
    )
}

/// Begins a run on documents that have been read; `started` is when its time began. The figures of their cross-validation are
/// recorded, if there are any.
fn begin_on(
    directory: Directory,
    request: Request,
    (dataset, found): (Dataset, Option<CrossValidation>),
    started: Instant,
    notify: Notify,
    learn_language_model: LearnLanguageModel,
) -> Result<Run<ClassifierTask>> {
    let device = device::device(request.arguments.device.unwrap_or_default())?;
    let base = match &request.arguments.from {
        Some(named) => Some(Base::load(&models::find(named.as_ref())?)?),
        None if dataset.train.bytes() >= WORTH_A_LANGUAGE_MODEL => Some(language_model_of(
            &dataset,
            &directory,
            &request,
            (started, notify),
            learn_language_model,
        )?),
        None => None,
    };
    let note = base.as_ref().and_then(Base::note);
    note.into_iter().for_each(|note| notify(Event::Note(note)));
    // The time so far is subtracted from the budget; the run's clock begins now.
    let (spent, began) = (started.elapsed(), Instant::now());
    let prepare = |request| {
        let place = (device, spent);
        let mut prepared = prepare::prepare(request, dataset, base.as_ref(), place, notify)?;
        prepared.record.subject.cross_validation = found;
        Ok(prepared)
    };
    Run::begin(directory, request, base.as_ref(), began, prepare)
}

/// Makes the names of the model, the validation file and the test file absolute, so that a run that is begun again finds them from any
/// folder. Returns the validation file, if there is one.
fn name_absolutely(arguments: &mut TrainArguments) -> Result<Option<PathBuf>> {
    if let Some(named) = &arguments.from {
        let found = models::find(named.as_ref())?.path().to_path_buf();
        arguments.from = Some(absolute(vec![found])?[0].display().to_string());
    }
    if let Some(test) = &arguments.test {
        arguments.test = Some(absolute(vec![test.clone()])?.remove(0));
    }
    let Some(file) = validation_file(arguments) else {
        return Ok(None);
    };
    let file = absolute(vec![file])?.remove(0);
    arguments.valid = Some(file.display().to_string());
    Ok(Some(file))
}

fn validation_file(arguments: &TrainArguments) -> Option<PathBuf> {
    let valid = arguments.valid.as_ref()?;
    valid.parse::<f64>().is_err().then(|| PathBuf::from(valid))
}

/// Learns a language model of the documents' texts, in a folder within the run's.
fn language_model_of(
    dataset: &Dataset,
    directory: &Directory,
    request: &Request,
    (started, notify): (Instant, Notify),
    learn: LearnLanguageModel,
) -> Result<Base> {
    // Saved first, so that a run that ends before the classifier is begun can be resumed.
    let same = directory
        .load_request()
        .is_ok_and(|earlier| earlier == *request);
    if !same {
        directory.create()?;
        directory.save_request(request)?;
    }
    let part = directory.language_model();
    part.create()?;
    let corpus = part.standard_input();
    let preprocessing = recipe::classifier::preprocessing(&request.arguments, None);
    dataset.train.write(&corpus, preprocessing)?;
    notify(Event::Note(
        "first a language model is learnt from the documents' texts".to_string(),
    ));
    learn(
        part.clone(),
        &corpus,
        &language_model_arguments(&request.arguments)?,
        started,
    )?;
    // Only the language model's training needs the copy of the texts.
    let _ = std::fs::remove_file(&corpus);
    Base::load(&part)
}

/// The arguments of the language model: its vocabulary, its sizes, and a fraction of its budget. How it is trained is
/// left to its own recipe.
fn language_model_arguments(asked: &TrainArguments) -> Result<TrainArguments> {
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
        gradients: asked.gradients,
        device: asked.device,
        // Only its layers are used.
        interpolate: Some(false),
        ..TrainArguments::default()
    };
    let fraction = LANGUAGE_MODEL_FRACTION;
    match recipe::budget(asked)? {
        Budget::Seconds(seconds) => {
            arguments.time = Some(Duration::from_secs_f64(seconds * fraction))
        }
        Budget::Epochs(epochs) => arguments.epochs = Some(epochs * fraction),
        Budget::Steps(steps) => arguments.steps = Some((steps as f64 * fraction).ceil() as u64),
    }
    Ok(arguments)
}

/// Resumes a run where it was saved last; `None` if it is finished. `given` is where the user says that the documents are
/// now.
///
/// # Errors
/// A directory without a run, damaged files, documents that have changed or are not found.
pub fn resume(
    directory: Directory,
    given: Option<&DataPaths>,
    started: Instant,
    notify: Notify,
    inner: Inner,
) -> Result<Option<Run<ClassifierTask>>> {
    let place = directory.clone();
    let begin = |mut request: Request, notify: Notify| {
        with_former_defaults(&mut request.arguments);
        let documents = request.documents.unwrap_or_default();
        let asked = (&request.arguments, &documents);
        begin(place.clone(), &request.paths, asked, started, notify, inner)
    };
    let restore = |saved| restore(&directory, saved, given);
    run::resume(directory.clone(), given, (started, notify), begin, restore)
}

/// Sets what was not given in a run of a version whose defaults were others: one that recorded no weights of labels.
fn with_former_defaults(arguments: &mut TrainArguments) {
    if arguments.class_weights.is_none() {
        arguments.class_weights = Some(ClassWeights::None);
        arguments.preprocessing.get_or_insert(Preprocessing::None);
    }
}

/// The documents of a saved run, where they are now.
fn read_again(
    directory: &Directory,
    record: &mut Record<DocumentsRecord>,
    given: Option<&DataPaths>,
) -> Result<Dataset> {
    let has_content = |data: &DataPaths| {
        let mut request = record.request.clone();
        data.put_into(&mut request)?;
        let dataset = Dataset::read(&request, data.valid.as_deref(), &mut |_| ())?;
        match dataset.hash == record.subject.hash {
            true => Ok(dataset),
            false => Err(Error::new(
                "the documents have changed since the run began; restore them, or begin another run with -o",
            )),
        }
    };
    let Some(found) = DataPaths::find_again(directory, &record.request, given, has_content)? else {
        return has_content(&DataPaths::of(&record.request));
    };
    found.data.put_into(&mut record.request)?;
    Ok(found.content)
}

/// The task of a saved run, and the model that it began from, where that is still needed.
fn restore(
    directory: &Directory,
    mut saved: SavedRun<DocumentsRecord>,
    given: Option<&DataPaths>,
) -> Result<(Prepared<ClassifierTask>, Option<Base>)> {
    let dataset = read_again(directory, &mut saved.record, given)?;
    restore_on(directory, saved, dataset)
}

/// The same with documents that have been read.
fn restore_on(
    directory: &Directory,
    saved: SavedRun<DocumentsRecord>,
    dataset: Dataset,
) -> Result<(Prepared<ClassifierTask>, Option<Base>)> {
    let SavedRun {
        record,
        config,
        has_state,
    } = saved;
    let tokenizer = directory.load_tokenizer(&config)?;
    let arguments = &record.request.arguments;
    let has_weights = directory.has_weights();
    let needs_base = !(has_state && has_weights);
    let base = match &arguments.from {
        Some(named) if needs_base => Some(Base::load(&models::find(named.as_ref())?)?),
        None if needs_base && record.subject.thaws => {
            Some(Base::load(&directory.language_model())?)
        }
        _ => None,
    };
    let saved = match has_weights {
        true => Some(directory.load_weights(&config)?),
        false => None,
    };
    let before = saved.as_ref().or(base.as_ref().map(|base| &base.weights));
    let learnt = prepare::learnt_documents(&dataset, before)?;
    let words = dataset.words(tokenizer.normalization(), config.preprocessing());
    let linear = match saved {
        Some(saved) => FittedLinear::new(
            LinearClassifier::load(&saved, config.preprocessing())?,
            &words.valid,
        ),
        None => {
            let prior = Prior::load(&dataset, base.as_ref())?;
            let class_weights = arguments.class_weights.unwrap_or_default();
            let seed = record.training.seed;
            FittedLinear::fit(&dataset, &words, &prior, class_weights, seed)
        }
    };
    if Some(linear.classifier.hashes.len()) != config.ngrams() {
        return Err(Error::new(format!(
            "the model that {} goes on from has changed, and no weights were saved yet: begin again with --overwrite",
            directory.path().display()
        )));
    }
    Ok((
        prepare::task((dataset, learnt), tokenizer, linear, record, config),
        base,
    ))
}
