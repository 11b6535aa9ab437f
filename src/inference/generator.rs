/*!
Text generation: continuations of prompts, piece by piece. Texts may join those that grow already, and leave them.
*/

use std::collections::VecDeque;
use std::ops::Range;

use super::log_probabilities::{LogProbabilities, TokenReport};
use super::model::Model;
use super::next_token::Wanted;
use super::predictor::PredictorState;
use super::sampling::{Sampler, Sampling};
use super::stack::Clamp;
use super::stop_strings::StopStrings;
use crate::text::seam::Seam;
use crate::text::tokenizer::Decoder;

/// Number of steps of a prompt that are computed together.
const WINDOW: usize = 256;
/// Number of logits for which another thread is worth its cost.
const LOGITS_PER_THREAD: usize = 1 << 11;

/// Generates continuations side by side, a token of each at a step.
pub struct Generator<'m> {
    model: &'m Model,
    state: PredictorState,
    /// Continuations, in the order of the state's streams. Those that finish before the last are dropped.
    continuations: Vec<Continuation<'m>>,
}

/// Conditions that end a continuation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopConditions {
    /// Number of tokens, if limited.
    pub length: Option<u64>,
    /// Strings before which a text ends.
    pub strings: Vec<String>,
}

/// Why a continuation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It has the requested length.
    Length,
    /// A stop string was generated.
    Stop,
    /// The vocabulary has no token that can follow.
    Exhausted,
    /// Generation was interrupted.
    Interrupted,
}

impl FinishReason {
    /// Its name, as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            FinishReason::Length => "length",
            FinishReason::Stop => "stop",
            FinishReason::Exhausted => "exhausted",
            FinishReason::Interrupted => "interrupted",
        }
    }
}

/// A text that is being generated.
struct Continuation<'m> {
    /// Its index among all that the generator began with or that joined it.
    index: usize,
    /// Number of tokens, if limited.
    length: Option<u64>,
    /// Number of most probable tokens that are reported beside each token, if tokens are.
    reported: Option<usize>,
    /// What is to be reported of the tokens that were chosen and are not part of the text yet.
    reports: VecDeque<LogProbabilities>,
    sampler: Sampler,
    decoder: Decoder<'m>,
    seam: Seam<'m>,
    stop_strings: StopStrings,
    /// The last tokens, which the network has not read yet.
    unread: Vec<u32>,
    /// Whether no token can follow these.
    exhausted: bool,
    tokens: u64,
    finish: Option<FinishReason>,
}

/// An event of a continuation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TextEvent<'a> {
    /// The next token, before the piece that it completes, where that is reported.
    Token(&'a TokenReport),
    /// The next piece of the text, in whole characters.
    Piece(&'a str),
    /// The text is finished, with this number of tokens.
    Finished(FinishReason, u64),
}

/// A prompt that the network has read.
pub struct Prompt<'m> {
    model: &'m Model,
    tokens: Vec<u32>,
    state: PredictorState,
    decoder: Decoder<'m>,
    seam: Seam<'m>,
    /// The last token, which the network has not read yet.
    unread: u32,
}

/// A prompt that is read part by part.
pub struct PromptReader<'m> {
    prompt: Prompt<'m>,
    /// The end of line before the prompt, and its tokens.
    all: Vec<u32>,
    /// Number of tokens that were read.
    read: usize,
    /// Number of most probable tokens that are reported beside each token, if tokens are.
    reported: Option<usize>,
    reports: Vec<TokenReport>,
}

impl<'m> PromptReader<'m> {
    /// A prompt of which nothing was read yet, with units held at values, then and in all continuations. With `reported`
    /// each of its tokens is reported, with so many of the most probable ones.
    pub fn new(
        model: &'m Model,
        tokens: Vec<u32>,
        clamps: &[Clamp],
        reported: Option<usize>,
    ) -> Self {
        let mut state = model.predictor.initial_state(1);
        state.clamp(clamps);
        let mut all = vec![model.tokenizer.line_end()];
        all.extend_from_slice(&tokens);
        let prompt = Prompt {
            model,
            tokens,
            state,
            decoder: Decoder::new(&model.tokenizer),
            seam: Seam::new(&model.tokenizer),
            unread: model.tokenizer.line_end(),
        };
        PromptReader {
            prompt,
            all,
            read: 0,
            reported,
            reports: Vec::new(),
        }
    }

