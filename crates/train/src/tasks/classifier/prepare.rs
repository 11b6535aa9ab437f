/*!
Everything that a classifier's run needs before its first step.
*/

use std::time::{Duration, Instant};

use tch::Device;

use super::batches::{Batches, EncodedDocuments};
use super::class_weights::label_weights;
use super::dataset::{BYTES_A_TOKEN, Dataset, DatasetWords, LabelledTexts};
use super::model_selection::{FittedLinear, Prior};
use super::task::ClassifierTask;
use crate::distributed::Share;
use crate::gradients::Gradients;
use crate::recipe::{self, Circumstances, Resolved};
use crate::run::{Base, Event, Notify, Prepared, Task};
use crate::{device, machine};
use carousel::baselines::naive_baselines;
use carousel::checkpoint::architecture::NextToken;
use carousel::checkpoint::arguments::{ClassWeights, TrainArguments};
use carousel::checkpoint::parts::Head;
use carousel::checkpoint::record::{
    Budget, DocumentsRecord, Record, Request, TestRecord, TrainingConfig,
};
use carousel::checkpoint::{Directory, ModelConfig, WeightsFile};
use carousel::error::{Error, Result};
use carousel::inference::classifier::Calibration;
use carousel::inference::encoded_document::DocumentEncoder;
use carousel::inference::learnt_documents::LearntDocuments;
use carousel::text::preprocessing::Preprocessing;
use carousel::text::tokenizer::Tokenizer;
use carousel::text::vocabulary::VocabularyTrainer;

/// Fraction of the budget that the language model takes, where one is learnt first.
pub const LANGUAGE_MODEL_FRACTION: f64 = 1.0 / 3.0;
/// Fraction of the budget from which on it is reported that the linear classifier took it.
const LINEAR_FRACTION: f64 = 1.0 / 3.0;
/// How many times as many documents the most frequent label has as the rarest, from which on labels are uneven.
const UNEVEN: u64 = 2;
/// Vocabulary of the language model that the speed is measured with.
const SPEED_VOCABULARY: usize = 1000;

/// Resolves every option and learns the linear classifier, for training on `device`. `spent` is the time that the run has
/// taken so far.
pub fn prepare(
    request: Request,
    dataset: Dataset,
    base: Option<&Base>,
    (device, spent): (Device, Duration),
    notify: Notify,
) -> Result<Prepared<ClassifierTask>> {
    let tokenizer = match base {
        Some(base) => base.tokenizer.clone(),
        None => vocabulary(&request.arguments, &dataset)?,
    };
    let Resolved {
        config,
        training,
        chosen,
    } = resolve(&request, &dataset, &tokenizer, base)?;
    let language_model_first = request.arguments.from.is_none() && base.is_some();
    let budget = rest_of_budget(training.budget, language_model_first, spent)?;
    let training = TrainingConfig { budget, ..training };
    let words = dataset.words(tokenizer.normalization(), config.preprocessing());
    let linear = learn_linear(&request, &dataset, &words, base, &training, notify)?;
    let config = config_of(config, &tokenizer, linear.classifier.hashes.len());
    config.check()?;
    let training = complete(training, &config, device, notify)?;
    let subject = subject(&dataset, &words, base.is_some());
    let hint = uneven_labels(&request.arguments, &subject.label_counts);
    let record = Record {
        request,
        training,
        chosen: chosen.into_iter().chain(hint).collect(),
        finished: None,
        evaluations: Vec::new(),
        subject,
    };
    let learnt = learnt_documents(&dataset, base.map(|base| &base.weights))?;
    let mut prepared = task((dataset, learnt), tokenizer, linear, record, config);
    let training = &mut prepared.record.training;
    if let Some(total) = recipe::total_steps(&training.budget, prepared.task.steps_in_pass()) {
        training.evaluate_every = recipe::between_evaluations(total);
    }
    let needed = prepared.task.memory(&prepared.config, training);
    device::check_memory(needed, device)?;
    Ok(prepared)
}

