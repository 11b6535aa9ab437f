/*!
A text as token ids on disk: learnt, divided into a training and a validation part, encoded once, memory-mapped.

Encoded corpora are kept in the user's cache under a key made of their content and of every setting that shapes the
ids, so that a changed file can never be served stale ids. The folder may be deleted at any time.
*/

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use super::encoder::Encoder;
use super::source::{self, Findings, Form};
use super::spelling::Spelling;
use super::tokenizer::Tokenizer;
use super::vocabulary::{VocabularyConfig, VocabularyTrainer};
use super::{Level, Split};
use crate::error::{Error, Result};
use crate::files;
use crate::metrics::TextSize;

/// Goes into the key of the cache: raised whenever ids of the same text and settings would come out differently.
const CACHE_VERSION: u32 = 1;
/// What the names of corpora begin with that are being encoded.
const SCRATCH: &str = "encoding-";

/// Token ids in a memory-mapped file.
#[derive(Clone)]
pub struct Ids {
    map: Option<Arc<Mmap>>,
    width: Width,
    range: Range<usize>,
}

/// Bytes of an id on disk: the least that the vocabulary allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    One,
    Two,
    Four,
}

impl Width {
    fn of(vocab_size: usize) -> Self {
        match vocab_size {
            0..=0x100 => Width::One,
            0x101..=0x1_0000 => Width::Two,
            _ => Width::Four,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Width::One => 1,
            Width::Two => 2,
            Width::Four => 4,
        }
    }

    fn append(self, ids: &[u32], out: &mut Vec<u8>) {
        match self {
            Width::One => out.extend(ids.iter().map(|&id| id as u8)),
            Width::Two => ids
                .iter()
                .for_each(|&id| out.extend_from_slice(&(id as u16).to_le_bytes())),
            Width::Four => ids
                .iter()
                .for_each(|&id| out.extend_from_slice(&id.to_le_bytes())),
        }
    }
}

impl Ids {
    /// Maps a file of ids for a vocabulary of `vocab_size`. `path` is for the message.
    fn map(file: &File, path: &Path, vocab_size: usize) -> Result<Self> {
        let width = Width::of(vocab_size);
        let length = file
            .metadata()
            .map_err(|e| Error::file("read", path, e))?
            .len() as usize;
        // An empty file cannot be mapped.
        let map = if length == 0 {
            None
        } else {
            Some(Arc::new(files::map_file(file, path)?))
        };
        Ok(Ids {
            map,
            width,
            range: 0..length / width.bytes(),
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The id at `index`.
    pub fn get(&self, index: usize) -> u32 {
        self.read(index..index + 1)
            .next()
            .expect("the range holds one id")
    }

    /// The ids of a range.
    ///
    /// # Panics
    /// If the range is not within `0..len()`.
    pub fn read(&self, range: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        assert!(
            range.start <= range.end && range.end <= self.len(),
            "{range:?} of {} ids",
            self.len()
        );
        let width = self.width.bytes();
        let (start, end) = (self.range.start + range.start, self.range.start + range.end);
        let bytes = self
            .map
            .as_ref()
            .map_or(&[][..], |map| &map[start * width..end * width]);
        bytes.chunks_exact(width).map(|b| match *b {
            [a] => u32::from(a),
            [a, b] => u32::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
            _ => unreachable!("an id has one, two or four bytes"),
        })
    }

    /// A part of them.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.len(),
            "{range:?} of {} ids",
            self.len()
        );
        let (start, end) = (self.range.start + range.start, self.range.start + range.end);
        Ids {
            range: start..end,
            ..self.clone()
        }
    }
}

/// What is measured on: the end of the text itself, or files of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// A tenth of the characters, from the end; of a small text somewhat more.
    Default,
    /// This share of the characters, from the end.
    Fraction(f64),
    /// These files.
    Files(Vec<PathBuf>),
}

/// What a corpus is to be made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorpusPlan {
    /// The files, folders resolved.
    pub files: Vec<PathBuf>,
    /// What is measured on.
    pub validation: Validation,
    /// Whether bytes that are no text are replaced instead of refused.
    pub lossy: bool,
    /// How the vocabulary is made.
    pub vocabulary: VocabularyConfig,
    /// BLAKE3 of the vocabulary that it grows from, if it does.
    #[serde(default)]
    pub from: Option<String>,
}