    /// Whether all was read that is read before a continuation begins: all tokens but the last.
    pub fn is_finished(&self) -> bool {
        self.read + 1 == self.all.len()
    }

    /// Reads the next part, and returns its number of tokens. Parts are the same however often others are read between them.
    pub fn read_part(&mut self) -> usize {
        let end = (self.read + WINDOW).min(self.all.len() - 1);
        let part = &self.all[self.read..end];
        let Prompt {
            model,
            state,
            decoder,
            ..
        } = &mut self.prompt;
        match self.reported {
            _ if part.is_empty() => {}
            None => model.predictor.read(part, state),
            Some(top) => {
                let size = model.predictor.horizon() * model.predictor.vocab_size();
                let logits = model.predictor.forward(part, state, Wanted::All);
                let rows = logits.chunks_exact(size);
                for (logits, &token) in rows.zip(&self.all[self.read + 1..]) {
                    let logits = &logits[..model.predictor.vocab_size()];
                    let found = LogProbabilities::of(logits, token, top);
                    self.reports.push(found.report(token, decoder));
                    decoder.push(token);
                }
            }
        }
        let count = end - self.read;
        self.read = end;
        count
    }

    /// The prompt, once all was read, and what was to be reported of its tokens.
    ///
    /// # Panics
    /// If there is more to read.
    pub fn finish(self) -> (Prompt<'m>, Vec<TokenReport>) {
        assert!(
            self.is_finished(),
            "a prompt is read before it is continued"
        );
        let mut prompt = self.prompt;
        prompt.decoder = Decoder::new(&prompt.model.tokenizer);
        for &id in &prompt.tokens {
            prompt.decoder.push(id);
            prompt.seam.push(id);
        }
        prompt.unread = self.all[self.read];
        (prompt, self.reports)
    }
}

impl<'m> Prompt<'m> {
    /// Reads a prompt's tokens after an end of line; `progress` is called with the number of tokens of each part.
    pub fn read(model: &'m Model, tokens: Vec<u32>, progress: impl FnMut(u64)) -> Self {
        Self::read_clamped(model, tokens, &[], progress)
    }

    /// The same, with units held at values, then and in all continuations.
    pub fn read_clamped(
        model: &'m Model,
        tokens: Vec<u32>,
        clamps: &[Clamp],
        mut progress: impl FnMut(u64),
    ) -> Self {
        let mut reader = PromptReader::new(model, tokens, clamps, None);
        while !reader.is_finished() {
            progress(reader.read_part() as u64);
        }
        reader.finish().0
    }
}

/// Reads all tokens but the last, and returns that, which is then the unread one.
fn read_tokens(model: &Model, state: &mut PredictorState, tokens: &[u32]) -> u32 {
    let (&last, read) = tokens.split_last().expect("there is at least one token");
    for part in read.chunks(WINDOW) {
        model.predictor.read(part, state);
    }
    last
}

impl<'m> Generator<'m> {
    /// Begins a continuation for each number in `samples`, with the seed [`sample_seed`]. They are independent of each other,
    /// and do not depend on which are generated together.
    pub fn new(
        prompt: &Prompt<'m>,
        sampling: Sampling,
        stop: StopConditions,
        seed: u64,
        samples: Range<u64>,
    ) -> Self {
        let model = prompt.model;
        let streams = vec![0; (samples.end - samples.start) as usize];
        let strings = stop.strings.iter();
        let strings: Vec<String> = strings
            .map(|string| model.tokenizer.normalized(string).into_owned())
            .collect();
        let continuation = |(index, sample)| {
            let mut sampler = Sampler::new(sampling, sample_seed(seed, sample));
            sampler.observe(&prompt.tokens);
            Continuation {
                index,
                length: stop.length,
                reported: None,
                reports: VecDeque::new(),
                sampler,
                decoder: prompt.decoder.clone(),
                seam: prompt.seam.clone(),
                stop_strings: StopStrings::new(&strings),
                unread: vec![prompt.unread],
                exhausted: false,
                tokens: 0,
                finish: None,
            }
        };
        let mut state = prompt.state.select(&streams);
        state.reads_own(true);
        Generator {
            model,
            state,
            continuations: samples.enumerate().map(continuation).collect(),
        }
    }

