/*!
Evaluation of a language model on texts.
*/

use super::cache::Cache;
use super::model::Model;
use super::next_token::{NextTokenNetwork, Wanted};
use super::predictor::Predictor;
use crate::metrics::{LanguageScore, TextSize};
use crate::text::corpus::Ids;
use crate::text::spelling::Spelling;
use crate::text::streams::{EvaluationStreams, EvaluationWindow, Target};
use crate::text::tokenizer::{Decoder, UNKNOWN};
use crate::text::{Level, Split};
use carousel_kernels::{Rows, log_sum_exp};

/// Number of steps of a window.
const WINDOW: usize = 64;

/// Negative log likelihood of a text, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nats {
    /// Predicted as the model generates: as many tokens at once as its horizon has.
    pub all: f64,
    /// Predicted one token at a time.
    pub one_at_a_time: f64,
    /// Predicted by the network alone, where n-grams are interpolated with it.
    pub network: f64,
}

/// Negative log likelihood of `ids`. Each token is predicted once, the first after `line_end`. After each window `progress`
/// is called with the number of tokens that it predicted.
pub fn nats(
    predictor: &Predictor,
    ids: &Ids,
    line_end: u32,
    mut progress: impl FnMut(u64),
) -> Nats {
    let mut nats = Nats::default();
    match predictor {
        // The probability of one token needs no logits of all.
        Predictor::Ngram(ngrams) => {
            let all = ngrams.nats(ids, progress);
            return Nats {
                all,
                one_at_a_time: all,
                network: all,
            };
        }
        Predictor::Network(network) => {
            predict_tokens(network, ids, line_end, None, &mut progress, |token| {
                nats.all += token.nats;
                nats.one_at_a_time += token.one_at_a_time;
            });
            nats.network = nats.all;
        }
        Predictor::Interpolated(parts) => {
            let scale = [parts.weights.cache_scale()];
            let cache = (parts.cache > 0).then_some(CacheLookup {
                capacity: parts.cache,
                scales: &scale,
            });
            let mut found = vec![(0.0, None); ids.len()];
            let network = &parts.network;
            predict_tokens(network, ids, line_end, cache, &mut progress, |token| {
                let cached = token.cached.map(|cached| cached[0]);
                found[token.position] = (token.nats, cached);
            });
            for ((network, cached), ngrams) in found.into_iter().zip(parts.ngrams.predictions(ids))
            {
                nats.network += network;
                nats.all += parts.weights.nats(network, &ngrams, cached);
            }
            nats.one_at_a_time = nats.all;
        }
    }
    nats
}

/// A cache that is looked up while a network predicts a text.
#[derive(Clone, Copy, Debug)]
pub struct CacheLookup<'a> {
    /// Most tokens that it keeps.
    pub capacity: usize,
    /// Scales of its products.
    pub scales: &'a [f32],
}

/// A token of a text that a network predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedToken {
    /// Its position in the text.
    pub position: usize,
    /// Its negative log likelihood in nats, as the network generates.
    pub nats: f64,
    /// The same, predicted one token at a time.
    pub one_at_a_time: f64,
    /// Its probability under the cache at each scale, where the places that are empty agree with the network; `None` without
    /// a cache.
    pub cached: Option<Vec<f64>>,
}

