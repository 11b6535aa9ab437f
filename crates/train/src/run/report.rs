/*!
report.svg: the curves of a run, and what a classifier predicted.
*/

use carousel::checkpoint::Directory;
use carousel::checkpoint::record::{DocumentsRecord, TextRecord};
use carousel::error::Result;
use carousel::pictures::classification::panels;
use carousel::pictures::curves::{self, Learnt};

/// Draws the metrics of a run, if there are enough of them.
///
/// # Errors
/// A file that cannot be read or written.
pub fn write(directory: &Directory) -> Result<()> {
    let metrics = directory.load_metrics()?;
    let config = directory.load_config()?;
    let picture = if let Some((_, values)) = config.forecaster() {
        curves::svg(&metrics, Learnt::Values(values.distribution), &[])
    } else if config.target().is_some() {
        curves::svg(&metrics, Learnt::Translations, &[])
    } else if let Ok(subject) = directory.load_record::<DocumentsRecord>() {
        let learnt = Learnt::Labels(&subject.baselines);
        curves::svg(&metrics, learnt, &panels(&subject))
    } else {
        let subject: TextRecord = directory.load_record()?;
        curves::svg(&metrics, Learnt::Text(&subject.baselines), &[])
    };
    match picture {
        Some(picture) => directory.save_report(&picture),
        None => Ok(()),
    }
}
