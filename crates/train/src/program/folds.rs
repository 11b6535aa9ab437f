/*!
The runs of cross-validation, one after another.
*/

use carousel::cli::interrupt;
use carousel::error::Result;
use carousel_train::run::Event;
use carousel_train::tasks::classifier::FoldRun;

use crate::progress::Progress;

/// Trains the runs of folds, with their own progress. The plan is shown of the first alone, as the others' are alike.
pub fn train_fold(quiet: bool) -> impl FnMut(FoldRun) -> Result<()> {
    let mut planned = false;
    move |fold| {
        let mut progress = Progress::new(fold.directory, quiet);
        progress.heading(format!("fold {} of {}", fold.number, fold.count));
        let mut finished = false;
        let result = fold
            .run
            .train(interrupt::watch(), &mut |event| match event {
                Event::Plan(_) if planned => {}
                Event::Finished(_) => {
                    finished = true;
                    progress.show(Event::Discarded);
                }
                // What is said of a finished run is said of the fold as a whole, in other words.
                Event::Note(_) if finished => {}
                event => progress.show(event),
            });
        planned = true;
        result
    }
}
