/*!
Texts that are generated whole: the samples of a prompt, in batches side by side.
*/

use std::ops::Range;

use super::generator::{FinishReason, Generator, Prompt, StopConditions, TextEvent};
use super::model::Model;
use super::sampling::Sampling;
use crate::text::Level;

/// Most texts that are generated side by side: more would not be faster.
const BATCH_SIZE: u64 = 256;

/// A text that was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedText {
    /// The text, without the prompt.
    pub text: String,
    /// Why it ended.
    pub finish: FinishReason,
    /// Number of its tokens.
    pub tokens: u64,
}

impl GeneratedText {
    /// So many texts of which nothing was generated yet.
    pub fn none(count: usize) -> Vec<Self> {
        let empty = GeneratedText {
            text: String::new(),
            finish: FinishReason::Interrupted,
            tokens: 0,
        };
        vec![empty; count]
    }

    /// Takes an event of the text.
    pub fn take(&mut self, event: TextEvent) {
        match event {
            TextEvent::Piece(piece) => self.text.push_str(piece),
            TextEvent::Token(_) => {}
            TextEvent::Finished(finish, tokens) => (self.finish, self.tokens) = (finish, tokens),
        }
    }
}

/// The batches in which so many samples are generated.
pub fn batches(samples: u64) -> impl Iterator<Item = Range<u64>> {
    let firsts = (0..samples).step_by(BATCH_SIZE as usize);
    firsts.map(move |first| first..(first + BATCH_SIZE).min(samples))
}

/// Number of tokens of a text where none is given: about a paragraph.
pub fn usual_length(level: Level) -> u64 {
    match level {
        Level::Word | Level::Subword => 120,
        Level::Character | Level::Byte => 500,
    }
}

/// Generates samples of a prompt, until they end or `goes_on` is false; this is asked before each step.
pub fn samples(
    prompt: &Prompt,
    sampling: Sampling,
    stop: &StopConditions,
    (seed, samples): (u64, u64),
    mut goes_on: impl FnMut() -> bool,
) -> Vec<GeneratedText> {
    let mut all = Vec::new();
    for batch in batches(samples) {
        let mut texts = GeneratedText::none((batch.end - batch.start) as usize);
        let mut generator = Generator::new(prompt, sampling, stop.clone(), seed, batch);
        while !generator.is_finished() && goes_on() {
            generator.step(|index, event| texts[index].take(event));
        }
        generator.interrupt(|index, event| texts[index].take(event));
        all.extend(texts);
    }
    all
}

/// Generates a text of `length` tokens after an empty prompt.
pub fn sample(model: &Model, sampling: Sampling, length: u64, seed: u64) -> String {
    let stop = StopConditions {
        length: Some(length),
        strings: Vec::new(),
    };
    let prompt = Prompt::read(model, Vec::new(), |_| ());
    let mut texts = samples(&prompt, sampling, &stop, (seed, 1), || true);
    texts.swap_remove(0).text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_have_every_sample_once() {
        let all: Vec<u64> = batches(600).flatten().collect();
        assert_eq!(all, (0..600).collect::<Vec<_>>());
        assert_eq!(batches(600).count(), 3);
        assert_eq!(batches(0).count(), 0);
    }
}
