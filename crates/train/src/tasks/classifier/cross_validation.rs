/*!
Cross-validation: a run for each fold, which is trained on the documents of the others and tested on its own.

The runs lie in folders of their own within the classifier's. What a fold gave is recorded in the classifier's training.json,
and then its folder is removed, so that an interrupted cross-validation goes on where it was.
*/

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::dataset::{Dataset, LabelledTexts};
use super::task::ClassifierTask;
use super::{Inner, begin_on, folds, restore_on};
use crate::recipe;
use crate::run::{self, Base, Event, Notify, Run};
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::cross_validation::CrossValidation;
use carousel::checkpoint::record::{DocumentsRecord, Finish, Record, Request};
use carousel::checkpoint::{Directory, models};
use carousel::error::{Error, ErrorKind, Result};
use carousel::inference::learnt_documents::LearntDocuments;
use carousel::metrics::ClassificationScore;

/// Trains the run of a fold.
pub type TrainFold<'a> = &'a mut dyn FnMut(FoldRun) -> Result<()>;

/// The run of a fold, ready to be trained.
pub struct FoldRun<'r> {
    /// The fold, counted from 1.
    pub number: usize,
    /// Number of folds.
    pub count: usize,
    /// Its directory.
    pub directory: Directory,
    /// The run.
    pub run: &'r mut Run<ClassifierTask>,
}

/// Scores of the classifier and of naive Bayes on the documents of a fold.
type FoldScores = (ClassificationScore, ClassificationScore);

/// What is cross-validated.
struct Folds<'d> {
    request: &'d Request,
    dataset: &'d Dataset,
    /// All documents, and the fold of each, from 0.
    documents: LabelledTexts,
    fold_of: Vec<usize>,
    /// Number of folds.
    count: usize,
    /// Time that a run's budget has lost before it begins.
    spent: Duration,
}

/// training.json of a classifier whose own run has not begun.
#[derive(Serialize, Deserialize)]
struct Progress {
    request: Request,
    cross_validation: Option<CrossValidation>,
}

/// Trains and tests the folds that `directory` has no figures of yet, and returns the figures of all. `spent` is the time that
/// each run's budget has lost already: its part of what reading took. Where `inner` trains no folds, they are only announced.
///
/// # Errors
/// More folds than a label has texts, documents that have changed, what a fold's run fails with, an interruption.
pub fn run(
    directory: &Directory,
    (request, dataset): (&Request, &Dataset),
    spent: Duration,
    notify: Notify,
    inner: &mut Inner,
) -> Result<CrossValidation> {
    let folds = Folds::of(request, dataset, spent)?;
    folds.note_learnt_documents(notify)?;
    notify(Event::CrossValidation {
        folds: folds.count,
        budget: recipe::budget(&request.arguments)?,
    });
    let is_new = !directory.holds_run();
    let mut found = load(directory, &dataset.hash)?;
    if inner.fold.is_none() {
        return Ok(found);
    }
    save(directory, request, &found)?;
    if !found.folds.is_empty() {
        let (finished, count) = (found.folds.len(), folds.count);
        notify(Event::Note(format!(
            "{finished} of {count} folds are finished already"
        )));
    }
    for number in found.folds.len() + 1..=folds.count {
        let keeps = !is_new || number > 1;
        let (classifier, naive_bayes) = folds
            .validate(directory, number, notify, inner)
            .or_else(|error| folds.give_up(directory, number, keeps, error))?;
        found.push(&classifier, &naive_bayes);
        save(directory, request, &found)?;
        directory.remove_fold(number)?;
        notify(Event::Fold {
            number,
            of: folds.count,
            fold: found.folds[number - 1],
        });
    }
    notify(Event::CrossValidated(Box::new(found.clone())));
    Ok(found)
}

impl<'d> Folds<'d> {
    fn of(request: &'d Request, dataset: &'d Dataset, spent: Duration) -> Result<Self> {
        let arguments = &request.arguments;
        let count = arguments.folds.unwrap_or(0);
        let documents = dataset.documents();
        let seed = recipe::seed(arguments);
        Ok(Folds {
            fold_of: folds::assign(&documents, &dataset.labels, count, seed)?,
            request,
            dataset,
            documents,
            count,
            spent,
        })
    }

