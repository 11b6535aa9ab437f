/*!
The file of metrics that a run appends to.
*/

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};

/// A file of metrics, open for appending: one JSON object a line.
pub struct MetricsFile {
    file: File,
    path: PathBuf,
    length: u64,
}

impl MetricsFile {
    /// Opens the file at `path` for appending, cut to its first `length` bytes.
    pub(super) fn open(path: &Path, length: u64) -> Result<Self> {
        let failed = |e| Error::file("open", path, e);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(failed)?;
        // The user may have emptied the file meanwhile; setting its length must not extend it.
        let length = length.min(file.metadata().map_err(failed)?.len());
        file.set_len(length).map_err(failed)?;
        Ok(MetricsFile {
            file,
            path: path.to_path_buf(),
            length,
        })
    }

    /// Appends one object as a line.
    pub fn append(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value).expect("metrics are plain data");
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(|e| Error::file("write", &self.path, e))?;
        self.length += line.len() as u64;
        Ok(())
    }

    /// Flushes to the disk, and returns the file's length in bytes.
    pub fn flush(&mut self) -> Result<u64> {
        self.file
            .sync_data()
            .map_err(|e| Error::file("write", &self.path, e))?;
        Ok(self.length)
    }
}
