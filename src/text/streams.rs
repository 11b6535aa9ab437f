/*!
Division of a text into parallel streams of tokens, for training and for evaluation.

Training validates by [`EvaluationStreams`] too, so that its validation loss is the loss of `evaluate`.
*/

use std::ops::Range;

use super::corpus::Ids;
use super::direction::Direction;

/// Smallest number of tokens of a stream in evaluation.
const MIN_STREAM_TOKENS: usize = 4096;
/// Largest number of streams in evaluation.
const MAX_STREAMS: usize = 32;
/// Number of tokens that a stream reads before its own in evaluation, so that it does not begin with the zero state.
pub const WARM_UP: usize = 256;

/// A text divided into `batch_size` contiguous streams, read in parallel in windows of `bptt` tokens.
///
/// The streams are treated as independent: the end of one does not help to predict the start of the next. Row `r` of a
/// window continues row `r` of the window before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingStreams {
    /// Number of streams.
    pub batch_size: usize,
    /// Number of predictions in each stream.
    pub length: usize,
    /// Largest number of predictions of a window in each stream.
    pub bptt: usize,
    /// Number of tokens that a step predicts.
    pub horizon: usize,
}

impl TrainingStreams {
    /// Divides `tokens` tokens; the remainder at the end is left out.
    pub fn new(tokens: usize, batch_size: usize, bptt: usize) -> Self {
        // The last token of a text is a target only.
        TrainingStreams {
            batch_size,
            length: tokens.saturating_sub(1) / batch_size,
            bptt,
            horizon: 1,
        }
    }

    /// The same where a step predicts several tokens: the last tokens of a text are targets only.
    pub fn with_horizon(self, tokens: usize, horizon: usize) -> Self {
        TrainingStreams {
            length: tokens.saturating_sub(horizon) / self.batch_size,
            horizon,
            ..self
        }
    }

    /// Number of windows in an epoch.
    pub fn windows(&self) -> usize {
        self.length.div_ceil(self.bptt)
    }

    /// Inputs of window `index` of the text, read in a direction, time-major, `[window length, batch_size]`; and targets,
    /// `[horizon, window length, batch_size]`: those one token later, then those two tokens later, and so on.
    pub fn read(&self, ids: &Ids, index: usize, direction: Direction) -> (Vec<u32>, Vec<u32>) {
        let start = index * self.bptt;
        let length = self.bptt.min(self.length - start);
        let size = length * self.batch_size;
        let (mut inputs, mut targets) = (vec![0; size], vec![0; self.horizon * size]);
        for stream in 0..self.batch_size {
            let begin = stream * self.length + start;
            let end = begin + length + self.horizon;
            let mut tokens: Vec<u32> = match direction {
                Direction::Forward => ids.read(begin..end).collect(),
                Direction::Reverse => ids.read(ids.len() - end..ids.len() - begin).collect(),
            };
            if direction == Direction::Reverse {
                tokens.reverse();
            }
            for step in 0..length {
                let position = step * self.batch_size + stream;
                inputs[position] = tokens[step];
                for ahead in 0..self.horizon {
                    targets[ahead * size + position] = tokens[step + 1 + ahead];
                }
            }
        }
        (inputs, targets)
    }
}

/// A text divided into streams for evaluation. Each token is predicted once: the first from the zero state after a line
/// end, and those of each later stream after a warm-up on the [`WARM_UP`] tokens before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationStreams {
    tokens: usize,
    /// Number of streams.
    pub streams: usize,
    length: usize,
    /// The first of them.
    first: usize,
    /// Number of tokens that a stream reads before its own.
    warm_up: usize,
}

/// A token of the text that is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its position in the text.
    pub position: usize,
    /// The token.
    pub id: u32,
}