    /// Notes how many documents the model to go on from has learnt from.
    fn note_learnt_documents(&self, notify: Notify) -> Result<()> {
        let Some(named) = &self.request.arguments.from else {
            return Ok(());
        };
        let base = Base::load(&models::find(named.as_ref())?)?;
        let Some(learnt) = LearntDocuments::load(&base.weights)? else {
            return Ok(());
        };
        let texts = &self.documents.texts;
        let known = texts.iter().filter(|text| learnt.contains(text)).count();
        if known > 0 {
            notify(Event::Note(format!(
                "{} has learnt from {known} of the {} documents: the figures of the folds are too optimistic",
                base.path.display(),
                texts.len()
            )));
        }
        Ok(())
    }

    /// Trains the classifier of a fold, or goes on training it, and tests it.
    fn validate(
        &self,
        directory: &Directory,
        number: usize,
        notify: Notify,
        inner: &mut Inner,
    ) -> Result<FoldScores> {
        let place = directory.fold(number);
        let started = before(self.spent);
        let dataset = || {
            self.dataset
                .without_fold(&self.documents, &self.fold_of, number - 1)
        };
        let learn = &mut *inner.language_model;
        let mut begin = |request: Request, notify: Notify| {
            let data = (dataset()?, None);
            begin_on(place.clone(), request, data, started, notify, learn)
        };
        let run = match place.holds_checkpoint() {
            true => {
                let restore = |saved| restore_on(&place, saved, dataset()?);
                run::resume(place.clone(), None, (started, notify), begin, restore)?
            }
            false => Some(begin(self.request_of_fold(), notify)?),
        };
        if let (Some(mut run), Some(train)) = (run, &mut inner.fold) {
            let trained = train(FoldRun {
                number,
                count: self.count,
                directory: place.clone(),
                run: &mut run,
            });
            trained.or_else(|error| note_divergence(&place, error, notify))?;
        }
        let record: DocumentsRecord = place.load_record()?;
        let tested = record
            .tested
            .and_then(|it| Some((it.score?, it.baselines.naive_bayes)));
        tested.ok_or_else(|| Error::new("its classifier was not tested"))
    }

    /// The request of a fold's run: its documents to test on are those of the fold.
    fn request_of_fold(&self) -> Request {
        Request {
            arguments: TrainArguments {
                test: None,
                ..self.request.arguments.clone()
            },
            ..self.request.clone()
        }
    }

    /// The error that a fold ended with, for the whole. What was trained before stays, if that is to be kept.
    fn give_up(
        &self,
        directory: &Directory,
        number: usize,
        keeps: bool,
        error: Error,
    ) -> Result<FoldScores> {
        let fold = format!("fold {number} of {}", self.count);
        if error.kind() == ErrorKind::Interrupted {
            return Err(Error::interrupted(format!(
                "interrupted in {fold}; everything is saved, and `carousel train-classifier --resume {}` continues",
                directory.path().display()
            )));
        }
        directory.remove_fold(number)?;
        if !keeps {
            directory.discard(&self.request.paths)?;
        }
        Err(match error.kind() {
            ErrorKind::Failed => Error::new(format!("{fold}: {error}")),
            _ => error,
        })
    }
}

/// A moment so long ago that this time is spent now.
pub fn before(spent: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(spent).unwrap_or(now)
}

/// Makes a note of the error of a fold whose loss diverged, if it has weights from before, which were tested.
fn note_divergence(place: &Directory, error: Error, notify: Notify) -> Result<()> {
    if error.kind() != ErrorKind::Failed {
        return Err(error);
    }
    match place.load_record::<Record<DocumentsRecord>>() {
        Ok(record) if record.finished == Some(Finish::Diverged) && place.has_weights() => {
            notify(Event::Note(error.to_string()));
            Ok(())
        }
        _ => Err(error),
    }
}

/// The figures so far.
fn load(directory: &Directory, hash: &str) -> Result<CrossValidation> {
    let found = match directory.holds_run() {
        true => directory.load_record::<Progress>()?.cross_validation,
        false => None,
    };
    match found {
        Some(found) if found.hash != hash => Err(Error::new(
            "the documents have changed since the run began; restore them, or begin another run with -o",
        )),
        Some(found) => Ok(found),
        None => Ok(CrossValidation::of_documents(hash.to_string())),
    }
}

fn save(directory: &Directory, request: &Request, found: &CrossValidation) -> Result<()> {
    directory.create()?;
    directory.save_record(&Progress {
        request: request.clone(),
        cross_validation: Some(found.clone()),
    })
}
