/*!
A prompt, and the texts that follow it, piece by piece.
*/

use super::Model;
use super::recurrent::{State, Wanted};
use super::sampling::{Sampler, Sampling};
use crate::text::Split;
use crate::text::tokenizer::Decoder;

/// Prompt tokens read at once.
const READ_AT_ONCE: usize = 256;
/// Logits to choose from that are worth another thread.
const CHOOSING_WORTH: usize = 1 << 11;

/// Texts that grow from one prompt side by side, a token of each at a step.
pub struct Generator<'m> {
    model: &'m Model,
    ending: Ending,
    state: State,
    /// The texts, in the order of the state's streams. Those that finish before the last are dropped.
    texts: Vec<Text<'m>>,
    /// A token that stands for no text and is never written.
    barred: Option<u32>,
}

/// When a text ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// After so many tokens, if given.
    pub length: Option<u64>,
    /// Before the first of these.
    pub stops: Vec<String>,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It has the length that was asked for.
    Length,
    /// It came to a stop string.
    Stop,
    /// Nobody wanted more of it.
    Interrupted,
}

struct Text<'m> {
    number: usize,
    sampler: Sampler,
    decoder: Decoder<'m>,
    stops: Stops,
    /// The last token, which the network has not read yet.
    unread: u32,
    tokens: u64,
    finish: Option<Finish>,
}

/// What is heard of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// It goes on with this, of whole characters.
    Piece(&'a str),
    /// It is finished, after so many tokens.
    Finished(Finish, u64),
}

/// A prompt, read.
pub struct Prompt<'m> {
    model: &'m Model,
    tokens: Vec<u32>,
    state: State,
    decoder: Decoder<'m>,
    /// The last token, which the network has not read yet.
    unread: u32,
}

impl<'m> Prompt<'m> {
    /// Reads a prompt's tokens, after an end of line; `progress` hears how many were read.
    pub fn read(model: &'m Model, tokens: Vec<u32>, progress: impl FnMut(u64)) -> Self {
        let mut decoder = Decoder::new(&model.tokenizer);
        tokens.iter().for_each(|&id| {
            decoder.push(id);
        });
        let mut state = model.network.zero_state(1);
        let unread = read_on(
            model,
            &mut state,
            model.tokenizer.line_end(),
            &tokens,
            progress,
        );
        Prompt {
            model,
            tokens,
            state,
            decoder,
            unread,
        }
    }
}

/// Reads the token that was left unread and all but the last of `tokens`, which is left unread now.
fn read_on(
    model: &Model,
    state: &mut State,
    unread: u32,
    tokens: &[u32],
    mut progress: impl FnMut(u64),
) -> u32 {
    let mut all = vec![unread];
    all.extend_from_slice(tokens);
    let (&last, read) = all.split_last().expect("one at least");
    for part in read.chunks(READ_AT_ONCE) {
        model.network.read(part, state);
        progress(part.len() as u64);
    }
    last
}

impl<'m> Generator<'m> {
    /// Begins a text after a prompt for each of `numbers`; texts of one seed and different numbers are independent, and
    /// the same beside any others.
    pub fn new(
        prompt: &Prompt<'m>,
        sampling: Sampling,
        ending: Ending,
        seed: u64,
        numbers: std::ops::Range<u64>,
    ) -> Self {
        let model = prompt.model;
        let streams = vec![0; (numbers.end - numbers.start) as usize];
        let text = |(number, stream)| {
            let mut sampler = Sampler::new(sampling, seed, stream);
            sampler.remember(&prompt.tokens);
            Text {
                number,
                sampler,
                decoder: prompt.decoder.clone(),
                stops: Stops::new(&ending.stops),
                unread: prompt.unread,
                tokens: 0,
                finish: None,
            }
        };
        Generator {
            model,
            state: prompt.state.select(&streams),
            texts: numbers.enumerate().map(text).collect(),
            // In a text that was split at white space, <unk> is a word like any other.
            barred: model
                .tokenizer
                .unknown()
                .filter(|_| model.tokenizer.split() != Split::Whitespace),
            ending,
        }
    }

    /// Whether all texts are finished.
    pub fn is_finished(&self) -> bool {
        self.texts.iter().all(|text| text.finish.is_some())
    }

    /// Adds a token to each unfinished text; `hear` is told what becomes of each, by its place among the numbers.
    pub fn step(&mut self, mut hear: impl FnMut(usize, News)) {
        if self.is_finished() {
            return;
        }
        if self.texts.iter().any(|text| text.finish.is_some()) {
            let unfinished = |&i: &usize| self.texts[i].finish.is_none();
            let left: Vec<usize> = (0..self.texts.len()).filter(unfinished).collect();
            self.state = self.state.select(&left);
            self.texts.retain(|text| text.finish.is_none());
        }
        let network = &self.model.network;
        let unread: Vec<u32> = self.texts.iter().map(|text| text.unread).collect();
        let mut logits = network.forward(&unread, &mut self.state, Wanted::Last);
        let rows = logits.chunks_exact_mut(network.vocab_size());
        let mut choices: Vec<_> = self.texts.iter_mut().zip(rows).collect();
        let threads = 1 + choices.len() * network.vocab_size() / CHOOSING_WORTH;
        network
            .pool()
            .for_each(threads, &mut choices, |_, (text, logits)| {
                if let Some(id) = self.barred {
                    logits[id as usize] = f32::NEG_INFINITY;
                }
                text.unread = text.sampler.choose(logits);
            });
        for text in &mut self.texts {
            text.grow(&self.ending, &mut hear);
        }
    }