/// What training.json holds of the documents, with baselines; of `words`, those of the training and validation documents.
fn subject(dataset: &Dataset, words: &DatasetWords, thaws: bool) -> DocumentsRecord {
    let train = &dataset.train;
    let baselines = |words_of: &[Vec<String>], labels: &[usize]| {
        let training = (&words.train[..], &train.labels[..]);
        naive_baselines(&dataset.labels, training, (words_of, labels))
    };
    let mut label_counts = vec![0; dataset.labels.len()];
    train
        .labels
        .iter()
        .for_each(|&label| label_counts[label] += 1);
    DocumentsRecord {
        train_documents: train.texts.len() as u64,
        valid_documents: dataset.valid.texts.len() as u64,
        label_counts,
        hash: dataset.hash.clone(),
        thaws,
        baselines: baselines(&words.valid, &dataset.valid.labels),
        validated: None,
        tested: dataset.test.as_ref().map(|test| TestRecord {
            score: None,
            baselines: baselines(&words.test, &test.labels),
        }),
        cross_validation: None,
    }
}

/// What uneven labels are weighed by, and what else there is.
fn uneven_labels(arguments: &TrainArguments, counts: &[u64]) -> Option<String> {
    let (most, least) = (counts.iter().max()?, counts.iter().min()?);
    let [alike, other, by_other] = match arguments.class_weights.unwrap_or_default() {
        ClassWeights::Balanced => [
            "labels",
            "none",
            "documents do, and rare labels are found less often",
        ],
        ClassWeights::None => [
            "documents",
            "balanced",
            "labels do, and rare ones are found more often",
        ],
    };
    (*most >= UNEVEN * (*least).max(1)).then(|| {
        format!(
            "labels have {least} to {most} documents; {alike} count alike, with --class-weights {other} {by_other}"
        )
    })
}

/// The documents that a model learns from: the training documents, and those of the model that it goes on from.
///
/// # Errors
/// A damaged model.
pub fn learnt_documents(
    dataset: &Dataset,
    before: Option<&WeightsFile>,
) -> Result<LearntDocuments> {
    let own = LearntDocuments::of(dataset.train.texts.iter().map(String::as_str));
    let before = match before {
        Some(weights) => LearntDocuments::load(weights)?,
        None => None,
    };
    Ok(own.joined(before.unwrap_or_default()))
}

/// A vocabulary of the training documents.
fn vocabulary(arguments: &TrainArguments, dataset: &Dataset) -> Result<Tokenizer> {
    let config = recipe::classifier::with_level(arguments).vocabulary()?;
    let preprocessing = recipe::classifier::preprocessing(arguments, None);
    let mut trainer = VocabularyTrainer::new(config, dataset.train.bytes() as u64);
    for text in &dataset.train.texts {
        let text = preprocessing.apply(text);
        trainer.push(config.normalization.apply(&text).as_bytes());
        trainer.push(b"\n");
    }
    let tokenizer = trainer.finish()?;
    config.check_learnt(&tokenizer)?;
    Ok(tokenizer)
}

fn resolve(
    request: &Request,
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    base: Option<&Base>,
) -> Result<Resolved> {
    let circumstances = Circumstances {
        vocab_size: tokenizer.vocab_size(),
        train_tokens: dataset.train.bytes() / BYTES_A_TOKEN,
        valid_tokens: dataset.valid.bytes() / BYTES_A_TOKEN,
        speed: None,
    };
    let name = base
        .map(|base| base.path.display().to_string())
        .unwrap_or_default();
    recipe::classifier::resolve(
        &request.arguments,
        &circumstances,
        dataset.train.texts.len(),
        dataset.labels.clone(),
        base.map(|base| (&name[..], &base.config)),
    )
}

/// What is left of a budget: a language model has taken its fraction, and everything so far its time.
fn rest_of_budget(budget: Budget, language_model_first: bool, spent: Duration) -> Result<Budget> {
    let left = if language_model_first {
        1.0 - LANGUAGE_MODEL_FRACTION
    } else {
        1.0
    };
    match budget {
        Budget::Seconds(seconds) if seconds <= spent.as_secs_f64() => Err(Error::new(
            "the budget is spent before the classifier is trained; give more --time",
        )),
        Budget::Seconds(seconds) => Ok(Budget::Seconds(seconds - spent.as_secs_f64())),
        Budget::Epochs(epochs) => Ok(Budget::Epochs(epochs * left)),
        Budget::Steps(steps) => Ok(Budget::Steps(((steps as f64 * left) as u64).max(1))),
    }
}

