/*!
Telling what label a text has.

Two halves give logits: a head over what the recurrent layers make of the whole text, each way that it is read (the last
output, and the mean and the highest of all: Howard and Ruder 2018), and the [`Ngrams`]. Each is multiplied with a scale that
was fitted on validation data, as temperature scaling has it (Guo et al. 2017), and their sum gives the probabilities.
*/

use std::borrow::Cow;
use std::cmp::Reverse;

use super::linear::Ngrams;
use super::recurrent::Network;
use crate::checkpoint::config::{LABEL_BIAS, POOLED, SCALES, Task};
use crate::checkpoint::{Directory, ModelConfig};
use crate::error::{Error, Result};
use crate::text::encoder::Encoder;
use crate::text::features::words;
use crate::text::tokenizer::Tokenizer;
use carousel_kernels::Precision;

/// Texts that are read side by side.
const STREAMS: usize = 64;
/// A text of which a larger share is unknown to both halves is in a script, or a language, that the model cannot read.
const MOST_UNKNOWN: f64 = 0.5;

/// What is said where weights are so large that nothing can be computed.
pub const NO_NUMBER: &str =
    "what the model comes to is no number; it is damaged, or its training went wrong";

/// A classifier, ready to be asked.
pub struct Classifier {
    /// What it is.
    pub config: ModelConfig,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    encoder: TextEncoder,
    ngrams: Ngrams,
    calibration: Calibration,
}

/// What the logits of both halves count, and what is added for each label.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Of the head and of the runs of words.
    pub scales: [f64; 2],
    /// For each label.
    pub bias: Vec<f64>,
}

impl Calibration {
    /// The logits of both halves as one.
    pub fn combine(&self, deep: &[f64], wide: &[f64]) -> Vec<f64> {
        let both = deep.iter().zip(wide).zip(&self.bias);
        both.map(|((deep, wide), bias)| self.scales[0] * deep + self.scales[1] * wide + bias)
            .collect()
    }
}

/// The recurrent half.
pub struct TextEncoder {
    network: Network,
    /// `[labels, pooled]`, see [`ModelConfig::pooled`].
    head: Vec<f32>,
    bias: Vec<f32>,
    hidden_size: usize,
    /// Ways that texts are read.
    ways: usize,
}

/// What a classifier says of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Of all labels, in their order.
    pub probabilities: Vec<f64>,
    /// The logits that they come from.
    pub logits: Vec<f64>,
    /// Why nothing should be made of it, if so.
    pub note: Option<&'static str>,
}

/// A text as the classifier reads it.
pub struct Reading {
    /// An end of line, and the text's tokens.
    pub tokens: Vec<u32>,
    /// Its words.
    pub words: Vec<String>,
    /// Share of its characters that belong to words that the vocabulary has not.
    pub unknown: f64,
}

impl Reading {
    /// Reads a text, by a forgiving encoder whose tokenizer ends lines so.
    pub fn of(text: &str, encoder: &mut Encoder, line_end: u32) -> Self {
        let text = calm(plain(text));
        // A word that begins a line may fall into fewer pieces within one.
        let first = text.split_whitespace().next().unwrap_or_default();
        let mut pieces = |text: &str| encoder.encode(text).0.len();
        let within = pieces(&format!(" {first}")) < pieces(first);
        let (ids, strangers) = match within {
            true => encoder.encode(&format!(" {text}")),
            false => encoder.encode(&text),
        };
        let mut tokens = vec![line_end];
        tokens.extend(ids);
        let signs = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        let strange: usize = strangers.iter().map(|word| signs(word)).sum();
        Reading {
            tokens,
            words: words(&text),
            unknown: strange as f64 / signs(&text).max(1) as f64,
        }
    }
}

/// The text without the line breaks of HTML, which collections of reviews are full of, and without space at its ends.
pub fn plain(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if !text.contains("<br") {
        return Cow::Borrowed(text);
    }
    let breaks = ["<br />", "<br/>", "<br>"];
    let plain = breaks
        .iter()
        .fold(text.to_string(), |text, tag| text.replace(tag, "\n"));
    Cow::Owned(plain)
}

