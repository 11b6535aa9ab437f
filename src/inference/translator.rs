/*!
Translation of sentences: a translator's tokenizers and network, and the search for its best targets.
*/

use std::cmp::Reverse;
use std::ops::Range;

use super::beam_search::{Hypothesis, Marks, Search, Source, search};
use super::translation_network::TranslationNetwork;
use crate::checkpoint::{Directory, ModelConfig};
use crate::error::{Error, Result};
use crate::text::encoder::Encoder;
use crate::text::sentences::sentences;
use crate::text::tokenizer::Tokenizer;
use crate::text::{Level, Split};
use carousel_kernels::{Precision, log_sum_exp};

/// Most targets that are written side by side.
const MOST_STREAMS: usize = 256;
/// Most logits of these.
const MOST_LOGITS: usize = 1 << 23;
/// Most tokens of words or subwords that are translated at once; a longer sentence is cut.
const MOST_WORDS: usize = 100;
/// Most tokens of characters or bytes.
const MOST_CHARACTERS: usize = 500;
/// Characters of a target for a word of the source.
const CHARACTERS_PER_WORD: usize = 12;

/// A translator, opened from its checkpoint.
pub struct Translator {
    /// Configuration of the network.
    pub config: ModelConfig,
    source: Tokenizer,
    /// `None` where source and target have one vocabulary.
    target: Option<Tokenizer>,
    network: TranslationNetwork,
}

/// What a text may be translated to, the best first, and how it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Translation {
    /// One for an empty text, and else as many as were wanted, where the search found them.
    pub candidates: Vec<Candidate>,
    /// Number of parts that were translated apart: the sentences, and the parts of a sentence that is too long; 0 for an
    /// empty text.
    pub parts: usize,
    /// Number of sentences that were too long, and were cut.
    pub cut: usize,
    /// Its characters or words that are not in the vocabulary.
    pub unknown: Vec<String>,
}

/// What a text may be translated to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    /// A line of text.
    pub text: String,
    /// Natural logarithm of its probability, the ends of its parts included.
    pub log_probability: f64,
    /// Whether it came to an end, instead of to the most tokens.
    pub is_whole: bool,
    /// What was looked at, for each part; empty unless the weights are kept.
    pub looks: Vec<Look>,
    /// What the log probability is divided by.
    divisor: f64,
}

/// Which words of a source a target's words looked at. Words are tokens, but for bytes and subwords, of which those of a word
/// are taken together.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The source's words, the line end last.
    pub source: Vec<String>,
    /// The target's words, the line end last where it was written.
    pub target: Vec<String>,
    /// `[target, source]`; a row's sum is 1.
    pub weights: Vec<Vec<f32>>,
}

/// A source as it is read.
struct Read {
    /// Its tokens, with the line end.
    tokens: Vec<u32>,
    /// How they are written, without the line end.
    pieces: Vec<String>,
    unknown: Vec<String>,
}

impl Candidate {
    /// What candidates are ranked by: the log probability, divided by what the length penalty makes of the length.
    pub fn score(&self) -> f64 {
        match self.divisor > 0.0 {
            true => self.log_probability / self.divisor,
            false => 0.0,
        }
    }

    /// This and the one that follows it, as one.
    fn then(&self, next: &Candidate) -> Candidate {
        let texts = [&self.text[..], &next.text[..]];
        let texts = texts.into_iter().filter(|text| !text.is_empty());
        Candidate {
            text: texts.collect::<Vec<_>>().join(" "),
            log_probability: self.log_probability + next.log_probability,
            is_whole: self.is_whole && next.is_whole,
            looks: [&self.looks[..], &next.looks[..]].concat(),
            divisor: self.divisor + next.divisor,
        }
    }
}

impl Translation {
    /// That of an empty text.
    fn empty() -> Self {
        Translation {
            candidates: vec![Candidate {
                is_whole: true,
                ..Candidate::default()
            }],
            ..Translation::default()
        }
    }