/// What is known of an encoded corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// The part to train on.
    pub train: TextSize,
    /// The part to measure on.
    pub valid: TextSize,
    /// Characters or words of the validation part that are not in the vocabulary.
    pub valid_unknown: u64,
    /// What spelling those costs, in nats.
    pub valid_spelling_nats: f64,
    /// BLAKE3 of the text as it was read, both parts.
    pub hash: String,
    /// What was noticed while reading.
    pub notes: Vec<String>,
    /// The training part's characters, for spelling unknown words.
    pub spelling: Spelling,
    /// How often each token occurs in the training part.
    pub token_counts: Vec<u64>,
}

/// A text ready to train on.
pub struct Corpus {
    /// The vocabulary.
    pub tokenizer: Tokenizer,
    /// The tokens to train on.
    pub train: Ids,
    /// The tokens to measure on.
    pub valid: Ids,
    /// What is known of both.
    pub statistics: Statistics,
}

impl CorpusPlan {
    fn form(&self) -> Form {
        form_of(self.vocabulary.level, self.vocabulary.split)
    }

    fn valid_files(&self) -> &[PathBuf] {
        match &self.validation {
            Validation::Files(files) => files,
            Validation::Default | Validation::Fraction(_) => &[],
        }
    }

    /// The files, for a message: the first three, and how many more.
    fn names(&self) -> String {
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

    /// Reads everything once: sizes, content hash, what is odd.
    fn scan(&self) -> Result<Scan> {
        let mut read = blake3::Hasher::new();
        let mut measure = |files: &[PathBuf]| -> Result<(TextSize, Findings)> {
            let mut size = TextSize::default();
            let findings = source::read(files, self.form(), self.lossy, &mut |piece| {
                read.update(piece);
                size.bytes += piece.len() as u64;
                size.characters += count_characters(piece);
                Ok(())
            })?;
            Ok((size, findings))
        };
        let (text, findings) = measure(&self.files)?;
        let (_, valid_findings) = measure(self.valid_files())?;
        let mut notes = findings.notes();
        notes.extend(
            valid_findings
                .notes()
                .into_iter()
                .map(|note| format!("validation: {note}")),
        );
        let train_characters = match self.validation {
            Validation::Default => text.characters - default_valid_characters(text.characters),
            Validation::Fraction(fraction) => {
                (text.characters as f64 * (1.0 - fraction)).floor() as u64
            }
            Validation::Files(_) => text.characters,
        };
        // Where the text ends and the validation files begin is part of what the corpus is.
        let read = read.finalize();
        let mut whole = blake3::Hasher::new();
        whole
            .update(read.as_bytes())
            .update(&text.bytes.to_le_bytes());
        let hash = whole.finalize().to_hex().to_string();
        Ok(Scan {
            text,
            train_characters,
            hash,
            read,
            notes,
        })
    }

    /// Everything that shapes the ids of a content with this hash.
    fn key(&self, hash: &str) -> String {
        let part = match self.validation {
            Validation::Default => Some(0.0),
            Validation::Fraction(fraction) => Some(fraction),
            Validation::Files(_) => None,
        };
        let shape =
            serde_json::json!([CACHE_VERSION, hash, part, self.vocabulary, self.from]).to_string();
        blake3::hash(shape.as_bytes()).to_hex()[..32].to_string()
    }

    /// Makes the corpus, or finds it made before. `cache` is the folder of encoded corpora.
    ///
    /// # Errors
    /// Files that cannot be read or are no text, an empty text, a cache that cannot be written.
    pub fn prepare(&self, cache: &Path) -> Result<Corpus> {
        self.prepare_with(cache, None)
    }

    /// Makes the corpus with a vocabulary that exists already, and grows by what this text has besides.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_from(&mut self, cache: &Path, base: &Tokenizer) -> Result<Corpus> {
        self.from = None;
        let own = self.prepare(cache)?;
        self.from = Some(blake3::hash(base.to_json().as_bytes()).to_hex().to_string());
        let grown = base.grown(&own.tokenizer);
        self.prepare_with(cache, Some((grown, &own.statistics.hash)))
    }

    /// The same text with a vocabulary that exists already.
    ///
    /// # Errors
    /// As [`Self::prepare`], and if the content's hash is not `hash`.
    pub fn prepare_again(&self, cache: &Path, tokenizer: Tokenizer, hash: &str) -> Result<Corpus> {
        self.prepare_with(cache, Some((tokenizer, hash)))
    }

