/*!
What a corpus is made of: its files, the validation part, and the settings of its vocabulary.
*/

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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

/// What a corpus is made of.
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
        ReadMode::of(self.vocabulary.level, self.vocabulary.split)
    }

    /// The validation files, if there are separate ones.
    pub(super) fn valid_files(&self) -> &[PathBuf] {
        match &self.validation {
            Validation::Files(files) => files,
            Validation::Default | Validation::Fraction(_) => &[],
        }
    }

    /// The files, for a message: the first three, and the number of others.
    pub(super) fn file_names(&self) -> String {
        let files: Vec<&PathBuf> = self.files.iter().chain(self.valid_files()).collect();
        let shown: Vec<String> = files
            .iter()
            .take(3)
            .map(|file| file.display().to_string())
            .collect();
        match files.len() - shown.len() {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
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