    /// The translation of texts that follow one another, with up to `best` candidates.
    fn joined(parts: impl IntoIterator<Item = Translation>, best: usize) -> Self {
        parts.into_iter().fold(Translation::empty(), |all, next| {
            let each = all.candidates.iter();
            let pairs = each.flat_map(|one| next.candidates.iter().map(|other| one.then(other)));
            let mut candidates: Vec<Candidate> = pairs.collect();
            candidates.sort_by(|a, b| b.score().total_cmp(&a.score()));
            candidates.truncate(best);
            Translation {
                candidates,
                parts: all.parts + next.parts,
                cut: all.cut + next.cut,
                unknown: [all.unknown, next.unknown].concat(),
            }
        })
    }
}

impl Translator {
    /// Opens a checkpoint, and checks that its parts belong together. It computes with up to `threads` threads.
    ///
    /// # Errors
    /// A checkpoint that is damaged, or of another kind of model.
    pub fn open(directory: &Directory, precision: Precision, threads: usize) -> Result<Self> {
        let config = directory.load_config()?;
        if config.target().is_none() {
            return Err(Error::new(format!(
                "{0} does not translate; `carousel {1} -m {0}` uses it, and `carousel train-translator PAIRS -o DIR` makes a \
                 translator",
                directory.path().display(),
                config.command()
            )));
        }
        let tokenizers = directory.load_tokenizers(&config)?;
        let weights = directory.load_weights(&config)?;
        let floats = |name: &str| weights.floats(name);
        let network = TranslationNetwork::load(&config, floats, precision, threads)?;
        Ok(Translator::new(config, tokenizers, network))
    }

    /// A translator of its parts: its tokenizers, the target's where it is not the source's, and its network.
    pub fn new(
        config: ModelConfig,
        (source, target): (Tokenizer, Option<Tokenizer>),
        network: TranslationNetwork,
    ) -> Self {
        Translator {
            config,
            source,
            target,
            network,
        }
    }

    /// Tokenizer of what it reads.
    pub fn source(&self) -> &Tokenizer {
        &self.source
    }

    /// Tokenizer of what it writes.
    pub fn target(&self) -> &Tokenizer {
        self.target.as_ref().unwrap_or(&self.source)
    }

    /// Whether its decoder looks at the source at each step.
    pub fn has_attention(&self) -> bool {
        self.network.has_attention()
    }

    /// Translates texts, each of them a line of one or more sentences, in their order.
    pub fn translate_texts(&self, texts: &[&str], options: &Search) -> Vec<Translation> {
        let sentences: Vec<Vec<&str>> = texts.iter().map(|text| sentences(text)).collect();
        let counts: Vec<usize> = sentences.iter().map(Vec::len).collect();
        let translated = self.translate(&sentences.concat(), options);
        let mut translated = translated.into_iter();
        let own = counts.into_iter();
        own.map(|count| Translation::joined(translated.by_ref().take(count), options.best))
            .collect()
    }

    /// Translates sentences, each of them a line, in their order. One that is too long is cut at white space into parts,
    /// which are translated apart.
    pub fn translate(&self, sentences: &[&str], options: &Search) -> Vec<Translation> {
        let mut encoder = Encoder::new(&self.source);
        let parts: Vec<Vec<Read>> = (sentences.iter())
            .map(|sentence| self.read(sentence, &mut encoder))
            .collect();
        let counts: Vec<usize> = parts.iter().map(Vec::len).collect();
        let parts: Vec<Read> = parts.into_iter().flatten().collect();
        let mut order: Vec<usize> = (0..parts.len()).collect();
        // Those of about one length are searched together; the longest first, which need most memory.
        order.sort_by_key(|&part| Reverse(parts[part].tokens.len()));
        let mut translated: Vec<Translation> = vec![Translation::default(); parts.len()];
        for batch in order.chunks(self.most_sentences(options.beam)) {
            let batch_parts: Vec<&Read> = batch.iter().map(|&part| &parts[part]).collect();
            let translations = self.translate_batch(&batch_parts, options);
            for (&part, translation) in batch.iter().zip(translations) {
                translated[part] = translation;
            }
        }
        let mut translated = translated.into_iter();
        let own = counts.into_iter().map(|count| Translation {
            cut: usize::from(count > 1),
            ..Translation::joined(translated.by_ref().take(count), options.best)
        });
        own.collect()
    }