/// The text in lower case if it is all in capitals, which say the same, and with the usual signs for apostrophes.
fn calm(text: Cow<str>) -> Cow<str> {
    const APOSTROPHES: [char; 3] = ['‘', 'ʼ', '＇'];
    let capitals = text.chars().filter(|c| c.is_uppercase()).count();
    let shouted = capitals > 1 && !text.chars().any(char::is_lowercase);
    match (shouted, text.contains(APOSTROPHES)) {
        (false, false) => text,
        (false, true) => Cow::Owned(text.replace(APOSTROPHES, "'")),
        (true, _) => Cow::Owned(text.to_lowercase().replace(APOSTROPHES, "'")),
    }
}

impl TextEncoder {
    /// Packs the weights that `floats` gives for the names of [`ModelConfig::tensors`].
    pub fn load<'w>(
        config: &ModelConfig,
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        Ok(TextEncoder {
            head: floats("head.weight")?.into_owned(),
            bias: floats("head.bias")?.into_owned(),
            hidden_size: config.hidden_size,
            ways: config.directions().len(),
            network: Network::load(config, floats, precision, threads)?,
        })
    }

    /// The head's logits for each text, which are read in an order that keeps texts of a length together.
    pub fn logits(&self, texts: &[&[u32]]) -> Vec<Vec<f64>> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| Reverse(texts[index].len()));
        let mut logits = vec![Vec::new(); texts.len()];
        for batch in order.chunks(STREAMS) {
            let texts: Vec<&[u32]> = batch.iter().map(|&index| texts[index]).collect();
            let pooling = || Pooling::new(texts.len(), self.hidden_size, self.network.lanes());
            let mut poolings: Vec<Pooling> = (0..self.ways).map(|_| pooling()).collect();
            self.network.read_texts(&texts, |way, reading, hidden| {
                poolings[way].add(reading, hidden);
            });
            for (place, &index) in batch.iter().enumerate() {
                let pooled = poolings
                    .iter()
                    .map(|pooling| pooling.of(place, texts[place].len()));
                logits[index] = self.judge(&pooled.collect::<Vec<_>>().concat());
            }
        }
        logits
    }

    fn judge(&self, pooled: &[f32]) -> Vec<f64> {
        let logit = |(weights, bias): (&[f32], &f32)| {
            let sum: f32 = weights.iter().zip(pooled).map(|(a, b)| a * b).sum();
            f64::from(sum + bias)
        };
        let rows = self.head.chunks_exact(pooled.len());
        rows.zip(&self.bias).map(logit).collect()
    }
}

/// What the outputs of texts that are read side by side come to: `[panels, texts, lanes]` each.
struct Pooling {
    texts: usize,
    size: usize,
    lanes: usize,
    last: Vec<f32>,
    sum: Vec<f32>,
    highest: Vec<f32>,
}

impl Pooling {
    fn new(texts: usize, size: usize, lanes: usize) -> Self {
        let count = size.next_multiple_of(lanes) * texts;
        Pooling {
            texts,
            size,
            lanes,
            last: vec![0.0; count],
            sum: vec![0.0; count],
            highest: vec![f32::NEG_INFINITY; count],
        }
    }

    /// A step of the first `reading` texts.
    fn add(&mut self, reading: usize, hidden: &[f32]) {
        let (all, own) = (self.texts * self.lanes, reading * self.lanes);
        for (panel, hidden) in hidden.chunks_exact(own).enumerate() {
            let place = panel * all..panel * all + own;
            self.last[place.clone()].copy_from_slice(hidden);
            let sums = self.sum[place.clone()].iter_mut();
            let highest = self.highest[place].iter_mut();
            for ((sum, highest), &hidden) in sums.zip(highest).zip(hidden) {
                *sum += hidden;
                *highest = highest.max(hidden);
            }
        }
    }

    /// What a text of so many tokens came to: last, mean, highest.
    fn of(&self, text: usize, tokens: usize) -> Vec<f32> {
        let place =
            |unit: usize| (unit / self.lanes * self.texts + text) * self.lanes + unit % self.lanes;
        let share = 1.0 / tokens as f32;
        let mut pooled = Vec::with_capacity(POOLED * self.size);
        pooled.extend((0..self.size).map(|unit| self.last[place(unit)]));
        pooled.extend((0..self.size).map(|unit| self.sum[place(unit)] * share));
        pooled.extend((0..self.size).map(|unit| self.highest[place(unit)]));
        pooled
    }
}

