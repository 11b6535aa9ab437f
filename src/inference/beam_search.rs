/*!
Beam search: the targets that an encoder and a decoder find most probable, for many sources side by side.
*/

use super::translation_network::{TargetState, TranslationNetwork};
use crate::error::{Error, Result};
use carousel_kernels::log_sum_exp;

/// Most targets that are followed at once.
const MOST_BEAM: usize = 100;
/// Logits that are compared with the lowest chosen one at once.
const BLOCK: usize = 32;

/// How targets are searched for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Most unfinished targets that are kept of a source; 1 always takes the most probable token. A target that is finished
    /// takes the place of one (Sutskever et al. 2014).
    pub beam: usize,
    /// The number of targets that are wanted of a source, `beam` at most: the search of a source ends when no others can be
    /// better.
    pub best: usize,
    /// The power of the length by which log probabilities are divided, at least 0: above 0, long targets are not at a
    /// disadvantage.
    pub length_penalty: f64,
    /// Whether the weights of attention are kept.
    pub keeps_attention: bool,
}

impl Default for Search {
    fn default() -> Self {
        Search {
            beam: 5,
            best: 1,
            length_penalty: 1.0,
            keeps_attention: false,
        }
    }
}

impl Search {
    /// The same, if it can be done; `named` gives an option's name for messages, as in `--length-penalty` for
    /// `length_penalty`.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn checked(self, named: impl Fn(&str) -> String) -> Result<Self> {
        let out_of_range = |name: &str, value: String, what: String| {
            let name = named(name);
            Error::usage(format!("{name} {value} is out of range; give {what}"))
        };
        if !(1..=MOST_BEAM).contains(&self.beam) {
            let what = format!("1 to {MOST_BEAM}");
            return Err(out_of_range("beam", self.beam.to_string(), what));
        }
        if !(1..=self.beam).contains(&self.best) {
            let beam = named("beam");
            let what = format!("1 to {}, which is {beam}, or a larger {beam}", self.beam);
            return Err(out_of_range("best", self.best.to_string(), what));
        }
        if !(0.0..=10.0).contains(&self.length_penalty) {
            let given = self.length_penalty.to_string();
            return Err(out_of_range("length_penalty", given, "0 to 10".to_string()));
        }
        Ok(self)
    }

    /// What the log probability of a target of so many tokens, its end included, is divided by: ((5 + tokens) / 6)ᵖ (Wu et
    /// al. 2016).
    pub fn divisor(&self, tokens: usize) -> f64 {
        ((5.0 + tokens as f64) / 6.0).powf(self.length_penalty)
    }
}

/// What is searched for the targets of.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Its tokens, with the line end.
    pub tokens: &'a [u32],
    /// Most tokens of its target, the end included.
    pub most: usize,
}

/// The tokens with a meaning of their own.
#[derive(Clone, Copy)]
pub struct Marks {
    /// The target's line end, which begins and ends it.
    pub line_end: u32,
    /// A token that is never chosen.
    pub barred: Option<u32>,
}

/// A target that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Its tokens, without the end.
    pub tokens: Vec<u32>,
    /// Natural logarithm of its probability, the end included.
    pub log_probability: f64,
    /// The log probability divided by the [`Search::divisor`] of its length: what hypotheses are ranked by.
    pub score: f64,
    /// Whether it came to an end, instead of to the most tokens.
    pub is_whole: bool,
    /// The weights of the source's positions for each token, and for the end; empty unless they are kept.
    pub attention: Vec<Vec<f32>>,
}

/// A target that is being written: a stream of the decoder.
#[derive(Clone, Copy)]
struct Unfinished {
    source: usize,
    /// Its last token in [`Beams::tokens`]; `None` before the first.
    last: Option<usize>,
    log_probability: f64,
}

/// A token of unfinished targets, which may share their beginnings.
struct Written {
    before: Option<usize>,
    token: u32,
    weights: Vec<f32>,
}

/// A token that may go on a target.
#[derive(Clone, Copy)]
struct Candidate {
    stream: usize,
    token: u32,
    log_probability: f64,
}

/// The search of all sources.
struct Beams<'a> {
    sources: &'a [Source<'a>],
    marks: Marks,
    search: Search,
    written: Vec<Written>,
    finished: Vec<Vec<Hypothesis>>,
    /// Memory for the logits of a step.
    buffer: Vec<f32>,
}

