/*!
report.svg: the curves of a run, and what a classifier predicted.
*/

use carousel::checkpoint::Directory;
use carousel::checkpoint::record::{DocumentsRecord, TextRecord};
use carousel::error::Result;
use carousel::pictures::classification::panels;
use carousel::pictures::curves::{self, Baselines};

/// Draws the metrics of a run, if there are enough of them.
///
/// # Errors
/// A file that cannot be read or written.
pub fn write(directory: &Directory) -> Result<()> {
    let metrics = directory.load_metrics()?;
    let config = directory.load_config()?;
    let has_no_baselines = config.forecaster().is_some() || config.target().is_some();
    let picture = match directory.load_record::<DocumentsRecord>() {
        _ if has_no_baselines => curves::svg(&metrics, Baselines::Text(&[]), &[]),
        Ok(subject) => {
            let baselines = Baselines::Labels(&subject.baselines);
            curves::svg(&metrics, baselines, &panels(&subject))
        }
        Err(_) => {
            let subject: TextRecord = directory.load_record()?;
            curves::svg(&metrics, Baselines::Text(&subject.baselines), &[])
        }
    };
    match picture {
        Some(picture) => directory.save_report(&picture),
        None => Ok(()),
    }
}
