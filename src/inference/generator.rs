/*!
A prompt, and the text that follows it, piece by piece.
*/

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Model;
use super::recurrent::{State, Wanted};
use super::sampling::{Sampling, sample};
use crate::text::tokenizer::Decoder;

/// Prompt tokens read at once.
const READ_AT_ONCE: usize = 256;

/// An endless iterator of pieces of new text, each of whole characters and possibly empty, one a token.
pub struct Generator<'m> {
    model: &'m Model,
    sampling: Sampling,
    random: ChaCha8Rng,
    state: State,
    /// The last token, which the network has not read yet.
    unread: u32,
    decoder: Decoder<'m>,
    /// A token that stands for no text and is never written.
    barred: Option<u32>,
}

impl<'m> Generator<'m> {
    /// Reads the prompt's tokens, after an end of line. Different `stream`s of one seed give independent texts.
    pub fn new(
        model: &'m Model,
        prompt: &[u32],
        sampling: Sampling,
        seed: u64,
        stream: u64,
    ) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        let tokenizer = &model.tokenizer;
        // In a text that was split at white space, <unk> is a word like any other.
        let barred = tokenizer
            .unknown()
            .filter(|_| tokenizer.split() != crate::text::Split::Whitespace);
        let mut state = model.network.zero_state(1);
        let mut decoder = Decoder::new(tokenizer);
        prompt.iter().for_each(|&id| {
            decoder.push(id);
        });
        let mut tokens = vec![tokenizer.line_end()];
        tokens.extend_from_slice(prompt);
        let (&unread, read) = tokens.split_last().expect("a line end at least");
        for part in read.chunks(READ_AT_ONCE) {
            model.network.forward(part, &mut state, Wanted::Last);
        }
        Generator {
            model,
            sampling,
            random,
            state,
            unread,
            decoder,
            barred,
        }
    }

    /// What is left of a character that was never completed.
    pub fn finish(mut self) -> String {
        self.decoder.finish()
    }
}

impl Iterator for Generator<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut logits = self
            .model
            .network
            .forward(&[self.unread], &mut self.state, Wanted::Last);
        if let Some(id) = self.barred {
            logits[id as usize] = f32::NEG_INFINITY;
        }
        self.unread = sample(&logits, self.sampling, &mut self.random);
        Some(self.decoder.push(self.unread))
    }
}