    /// Most sentences that are searched together.
    fn most_sentences(&self, beam: usize) -> usize {
        let streams = MOST_STREAMS.min(MOST_LOGITS / self.network.vocab_size());
        (streams / beam).max(1)
    }

    /// Reads a sentence, in parts that are not too long; none of an empty sentence.
    fn read(&self, sentence: &str, encoder: &mut Encoder) -> Vec<Read> {
        let sentence = sentence.trim();
        if sentence.is_empty() {
            return Vec::new();
        }
        let most = match self.source.level() {
            Level::Word | Level::Subword => MOST_WORDS,
            Level::Character | Level::Byte => MOST_CHARACTERS,
        };
        let whole = self.read_part(sentence, encoder);
        let count = whole.tokens.len().div_ceil(most);
        if count == 1 {
            return vec![whole];
        }
        let parts = equal_parts(sentence, count).into_iter();
        parts.map(|part| self.read_part(part, encoder)).collect()
    }

    fn read_part(&self, part: &str, encoder: &mut Encoder) -> Read {
        let (mut tokens, unknown) = encoder.encode(part);
        let mut unknown_words = unknown.iter();
        let pieces = tokens.iter().map(|&id| {
            let own = (Some(id) == self.source.unknown()).then(|| unknown_words.next());
            own.flatten()
                .cloned()
                .unwrap_or_else(|| String::from_utf8_lossy(self.source.piece(id)).into_owned())
        });
        let pieces = pieces.collect();
        tokens.push(self.source.line_end());
        Read {
            tokens,
            pieces,
            unknown,
        }
    }

    /// Most tokens of the target of so many, both with their ends.
    fn most_written(&self, tokens: usize) -> usize {
        let is_fine = |level: Level| matches!(level, Level::Character | Level::Byte);
        let ratio = match (self.source.level(), self.target().level()) {
            (source, target) if is_fine(target) && !is_fine(source) => CHARACTERS_PER_WORD,
            _ => 2,
        };
        ratio * tokens + 10
    }

    fn translate_batch(&self, parts: &[&Read], options: &Search) -> Vec<Translation> {
        let sources: Vec<Source> = parts
            .iter()
            .map(|part| Source {
                tokens: &part.tokens,
                most: self.most_written(part.tokens.len()),
            })
            .collect();
        // The weights of attention say what is copied in place of an unknown word.
        let copies = self.network.has_attention() && self.target().unknown().is_some();
        let own = Search {
            keeps_attention: options.keeps_attention || copies,
            ..*options
        };
        let found = search(&self.network, &sources, self.marks(), own);
        let translation = |(part, hypotheses): (&&Read, Vec<Hypothesis>)| {
            let best = hypotheses.into_iter().take(options.best);
            let candidates = best.map(|one| self.candidate(part, one, options));
            let mut candidates: Vec<Candidate> = candidates.collect();
            if candidates.is_empty() {
                // A vocabulary of nothing that can be written.
                candidates.push(Candidate::default());
            }
            Translation {
                candidates,
                parts: 1,
                cut: 0,
                unknown: part.unknown.clone(),
            }
        };
        parts.iter().zip(found).map(translation).collect()
    }

    /// Tokens of the target with a meaning of their own. Without attention there is no word to copy for an unknown one.
    fn marks(&self) -> Marks {
        let line_end = self.target().line_end();
        let unknown = self
            .target()
            .unknown()
            .filter(|&unknown| unknown != line_end);
        Marks {
            line_end,
            barred: unknown.filter(|_| !self.network.has_attention()),
        }
    }

    fn candidate(&self, part: &Read, hypothesis: Hypothesis, options: &Search) -> Candidate {
        let words = self.written_words(part, &hypothesis);
        let length = hypothesis.tokens.len() + usize::from(hypothesis.is_whole);
        let text = match self.target().level() {
            // A character may be several of these tokens.
            Level::Byte | Level::Subword => self.target().decode(&hypothesis.tokens),
            Level::Word if self.target().split() == Split::Whitespace => words.join(" "),
            Level::Word | Level::Character => words.concat(),
        };
        let keeps = options.keeps_attention && !hypothesis.attention.is_empty();
        let look = keeps.then(|| self.look(part, &hypothesis, &words));
        Candidate {
            text: one_line(&text),
            log_probability: hypothesis.log_probability,
            is_whole: hypothesis.is_whole,
            looks: look.into_iter().collect(),
            divisor: options.divisor(length),
        }
    }

