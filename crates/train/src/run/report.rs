/*!
report.svg: the curves of a run.
*/

use carousel::checkpoint::Directory;
use carousel::error::Result;
use carousel::pictures::curves;

/// Draws the metrics of a run, if there are enough of them.
///
/// # Errors
/// A file that cannot be read or written.
pub fn write(directory: &Directory) -> Result<()> {
    match curves::svg(&directory.load_metrics()?) {
        Some(picture) => directory.save_report(&picture),
        None => Ok(()),
    }
}
