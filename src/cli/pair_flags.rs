/*!
Flags that say where pairs of sentences are.
*/

use std::path::{Path, PathBuf};

use clap::Args;

use super::standard;
use crate::data::labelled::Format;
use crate::data::pairs::{Pair, PairOptions, Pairs};
use crate::error::Result;

/// Two files of lines, or the columns of tables.
#[derive(Args)]
pub struct PairFlags {
    /// A file of sentences, a line each; --target has their translations
    #[arg(
        long,
        value_name = "FILE",
        requires = "target",
        help_heading = "Pairs of sentences"
    )]
    source: Option<PathBuf>,
    /// The file of the translations of --source, line by line
    #[arg(
        long,
        value_name = "FILE",
        requires = "source",
        help_heading = "Pairs of sentences"
    )]
    target: Option<PathBuf>,
    /// The column of the sentences by its name or number, or the key [default: source, src, the language …]
    #[arg(long, value_name = "NAME|N", help_heading = "Pairs of sentences")]
    source_column: Option<String>,
    /// The column of the translations by its name or number, or the key [default: target, translation, the language …]
    #[arg(long, value_name = "NAME|N", help_heading = "Pairs of sentences")]
    target_column: Option<String>,
}

impl PairFlags {
    /// The first of these flags that was given, if any.
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            ("--source", self.source.is_some()),
            ("--source-column", self.source_column.is_some()),
            ("--target-column", self.target_column.is_some()),
        ];
        let first = given.into_iter().find(|(_, given)| *given);
        first.map(|(name, _)| name)
    }

    /// The library's options for these flags, beside those of other flags.
    pub fn options(&self, format: Option<Format>, lossy: bool) -> PairOptions {
        PairOptions {
            format,
            source_column: self.source_column.clone(),
            target_column: self.target_column.clone(),
            lossy,
        }
    }

    /// Reads the pairs of the files of lines, if they were given, or else of tables; prints notes on how they were read.
    ///
    /// # Errors
    /// Files that cannot be read, or have no pairs.
    pub fn read(&self, tables: &[PathBuf], options: &PairOptions) -> Result<Vec<Pair>> {
        let lines: Option<(&Path, &Path)> = self.source.as_deref().zip(self.target.as_deref());
        let pairs = match lines {
            Some((source, target)) => Pairs::of_lines(source, target, options.lossy)?,
            None => Pairs::of_tables(tables, options)?,
        };
        standard::notes(&pairs.notes);
        Ok(pairs.pairs)
    }
}