    fn prepare_with(&self, cache: &Path, known: Option<(Tokenizer, &str)>) -> Result<Corpus> {
        let scan = self.scan()?;
        if let Some((_, hash)) = &known
            && *hash != scan.hash
        {
            return Err(Error::new(format!(
                "the corpus has changed since the run began ({}); restore it, or start anew in another folder with -o",
                self.names()
            )));
        }
        if scan.text.bytes == 0 {
            return Err(Error::new(format!("there is no text in {}", self.names())));
        }
        let tokenizer = known.map(|(tokenizer, _)| tokenizer);
        let entry = CacheEntry {
            folder: cache.join(self.key(&scan.hash)),
        };
        if let Some(mut corpus) = entry.load(self, tokenizer.as_ref()) {
            // The same text may have come another way before, as CRLF or UTF-16.
            corpus.statistics.notes = scan.notes;
            return Ok(corpus);
        }
        files::create_folder(cache)?;
        clear_left_overs(cache);
        let failed = |e| Error::file("write to the cache", cache, e);
        let scratch = tempfile::Builder::new()
            .prefix(SCRATCH)
            .tempdir_in(cache)
            .map_err(failed)?;
        let partial = CacheEntry {
            folder: scratch.path().to_path_buf(),
        };
        self.encode(&scan, tokenizer, &partial)?;
        // Somebody else may have been faster, or an entry may have been damaged: what was just made is right.
        let _ = fs::remove_dir_all(&entry.folder);
        let _ = fs::rename(&partial.folder, &entry.folder);
        let made = if entry.folder.is_dir() {
            &entry
        } else {
            &partial
        };
        made.load(self, None).ok_or_else(|| {
            Error::new(format!(
                "the encoded corpus in {} cannot be read back",
                made.folder.display()
            ))
        })
    }

    fn encode(&self, scan: &Scan, tokenizer: Option<Tokenizer>, entry: &CacheEntry) -> Result<()> {
        let train_bytes = scan.text.bytes;
        let mut learner = VocabularyTrainer::new(self.vocabulary, train_bytes);
        self.for_train_and_valid(scan, &mut |part, piece| {
            if part == Part::Train {
                learner.push(piece);
            }
            Ok(())
        })?;
        let mut spelling = Spelling {
            characters: learner.character_counts(),
            tokens: 0,
        };
        let tokenizer = match tokenizer {
            Some(tokenizer) => tokenizer,
            None => learner.finish()?,
        };

        let path = entry.ids();
        let file = File::create(&path).map_err(|e| Error::file("create", &path, e))?;
        let mut writer = IdWriter::new(file, &path, &tokenizer);
        let mut train_end = None;
        let mut hasher = blake3::Hasher::new();
        let (mut train, mut valid) = (TextSize::default(), TextSize::default());
        self.for_train_and_valid(scan, &mut |part, piece| {
            let size = if part == Part::Train {
                &mut train
            } else {
                &mut valid
            };
            if part == Part::Valid && train_end.is_none() {
                writer.finish_text()?;
                spelling.tokens = writer.written;
                train_end = Some((writer.written, writer.token_counts.clone()));
                writer.spelling = Some(spelling.clone());
                writer.unknown = 0;
            }
            hasher.update(piece);
            size.bytes += piece.len() as u64;
            size.characters += count_characters(piece);
            writer.push(piece)
        })?;
        writer.finish_text()?;
        if hasher.finalize() != scan.read {
            return Err(Error::new(format!(
                "{} changed while it was read; try again when it is complete, and give a pipe as -",
                self.names()
            )));
        }
        let written = writer.written;
        let (train_tokens, token_counts) =
            train_end.unwrap_or_else(|| (written, writer.token_counts.clone()));
        spelling.tokens = train_tokens;
        train.tokens = train_tokens;
        valid.tokens = written - train_tokens;
        let statistics = Statistics {
            train,
            valid,
            valid_unknown: if valid.tokens > 0 { writer.unknown } else { 0 },
            valid_spelling_nats: writer.spelling_nats,
            hash: scan.hash.clone(),
            token_counts,
            spelling,
            notes: scan.notes.clone(),
        };
        writer.flush()?;
        let json = serde_json::to_vec(&statistics).expect("statistics are plain data");
        files::write_atomically(&entry.tokenizer(), tokenizer.to_json().as_bytes())?;
        files::write_atomically(&entry.statistics(), &json)
    }