    /// Finishes the texts that are not, as nobody wants more of them.
    pub fn interrupt(&mut self, mut hear: impl FnMut(usize, News)) {
        let unfinished = self.texts.iter_mut().filter(|text| text.finish.is_none());
        for text in unfinished {
            let mut rest = text.stops.rest();
            rest.push_str(&text.decoder.finish());
            hear(text.number, News::Piece(&rest));
            hear(
                text.number,
                News::Finished(Finish::Interrupted, text.tokens),
            );
            text.finish = Some(Finish::Interrupted);
        }
    }

    /// Goes on after more of somebody else's words, remembering all that came before.
    ///
    /// # Panics
    /// If there is not one text alone.
    pub fn go_on(&mut self, words: &[u32]) {
        let [text] = &mut self.texts[..] else {
            panic!("one text alone can go on");
        };
        text.sampler.remember(words);
        words.iter().for_each(|&id| {
            text.decoder.push(id);
        });
        (text.tokens, text.finish) = (0, None);
        text.stops.rest();
        text.unread = read_on(self.model, &mut self.state, text.unread, words, |_| ());
    }
}

/// The text of `length` tokens that follows nothing.
pub fn sample(model: &Model, sampling: Sampling, length: u64, seed: u64) -> String {
    let ending = Ending {
        length: Some(length),
        stops: Vec::new(),
    };
    let prompt = Prompt::read(model, Vec::new(), |_| ());
    let mut generator = Generator::new(&prompt, sampling, ending, seed, 0..1);
    let mut text = String::new();
    while !generator.is_finished() {
        generator.step(|_, news| {
            if let News::Piece(piece) = news {
                text.push_str(piece);
            }
        });
    }
    text
}

impl Text<'_> {
    /// Tells what the token just chosen adds.
    fn grow(&mut self, ending: &Ending, hear: &mut impl FnMut(usize, News)) {
        self.tokens += 1;
        let last = ending.length == Some(self.tokens);
        let mut piece = self.decoder.push(self.unread);
        if last {
            piece.push_str(&self.decoder.finish());
        }
        let stopped = self.stops.push(&mut piece);
        if last && !stopped {
            piece.push_str(&self.stops.rest());
        }
        if !piece.is_empty() {
            hear(self.number, News::Piece(&piece));
        }
        self.finish = if stopped {
            Some(Finish::Stop)
        } else {
            last.then_some(Finish::Length)
        };
        if let Some(finish) = self.finish {
            hear(self.number, News::Finished(finish, self.tokens));
        }
    }
}

/// Watches a text for strings that end it, also when they come in several pieces.
#[derive(Clone, Debug)]
struct Stops {
    stops: Vec<String>,
    /// The end of the text, which may be the beginning of a stop.
    held: String,
}

impl Stops {
    fn new(stops: &[String]) -> Self {
        Stops {
            stops: stops.to_vec(),
            held: String::new(),
        }
    }

    /// Takes the next piece and leaves in its place what is certain to come before any stop. True at a stop.
    fn push(&mut self, piece: &mut String) -> bool {
        if self.stops.is_empty() {
            return false;
        }
        self.held.push_str(piece);
        // The one that ends first, so that it does not matter how the text is cut.
        let found = self.stops.iter().filter_map(|stop| {
            let at = self.held.find(stop)?;
            Some((at + stop.len(), at))
        });
        let first = found.min().map(|(_, at)| at);
        let certain = first.unwrap_or_else(|| {
            let begins = |at: &usize| {
                let end = &self.held[*at..];
                self.stops.iter().any(|stop| stop.starts_with(end))
            };
            let starts = self.held.char_indices().map(|(at, _)| at);
            starts
                .chain([self.held.len()])
                .find(begins)
                .expect("nothing is the beginning of everything")
        });
        piece.clear();
        piece.push_str(&self.held[..certain]);
        self.held.drain(..certain);
        first.is_some()
    }

    /// What was held back.
    fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stops_before_the_first_stop_however_it_is_cut() {
        let table: [(&[&str], &str, &str, bool); 10] = [
            (&[], "all of it", "all of it", false),
            (&["END"], "all of it", "all of it", false),
            (&["END"], "some END and more", "some ", true),
            (&["END"], "EEND", "E", true),
            (&["END"], "ENEND", "EN", true),
            (&["END"], "at the EN", "at the EN", false),
            (&["aab"], "aaab", "a", true),
            (&["世", "é"], "caf\u{e9} 世", "caf", true),
            (&["later", "ate"], "too late", "too l", true),
            (&["later", "ate"], "too later", "too l", true),
        ];
        for (stops, text, expected, stopped) in table {
            let stops: Vec<String> = stops.iter().map(|stop| stop.to_string()).collect();
            let characters: Vec<String> = text.chars().map(String::from).collect();
            for size in 1..=characters.len() {
                let (mut watch, mut found, mut end) = (Stops::new(&stops), String::new(), false);
                for piece in characters.chunks(size) {
                    let mut piece = piece.concat();
                    end = watch.push(&mut piece);
                    found.push_str(&piece);
                    if end {
                        break;
                    }
                }
                if !end {
                    found.push_str(&watch.rest());
                }
                assert_eq!(
                    (found.as_str(), end),
                    (expected, stopped),
                    "{text} by {size}"
                );
            }
        }
    }
}