/// Calls `each` with every token of `ids`. The first is predicted after `line_end`. After each window `progress` is called
/// with the number of tokens that it predicted.
pub fn predict_tokens(
    network: &NextTokenNetwork,
    ids: &Ids,
    line_end: u32,
    cache: Option<CacheLookup>,
    mut progress: impl FnMut(u64),
    mut each: impl FnMut(PredictedToken),
) {
    let streams = EvaluationStreams::new(ids.len());
    let mut state = network.initial_state(streams.streams);
    let new_cache = || Cache::new(cache.map_or(0, |cache| cache.capacity));
    let mut caches = vec![new_cache(); streams.streams];
    let (horizon, vocab_size) = (network.horizon(), network.vocab_size());
    for window in streams.windows(ids, line_end, window_of(horizon)) {
        if window.resets_first_stream {
            network.reset(&mut state, 0);
            caches[0] = new_cache();
        }
        let outputs = network.outputs(&window.inputs, &mut state);
        let mut cached = match cache {
            Some(cache) => look_up(&mut caches, cache.scales, network, (&window, &outputs)),
            None => Vec::new(),
        };
        let logits = network.logits(&outputs, 0..window.inputs.len());
        let mut counted = 0;
        for (row, target) in window.targets.iter().enumerate() {
            if let Some(Target { position, id }) = *target {
                let place = (row, streams.streams);
                let (nats, one_at_a_time) = nats_of(&logits, [horizon, vocab_size], place, id);
                let cached = cached.get_mut(row).and_then(Option::take);
                let with_empty = |(shares, filled): (Vec<f64>, f64)| {
                    let empty = (1.0 - filled) * (-nats).exp();
                    shares.into_iter().map(|share| share + empty).collect()
                };
                each(PredictedToken {
                    position,
                    nats,
                    one_at_a_time,
                    cached: cached.map(with_empty),
                });
                counted += 1;
            }
        }
        progress(counted);
    }
}

/// The shares of a token in a cache at each scale, and how much that is filled; `None` without a token.
type Looked = Option<(Vec<f64>, f64)>;

/// Reads a window with the cache of each stream, and looks the targets up in them, for each row.
fn look_up(
    caches: &mut [Cache],
    scales: &[f32],
    network: &NextTokenNetwork,
    (window, outputs): (&EvaluationWindow, &Rows),
) -> Vec<Looked> {
    let streams = caches.len();
    let rows = window.inputs.len();
    let mut found: Vec<(&mut Cache, Vec<Looked>)> = caches
        .iter_mut()
        .map(|cache| (cache, Vec::with_capacity(rows / streams)))
        .collect();
    let threads = network.pool().threads();
    (network.pool()).for_each(threads, &mut found, |stream, (cache, found)| {
        for row in (stream..rows).step_by(streams) {
            cache.read(window.inputs[row], |last| {
                network.output(outputs, row, last)
            });
            let look = |target: Target| (cache.shares_of(target.id, scales), cache.filled());
            found.push(window.targets[row].map(look));
        }
    });
    let steps = 0..rows / streams;
    let row = |step: usize| found.iter().map(move |(_, found)| found[step].clone());
    steps.flat_map(row).collect()
}

/// Number of steps of a window, within which whole horizons lie.
fn window_of(horizon: usize) -> usize {
    WINDOW.next_multiple_of(horizon)
}

/// Negative log likelihood of the target of a row, of a window with this number of streams: predicted as many at once as the
/// horizon has, and one at a time.
fn nats_of(
    logits: &[f32],
    [horizon, vocab_size]: [usize; 2],
    (row, streams): (usize, usize),
    target: u32,
) -> (f64, f64) {
    let at = |row: usize, ahead: usize| {
        let first = (row * horizon + ahead) * vocab_size;
        nats_given(&logits[first..first + vocab_size], target)
    };
    let one_at_a_time = at(row, 0);
    // The step that predicted it, and how far ahead it was.
    let ahead = row / streams % horizon;
    let all = match ahead {
        0 => one_at_a_time,
        ahead => at(row - ahead * streams, ahead),
    };
    (all, one_at_a_time)
}

/// Negative log likelihood of a token, given the logits.
fn nats_given(logits: &[f32], token: u32) -> f64 {
    log_sum_exp(logits) - f64::from(logits[token as usize])
}

/// What is said where there is nothing to score.
pub const EMPTY_TEXT: &str = "an empty text cannot be scored; give at least one character";

/// A text with its likelihood under a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredText {
    /// Tokens of the text.
    pub tokens: Vec<ScoredToken>,
    /// Score of the whole text. The spelling of unknown words counts in all its figures, so that texts compare that have
    /// different numbers of them.
    pub score: LanguageScore,
}

/// A token with its log probability under a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredToken {
    /// Text of the token, in whole characters; for an unknown token the word that it stands for.
    pub text: String,
    /// Natural logarithm of its probability, given the tokens before it; of an unknown token, with the spelling of its word.
    pub log_probability: f64,
    /// Whether the vocabulary does not have it.
    pub is_unknown: bool,
}