    /// Which words of the source the words of a target looked at: a word of several tokens was looked at by the sum of their
    /// weights, and looks by the mean.
    fn look(&self, part: &Read, hypothesis: &Hypothesis, written: &[String]) -> Look {
        let ids = &part.tokens[..part.pieces.len()];
        let source = with_end(words(&self.source, ids, &part.pieces), true);
        let target = words(self.target(), &hypothesis.tokens, written);
        let target = with_end(target, hypothesis.is_whole);
        let weights = target.iter().map(|(_, rows)| {
            let columns = source.iter().map(|(_, columns)| {
                let rows = hypothesis.attention[rows.clone()].iter();
                rows.flat_map(|row| &row[columns.clone()]).sum::<f32>()
            });
            columns.map(|sum| sum / rows.len() as f32).collect()
        });
        Look {
            weights: weights.collect(),
            source: source.into_iter().map(|(word, _)| word).collect(),
            target: target.into_iter().map(|(word, _)| word).collect(),
        }
    }

    /// The tokens of a target as they are written; in place of an unknown one the piece of the source that was looked at
    /// most.
    fn written_words(&self, part: &Read, hypothesis: &Hypothesis) -> Vec<String> {
        let target = self.target();
        let mut words: Vec<String> = Vec::with_capacity(hypothesis.tokens.len());
        for (step, &token) in hypothesis.tokens.iter().enumerate() {
            let weights = hypothesis.attention.get(step);
            let copied = weights.filter(|_| Some(token) == target.unknown());
            words.push(match copied {
                Some(weights) => {
                    let word = most_seen(&part.pieces, weights);
                    let is_spaced =
                        target.level() == Level::Word && target.split() == Split::Natural;
                    let before = words.last().and_then(|word| word.chars().next_back());
                    let joins = |c: char| c.is_whitespace() || "'’-([«\"".contains(c);
                    match is_spaced && before.is_some_and(|c| !joins(c)) {
                        true => format!(" {}", word.trim()),
                        false if is_spaced => word.trim().to_string(),
                        false => word.to_string(),
                    }
                }
                None => String::from_utf8_lossy(target.piece(token)).into_owned(),
            });
        }
        words
    }

    /// The negative log likelihood of targets, each with its end, given their sources, in nats, and their tokens; both for
    /// each pair.
    pub fn losses(&self, pairs: &[(&str, &str)]) -> Vec<(f64, usize)> {
        let (mut sources, mut targets) = (Encoder::new(&self.source), Encoder::new(self.target()));
        let encoded = pairs.iter().map(|(source, target)| {
            let (mut source, _) = sources.encode(source.trim());
            source.push(self.source.line_end());
            (source, targets.encode(target.trim()).0)
        });
        let encoded: Vec<(Vec<u32>, Vec<u32>)> = encoded.collect();
        let mut order: Vec<usize> = (0..encoded.len()).collect();
        order.sort_by_key(|&pair| Reverse(encoded[pair].1.len()));
        let mut losses = vec![(0.0, 0); pairs.len()];
        for batch in order.chunks(self.most_sentences(1)) {
            let own: Vec<&(Vec<u32>, Vec<u32>)> =
                batch.iter().map(|&pair| &encoded[pair]).collect();
            for (&pair, nats) in batch.iter().zip(self.nats(&own)) {
                losses[pair] = (nats, encoded[pair].1.len() + 1);
            }
        }
        losses
    }

