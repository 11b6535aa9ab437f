/*!
How well a model predicts a text.
*/

use super::Model;
use super::recurrent::{Network, Wanted};
use crate::metrics::{LanguageScore, TextSize};
use crate::text::corpus::Ids;
use crate::text::spelling::Spelling;
use crate::text::streams::EvaluationStreams;
use crate::text::tokenizer::{Decoder, UNKNOWN};
use crate::text::{Level, Split};
use carousel_kernels::log_sum_exp;

/// Steps read at once.
const WINDOW: usize = 64;

/// The nats that `network` spends on `ids`, each predicted once, the first after `line_end`.
/// `progress` hears how many have been.
pub fn nats(network: &Network, ids: &Ids, line_end: u32, mut progress: impl FnMut(u64)) -> f64 {
    let streams = EvaluationStreams::new(ids.len());
    let mut state = network.zero_state(streams.streams);
    let mut nats = 0.0;
    for window in streams.windows(ids, line_end, WINDOW) {
        if window.begins {
            state.forget(0);
        }
        let logits = network.forward(&window.inputs, &mut state, Wanted::All);
        let rows = logits.chunks_exact(network.vocab_size());
        let mut counted = 0;
        for (logits, target) in rows.zip(&window.targets) {
            if let Some(target) = target {
                nats += token_nats(logits, *target);
                counted += 1;
            }
        }
        progress(counted);
    }
    nats
}

fn token_nats(logits: &[f32], token: u32) -> f64 {
    log_sum_exp(logits) - f64::from(logits[token as usize])
}

/// A text, and what a model thinks of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredText {
    /// Its tokens.
    pub tokens: Vec<ScoredToken>,
    /// The figures of all of it.
    pub score: LanguageScore,
}

/// A token, and what a model thinks of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredToken {
    /// The text that it adds, in whole characters: that of an unknown word is the word.
    pub text: String,
    /// ln of its probability after what precedes it; an unknown word counts as the one token it is.
    pub log_probability: f64,
}

impl ScoredText {
    /// ln of the probability of all tokens.
    pub fn log_probability(&self) -> f64 {
        self.tokens.iter().map(|token| token.log_probability).sum()
    }
}

/// Scores a text that begins after an end of line, by the rule of [`nats`]; `None` if there is no token in it.
pub fn score(model: &Model, spelling: &Spelling, text: &str) -> Option<ScoredText> {
    let (tokenizer, network) = (&model.tokenizer, &model.network);
    let (ids, strangers) = tokenizer.encode(text);
    let (_, read) = ids.split_last()?;
    let mut inputs = vec![tokenizer.line_end()];
    inputs.extend_from_slice(read);
    let mut state = network.zero_state(1);
    let mut costs = Vec::with_capacity(ids.len());
    for (inputs, targets) in inputs.chunks(WINDOW).zip(ids.chunks(WINDOW)) {
        let logits = network.forward(inputs, &mut state, Wanted::All);
        let rows = logits.chunks_exact(network.vocab_size());
        costs.extend(rows.zip(targets).map(|(row, &id)| token_nats(row, id)));
    }
    let size = TextSize {
        tokens: ids.len() as u64,
        characters: match tokenizer.level() {
            Level::Byte => text.len(),
            _ => text.chars().count(),
        } as u64,
        bytes: text.len() as u64,
    };
    let spelled = strangers.iter().map(|word| spelling.nats(word)).sum();
    let score = LanguageScore::new(costs.iter().sum(), spelled, &size);
    let texts = token_texts(model, text, &ids, strangers);
    let tokens = texts
        .into_iter()
        .zip(costs)
        .map(|(text, nats)| ScoredToken {
            text,
            log_probability: -nats,
        });
    Some(ScoredText {
        tokens: tokens.collect(),
        score,
    })
}

/// What each token stands for in `text`; `strangers` are the words and characters that the vocabulary has not.
fn token_texts(model: &Model, text: &str, ids: &[u32], strangers: Vec<String>) -> Vec<String> {
    let tokenizer = &model.tokenizer;
    let mut decoder = Decoder::new(tokenizer);
    let mut strangers = strangers.into_iter();
    // A treebank's own <unk> is a word like any other: only the text tells it from a stranger.
    let treebank = tokenizer.split() == Split::Whitespace;
    let mut rest = text;
    let of_token = |&id: &u32| {
        let mut piece = decoder.push(id);
        let unspaced = piece.trim_start_matches(' ');
        if treebank {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() && c != '\n');
        }
        let literal = treebank && rest.split(char::is_whitespace).next() == Some(UNKNOWN);
        if tokenizer.unknown() == Some(id)
            && !literal
            && let Some(stranger) = strangers.next()
        {
            piece = piece.replace(unspaced, &stranger);
        }
        if treebank {
            let word = piece.trim_start_matches(' ');
            rest = rest.strip_prefix(word).unwrap_or(rest);
        }
        piece
    };
    ids.iter().map(of_token).collect()
}