fn learn_linear(
    request: &Request,
    dataset: &Dataset,
    words: &DatasetWords,
    base: Option<&Base>,
    training: &TrainingConfig,
    notify: Notify,
) -> Result<FittedLinear> {
    let prior = Prior::load(dataset, base)?;
    if let (Some(base), Prior::Weights(_)) = (base, &prior)
        && !same_validation(base, &request.arguments)
    {
        notify(Event::Note(format!(
            "{} is a classifier of these labels, and validation documents may be among those that it was trained on: \
             the validation loss and accuracy may be too optimistic",
            base.path.display()
        )));
    }
    let began = Instant::now();
    let class_weights = request.arguments.class_weights.unwrap_or_default();
    let linear = FittedLinear::fit(dataset, words, &prior, class_weights, training.seed);
    let took = began.elapsed().as_secs_f64();
    if let Budget::Seconds(seconds) = training.budget
        && took > seconds * LINEAR_FRACTION
    {
        notify(Event::Note(format!(
            "the linear classifier took {took:.0} of {seconds:.0} seconds; the network has the rest"
        )));
    }
    Ok(linear)
}

/// Whether a classifier to go on from was not trained on the validation documents of these arguments: the default fraction
/// is of the same documents each time.
fn same_validation(base: &Base, arguments: &TrainArguments) -> bool {
    let request = Directory::at(&base.path).load_request();
    arguments.valid.is_none() && request.is_ok_and(|request| request.arguments.valid.is_none())
}

fn config_of(mut config: ModelConfig, tokenizer: &Tokenizer, ngrams: usize) -> ModelConfig {
    let tokens = config.tokens_mut();
    (tokens.level, tokens.split) = (tokenizer.level(), tokenizer.split());
    if let Head::Labels(head) = &mut config.head {
        head.ngrams = ngrams;
    }
    config
}

/// Completes the options by what depends on the machine. The layers are what takes the time: a language model with the
/// same ones and a small vocabulary shows the faster precision.
fn complete(
    training: TrainingConfig,
    config: &ModelConfig,
    device: Device,
    notify: Notify,
) -> Result<TrainingConfig> {
    let mut alike = config.clone();
    alike.head = Head::NextToken(NextToken::default());
    let tokens = alike.tokens_mut();
    tokens.vocab_size = tokens.vocab_size.min(SPEED_VOCABULARY);
    let bptt = training.bptt;
    let windows = TrainingConfig {
        bptt: 64,
        ..training
    };
    let completed = machine::complete(windows, &alike, device, tch::get_num_threads(), notify)?;
    Ok(TrainingConfig { bptt, ..completed })
}

/// The task of prepared or saved options, with the documents that the model learns from.
pub fn task(
    (dataset, learnt): (Dataset, LearntDocuments),
    tokenizer: Tokenizer,
    linear: FittedLinear,
    record: Record<DocumentsRecord>,
    config: ModelConfig,
) -> Prepared<ClassifierTask> {
    let training = &record.training;
    let encode = |documents| encode(&tokenizer, config.preprocessing(), documents);
    let (train, valid) = (encode(&dataset.train), encode(&dataset.valid));
    let labels = dataset.labels.len();
    let class_weights = record.request.arguments.class_weights.unwrap_or_default();
    Prepared {
        task: ClassifierTask {
            batches: Batches::new(
                &train,
                labels,
                &tokenizer,
                training.batch_size,
                training.seed,
            ),
            label_weights: label_weights(class_weights, &valid.labels, labels),
            learnt,
            test: dataset.test,
            labels: dataset.labels,
            train,
            valid,
            linear: linear.classifier,
            linear_logits: linear.valid_logits,
            validated: None,
            calibration: Calibration {
                scales: [1.0, 1.0],
                bias: vec![0.0; labels],
            },
            dropout: config.recurrent().dropout,
            unfreezes: record.subject.thaws,
            config: config.clone(),
            gradients: Gradients::new(&config, training),
            share: Share::WHOLE,
            tokenizer,
        },
        record,
        config,
    }
}

fn encode(
    tokenizer: &Tokenizer,
    preprocessing: Preprocessing,
    documents: &LabelledTexts,
) -> EncodedDocuments {
    let mut encoder = DocumentEncoder::new(tokenizer, preprocessing);
    let tokens = |text: &String| encoder.encode(text).tokens;
    EncodedDocuments {
        texts: documents.texts.iter().map(tokens).collect(),
        labels: documents.labels.clone(),
    }
}
