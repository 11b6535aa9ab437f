/*!
How a row of tokens is cut for training, and how for measuring.

Both wings measure by [`EvaluationStreams`], so that the validation loss of training is the loss of `evaluate`.
*/

use std::ops::Range;

use super::Direction;
use super::corpus::Ids;

/// Streams of at least this many tokens are measured side by side.
const LEAST_STREAM: usize = 4096;
/// The most streams measured side by side.
const MOST_STREAMS: usize = 32;
/// Tokens that a stream reads before its own, so that it does not begin with an empty memory.
pub const WARM_UP: usize = 256;

/// A text cut into `batch_size` contiguous streams, read side by side in windows of `bptt` tokens.
///
/// The streams are treated as independent: what the end of one has to do with the start of the next is not learnt.
/// Within a stream, row `r` of a window continues row `r` of the window before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingStreams {
    /// How many streams.
    pub batch_size: usize,
    /// Predictions in each stream.
    pub length: usize,
    /// The most predictions a window has in each stream.
    pub bptt: usize,
}

impl TrainingStreams {
    /// Cuts `tokens` tokens; what does not divide evenly is left at the end.
    pub fn new(tokens: usize, batch_size: usize, bptt: usize) -> Self {
        // The last token of a text is a target only.
        TrainingStreams {
            batch_size,
            length: tokens.saturating_sub(1) / batch_size,
            bptt,
        }
    }

    /// Windows in one pass.
    pub fn windows(&self) -> usize {
        self.length.div_ceil(self.bptt)
    }

    /// Reads window `index` of the text, or of the text from its end: inputs and, one token later, targets. Both are
    /// time-major: `[window length, batch_size]`.
    pub fn read(&self, ids: &Ids, index: usize, direction: Direction) -> (Vec<i64>, Vec<i64>) {
        let start = index * self.bptt;
        let length = self.bptt.min(self.length - start);
        let mut inputs = vec![0; length * self.batch_size];
        let mut targets = inputs.clone();
        for stream in 0..self.batch_size {
            let begin = stream * self.length + start;
            let mut at = stream;
            let end = begin + length + 1;
            let mut tokens: Vec<u32> = match direction {
                Direction::Forward => ids.read(begin..end).collect(),
                Direction::Reverse => ids.read(ids.len() - end..ids.len() - begin).collect(),
            };
            if direction == Direction::Reverse {
                tokens.reverse();
            }
            let mut tokens = tokens.into_iter().map(i64::from);
            let mut input = tokens.next().unwrap_or_default();
            for target in tokens {
                inputs[at] = input;
                targets[at] = target;
                input = target;
                at += self.batch_size;
            }
        }
        (inputs, targets)
    }
}

/// A text cut for measuring: every token is predicted once, the first from an empty memory after an end of line,
/// each later stream after [`WARM_UP`] tokens of what precedes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationStreams {
    tokens: usize,
    /// How many streams are read side by side.
    pub streams: usize,
    length: usize,
}

/// One step of all streams: what they read, and what they should have predicted where that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvaluationWindow {
    /// Time-major inputs, `[length, streams]`.
    pub inputs: Vec<u32>,
    /// Targets of the same shape; `None` where nothing is counted.
    pub targets: Vec<Option<u32>>,
    /// Whether the memory of stream 0 is emptied before this window.
    pub begins: bool,
}

impl EvaluationStreams {
    /// Cuts `tokens` tokens.
    pub fn new(tokens: usize) -> Self {
        let streams = (tokens / LEAST_STREAM).clamp(1, MOST_STREAMS);
        EvaluationStreams {
            tokens,
            streams,
            length: tokens.div_ceil(streams),
        }
    }

