/*!
The plan of a corpus: its files, its validation part, and the settings of its vocabulary.
*/

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::files;
use crate::text::source::ReadMode;
use crate::text::vocabulary::VocabularyConfig;

/// Version of the encoding in cache keys: raised whenever the same text and settings would give different ids.
const CACHE_VERSION: u32 = 1;

/// Where the validation part comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// A tenth of the characters, from the end; of a small text somewhat more.
    Default,
    /// This fraction of the characters, from the end.
    Fraction(f64),
    /// These files.
    Files(Vec<PathBuf>),
}

/// Files of a corpus, and how it is divided and encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorpusPlan {
    /// The files, with folders resolved.
    pub files: Vec<PathBuf>,
    /// Where the validation part comes from.
    pub validation: Validation,
    /// Whether invalid UTF-8 is replaced instead of refused.
    pub lossy: bool,
    /// How the vocabulary is made.
    pub vocabulary: VocabularyConfig,
    /// BLAKE3 of the vocabulary that is extended, if any.
    #[serde(default)]
    pub from: Option<String>,
}

impl CorpusPlan {
    /// How the files are read.
    pub(super) fn read_mode(&self) -> ReadMode {
        let vocabulary = &self.vocabulary;
        ReadMode::of(vocabulary.level, vocabulary.split, vocabulary.normalization)
    }

    /// The validation files, if there are separate ones.
    pub(super) fn valid_files(&self) -> &[PathBuf] {
        match &self.validation {
            Validation::Files(files) => files,
            Validation::Default | Validation::Fraction(_) => &[],
        }
    }

    /// The names of the files, for a message.
    pub(super) fn file_names(&self) -> String {
        files::names(&[&self.files[..], self.valid_files()].concat())
    }

    /// Cache key: a hash of everything that determines the ids of a content with the hash `content`.
    pub(super) fn cache_key(&self, content: &str) -> String {
        let fraction = match self.validation {
            Validation::Default => Some(0.0),
            Validation::Fraction(fraction) => Some(fraction),
            Validation::Files(_) => None,
        };
        let settings =
            serde_json::json!([CACHE_VERSION, content, fraction, self.vocabulary, self.from])
                .to_string();
        blake3::hash(settings.as_bytes()).to_hex()[..32].to_string()
    }
}