/// The best targets of each source, the best first: `search.best` and up to `search.beam`, or fewer where there are no more.
///
/// # Panics
/// If a source has no tokens or no target, or a token is not in the vocabulary.
pub fn search(
    network: &TranslationNetwork,
    sources: &[Source],
    marks: Marks,
    search: Search,
) -> Vec<Vec<Hypothesis>> {
    let tokens: Vec<&[u32]> = sources.iter().map(|source| source.tokens).collect();
    let encoded = network.encode(&tokens);
    let mut state = network.initial_state(&encoded);
    let mut beams = Beams {
        sources,
        marks,
        search,
        written: Vec::new(),
        finished: vec![Vec::new(); sources.len()],
        buffer: Vec::new(),
    };
    let mut unfinished: Vec<Unfinished> = (0..sources.len())
        .map(|source| Unfinished {
            source,
            last: None,
            log_probability: 0.0,
        })
        .collect();
    for step in 1.. {
        let token = |last: usize| beams.written[last].token;
        let tokens = unfinished
            .iter()
            .map(|one| one.last.map_or(marks.line_end, token));
        let tokens: Vec<u32> = tokens.collect();
        let rows: Vec<usize> = unfinished.iter().map(|one| one.source).collect();
        let weights = network.step(&tokens, &rows, &encoded, &mut state);
        let candidates = beams.candidates(network, &state, &unfinished, step);
        let (next, streams) = beams.advance(&unfinished, candidates, &weights, step);
        if next.is_empty() {
            break;
        }
        if streams.len() < unfinished.len() || streams.iter().enumerate().any(|(i, &s)| i != s) {
            state = state.select(&streams);
        }
        unfinished = next;
    }
    for finished in &mut beams.finished {
        finished.sort_by(|a, b| b.score.total_cmp(&a.score));
    }
    beams.finished
}

impl Beams<'_> {
    /// Number of unfinished targets that a source may have.
    fn width(&self, source: usize) -> usize {
        self.search.beam - self.finished[source].len()
    }

    /// The most probable next tokens of each stream, as many as its source may have targets.
    fn candidates(
        &mut self,
        network: &TranslationNetwork,
        state: &TargetState,
        unfinished: &[Unfinished],
        step: usize,
    ) -> Vec<Vec<Candidate>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut chosen = vec![Vec::new(); unfinished.len()];
        network.for_each_logits(state, &mut chosen, &mut buffer, |stream, logits, chosen| {
            let before = unfinished[stream];
            let total = log_sum_exp(logits);
            // A source that says something has a target that does.
            let end = (step == 1).then_some(self.marks.line_end);
            for token in end.into_iter().chain(self.marks.barred) {
                logits[token as usize] = f32::NEG_INFINITY;
            }
            let highest = highest(logits, self.width(before.source)).into_iter();
            let candidates = highest.map(|(token, logit)| Candidate {
                stream,
                token,
                log_probability: before.log_probability + f64::from(logit) - total,
            });
            *chosen = candidates.collect();
        });
        self.buffer = buffer;
        chosen
    }

    /// Takes the best candidates of each source: the unfinished targets, and the streams that they go on from.
    fn advance(
        &mut self,
        unfinished: &[Unfinished],
        candidates: Vec<Vec<Candidate>>,
        weights: &[Vec<f32>],
        step: usize,
    ) -> (Vec<Unfinished>, Vec<usize>) {
        let (mut next, mut streams) = (Vec::new(), Vec::new());
        let mut candidates = candidates.into_iter();
        for streams_of_source in unfinished.chunk_by(|a, b| a.source == b.source) {
            let source = streams_of_source[0].source;
            let own = candidates.by_ref().take(streams_of_source.len());
            let mut own: Vec<Candidate> = own.flatten().collect();
            // Sorting is stable, so that equals stay in the order of their streams.
            own.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
            own.truncate(self.width(source));
            let first = next.len();
            for candidate in own {
                let before = unfinished[candidate.stream];
                let seen = weights.get(candidate.stream);
                let seen = seen.filter(|_| self.search.keeps_attention);
                let last = self.write(before.last, candidate.token, seen);
                let ends = candidate.token == self.marks.line_end;
                if ends || step == self.sources[source].most {
                    let hypothesis = self.hypothesis(last, ends, candidate.log_probability);
                    self.finished[source].push(hypothesis);
                    continue;
                }
                streams.push(candidate.stream);
                next.push(Unfinished {
                    source,
                    last: Some(last),
                    log_probability: candidate.log_probability,
                });
            }
            if self.is_decided(source, &next[first..]) {
                next.truncate(first);
                streams.truncate(first);
            }
        }
        (next, streams)
    }

    fn write(&mut self, before: Option<usize>, token: u32, weights: Option<&Vec<f32>>) -> usize {
        self.written.push(Written {
            before,
            token,
            weights: weights.cloned().unwrap_or_default(),
        });
        self.written.len() - 1
    }

    /// Whether none of the unfinished targets can become one of the best.
    fn is_decided(&self, source: usize, unfinished: &[Unfinished]) -> bool {
        let finished = &self.finished[source];
        // A log probability only falls, and is divided by most at the most tokens.
        let divisor = self.search.divisor(self.sources[source].most);
        let bounds = unfinished.iter().map(|one| one.log_probability / divisor);
        let bound = bounds.fold(f64::NEG_INFINITY, f64::max);
        let better = finished.iter().filter(|finished| finished.score >= bound);
        better.count() >= self.search.best
    }

    /// The hypothesis whose last token is `last`, which is its end if it `ends`.
    fn hypothesis(&self, last: usize, ends: bool, log_probability: f64) -> Hypothesis {
        let each = std::iter::successors(Some(last), |&at| self.written[at].before);
        let (mut tokens, mut attention): (Vec<u32>, Vec<Vec<f32>>) = each
            .map(|at| (self.written[at].token, self.written[at].weights.clone()))
            .unzip();
        tokens.reverse();
        attention.reverse();
        if attention.iter().all(Vec::is_empty) {
            attention.clear();
        }
        let score = log_probability / self.search.divisor(tokens.len());
        if ends {
            tokens.pop();
        }
        Hypothesis {
            tokens,
            log_probability,
            score,
            is_whole: ends,
            attention,
        }
    }
}