    /// A generator without continuations, which others join.
    pub fn empty(model: &'m Model) -> Self {
        Generator {
            model,
            state: model.predictor.initial_state(1).select(&[]),
            continuations: Vec::new(),
        }
    }

    /// Reports each token from now on, with so many of the most probable ones in its place.
    pub fn report_tokens(&mut self, top: usize) {
        let continuations = self.continuations.iter_mut();
        continuations.for_each(|continuation| continuation.reported = Some(top));
    }

    /// Lets the continuations of another generator of the same model grow beside these from now on; their indices begin with
    /// `first`. Where a step predicts several tokens, they have to have as many unread ones as these, and a first step is
    /// done here.
    ///
    /// # Panics
    /// If other units are held in them.
    pub fn join(
        &mut self,
        mut other: Generator<'m>,
        first: usize,
        on_event: impl FnMut(usize, TextEvent),
    ) {
        let joining = other.continuations.iter_mut();
        joining.for_each(|continuation| continuation.index += first);
        self.drop_finished();
        let unread =
            |generator: &Generator| generator.continuations.first().map(|c| c.unread.len());
        if unread(self).is_some_and(|own| unread(&other) != Some(own)) {
            other.step(on_event);
            other.drop_finished();
        }
        match (
            self.continuations.is_empty(),
            other.continuations.is_empty(),
        ) {
            (_, true) => {}
            (true, false) => *self = other,
            (false, false) => {
                self.state.append(other.state);
                self.continuations.extend(other.continuations);
            }
        }
    }

    /// Ends the continuations with these indices, without an event.
    pub fn leave(&mut self, indices: Range<usize>) {
        let continuations = self.continuations.iter_mut();
        for continuation in continuations.filter(|one| indices.contains(&one.index)) {
            continuation.finish.get_or_insert(FinishReason::Interrupted);
        }
    }

    /// Whether all continuations are finished.
    pub fn is_finished(&self) -> bool {
        self.continuations
            .iter()
            .all(|continuation| continuation.finish.is_some())
    }

    /// Adds a token, or as many as the model predicts at once, to each unfinished continuation; `on_event` is called with the
    /// index of a continuation and its event.
    pub fn step(&mut self, mut on_event: impl FnMut(usize, TextEvent)) {
        if self.is_finished() {
            return;
        }
        self.drop_finished();
        let predictor = &self.model.predictor;
        // All continuations have as many unread tokens.
        let steps = 0..self.continuations[0].unread.len();
        let step = |step: usize| self.continuations.iter().map(move |c| c.unread[step]);
        let unread: Vec<u32> = steps.flat_map(step).collect();
        let mut logits = predictor.forward(&unread, &mut self.state, Wanted::Last);
        let size = predictor.horizon() * predictor.vocab_size();
        let rows = logits.chunks_exact_mut(size);
        let mut choices: Vec<_> = self.continuations.iter_mut().zip(rows).collect();
        let threads = 1 + choices.len() * size / LOGITS_PER_THREAD;
        let barred = self.model.tokenizer.barred();
        predictor
            .pool()
            .for_each(threads, &mut choices, |_, (continuation, logits)| {
                continuation.unread.clear();
                for logits in logits.chunks_exact_mut(predictor.vocab_size()) {
                    if let Some(id) = barred {
                        logits[id as usize] = f32::NEG_INFINITY;
                    }
                    continuation.choose(logits);
                }
            });
        for continuation in &mut self.continuations {
            for index in 0..continuation.unread.len() {
                let token = continuation.unread[index];
                continuation.grow(token, &mut on_event);
                if continuation.finish.is_some() {
                    // What was chosen beyond the end is not part of the text.
                    continuation.unread.truncate(index + 1);
                    break;
                }
            }
            if continuation.exhausted && continuation.finish.is_none() {
                continuation.end(FinishReason::Exhausted, &mut on_event);
                // Whatever follows begins a line.
                continuation.unread.push(self.model.tokenizer.line_end());
            }
        }
    }