/// Some steps of all streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvaluationWindow {
    /// Inputs, time-major `[length, streams]`.
    pub inputs: Vec<u32>,
    /// Targets, of the same shape; `None` where the prediction is not counted.
    pub targets: Vec<Option<Target>>,
    /// Whether the state of stream 0 is reset before this window.
    pub resets_first_stream: bool,
}

impl EvaluationStreams {
    /// Divides `tokens` tokens.
    pub fn new(tokens: usize) -> Self {
        let streams = (tokens / MIN_STREAM_TOKENS).clamp(1, MAX_STREAMS);
        EvaluationStreams {
            tokens,
            streams,
            length: tokens.div_ceil(streams),
            first: 0,
            warm_up: if streams > 1 { WARM_UP } else { 0 },
        }
    }

    /// One of some parts of the streams, of which each reads what it reads among all; it may have none.
    pub fn part(self, part: usize, parts: usize) -> Self {
        let edge = |part: usize| (part * self.streams).div_ceil(parts);
        EvaluationStreams {
            first: edge(part),
            streams: edge(part + 1) - edge(part),
            ..self
        }
    }

    /// The windows, of at most `bptt` steps each, warm-up first. `line_end` is the token that precedes the text.
    pub fn windows(
        self,
        ids: &Ids,
        line_end: u32,
        bptt: usize,
    ) -> impl Iterator<Item = EvaluationWindow> + '_ {
        let warm_up = self.warm_up;
        let chunks = move |steps: usize| {
            (0..steps)
                .step_by(bptt)
                .map(move |start| start..(start + bptt).min(steps))
        };
        let warming_up =
            chunks(warm_up).map(move |steps| self.window(ids, line_end, steps, Some(warm_up)));
        let counted = chunks(self.length).map(move |steps| self.window(ids, line_end, steps, None));
        warming_up.chain(counted)
    }

    /// A window of some steps: of the warm-up, whose length is then given, or of the text.
    fn window(
        &self,
        ids: &Ids,
        line_end: u32,
        steps: Range<usize>,
        warm_up: Option<usize>,
    ) -> EvaluationWindow {
        let mut window = EvaluationWindow {
            resets_first_stream: warm_up.is_none() && steps.start == 0 && self.first == 0,
            ..EvaluationWindow::default()
        };
        for step in steps {
            for stream in self.first..self.first + self.streams {
                let start = stream * self.length;
                // Nothing precedes stream 0: during warm-up it reads line ends, and its state is reset afterwards.
                let position = match warm_up {
                    Some(length) => (start + step).checked_sub(length).filter(|_| stream > 0),
                    None => Some(start + step),
                };
                let input = position
                    .and_then(|position| position.checked_sub(1))
                    .filter(|&before| before < self.tokens);
                window
                    .inputs
                    .push(input.map_or(line_end, |before| ids.get(before)));
                let position = start + step;
                let counts = warm_up.is_none() && position < self.tokens;
                let id = || ids.get(position);
                window
                    .targets
                    .push(counts.then(|| Target { position, id: id() }));
            }
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::corpus::encode_files;
    use crate::text::source::InvalidBytes;
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
        encode_files(
            &[file],
            &Tokenizer::bytes(),
            &Spelling::default(),
            InvalidBytes::Replaced,
        )
        .unwrap()
        .ids
    }

    #[test]
    fn training_windows_cover_the_text() {
        for (count, batch_size, bptt) in
            [(100, 4, 7), (101, 4, 5), (50, 1, 64), (9, 2, 4), (2, 1, 1)]
        {
            let ids = ids(count);
            let streams = TrainingStreams::new(count, batch_size, bptt);
            let used = streams.length * batch_size;
            assert!(
                count - 1 - used < batch_size,
                "less than a batch is left out"
            );
            for direction in [Direction::Forward, Direction::Reverse] {
                let mut inputs = vec![Vec::new(); batch_size];
                let mut targets = inputs.clone();
                for window in 0..streams.windows() {
                    let (window_inputs, window_targets) = streams.read(&ids, window, direction);
                    for (at, (input, target)) in
                        window_inputs.into_iter().zip(window_targets).enumerate()
                    {
                        inputs[at % batch_size].push(input);
                        targets[at % batch_size].push(target);
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
    fn targets_of_a_horizon_follow_each_other() {
        let ids = ids(40);
        let streams = TrainingStreams::new(40, 3, 5).with_horizon(40, 4);
        let text: Vec<u32> = ids.read(0..40).collect();
        for window in 0..streams.windows() {
            let (inputs, targets) = streams.read(&ids, window, Direction::Forward);
            let targets = targets.chunks_exact(inputs.len());
            assert_eq!(targets.len(), 4);
            for (ahead, targets) in targets.enumerate() {
                for (at, target) in targets.iter().enumerate() {
                    let (step, stream) = (at / 3, at % 3);
                    let position = stream * streams.length + window * 5 + step;
                    assert_eq!(inputs[at], text[position]);
                    assert_eq!(*target, text[position + 1 + ahead]);
                }
            }
        }
    }

    #[test]
    fn every_token_is_evaluated_once_after_what_precedes_it() {
        const LINE_END: u32 = 10;
        for count in [1, 2, 63, 64, 65, 4_095, 8_192, 8_193, 20_000, 140_000] {
            let ids = ids(count);
            let streams = EvaluationStreams::new(count);
            let mut read = vec![Vec::new(); streams.streams];
            let mut counted = vec![Vec::new(); streams.streams];
            for window in streams.windows(&ids, LINE_END, 64) {
                if window.resets_first_stream {
                    read[0].clear();
                }
                for (at, (&input, target)) in window.inputs.iter().zip(&window.targets).enumerate()
                {
                    let stream = at % streams.streams;
                    read[stream].push(input);
                    if let Some(target) = target {
                        counted[stream].push((read[stream].len(), *target));
                    }
                }
            }
            // Parts of the streams read and predict the same, each its own.
            for parts in [2, 3, 40] {
                let all = (0..parts).map(|part| streams.part(part, parts));
                let all = all.filter(|own| own.streams > 0);
                let mut windows: Vec<_> = all
                    .map(|own| (own.streams, own.windows(&ids, LINE_END, 64)))
                    .collect();
                for whole in streams.windows(&ids, LINE_END, 64) {
                    let own: Vec<_> = windows
                        .iter_mut()
                        .map(|(streams, windows)| (*streams, windows.next().unwrap()))
                        .collect();
                    assert_eq!(own[0].1.resets_first_stream, whole.resets_first_stream);
                    assert!(own[1..].iter().all(|own| !own.1.resets_first_stream));
                    let steps = 0..whole.inputs.len() / streams.streams;
                    let inputs = steps.clone().flat_map(|step| {
                        own.iter().flat_map(move |(streams, window)| {
                            &window.inputs[step * streams..(step + 1) * streams]
                        })
                    });
                    assert!(inputs.eq(&whole.inputs));
                    let targets = steps.flat_map(|step| {
                        own.iter().flat_map(move |(streams, window)| {
                            &window.targets[step * streams..(step + 1) * streams]
                        })
                    });
                    assert!(targets.eq(&whole.targets));
                }
            }
            let targets = counted.concat().into_iter();
            let targets: Vec<Target> = targets.map(|(_, target)| target).collect();
            let all = ids.read(0..count).enumerate();
            let all: Vec<Target> = all.map(|(position, id)| Target { position, id }).collect();
            assert_eq!(targets, all, "{count}");
            assert_eq!(read[0][0], LINE_END);
            for (stream, read) in read.iter().enumerate().skip(1) {
                let begin = stream * count.div_ceil(streams.streams) - WARM_UP - 1;
                let expected: Vec<u32> = ids.read(begin..begin + WARM_UP + 10).collect();
                assert_eq!(read[..WARM_UP + 10], expected);
            }
        }
    }
}
