/*!
The batches of a pass: documents, and excerpts of long ones, of about one length, in a random order.
*/

use std::borrow::Cow;
use std::cmp::Reverse;
use std::iter::once;
use std::ops::Range;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::excerpts::{Excerpts, LABEL_NOISE, TYPICAL_TOKENS};
use carousel::text::tokenizer::Tokenizer;

/// Largest random change of a text's length when texts are sorted by it, as a fraction of the length.
const LENGTH_NOISE: f64 = 0.1;

/// Encoded documents: an end-of-line token and the text's tokens for each, and its label as a number.
pub struct EncodedDocuments {
    /// Token ids.
    pub texts: Vec<Vec<u32>>,
    /// Labels.
    pub labels: Vec<usize>,
}

impl EncodedDocuments {
    /// Tokens of all texts.
    pub fn tokens(&self) -> usize {
        self.texts.iter().map(Vec::len).sum()
    }
}

/// What is read of a document: all of it, or an excerpt.
pub struct Part {
    /// The document's number.
    pub document: usize,
    range: Range<usize>,
}

impl Part {
    /// The probability that the document's label says nothing about it.
    pub fn label_noise(&self, documents: &EncodedDocuments) -> f32 {
        let whole = self.range == (0..documents.texts[self.document].len());
        if whole { 0.0 } else { LABEL_NOISE }
    }

    /// Its tokens; an excerpt is a text of its own, with an end-of-line token before it.
    pub fn tokens<'d>(&self, documents: &'d EncodedDocuments) -> Cow<'d, [u32]> {
        let text = &documents.texts[self.document];
        match self.range.start {
            0 => Cow::Borrowed(&text[self.range.clone()]),
            _ => [&text[..1], &text[self.range.clone()]].concat().into(),
        }
    }
}

/// Divides documents into batches, pass by pass.
pub struct Batches {
    batch_size: usize,
    seed: u64,
    excerpts: Excerpts,
    /// Documents and excerpts that are read in a pass, and their tokens on average.
    parts: usize,
    tokens: usize,
    /// The weight of a document, or of a part of one, of each label, so that labels count alike.
    pub label_weights: Vec<f32>,
    /// The pass that `batches` is of.
    pass: Option<u64>,
    /// The parts of each batch, the longest first.
    batches: Vec<Vec<Part>>,
}

impl Batches {
    /// Batches of documents with labels below `labels`.
    pub fn new(
        documents: &EncodedDocuments,
        labels: usize,
        tokenizer: &Tokenizer,
        batch_size: usize,
        seed: u64,
    ) -> Self {
        let excerpts = Excerpts::new(tokenizer);
        let (mut parts, mut tokens) = (vec![0; labels], 0);
        for (text, &label) in documents.texts.iter().zip(&documents.labels) {
            parts[label] += 1 + excerpts.count(text);
            tokens += text.len() + excerpts.count(text) * TYPICAL_TOKENS;
        }
        let all: usize = parts.iter().sum();
        let typical = all as f32 / labels as f32;
        Batches {
            batch_size,
            seed,
            excerpts,
            parts: all,
            tokens,
            label_weights: parts.iter().map(|&n| typical / n.max(1) as f32).collect(),
            pass: None,
            batches: Vec::new(),
        }
    }

    /// Batches of a pass.
    pub fn in_pass(&self) -> usize {
        self.parts.div_ceil(self.batch_size)
    }

    /// Tokens of a batch on average.
    pub fn tokens_in_batch(&self) -> usize {
        self.tokens / self.in_pass()
    }

    /// Excerpts in a pass over documents.
    pub fn excerpts_of(&self, documents: &EncodedDocuments) -> usize {
        self.parts - documents.texts.len()
    }

    /// A batch of a pass.
    pub fn get(&mut self, pass: u64, index: usize, documents: &EncodedDocuments) -> &[Part] {
        if self.pass != Some(pass) {
            self.shuffle(pass, documents);
        }
        &self.batches[index]
    }

    fn shuffle(&mut self, pass: u64, documents: &EncodedDocuments) {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(pass);
        let mut parts = Vec::new();
        for (document, text) in documents.texts.iter().enumerate() {
            let drawn =
                (0..self.excerpts.count(text)).map(|_| self.excerpts.draw(text, &mut random));
            let ranges: Vec<Range<usize>> = once(0..text.len()).chain(drawn).collect();
            for range in ranges {
                let noise = 1.0 + LENGTH_NOISE * random.random::<f64>();
                parts.push((range.len() as f64 * noise, Part { document, range }));
            }
        }
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut parts = parts.into_iter().map(|(_, part)| part).peekable();
        self.batches.clear();
        while parts.peek().is_some() {
            let mut batch: Vec<Part> = parts.by_ref().take(self.batch_size).collect();
            batch.sort_by_key(|part| Reverse(part.range.len()));
            self.batches.push(batch);
        }
        self.batches.shuffle(&mut random);
        self.pass = Some(pass);
    }
}
