/*!
report.svg: the curves of a run.
*/

use carousel::checkpoint::Directory;
use carousel::checkpoint::record::TextRecord;
use carousel::error::Result;
use carousel::pictures::curves;

/// Draws the metrics of a run, if there are enough of them.
///
/// # Errors
/// A file that cannot be read or written.
pub fn write(directory: &Directory) -> Result<()> {
    // A classifier's baselines have no losses to draw.
    let subject = directory.load_record::<TextRecord>();
    let baselines = subject.map(|subject| subject.baselines).unwrap_or_default();
    match curves::svg(&directory.load_metrics()?, &baselines) {
        Some(picture) => directory.save_report(&picture),
        None => Ok(()),
    }
}
