/*!
`carousel train`, `carousel train-classifier` and `carousel train-translator`: flags, then one run.
*/

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::folds::train_fold;
use crate::plan;
use crate::processes::{Others, follow, join};
use crate::progress::Progress;
use carousel::checkpoint::Directory;
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::data_paths::DataPaths;
use carousel::checkpoint::record::PairLayout;
use carousel::cli::flags::RunFlags;
use carousel::cli::run_folder::{RunFolder, keep_standard_input, leave_nothing};
use carousel::cli::{interrupt, standard, train, train_classifier, train_translator};
use carousel::data::labelled::DocumentOptions;
use carousel::data::pairs::PairOptions;
use carousel::error::{Error, ErrorKind, Result};
use carousel_train::distributed::{Share, World};
use carousel_train::run::{Notify, Run, Task, share_nothing};
use carousel_train::tasks::classifier::{self, Inner};
use carousel_train::tasks::{language_model, translation};

/// Trains a language model.
pub fn train(flags: &train::Arguments) -> Result<()> {
    let started = Instant::now();
    interrupt::listen()?;
    flags.corpus.iter().for_each(|path| note_labels(path));
    if flags.run.plan {
        return plan::language_model(flags, started);
    }
    let (world, others) = join(flags.run.processes)?;
    if world.share().rank > 0 {
        let own = (started, world.share());
        let resume = |directory| language_model::resume(directory, None, own, &mut |_| ());
        return follow(world, resume);
    }
    let folder = flags.run.folder()?;
    let mut progress = Progress::new(Directory::at(folder), flags.run.quiet);
    let notify: Notify = &mut |event| progress.show(event);
    let arguments = flags.training();
    if begins(&flags.run, &world) {
        let folder = RunFolder::for_new_run(folder, flags.run.overwrite)?;
        let directory = &folder.directory;
        let corpus = keep_standard_input(&flags.corpus, directory)?;
        let began = (started, world.share());
        let begun = language_model::begin(directory.clone(), &corpus, &arguments, began, notify);
        let run = begun.inspect_err(|_| leave_nothing(&flags.corpus, directory))?;
        return finish(Some(run), (world, others), notify);
    }
    let moved = moved_data(&flags.run, false, &flags.corpus, arguments)?;
    let folder = RunFolder::of_run(folder, "train CORPUS")?;
    let directory = folder.directory.clone();
    let run = match directory.load_request()?.arguments.baseline {
        Some(_) => None,
        None => {
            let own = (started, world.share());
            language_model::resume(directory, moved.as_ref(), own, notify)?
        }
    };
    finish(run, (world, others), notify)
}

/// Whether a run is to be begun: not where one is to be resumed, nor where processes were started again, as torchrun does, that
/// have begun it.
fn begins(run: &RunFlags, world: &World) -> bool {
    let is_begun = |folder: &PathBuf| Directory::at(folder).newest().holds_unfinished_run();
    let goes_on = world.is_restarted() && run.output.as_ref().is_some_and(is_begun);
    run.resume.is_none() && !goes_on
}

/// Prints a note if a file to be read as text has columns of labels and texts.
fn note_labels(path: &Path) {
    let options = DocumentOptions {
        labels: true,
        ..DocumentOptions::default()
    };
    if standard::is_labelled(path, &options) {
        standard::message(format!(
            "note: {0} has columns of labels and texts, and is read as text; `carousel train-classifier {0} -o DIR` learns \
             its labels",
            path.display()
        ));
    }
}

/// Trains, if there is something left to do, with the others if there are some.
fn finish<T: Task>(
    run: Option<Run<T>>,
    (world, others): (World, Others),
    notify: Notify,
) -> Result<()> {
    match run {
        Some(mut run) => {
            run.share(world)?;
            // Only now is there something to save.
            let trained = run.train(interrupt::watch(), notify);
            // Their connections end with the run.
            drop(run);
            others.wait();
            trained
        }
        None => {
            share_nothing(&world)?;
            others.wait();
            standard::message("this run is finished; there is nothing left to resume");
            Ok(())
        }
    }
}

/// Trains a classifier.
pub fn train_classifier(flags: &train_classifier::Arguments) -> Result<()> {
    let started = Instant::now();
    interrupt::listen()?;
    if flags.run.plan {
        return plan::classifier(flags, started);
    }
    let (world, others) = join(flags.run.processes)?;
    if world.share().rank > 0 {
        return follow(world, |directory| {
            // Rank 0 has done what comes before the run.
            let inner = Inner {
                language_model: &mut |_, _, _, _| Ok(()),
                fold: None,
            };
            classifier::resume(directory, None, started, &mut |_| (), inner)
        });
    }
    let folder = flags.run.folder()?;
    let mut progress = Progress::new(Directory::at(folder), flags.run.quiet);
    let notify: Notify = &mut |event| progress.show(event);
    let (arguments, documents) = (flags.training(), flags.layout.options());
    if begins(&flags.run, &world) {
        let folder = RunFolder::for_new_classifier(folder, flags.run.overwrite)?;
        let directory = &folder.directory;
        let files = keep_standard_input(&flags.documents, directory)?;
        let inner = Inner {
            language_model: &mut language_model(&folder, flags.run.quiet),
            fold: Some(&mut train_fold(flags.run.quiet)),
        };
        let asked = (&arguments, &documents);
        let begun = classifier::begin(directory.clone(), &files, asked, started, notify, inner);
        let run = begun.inspect_err(|_| leave_nothing(&flags.documents, directory))?;
        return finish(Some(run), (world, others), notify);
    }
    let has_layout = documents != DocumentOptions::default();
    let moved = moved_data(&flags.run, has_layout, &flags.documents, arguments)?;
    let folder = RunFolder::of_run(folder, "train-classifier LABELLED")?;
    let directory = folder.directory.clone();
    let inner = Inner {
        language_model: &mut language_model(&folder, flags.run.quiet),
        fold: Some(&mut train_fold(flags.run.quiet)),
    };
    let resumed = classifier::resume(directory, moved.as_ref(), started, notify, inner);
    let run = resumed.inspect_err(|_| leave_nothing(&[], &folder.directory))?;
    finish(run, (world, others), notify)
}