/// The `count` highest logits with their tokens, the highest first; those of minus infinity are never among them.
fn highest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut chosen: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
    let mut lowest = f32::NEG_INFINITY;
    for (block, logits) in logits.chunks(BLOCK).enumerate() {
        let most = logits.iter().fold(
            f32::NEG_INFINITY,
            |most, &logit| {
                if logit > most { logit } else { most }
            },
        );
        if most <= lowest {
            continue;
        }
        for (index, &logit) in logits.iter().enumerate() {
            if logit <= lowest || logit.is_nan() {
                continue;
            }
            let place = chosen.partition_point(|&(_, other)| other >= logit);
            chosen.insert(place, ((block * BLOCK + index) as u32, logit));
            chosen.truncate(count);
            if let (true, Some(&(_, last))) = (chosen.len() == count, chosen.last()) {
                lowest = last;
            }
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::super::translation_network::testing::{SOURCES, logits, made_up};
    use super::*;
    use carousel_kernels::Precision;

    /// Most tokens of a target.
    const MOST: usize = 4;
    const MARKS: Marks = Marks {
        line_end: 0,
        barred: Some(3),
    };

    #[test]
    fn what_cannot_be_searched_is_named() {
        let checked = |beam, best, length_penalty| {
            let search = Search {
                beam,
                best,
                length_penalty,
                ..Search::default()
            };
            search.checked(str::to_uppercase).map_err(|e| e.to_string())
        };
        assert!(checked(5, 5, 0.0).is_ok());
        for (beam, best, length_penalty, said) in [
            (0, 1, 1.0, "BEAM 0"),
            (101, 1, 1.0, "give 1 to 100"),
            (3, 4, 1.0, "BEST 4"),
            (3, 1, f64::NAN, "LENGTH_PENALTY NaN"),
        ] {
            let error = checked(beam, best, length_penalty).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    fn sources() -> Vec<Source<'static>> {
        let source = |&tokens: &&'static [u32]| Source { tokens, most: MOST };
        SOURCES.iter().map(source).collect()
    }

    /// All targets of a source with their log probabilities, and whether they came to an end.
    fn every_target(network: &TranslationNetwork, source: &[u32]) -> Vec<(Vec<u32>, f64, bool)> {
        let encoded = network.encode(&[source]);
        let mut open = vec![(Vec::new(), 0.0, network.initial_state(&encoded))];
        let mut all = Vec::new();
        for step in 1..=MOST {
            let mut next = Vec::new();
            for (tokens, log_probability, mut state) in std::mem::take(&mut open) {
                let last = tokens.last().copied().unwrap_or(0);
                network.step(&[last], &[0], &encoded, &mut state);
                let logits = logits(network, &state, 1).remove(0);
                let total = log_sum_exp(&logits);
                for (token, logit) in (0..).zip(logits) {
                    let log_probability = log_probability + f64::from(logit) - total;
                    let more = [&tokens[..], &[token]].concat();
                    match token {
                        3 => {}
                        0 if step == 1 => {}
                        0 => all.push((tokens.clone(), log_probability, true)),
                        _ if step == MOST => all.push((more, log_probability, false)),
                        _ => next.push((more, log_probability, state.clone())),
                    }
                }
            }
            open = next;
        }
        all
    }

    #[test]
    fn a_wide_beam_finds_the_best_of_all_targets() {
        let networks = made_up().map(|twin| twin.network(Precision::Float32));
        for (network, length_penalty) in networks.iter().flat_map(|n| [(n, 0.0), (n, 1.0)]) {
            let search = Search {
                beam: 2000,
                best: 4,
                length_penalty,
                keeps_attention: false,
            };
            let found = super::search(network, &sources(), MARKS, search);
            for (source, found) in SOURCES.iter().zip(found) {
                let mut all = every_target(network, source);
                let score = |(tokens, log_probability, whole): &(Vec<u32>, f64, bool)| {
                    log_probability / search.divisor(tokens.len() + usize::from(*whole))
                };
                all.sort_by(|a, b| score(b).total_cmp(&score(a)));
                for (expected, found) in all.iter().zip(&found[..4]) {
                    assert_eq!((&expected.0, expected.2), (&found.tokens, found.is_whole));
                    assert!((expected.1 - found.log_probability).abs() < 1e-4);
                    assert!((score(expected) - found.score).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn a_source_is_searched_alone_as_beside_others() {
        let networks = made_up().map(|twin| twin.network(Precision::Float32));
        for (network, beam) in networks.iter().flat_map(|n| [(n, 1), (n, 2), (n, 5)]) {
            let search = Search {
                beam,
                best: beam,
                keeps_attention: true,
                ..Search::default()
            };
            let together = super::search(network, &sources(), MARKS, search);
            for (source, found) in sources().iter().zip(together) {
                let alone = super::search(network, &[*source], MARKS, search);
                assert_eq!(alone[0], found);
                assert!(found.is_sorted_by(|a, b| a.score >= b.score));
                for one in &found {
                    let steps = one.tokens.len() + usize::from(one.is_whole);
                    assert_eq!(one.attention.len(), steps);
                    for weights in &one.attention {
                        assert_eq!(weights.len(), source.tokens.len());
                        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                    }
                }
            }
        }
    }

    /// The tokens of the target that a beam of one finds, without a search, and whether it comes to an end.
    fn greedy(network: &TranslationNetwork, source: &[u32]) -> (Vec<u32>, bool) {
        let encoded = network.encode(&[source]);
        let mut state = network.initial_state(&encoded);
        let mut tokens = vec![0];
        loop {
            network.step(&tokens[tokens.len() - 1..], &[0], &encoded, &mut state);
            let mut logits = logits(network, &state, 1).remove(0);
            logits[3] = f32::NEG_INFINITY;
            if tokens.len() == 1 {
                logits[0] = f32::NEG_INFINITY;
            }
            let best = (0..).zip(logits).max_by(|(_, a), (_, b)| a.total_cmp(b));
            let (token, _) = best.unwrap();
            if token == 0 {
                return (tokens[1..].to_vec(), true);
            }
            tokens.push(token);
            if tokens.len() > MOST {
                return (tokens[1..].to_vec(), false);
            }
        }
    }

    #[test]
    fn a_beam_of_one_takes_the_most_probable_token() {
        for twin in made_up() {
            let network = twin.network(Precision::Float32);
            let search = Search {
                beam: 1,
                ..Search::default()
            };
            let found = super::search(&network, &sources(), MARKS, search);
            for (source, found) in SOURCES.iter().zip(found) {
                let (tokens, ended) = greedy(&network, source);
                assert_eq!((&found[0].tokens, found[0].is_whole), (&tokens, ended));
            }
        }
    }

    #[test]
    fn the_highest_logits_come_first() {
        for count in [1, 3, 5] {
            let logits: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1000) as f32).collect();
            let mut order: Vec<u32> = (0..1000).collect();
            order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
            let found: Vec<u32> = highest(&logits, count).iter().map(|&(t, _)| t).collect();
            assert_eq!(found, order[..count]);
        }
        // Of equals the first; none of minus infinity.
        let found = highest(&[f32::NEG_INFINITY, 1.0, 1.0, 0.5], 2);
        assert_eq!(found, [(1, 1.0), (2, 1.0)]);
        assert_eq!(highest(&[f32::NEG_INFINITY, 1.0], 2), [(1, 1.0)]);
    }
}
