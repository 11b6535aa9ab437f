/*!
Corpora that are ready to train on, and the cache that keeps them.
*/

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::Ids;
use super::plan::CorpusPlan;
use crate::files;
use crate::metrics::TextSize;
use crate::text::spelling::Spelling;
use crate::text::tokenizer::Tokenizer;

/// Prefix of the folders of corpora that are being encoded.
pub(super) const PARTIAL_PREFIX: &str = "encoding-";

/// The folder of encoded corpora, in the user's cache.
pub fn corpus_cache() -> PathBuf {
    files::cache_folder().join("corpora")
}

/// Statistics of an encoded corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorpusStatistics {
    /// Size of the training part.
    pub train: TextSize,
    /// Size of the validation part.
    pub valid: TextSize,
    /// Number of characters or words of the validation part that are not in the vocabulary.
    pub valid_unknown: u64,
    /// Cost of spelling those, in nats.
    pub valid_spelling_nats: f64,
    /// BLAKE3 of the text as it was read, both parts.
    pub hash: String,
    /// Notes for the user on how the files were decoded.
    pub notes: Vec<String>,
    /// Character counts of the training part, for the cost of spelling unknown words.
    pub spelling: Spelling,
    /// Number of occurrences of each token in the training part.
    pub token_counts: Vec<u64>,
}

/// A text that is ready to train on.
pub struct Corpus {
    /// The vocabulary.
    pub tokenizer: Tokenizer,
    /// Token ids of the training part.
    pub train: Ids,
    /// Token ids of the validation part.
    pub valid: Ids,
    /// Statistics of both.
    pub statistics: CorpusStatistics,
}

/// Folder of an encoded corpus in the cache.
pub(super) struct CacheEntry {
    pub folder: PathBuf,
}

impl CacheEntry {
    /// Path of the token ids.
    pub fn ids(&self) -> PathBuf {
        self.folder.join("ids")
    }

    /// Path of the tokenizer.
    pub fn tokenizer(&self) -> PathBuf {
        self.folder.join("tokenizer.json")
    }

    /// Path of the statistics.
    pub fn statistics(&self) -> PathBuf {
        self.folder.join("statistics.json")
    }

    /// Loads the corpus; `None` if it is absent, damaged, or has a vocabulary other than `expected`.
    pub fn load(&self, plan: &CorpusPlan, expected: Option<&Tokenizer>) -> Option<Corpus> {
        let vocabulary = plan.vocabulary;
        let tokenizer =
            Tokenizer::load(&self.tokenizer(), vocabulary.level, vocabulary.split).ok()?;
        if expected.is_some_and(|expected| expected.to_json() != tokenizer.to_json()) {
            return None;
        }
        let statistics: CorpusStatistics =
            serde_json::from_str(&files::read_text(&self.statistics()).ok()?).ok()?;
        let path = self.ids();
        let ids = Ids::map(&File::open(&path).ok()?, &path, tokenizer.vocab_size()).ok()?;
        let (train, valid) = (
            statistics.train.tokens as usize,
            statistics.valid.tokens as usize,
        );
        if ids.len() != train + valid {
            return None;
        }
        Some(Corpus {
            train: ids.slice(0..train),
            valid: ids.slice(train..train + valid),
            tokenizer,
            statistics,
        })
    }
}

/// Removes the partial folders of killed runs, once they are a day old and no run can still be writing them.
pub(super) fn remove_abandoned(cache: &Path) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let is_partial = entry
            .file_name()
            .to_string_lossy()
            .starts_with(PARTIAL_PREFIX);
        let modified = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok();
        let is_old = modified
            .and_then(|time| time.elapsed().ok())
            .is_some_and(|age| age > DAY);
        if is_partial && is_old {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