    /// The negative log likelihood of each target, the longest first, given its source.
    fn nats(&self, pairs: &[&(Vec<u32>, Vec<u32>)]) -> Vec<f64> {
        let line_end = self.target().line_end();
        let sources: Vec<&[u32]> = pairs.iter().map(|pair| &pair.0[..]).collect();
        let encoded = self.network.encode(&sources);
        let mut state = self.network.initial_state(&encoded);
        let (mut nats, mut buffer) = (vec![0.0; pairs.len()], Vec::new());
        let mut rows: Vec<usize> = (0..pairs.len()).collect();
        for step in 0..=pairs.first().map_or(0, |pair| pair.1.len()) {
            let left = pairs.partition_point(|pair| pair.1.len() >= step);
            if left < rows.len() {
                rows.truncate(left);
                state = state.select(&rows);
            }
            let at = |pair: &&(Vec<u32>, Vec<u32>), step: Option<usize>| {
                let token = step.and_then(|step| pair.1.get(step));
                token.copied().unwrap_or(line_end)
            };
            let reading = &pairs[..left];
            let tokens = reading.iter().map(|pair| at(pair, step.checked_sub(1)));
            let tokens: Vec<u32> = tokens.collect();
            self.network.step(&tokens, &rows, &encoded, &mut state);
            let own = &mut nats[..left];
            (self.network).for_each_logits(&state, own, &mut buffer, |row, logits, nats| {
                let target = at(&reading[row], Some(step));
                *nats += log_sum_exp(logits) - f64::from(logits[target as usize]);
            });
        }
        nats
    }
}

/// The words that tokens are, and which tokens: bytes and subwords as far as letters and digits follow one another; else each
/// token, as it is written.
fn words(tokenizer: &Tokenizer, ids: &[u32], written: &[String]) -> Vec<(String, Range<usize>)> {
    let splits = matches!(tokenizer.level(), Level::Byte | Level::Subword);
    // A part of a character is not known to be a letter or not.
    let is_letter = |c: char| c.is_alphanumeric() || c == char::REPLACEMENT_CHARACTER;
    let goes_on = |at: usize| {
        let (before, after) = (&written[at - 1], &written[at]);
        before.ends_with(is_letter) && after.starts_with(is_letter)
    };
    let mut words = Vec::new();
    let mut first = 0;
    for end in 1..=ids.len() {
        if end < ids.len() && splits && goes_on(end) {
            continue;
        }
        let word = match splits {
            true => tokenizer.decode(&ids[first..end]),
            false => written[first].clone(),
        };
        words.push((word, first..end));
        first = end;
    }
    words
}

/// Words with the line end, if there is one.
fn with_end(mut words: Vec<(String, Range<usize>)>, ends: bool) -> Vec<(String, Range<usize>)> {
    if ends {
        let at = words.last().map_or(0, |(_, range)| range.end);
        words.push(("\n".to_string(), at..at + 1));
    }
    words
}

/// The piece of a source that was looked at most, the line end aside; empty if there is none.
fn most_seen<'a>(pieces: &'a [String], weights: &[f32]) -> &'a str {
    let each = pieces.iter().zip(weights);
    each.max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map_or("", |(piece, _)| piece)
}

/// A text without line breaks, and without white space around it.
fn one_line(text: &str) -> String {
    let broken = |c: char| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
    text.trim().replace(broken, " ")
}