    /// The windows, of at most `bptt` steps each, warm-up first. `line_end` is the token before the text.
    pub fn windows(
        self,
        ids: &Ids,
        line_end: u32,
        bptt: usize,
    ) -> impl Iterator<Item = EvaluationWindow> + '_ {
        let warm_up = if self.streams > 1 { WARM_UP } else { 0 };
        let steps = (0..warm_up)
            .step_by(bptt)
            .map(move |s| s..(s + bptt).min(warm_up));
        let counted = (0..self.length)
            .step_by(bptt)
            .map(move |s| s..(s + bptt).min(self.length));
        let warming = steps.map(move |range| self.window(ids, line_end, range, Some(warm_up)));
        warming.chain(counted.map(move |range| self.window(ids, line_end, range, None)))
    }

    fn window(
        &self,
        ids: &Ids,
        line_end: u32,
        steps: Range<usize>,
        warm_up: Option<usize>,
    ) -> EvaluationWindow {
        let begins = warm_up.is_none() && steps.start == 0;
        let mut window = EvaluationWindow {
            begins,
            ..EvaluationWindow::default()
        };
        for step in steps {
            for stream in 0..self.streams {
                let own = stream * self.length;
                // Stream 0 has nothing before it: while the others warm up it reads line ends, and forgets them.
                let at = match warm_up {
                    Some(length) => (own + step).checked_sub(length).filter(|_| stream > 0),
                    None => Some(own + step),
                };
                let input = at
                    .and_then(|at| at.checked_sub(1))
                    .filter(|&before| before < self.tokens);
                window
                    .inputs
                    .push(input.map_or(line_end, |before| ids.get(before)));
                let counts = warm_up.is_none() && own + step < self.tokens;
                window.targets.push(if counts {
                    Some(ids.get(own + step))
                } else {
                    None
                });
            }
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::corpus::encode_files;
    use crate::text::spelling::Spelling;
    use crate::text::tokenizer::Tokenizer;

    fn ids(count: usize) -> Ids {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bytes");
        std::fs::write(
            &file,
            (0..count).map(|i| (i * i % 251) as u8).collect::<Vec<_>>(),
        )
        .unwrap();
        encode_files(&[file], &Tokenizer::bytes(), &Spelling::default(), false)
            .unwrap()
            .ids
    }

    #[test]
    fn windows_rebuild_the_corpus() {
        for (count, batch_size, bptt) in
            [(100, 4, 7), (101, 4, 5), (50, 1, 64), (9, 2, 4), (2, 1, 1)]
        {
            let ids = ids(count);
            let streams = TrainingStreams::new(count, batch_size, bptt);
            let used = streams.length * batch_size;
            assert!(
                count - 1 - used < batch_size,
                "no more than a batch is left over"
            );
            for direction in [Direction::Forward, Direction::Reverse] {
                let mut inputs = vec![Vec::new(); batch_size];
                let mut targets = inputs.clone();
                for window in 0..streams.windows() {
                    let (window_inputs, window_targets) = streams.read(&ids, window, direction);
                    for (at, (input, target)) in
                        window_inputs.into_iter().zip(window_targets).enumerate()
                    {
                        inputs[at % batch_size].push(input as u32);
                        targets[at % batch_size].push(target as u32);
                    }
                }
                let mut text: Vec<u32> = ids.read(0..count).collect();
                if direction == Direction::Reverse {
                    text.reverse();
                }
                assert_eq!(inputs.concat(), text[..used]);
                assert_eq!(targets.concat(), text[1..used + 1]);
            }
        }
    }

    #[test]
    fn every_token_is_measured_once_after_what_precedes_it() {
        const LINE_END: u32 = 10;
        for count in [1, 2, 63, 64, 65, 4_095, 8_192, 8_193, 20_000, 140_000] {
            let ids = ids(count);
            let streams = EvaluationStreams::new(count);
            let mut read = vec![Vec::new(); streams.streams];
            let mut counted = vec![Vec::new(); streams.streams];
            for window in streams.windows(&ids, LINE_END, 64) {
                if window.begins {
                    read[0].clear();
                }
                for (at, (&input, target)) in window.inputs.iter().zip(&window.targets).enumerate()
                {
                    let stream = at % streams.streams;
                    read[stream].push(input);
                    if let Some(target) = target {
                        // What was read last is what stands before the target in the text.
                        counted[stream].push((read[stream].len(), *target));
                    }
                }
            }
            let targets: Vec<u32> = counted
                .concat()
                .into_iter()
                .map(|(_, target)| target)
                .collect();
            assert_eq!(targets, ids.read(0..count).collect::<Vec<_>>(), "{count}");
            assert_eq!(read[0][0], LINE_END);
            for (stream, read) in read.iter().enumerate().skip(1) {
                let begin = stream * count.div_ceil(streams.streams) - WARM_UP - 1;
                let expected: Vec<u32> = ids.read(begin..begin + WARM_UP + 10).collect();
                assert_eq!(read[..WARM_UP + 10], expected);
            }
        }
    }
}
