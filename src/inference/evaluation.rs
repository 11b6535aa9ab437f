/*!
Evaluation of a language model on texts.
*/

use super::model::Model;
use super::next_token::Wanted;
use super::predictor::Predictor;
use crate::metrics::{LanguageScore, TextSize};
use crate::text::corpus::Ids;
use crate::text::spelling::Spelling;
use crate::text::streams::EvaluationStreams;
use crate::text::tokenizer::{Decoder, UNKNOWN};
use crate::text::{Level, Split};
use carousel_kernels::log_sum_exp;

/// Number of steps of a window.
const WINDOW: usize = 64;

/// Negative log likelihood of a text, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nats {
    /// Predicted as the model generates: as many tokens at once as its horizon has.
    pub all: f64,
    /// Predicted one token at a time.
    pub one_at_a_time: f64,
}

/// Negative log likelihood of `ids`. Each token is predicted once, the first after `line_end`. After each window `progress`
/// is called with the number of tokens that it predicted.
pub fn nats(
    predictor: &Predictor,
    ids: &Ids,
    line_end: u32,
    mut progress: impl FnMut(u64),
) -> Nats {
    if let Predictor::Ngram(ngrams) = predictor {
        // The probability of one token needs no logits of all.
        let all = ngrams.nats(ids, progress);
        let one_at_a_time = all;
        return Nats { all, one_at_a_time };
    }
    let streams = EvaluationStreams::new(ids.len());
    let mut state = predictor.initial_state(streams.streams);
    let mut nats = Nats::default();
    for window in streams.windows(ids, line_end, window_of(predictor)) {
        if window.resets_first_stream {
            predictor.reset(&mut state, 0);
        }
        let logits = predictor.forward(&window.inputs, &mut state, Wanted::All);
        let mut counted = 0;
        for (row, target) in window.targets.iter().enumerate() {
            if let Some(target) = target {
                let own = nats_of(predictor, &logits, (row, streams.streams), *target);
                nats.all += own.all;
                nats.one_at_a_time += own.one_at_a_time;
                counted += 1;
            }
        }
        progress(counted);
    }
    nats
}

/// Number of steps of a window, within which whole horizons lie.
fn window_of(predictor: &Predictor) -> usize {
    WINDOW.next_multiple_of(predictor.horizon())
}

/// Negative log likelihood of the target of a row, of a window with this number of streams.
fn nats_of(
    predictor: &Predictor,
    logits: &[f32],
    (row, streams): (usize, usize),
    target: u32,
) -> Nats {
    let (horizon, vocab_size) = (predictor.horizon(), predictor.vocab_size());
    let at = |row: usize, ahead: usize| {
        let first = (row * horizon + ahead) * vocab_size;
        token_nats(&logits[first..first + vocab_size], target)
    };
    let one_at_a_time = at(row, 0);
    // The step that predicted it, and how far ahead it was.
    let ahead = row / streams % horizon;
    let all = match ahead {
        0 => one_at_a_time,
        ahead => at(row - ahead * streams, ahead),
    };
    Nats { all, one_at_a_time }
}

/// Negative log likelihood of a token, given the logits.
fn token_nats(logits: &[f32], token: u32) -> f64 {
    log_sum_exp(logits) - f64::from(logits[token as usize])
}

/// A text with its likelihood under a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredText {
    /// Tokens of the text.
    pub tokens: Vec<ScoredToken>,
    /// Score of the whole text.
    pub score: LanguageScore,
}

/// A token with its log probability under a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredToken {
    /// Text of the token, in whole characters; for an unknown token the word that it stands for.
    pub text: String,
    /// Natural logarithm of its probability, given the tokens before it; an unknown word counts as one token.
    pub log_probability: f64,
}

impl ScoredText {
    /// Natural logarithm of the probability of all tokens.
    pub fn log_probability(&self) -> f64 {
        self.tokens.iter().map(|token| token.log_probability).sum()
    }
}

/// Scores a text that begins after an end of line, as [`nats`] does; `None` if it has no token.
pub fn score(model: &Model, spelling: &Spelling, text: &str) -> Option<ScoredText> {
    let (tokenizer, predictor) = (&model.tokenizer, &model.predictor);
    let (ids, unknown_words) = tokenizer.encode(text);
    let (_, all_but_last) = ids.split_last()?;
    let mut inputs = vec![tokenizer.line_end()];
    inputs.extend_from_slice(all_but_last);
    let mut state = predictor.initial_state(1);
    let mut nats = Vec::with_capacity(ids.len());
    let window = window_of(predictor);
    for (inputs, targets) in inputs.chunks(window).zip(ids.chunks(window)) {
        let logits = predictor.forward(inputs, &mut state, Wanted::All);
        let own = |(row, &id)| nats_of(predictor, &logits, (row, 1), id).all;
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
    let spelling_nats = unknown_words.iter().map(|word| spelling.nats(word)).sum();
    let score = LanguageScore::new(nats.iter().sum(), spelling_nats, &size);
    let texts = token_texts(model, text, &ids, unknown_words);
    let tokens = texts.into_iter().zip(nats).map(|(text, nats)| ScoredToken {
        text,
        log_probability: -nats,
    });
    Some(ScoredText {
        tokens: tokens.collect(),
        score,
    })
}

/// Text of each token of `text`; `unknown_words` are the words and characters that are not in the vocabulary, in order.
fn token_texts(model: &Model, text: &str, ids: &[u32], unknown_words: Vec<String>) -> Vec<String> {
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
        if tokenizer.unknown() == Some(id)
            && !literal
            && let Some(word) = unknown_words.next()
        {
            piece = piece.replace(unspaced, &word);
        }
        if at_whitespace {
            let word = piece.trim_start_matches(' ');
            rest = rest.strip_prefix(word).unwrap_or(rest);
        }
        piece
    };
    ids.iter().map(text_of).collect()
}