impl ScoredText {
    /// The words, or characters, that the vocabulary does not have, in their order.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        let unknown = self.tokens.iter().filter(|token| token.is_unknown);
        unknown.map(|token| match token.text.trim_start_matches(' ') {
            "" => &token.text[..],
            word => word,
        })
    }

    /// Natural logarithm of the probability of all tokens.
    pub fn log_probability(&self) -> f64 {
        self.tokens.iter().map(|token| token.log_probability).sum()
    }
}

/// Scores a text, in the form in which the model reads it, that begins after an end of line, as [`nats`] does; `None` if it
/// has no token.
pub fn score(model: &Model, spelling: &Spelling, text: &str) -> Option<ScoredText> {
    let (tokenizer, predictor) = (&model.tokenizer, &model.predictor);
    let text = &*tokenizer.normalized(text);
    let (ids, unknown_words) = tokenizer.encode(text);
    let (_, all_but_last) = ids.split_last()?;
    let mut inputs = vec![tokenizer.line_end()];
    inputs.extend_from_slice(all_but_last);
    let mut state = predictor.initial_state(1);
    let mut nats = Vec::with_capacity(ids.len());
    let (horizon, vocab_size) = (predictor.horizon(), predictor.vocab_size());
    let window = window_of(horizon);
    for (inputs, targets) in inputs.chunks(window).zip(ids.chunks(window)) {
        let logits = predictor.forward(inputs, &mut state, Wanted::All);
        let own = |(row, &id)| nats_of(&logits, [horizon, vocab_size], (row, 1), id).0;
        nats.extend(targets.iter().enumerate().map(own));
    }
    let size = TextSize {
        tokens: ids.len() as u64,
        characters: match tokenizer.level() {
            Level::Byte => text.len(),
            _ => text.chars().count(),
        } as u64,
        bytes: text.len() as u64,
    };
    let texts = token_texts(model, text, &ids, unknown_words);
    let tokens = texts.into_iter().zip(nats).map(|((text, unknown), nats)| {
        let spelt = unknown.as_ref().map_or(0.0, |word| spelling.nats(word));
        ScoredToken {
            text,
            log_probability: -(nats + spelt),
            is_unknown: unknown.is_some(),
        }
    });
    let tokens: Vec<ScoredToken> = tokens.collect();
    let all = tokens.iter().map(|token| -token.log_probability).sum();
    let score = LanguageScore::new(all, 0.0, &size);
    Some(ScoredText { tokens, score })
}

/// Text of each token of `text`, and the word that it stands for where that is unknown; `unknown_words` are the words and
/// characters that are not in the vocabulary, in order.
fn token_texts(
    model: &Model,
    text: &str,
    ids: &[u32],
    unknown_words: Vec<String>,
) -> Vec<(String, Option<String>)> {
    let tokenizer = &model.tokenizer;
    let mut decoder = Decoder::new(tokenizer);
    let mut unknown_words = unknown_words.into_iter();
    // A text that is split at white space, such as a treebank, may hold <unk> as a word. Only the text shows whether the
    // unknown token stands for that or for an unknown word.
    let at_whitespace = tokenizer.split() == Split::Whitespace;
    let mut rest = text;
    let text_of = |&id: &u32| {
        let mut piece = decoder.push(id);
        let unspaced = piece.trim_start_matches(' ');
        if at_whitespace {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() && c != '\n');
        }
        let literal = at_whitespace && rest.split(char::is_whitespace).next() == Some(UNKNOWN);
        let stands_for_word = tokenizer.unknown() == Some(id) && !literal;
        let unknown = stands_for_word.then(|| unknown_words.next()).flatten();
        if let Some(word) = &unknown {
            piece = piece.replace(unspaced, word);
        }
        if at_whitespace {
            let word = piece.trim_start_matches(' ');
            rest = rest.strip_prefix(word).unwrap_or(rest);
        }
        (piece, unknown)
    };
    ids.iter().map(text_of).collect()
}