/// Trains a translator.
pub fn train_translator(flags: &train_translator::Arguments) -> Result<()> {
    let started = Instant::now();
    interrupt::listen()?;
    if flags.run.plan {
        return plan::translator(flags, started);
    }
    let (world, others) = join(flags.run.processes)?;
    if world.share().rank > 0 {
        let resume = |directory| translation::resume(directory, None, started, &mut |_| ());
        return follow(world, resume);
    }
    let folder = flags.run.folder()?;
    let mut progress = Progress::new(Directory::at(folder), flags.run.quiet);
    let notify: Notify = &mut |event| progress.show(event);
    let (arguments, paths, layout) = (flags.training(), flags.paths(), flags.layout());
    if begins(&flags.run, &world) {
        let folder = RunFolder::for_new_run(folder, flags.run.overwrite)?;
        let directory = &folder.directory;
        let files = keep_standard_input(&paths, directory)?;
        let asked = (&arguments, &layout);
        let begun = translation::begin(directory.clone(), &files, asked, started, notify);
        let run = begun.inspect_err(|_| leave_nothing(&paths, directory))?;
        return finish(Some(run), (world, others), notify);
    }
    let has_layout =
        matches!(layout, PairLayout::Table(options) if options != PairOptions::default());
    let moved = moved_data(&flags.run, has_layout, &paths, arguments)?;
    let folder = RunFolder::of_run(folder, "train-translator PAIRS")?;
    let directory = folder.directory.clone();
    finish(
        translation::resume(directory, moved.as_ref(), started, notify)?,
        (world, others),
        notify,
    )
}

/// Learns the language model of a classifier in `folder`, with its own progress.
fn language_model(
    folder: &RunFolder,
    quiet: bool,
) -> impl FnMut(Directory, &Path, &TrainArguments, Instant) -> Result<()> {
    move |part, corpus, arguments, started| {
        let _lock = folder.lock_part(&part)?;
        let learnt = learn_language_model(part, corpus, arguments, started, quiet);
        learnt.map_err(|error| interrupted_before_labels(error, folder.directory.path()))
    }
}

/// Trains the language model that a classifier starts from, or resumes its training.
fn learn_language_model(
    part: Directory,
    corpus: &Path,
    arguments: &TrainArguments,
    started: Instant,
    quiet: bool,
) -> Result<()> {
    let mut progress = Progress::new(part.clone(), quiet);
    let notify: Notify = &mut |event| progress.show(event);
    let run = match part.holds_run() {
        true => language_model::resume(part, None, (started, Share::WHOLE), notify)?,
        false => Some(language_model::begin(
            part,
            &[corpus.to_path_buf()],
            arguments,
            (started, Share::WHOLE),
            notify,
        )?),
    };
    run.map_or(Ok(()), |mut run| run.train(interrupt::watch(), notify))
}

fn interrupted_before_labels(error: Error, folder: &Path) -> Error {
    match error.kind() {
        ErrorKind::Interrupted => Error::interrupted(format!(
            "interrupted at the language model; everything is saved, and `carousel train-classifier --resume {}` continues",
            folder.display()
        )),
        _ => error,
    }
}

/// Where the data of a run to resume is now, if the user says so. Nothing else goes with `--resume`: the run keeps the
/// options that it began with.
fn moved_data(
    run: &RunFlags,
    has_layout: bool,
    paths: &[PathBuf],
    mut arguments: TrainArguments,
) -> Result<Option<DataPaths>> {
    if run.resume.is_none() {
        // Processes that were started again, with all that the run began with.
        return Ok(None);
    }
    let others = run.begins() || has_layout;
    let valid = arguments.valid.take().map(PathBuf::from);
    let has_input = paths.iter().any(|path| standard::is_input(path));
    let only_valid = paths.is_empty() && valid.is_some();
    if others || has_input || only_valid || arguments != TrainArguments::default() {
        return Err(Error::usage(
            "--resume continues with the data and the options that the run began with; give it alone (or with --quiet), or \
             with the files of the data where these were moved",
        ));
    }
    let paths = paths.to_vec();
    Ok((!paths.is_empty()).then_some(DataPaths { paths, valid }))
}