    /// Reads the text again, each piece with the part it belongs to.
    fn for_train_and_valid(
        &self,
        scan: &Scan,
        each: &mut dyn FnMut(Part, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut left = scan.train_characters;
        source::read(&self.files, self.form(), self.lossy, &mut |piece| {
            let characters = count_characters(piece);
            if characters <= left {
                left -= characters;
                return each(Part::Train, piece);
            }
            let end = byte_of_nth_character(piece, left as usize);
            left = 0;
            if end > 0 {
                each(Part::Train, &piece[..end])?;
            }
            each(Part::Valid, &piece[end..])
        })?;
        source::read(self.valid_files(), self.form(), self.lossy, &mut |piece| {
            each(Part::Valid, piece)
        })?;
        Ok(())
    }
}

/// How the ids of a file to be measured are found, and what it is made of.
pub struct EncodedText {
    /// Its tokens.
    pub ids: Ids,
    /// Its size.
    pub size: TextSize,
    /// Characters or words that are not in the vocabulary.
    pub unknown: u64,
    /// What spelling those costs, in nats.
    pub spelling_nats: f64,
    /// What was noticed while reading.
    pub notes: Vec<String>,
}

/// Encodes files for a vocabulary, into a temporary file that goes when the ids do.
pub fn encode_files(
    files: &[PathBuf],
    tokenizer: &Tokenizer,
    spelling: &Spelling,
    lossy: bool,
) -> Result<EncodedText> {
    let scratch = std::env::temp_dir();
    let file =
        tempfile::tempfile().map_err(|e| Error::file("create a temporary file in", &scratch, e))?;
    let copy = file
        .try_clone()
        .map_err(|e| Error::file("use a temporary file in", &scratch, e))?;
    let mut writer = IdWriter::new(copy, &scratch, tokenizer);
    writer.spelling = Some(spelling.clone());
    let mut size = TextSize::default();
    let findings = source::read(files, tokenizer.form(), lossy, &mut |piece| {
        size.bytes += piece.len() as u64;
        size.characters += count_characters(piece);
        writer.push(piece)
    })?;
    writer.finish_text()?;
    writer.flush()?;
    size.tokens = writer.written;
    Ok(EncodedText {
        ids: Ids::map(&file, &scratch, tokenizer.vocab_size())?,
        size,
        unknown: writer.unknown,
        spelling_nats: writer.spelling_nats,
        notes: findings.notes(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Train,
    Valid,
}

struct Scan {
    text: TextSize,
    /// Of all that was read, to hold later passes against.
    read: blake3::Hash,
    train_characters: u64,
    hash: String,
    notes: Vec<String>,
}

/// An encoded corpus in the cache.
struct CacheEntry {
    folder: PathBuf,
}

impl CacheEntry {
    fn ids(&self) -> PathBuf {
        self.folder.join("ids")
    }

    fn tokenizer(&self) -> PathBuf {
        self.folder.join("tokenizer.json")
    }

    fn statistics(&self) -> PathBuf {
        self.folder.join("statistics.json")
    }

    /// The corpus, if it lies here whole and with the vocabulary that is wanted.
    fn load(&self, plan: &CorpusPlan, wanted: Option<&Tokenizer>) -> Option<Corpus> {
        let vocabulary = plan.vocabulary;
        let tokenizer =
            Tokenizer::load(&self.tokenizer(), vocabulary.level, vocabulary.split).ok()?;
        if wanted.is_some_and(|wanted| wanted.to_json() != tokenizer.to_json()) {
            return None;
        }
        let statistics: Statistics =
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

/// Writes ids as text comes in, and counts.
struct IdWriter<'a> {
    path: &'a Path,
    out: BufWriter<File>,
    width: Width,
    tokenizer: &'a Tokenizer,
    encoder: Encoder<'a>,
    ids: Vec<u32>,
    bytes: Vec<u8>,
    written: u64,
    token_counts: Vec<u64>,
    unknown: u64,
    /// Counts what unknown words cost once it is known.
    spelling: Option<Spelling>,
    spelling_nats: f64,
}

impl<'a> IdWriter<'a> {
    fn new(file: File, path: &'a Path, tokenizer: &'a Tokenizer) -> Self {
        IdWriter {
            path,
            out: BufWriter::new(file),
            width: Width::of(tokenizer.vocab_size()),
            tokenizer,
            encoder: Encoder::new(tokenizer),
            ids: Vec::new(),
            bytes: Vec::new(),
            written: 0,
            token_counts: vec![0; tokenizer.vocab_size()],
            unknown: 0,
            spelling: None,
            spelling_nats: 0.0,
        }
    }

    fn push(&mut self, piece: &[u8]) -> Result<()> {
        self.encode(Some(piece))
    }

    /// The text ends here; another may follow.
    fn finish_text(&mut self) -> Result<()> {
        self.encode(None)?;
        self.encoder = Encoder::new(self.tokenizer);
        Ok(())
    }

    fn encode(&mut self, piece: Option<&[u8]>) -> Result<()> {
        let mut stranger = |word: &str| {
            self.unknown += 1;
            self.spelling_nats += self
                .spelling
                .as_ref()
                .map_or(0.0, |spelling| spelling.nats(word));
        };
        match piece {
            Some(piece) => self.encoder.push(piece, &mut self.ids, &mut stranger),
            None => self.encoder.finish(&mut self.ids, &mut stranger),
        }
        self.ids
            .iter()
            .for_each(|&id| self.token_counts[id as usize] += 1);
        self.written += self.ids.len() as u64;
        self.bytes.clear();
        self.width.append(&self.ids, &mut self.bytes);
        self.ids.clear();
        self.out
            .write_all(&self.bytes)
            .map_err(|e| Error::file("write", self.path, e))
    }

    fn flush(&mut self) -> Result<()> {
        self.out
            .flush()
            .and_then(|()| self.out.get_ref().sync_data())
            .map_err(|e| Error::file("write", self.path, e))
    }
}

/// Removes what runs left that were killed while they encoded, once it is surely nobody's.
fn clear_left_overs(cache: &Path) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let is_scratch = entry.file_name().to_string_lossy().starts_with(SCRATCH);
        let modified = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok();
        let is_old = modified
            .and_then(|time| time.elapsed().ok())
            .is_some_and(|age| age > DAY);
        if is_scratch && is_old {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn form_of(level: Level, split: Split) -> Form {
    match (level, split) {
        (Level::Byte, _) => Form::Bytes,
        (Level::Word, Split::Whitespace) => Form::Lines,
        _ => Form::Text,
    }
}

/// Characters of a piece of text: bytes that begin one. Of bytes that are no text, an approximation.
fn count_characters(piece: &[u8]) -> u64 {
    piece.iter().filter(|&&byte| starts_character(byte)).count() as u64
}

fn starts_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

/// Where the character with the index `n` begins.
fn byte_of_nth_character(piece: &[u8], n: usize) -> usize {
    let starts = piece
        .iter()
        .enumerate()
        .filter(|&(_, &byte)| starts_character(byte));
    starts.map(|(at, _)| at).nth(n).unwrap_or(piece.len())
}

/// Characters to measure on where nothing was said: a tenth, and of a small text enough to mean something, though never
/// more than a fifth.
fn default_valid_characters(characters: u64) -> u64 {
    let tenth = characters - (characters as f64 * 0.9).floor() as u64;
    tenth.max((characters / 5).min(2_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(folder: &Path, text: &str, level: Level, validation: Validation) -> CorpusPlan {
        let path = folder.join("text");
        fs::write(&path, text).unwrap();
        let vocabulary = VocabularyConfig {
            level,
            split: Split::Natural,
            vocab_size: None,
            min_count: 1,
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
    fn both_parts_together_are_the_text() {
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
    fn a_changed_file_is_never_served_stale_ids() {
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
    fn a_damaged_cache_is_made_again() {
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
    fn tiny_texts_keep_enough_to_measure() {
        for (characters, expected) in [
            (1_115_394, 111_540),
            (1_000, 200),
            (15_000, 2_000),
            (30_000, 3_000),
        ] {
            assert_eq!(default_valid_characters(characters), expected);
        }
    }

    #[test]
    fn a_text_that_changes_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(
            folder.path(),
            "first text",
            Level::Character,
            Validation::Fraction(0.1),
        );
        let scan = plan.scan().unwrap();
        fs::write(&plan.files[0], "other text").unwrap();
        let entry = CacheEntry {
            folder: folder.path().join("entry"),
        };
        fs::create_dir(&entry.folder).unwrap();
        let message = plan.encode(&scan, None, &entry).unwrap_err().to_string();
        assert!(message.contains("changed while it was read"), "{message}");
    }

    #[test]
    fn ids_take_the_least_room() {
        for (vocab_size, width) in [(256, 1), (257, 2), (65_536, 2), (65_537, 4)] {
            assert_eq!(Width::of(vocab_size).bytes(), width);
        }
        let mut bytes = Vec::new();
        Width::Four.append(&[70_000], &mut bytes);
        assert_eq!(bytes, 70_000u32.to_le_bytes());
    }
}