impl Classifier {
    /// Opens a checkpoint, and checks that its parts belong together.
    ///
    /// # Errors
    /// A checkpoint that is damaged, or is no classifier.
    pub fn open(directory: &Directory, precision: Precision, threads: usize) -> Result<Self> {
        let config = directory.load_config()?;
        if config.task != Task::Classifier {
            return Err(Error::new(format!(
                "{} is a language model and tells no labels; `carousel train-classifier LABELLED -o DIR --from {}` makes \
                 a classifier of it",
                directory.path().display(),
                directory.path().display()
            )));
        }
        let tokenizer = directory.load_tokenizer(&config)?;
        let weights = directory.load_weights(&config)?;
        let encoder = TextEncoder::load(&config, |name| weights.floats(name), precision, threads)?;
        let (scales, bias) = (weights.floats(SCALES)?, weights.floats(LABEL_BIAS)?);
        Ok(Classifier {
            ngrams: Ngrams::load(&weights)?,
            calibration: Calibration {
                scales: [f64::from(scales[0]), f64::from(scales[1])],
                bias: bias.iter().map(|&bias| f64::from(bias)).collect(),
            },
            config,
            tokenizer,
            encoder,
        })
    }

    /// What it says of each text.
    pub fn classify(&self, texts: &[&str]) -> Vec<Verdict> {
        let mut encoder = Encoder::forgiving(&self.tokenizer);
        let line_end = self.tokenizer.line_end();
        let readings: Vec<Reading> = texts
            .iter()
            .map(|text| Reading::of(text, &mut encoder, line_end))
            .collect();
        let tokens: Vec<&[u32]> = readings.iter().map(|r| &r.tokens[..]).collect();
        let deep = self.encoder.logits(&tokens);
        let verdict = |(reading, deep): (&Reading, &Vec<f64>)| {
            let wide = self.ngrams.logits(&reading.words);
            let mut logits = self.calibration.combine(deep, &wide);
            let mut note = self.doubt(reading);
            if !logits.iter().all(|logit| logit.is_finite()) {
                note = Some(NO_NUMBER);
                logits.fill(0.0);
            }
            Verdict {
                probabilities: softmax(&logits),
                logits,
                note,
            }
        };
        readings.iter().zip(&deep).map(verdict).collect()
    }

    fn doubt(&self, reading: &Reading) -> Option<&'static str> {
        if reading.tokens.len() == 1 {
            return Some("there is nothing to read");
        }
        // Neither half can read it; bytes and pieces of words are never unknown.
        let strange = reading.unknown > MOST_UNKNOWN || self.tokenizer.unknown().is_none();
        (strange && self.ngrams.unknown(&reading.words) > MOST_UNKNOWN)
            .then_some("the model has met almost none of these words")
    }
}

/// Probabilities of logits.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_breaks_are_line_ends() {
        assert_eq!(plain(" a<br /><br>b "), "a\n\nb");
        assert!(matches!(plain("a < b"), Cow::Borrowed("a < b")));
    }

    #[test]
    fn capitals_throughout_and_odd_apostrophes_are_calmed() {
        assert_eq!(calm("IT ISNʼT ‘BAD’!".into()), "it isn't 'bad’!");
        assert_eq!(calm("It isn‘t BAD".into()), "It isn't BAD");
        assert!(matches!(calm("I, 10/10".into()), Cow::Borrowed("I, 10/10")));
    }

    #[test]
    fn pools_are_last_mean_and_highest_of_each_text() {
        // Two texts, five units in vectors of four lanes; the second text ends first.
        let mut pooling = Pooling::new(2, 5, 4);
        let step = |values: &[[f32; 5]]| -> Vec<f32> {
            (0..2)
                .flat_map(|panel| values.iter().map(move |text| (panel, text)))
                .flat_map(|(panel, text)| {
                    (0..4).map(move |lane| text.get(panel * 4 + lane).copied().unwrap_or(9.0))
                })
                .collect()
        };
        pooling.add(2, &step(&[[1.0, 2.0, 3.0, 4.0, 5.0], [-1.0; 5]]));
        pooling.add(1, &step(&[[3.0, 0.0, 3.0, 0.0, -5.0]]));
        let first = pooling.of(0, 2);
        assert_eq!(first[..5], [3.0, 0.0, 3.0, 0.0, -5.0]);
        assert_eq!(first[5..10], [2.0, 1.0, 3.0, 2.0, 0.0]);
        assert_eq!(first[10..], [3.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(pooling.of(1, 1), [-1.0; 15]);
    }
}