    fn drop_finished(&mut self) {
        let unfinished = |&index: &usize| self.continuations[index].finish.is_none();
        let left: Vec<usize> = (0..self.continuations.len()).filter(unfinished).collect();
        if left.len() < self.continuations.len() {
            self.state = self.state.select(&left);
            self.continuations.retain(|c| c.finish.is_none());
        }
    }

    /// Finishes all continuations that are not finished yet.
    pub fn interrupt(&mut self, mut on_event: impl FnMut(usize, TextEvent)) {
        let unfinished = self.continuations.iter_mut();
        for continuation in unfinished.filter(|c| c.finish.is_none()) {
            continuation.end(FinishReason::Interrupted, &mut on_event);
        }
    }

    /// Chooses tokens otherwise from now on.
    pub fn set_sampling(&mut self, sampling: Sampling) {
        let continuations = self.continuations.iter_mut();
        continuations.for_each(|continuation| continuation.sampler.set_sampling(sampling));
    }

    /// Takes random numbers from another seed from now on.
    pub fn reseed(&mut self, seed: u64) {
        let continuations = self.continuations.iter_mut();
        continuations.for_each(|continuation| continuation.sampler.reseed(seed));
    }

    /// Starts a new continuation after the last one and the given tokens.
    ///
    /// # Panics
    /// If the generator has not exactly one continuation.
    pub fn continue_after(&mut self, tokens: &[u32]) {
        let [continuation] = &mut self.continuations[..] else {
            panic!("only a single continuation can be continued");
        };
        continuation.sampler.observe(tokens);
        tokens.iter().for_each(|&id| {
            continuation.decoder.push(id);
            continuation.seam.push(id);
        });
        (continuation.tokens, continuation.finish) = (0, None);
        continuation.exhausted = false;
        continuation.stop_strings.rest();
        let mut all = continuation.unread.clone();
        all.extend_from_slice(tokens);
        self.state.reads_own(false);
        let last = read_tokens(self.model, &mut self.state, &all);
        self.state.reads_own(true);
        continuation.unread = vec![last];
    }
}

/// The seed of the sample with an index: that with which it is the first.
pub fn sample_seed(seed: u64, sample: u64) -> u64 {
    seed.wrapping_add(sample)
}

impl Continuation<'_> {
    /// Chooses the next token, which the network will read, unless there is none.
    fn choose(&mut self, logits: &mut [f32]) {
        if self.exhausted {
            return;
        }
        let before = self.reported.map(|top| (top, logits.to_vec()));
        let seam = &mut self.seam;
        match self.sampler.choose(logits, |id| seam.allows(id)) {
            Some(chosen) => {
                let found = before.map(|(top, logits)| LogProbabilities::of(&logits, chosen, top));
                self.reports.extend(found);
                seam.push(chosen);
                self.unread.push(chosen);
            }
            None => self.exhausted = true,
        }
    }

    /// Ends the text where it is, and reports what was held back of it.
    fn end(&mut self, finish: FinishReason, on_event: &mut impl FnMut(usize, TextEvent)) {
        let mut rest = self.stop_strings.rest();
        rest.push_str(&self.decoder.finish());
        on_event(self.index, TextEvent::Piece(&rest));
        on_event(self.index, TextEvent::Finished(finish, self.tokens));
        self.finish = Some(finish);
    }

    /// Adds a token that was chosen, and reports it.
    fn grow(&mut self, token: u32, on_event: &mut impl FnMut(usize, TextEvent)) {
        self.tokens += 1;
        if let Some(found) = self.reports.pop_front() {
            let report = found.report(token, &self.decoder);
            on_event(self.index, TextEvent::Token(&report));
        }
        let last = self.length == Some(self.tokens);
        let mut piece = self.decoder.push(token);
        if last {
            piece.push_str(&self.decoder.finish());
        }
        let stopped = self.stop_strings.push(&mut piece);
        if last && !stopped {
            piece.push_str(&self.stop_strings.rest());
        }
        if !piece.is_empty() {
            on_event(self.index, TextEvent::Piece(&piece));
        }
        self.finish = if stopped {
            Some(FinishReason::Stop)
        } else {
            last.then_some(FinishReason::Length)
        };
        if let Some(finish) = self.finish {
            on_event(self.index, TextEvent::Finished(finish, self.tokens));
        }
    }
}
