/*!
Encodes a corpus, or finds it in the cache.
*/

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use super::cache::{CacheEntry, Corpus, CorpusStatistics, PARTIAL_PREFIX, remove_abandoned};
use super::id_writer::{IdWriter, TextCounts};
use super::plan::CorpusPlan;
use super::scan::{CorpusPart, Scan, read_parts};
use crate::error::{Error, Result};
use crate::files;
use crate::text::spelling::Spelling;
use crate::text::tokenizer::Tokenizer;
use crate::text::vocabulary::VocabularyTrainer;

impl CorpusPlan {
    /// Encodes the corpus with a vocabulary of its own, or loads it from `cache`, the folder of encoded corpora.
    ///
    /// # Errors
    /// Files that cannot be read, invalid UTF-8, an empty text, one of which nothing would be in the vocabulary, a cache
    /// that cannot be written.
    pub fn prepare(&self, cache: &Path) -> Result<Corpus> {
        let corpus = self.prepare_with(cache, None)?;
        self.vocabulary.check_learnt(&corpus.tokenizer)?;
        Ok(corpus)
    }

    /// Prepares the corpus with an existing vocabulary, extended by that of this text, which is read in its form.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_from(&mut self, cache: &Path, base: &Tokenizer) -> Result<Corpus> {
        self.from = None;
        self.vocabulary.normalization = base.normalization();
        // It may well add nothing.
        let own = self.prepare_with(cache, None)?;
        self.from = Some(blake3::hash(base.to_json().as_bytes()).to_hex().to_string());
        let extended = base.extended(&own.tokenizer);
        self.prepare_with(cache, Some((extended, &own.statistics.hash)))
    }

    /// Prepares a corpus that was prepared before, with its vocabulary.
    ///
    /// # Errors
    /// As [`Self::prepare`], and if the corpus no longer has the hash `hash`.
    pub fn prepare_again(&self, cache: &Path, tokenizer: Tokenizer, hash: &str) -> Result<Corpus> {
        self.prepare_with(cache, Some((tokenizer, hash)))
    }

    /// Checks that the corpus is there, and still has the hash `hash`.
    ///
    /// # Errors
    /// Files that cannot be read, or have changed.
    pub fn check_unchanged(&self, hash: &str) -> Result<()> {
        match Scan::new(self)?.hash == hash {
            true => Ok(()),
            false => Err(Error::new(format!(
                "{} has changed since",
                self.file_names()
            ))),
        }
    }

    /// The bytes of the training part of the corpus.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn training_text(&self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        read_parts(self, &Scan::new(self)?, &mut |part, piece| {
            if part == CorpusPart::Train {
                text.extend_from_slice(piece);
            }
            Ok(())
        })?;
        Ok(text)
    }

    /// Prepares the corpus, if given with a known vocabulary and the hash that the corpus must have.
    fn prepare_with(&self, cache: &Path, known: Option<(Tokenizer, &str)>) -> Result<Corpus> {
        let scan = Scan::new(self)?;
        if let Some((_, hash)) = &known
            && *hash != scan.hash
        {
            return Err(Error::new(format!(
                "the corpus has changed since the run began ({}); restore it, or start a new run in another folder (-o)",
                self.file_names()
            )));
        }
        if scan.text.bytes == 0 {
            return Err(Error::new(format!(
                "there is no text in {}",
                self.file_names()
            )));
        }
        let tokenizer = known.map(|(tokenizer, _)| tokenizer);
        let entry = CacheEntry {
            folder: cache.join(self.cache_key(&scan.hash)),
        };
        match entry.load(self, tokenizer.as_ref()) {
            Some(mut corpus) => {
                // The same text may have been encoded from other files, such as CRLF or UTF-16.
                corpus.statistics.notes = scan.notes;
                Ok(corpus)
            }
            None => self.encode_to_cache(&scan, tokenizer, cache, &entry),
        }
    }

    /// Encodes the corpus in a temporary folder, moves it to `entry`, and loads it.
    fn encode_to_cache(
        &self,
        scan: &Scan,
        tokenizer: Option<Tokenizer>,
        cache: &Path,
        entry: &CacheEntry,
    ) -> Result<Corpus> {
        files::create_folder(cache)?;
        remove_abandoned(cache);
        let folder = tempfile::Builder::new()
            .prefix(PARTIAL_PREFIX)
            .tempdir_in(cache)
            .map_err(|e| Error::file("write to the cache", cache, e))?;
        let partial = CacheEntry {
            folder: folder.path().to_path_buf(),
        };
        self.encode(scan, tokenizer, &partial)?;
        // Another run may have been faster, or the entry may be damaged; what was just encoded is valid in any case.
        let _ = fs::remove_dir_all(&entry.folder);
        let _ = fs::rename(&partial.folder, &entry.folder);
        let encoded = if entry.folder.is_dir() {
            entry
        } else {
            &partial
        };
        encoded.load(self, None).ok_or_else(|| {
            Error::new(format!(
                "the encoded corpus in {} cannot be read back",
                encoded.folder.display()
            ))
        })
    }

    /// Writes the files of a cache entry. The vocabulary is trained unless `tokenizer` is given.
    fn encode(&self, scan: &Scan, tokenizer: Option<Tokenizer>, entry: &CacheEntry) -> Result<()> {
        let mut trainer = VocabularyTrainer::new(self.vocabulary, scan.text.bytes);
        read_parts(self, scan, &mut |part, piece| {
            if part == CorpusPart::Train {
                trainer.push(piece);
            }
            Ok(())
        })?;
        let characters = trainer.character_counts();
        let (tokenizer, note) = match tokenizer {
            Some(tokenizer) => (tokenizer, None),
            None => trainer.finish_noted()?,
        };
        let path = entry.ids();
        let file = File::create(&path).map_err(|e| Error::file("create", &path, e))?;
        let mut writer = IdWriter::new(file, &path, &tokenizer);
        let mut statistics = self.write_ids(scan, characters, &mut writer)?;
        statistics.notes.extend(note);
        writer.flush()?;
        let json = serde_json::to_vec(&statistics).expect("statistics are plain data");
        files::write_atomically(&entry.tokenizer(), tokenizer.to_json().as_bytes())?;
        files::write_atomically(&entry.statistics(), &json)
    }

    /// Writes the ids of both parts, the training part first. `characters` are the training part's character counts.
    fn write_ids(
        &self,
        scan: &Scan,
        characters: BTreeMap<char, u64>,
        writer: &mut IdWriter,
    ) -> Result<CorpusStatistics> {
        let mut spelling = Spelling {
            characters,
            tokens: 0,
        };
        let mut train = None;
        let mut hasher = blake3::Hasher::new();
        read_parts(self, scan, &mut |part, piece| {
            if part == CorpusPart::Valid && train.is_none() {
                let counts = writer.finish_text()?;
                spelling.tokens = counts.size.tokens;
                writer.count_spelling(spelling.clone());
                train = Some(counts);
            }
            hasher.update(piece);
            writer.push(piece)
        })?;
        let last = writer.finish_text()?;
        if hasher.finalize() != scan.bytes_hash {
            return Err(Error::new(format!(
                "{} changed while being read; try again when it is complete, and give a pipe as -",
                self.file_names()
            )));
        }
        let (train, valid) = match train {
            Some(train) => (train, last),
            None => (last, TextCounts::default()),
        };
        spelling.tokens = train.size.tokens;
        Ok(CorpusStatistics {
            train: train.size,
            valid: valid.size,
            valid_unknown: valid.unknown,
            valid_spelling_nats: valid.spelling_nats,
            hash: scan.hash.clone(),
            token_counts: train.token_counts,
            spelling,
            notes: scan.notes.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::corpus::{Ids, Validation};
    use crate::text::vocabulary::VocabularyConfig;
    use crate::text::{Level, Normalization, Split};

    fn plan(folder: &Path, text: &str, level: Level, validation: Validation) -> CorpusPlan {
        let path = folder.join("text");
        fs::write(&path, text).unwrap();
        let vocabulary = VocabularyConfig {
            level,
            split: Split::Natural,
            vocab_size: None,
            min_count: 1,
            normalization: Normalization::of(level),
        };
        CorpusPlan {
            files: vec![path],
            validation,
            lossy: false,
            vocabulary,
            from: None,
        }
    }

    fn text_of(corpus: &Corpus, ids: &Ids) -> String {
        corpus
            .tokenizer
            .decode(&ids.read(0..ids.len()).collect::<Vec<_>>())
    }

    #[test]
    fn both_parts_decode_to_the_whole_text() {
        let text = "Ein Käse, zwei Käse!\n".repeat(700);
        for level in [Level::Character, Level::Byte, Level::Word, Level::Subword] {
            let folder = tempfile::tempdir().unwrap();
            let plan = plan(folder.path(), &text, level, Validation::Fraction(0.25));
            let corpus = plan.prepare(&folder.path().join("cache")).unwrap();
            let rebuilt = [
                text_of(&corpus, &corpus.train),
                text_of(&corpus, &corpus.valid),
            ]
            .concat();
            assert_eq!(rebuilt, text, "{level}");
            let total: u64 = corpus.statistics.token_counts.iter().sum();
            assert_eq!(total, corpus.statistics.train.tokens);
            let characters = text.chars().count();
            assert_eq!(corpus.statistics.valid.characters, characters as u64 / 4);
        }
    }

    #[test]
    fn a_changed_file_is_encoded_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let before = plan(
            folder.path(),
            "aaab",
            Level::Character,
            Validation::Fraction(0.0),
        )
        .prepare(&cache)
        .unwrap();
        let after = plan(
            folder.path(),
            "aaac",
            Level::Character,
            Validation::Fraction(0.0),
        )
        .prepare(&cache)
        .unwrap();
        assert_eq!(text_of(&before, &before.train), "aaab");
        assert_eq!(text_of(&after, &after.train), "aaac");
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
    }

    #[test]
    fn a_damaged_cache_entry_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let plan = plan(
            folder.path(),
            &"to be or not to be ".repeat(9),
            Level::Word,
            Validation::Fraction(0.1),
        );
        let corpus = plan.prepare(&cache).unwrap();
        let text = text_of(&corpus, &corpus.train);
        let entry = fs::read_dir(&cache)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        fs::write(entry.join("ids"), b"short").unwrap();
        let again = plan.prepare(&cache).unwrap();
        assert_eq!(text_of(&again, &again.train), text);
    }

    #[test]
    fn a_changed_corpus_is_refused_on_resume() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let first = plan(
            folder.path(),
            "abcabc",
            Level::Character,
            Validation::Fraction(0.1),
        );
        let corpus = first.prepare(&cache).unwrap();
        let hash = corpus.statistics.hash.clone();
        fs::remove_dir_all(&cache).unwrap();
        let again = first
            .prepare_again(&cache, corpus.tokenizer, &hash)
            .unwrap();
        assert_eq!(again.train.len(), corpus.train.len());
        fs::write(&first.files[0], "abcabd").unwrap();
        assert!(first.prepare_again(&cache, again.tokenizer, &hash).is_err());
    }

    #[test]
    fn a_text_that_changes_while_being_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(
            folder.path(),
            "first text",
            Level::Character,
            Validation::Fraction(0.1),
        );
        let scan = Scan::new(&plan).unwrap();
        fs::write(&plan.files[0], "other text").unwrap();
        let entry = CacheEntry {
            folder: folder.path().join("entry"),
        };
        fs::create_dir(&entry.folder).unwrap();
        let message = plan.encode(&scan, None, &entry).unwrap_err().to_string();
        assert!(message.contains("changed while being read"), "{message}");
    }
}