/// A text in so many parts of about one length, cut at white space where there is some.
fn equal_parts(text: &str, count: usize) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::with_capacity(count), text);
    for left in (2..=count).rev() {
        let wanted = rest.len() / left;
        let spaces = rest.match_indices(char::is_whitespace).map(|(at, _)| at);
        let nearest = spaces.min_by_key(|at| at.abs_diff(wanted));
        // Where words have no spaces between them, anywhere.
        let near = nearest.filter(|at| at.abs_diff(wanted) <= wanted / 2);
        let at = near.or_else(|| (wanted..rest.len()).find(|&at| rest.is_char_boundary(at)));
        let (part, after) = rest.split_at(at.unwrap_or(rest.len()));
        parts.push(part.trim());
        rest = after.trim_start();
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::super::translation_network::testing::{Twin, made_up};
    use super::*;
    use crate::checkpoint::architecture::OUTPUT_BIAS;

    /// Id 1 is the line end, and 0 the unknown token.
    fn translator(twin: &Twin) -> Translator {
        let source = Tokenizer::characters(&"\n abcdefg".chars().collect::<Vec<_>>());
        let target = Tokenizer::characters(&"\nuvwxyz".chars().collect::<Vec<_>>());
        let network = twin.network(Precision::Float32);
        Translator::new(twin.config.clone(), (source, Some(target)), network)
    }

    fn options(beam: usize) -> Search {
        Search {
            beam,
            best: beam,
            ..Search::default()
        }
    }

    #[test]
    fn losses_are_those_of_the_equations() {
        for twin in made_up() {
            let translator = translator(&twin);
            let pairs = [("abc", "xyz"), ("g", ""), ("dad fed", "uvw?wvu"), ("", "u")];
            let losses = translator.losses(&pairs);
            for ((source, target), (nats, tokens)) in pairs.iter().zip(losses) {
                let ids = |tokenizer: &Tokenizer, text: &str| tokenizer.encode(text).0;
                let source = [&ids(translator.source(), source)[..], &[1]].concat();
                let target = [&[1], &ids(translator.target(), target)[..], &[1]].concat();
                let expected = twin.decode(&source, &target[..target.len() - 1]);
                let expected = expected
                    .iter()
                    .zip(&target[1..])
                    .map(|((logits, _), &target)| {
                        -crate::metrics::softmax(logits)[target as usize].ln()
                    });
                assert_eq!(tokens, target.len() - 1);
                let expected: f64 = expected.sum();
                assert!((nats - expected).abs() < 1e-3, "{nats} {expected}");
            }
        }
    }

    #[test]
    fn sentences_are_translated_alone_as_beside_others() {
        for twin in made_up() {
            let translator = translator(&twin);
            let long = "abcd ".repeat(300);
            let sentences = ["bad", "", "a cab fed a dad", "  ", &long, "zzz", "gag"];
            for beam in [1, 3] {
                let together = translator.translate(&sentences, &options(beam));
                for (sentence, found) in sentences.iter().zip(&together) {
                    let alone = translator.translate(&[sentence], &options(beam));
                    assert_eq!(alone[0], *found, "{sentence}");
                    assert!(found.candidates.is_sorted_by(|a, b| a.score() >= b.score()));
                    let texts = found.candidates.iter().map(|candidate| &candidate.text);
                    assert!(texts.clone().all(|text| !text.contains('\n')));
                    assert_eq!(texts.clone().all(|text| text.is_empty()), found.parts == 0);
                }
                let parts: Vec<usize> = together.iter().map(|found| found.parts).collect();
                assert_eq!(parts, [1, 0, 1, 0, 3, 1, 1]);
                assert_eq!(together[5].unknown, ["z", "z", "z"]);
            }
        }
    }

    #[test]
    fn an_unknown_token_is_replaced_by_what_was_looked_at() {
        for mut twin in made_up() {
            twin.weights.get_mut(OUTPUT_BIAS).unwrap()[0] = 4.0;
            let translator = translator(&twin);
            let options = Search {
                keeps_attention: true,
                ..options(1)
            };
            let found = translator.translate(&["bad9"], &options);
            let [candidate] = &found[0].candidates[..] else {
                panic!("{found:?}");
            };
            let look = &candidate.looks[0];
            assert_eq!(look.source, ["b", "a", "d", "9", "\n"]);
            assert!(
                candidate.text.contains(['b', 'a', 'd', '9']),
                "{candidate:?}"
            );
            assert!(!candidate.text.contains("unk"), "{candidate:?}");
            for (word, weights) in look.target.iter().zip(&look.weights) {
                let most = weights[..4].iter().copied().fold(0.0, f32::max);
                let seen = weights.iter().position(|&weight| weight == most).unwrap();
                assert!("\nuvwxyz".contains(&word[..]) || *word == look.source[seen]);
            }
        }
    }

    #[test]
    fn long_texts_are_cut_in_equal_parts() {
        assert_eq!(
            equal_parts("one two three four", 2),
            ["one two", "three four"]
        );
        assert_eq!(equal_parts("日本語日本語", 3), ["日本", "語日", "本語"]);
        for (text, count) in [("a b", 5), ("", 2), ("é", 2), ("aaaa", 2)] {
            let parts = equal_parts(text, count);
            assert_eq!(parts.concat(), text.replace(' ', ""), "{text}");
        }
    }
}
