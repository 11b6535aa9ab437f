/*!
A network, n-grams and a cache, interpolated: the probability of a token is a weighted mean of all, as of recurrent networks
and Kneser–Ney n-grams in Mikolov et al. (2011), and with the continuous cache of Grave et al. (2017) for words. How much each
weighs depends on how long a context the n-grams know, in the way of Jelinek and Mercer (1980).
*/

use carousel_kernels::log_sum_exp;

use super::cache::Cache;
use super::next_token::{NetworkState, NextTokenNetwork, Wanted};
use super::stack::Clamp;
use crate::baselines::{KneserNey, NgramContexts, NgramPrediction};
use crate::checkpoint::WeightsFile;
use crate::checkpoint::architecture::{
    CACHE_SCALE, CACHE_WEIGHTS, INTERPOLATION_WEIGHTS, Interpolation,
};
use crate::error::{Error, Result};

/// The scales of a cache's products that are tried when weights are fitted.
pub const CACHE_SCALES: [f32; 4] = [0.1, 0.3, 0.6, 1.0];

/// Most steps of expectation maximisation, the change of weights below which it ends, and the weights that it begins with.
const STEPS: usize = 300;
const CONVERGED: f64 = 1e-5;
const FIRST_NGRAMS: f64 = 0.3;
const FIRST_CACHE: f64 = 0.1;
/// About how many tokens of a text the weights are fitted to: there are few weights.
const FITTED_TOKENS: usize = 100_000;
/// The weights for a length of context are fitted as if so many tokens more had agreed with those for all lengths.
const SHARED_TOKENS: f64 = 20.0;

/// Weights beside a network: of n-grams and of a cache, for each number of tokens that the n-grams know of the context.
#[derive(Clone, Debug, PartialEq)]
pub struct InterpolationWeights {
    ngrams: Vec<f64>,
    cache: Vec<f64>,
    cache_scale: f32,
}

/// How the parts predict the tokens of a text.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    /// Negative log likelihood of each token under the network, in nats.
    pub network_nats: &'a [f64],
    /// The n-grams' predictions.
    pub ngrams: &'a [NgramPrediction],
    /// The probabilities of the tokens under the cache, for each of the [`CACHE_SCALES`], as a
    /// [`PredictedToken`](super::evaluation::PredictedToken) has them; `None` without a cache.
    pub cache: Option<&'a [Vec<f64>]>,
}

impl InterpolationWeights {
    /// The weights that give a text the highest probability, by expectation maximisation (Jelinek and Mercer 1980), with the
    /// best scale of the cache. `order` is that of the n-grams.
    ///
    /// # Panics
    /// If the parts do not predict as many tokens, or contexts are too long for the order.
    pub fn fit(predictions: &Predictions, order: usize) -> Self {
        let Some(caches) = predictions.cache else {
            return Self::fit_scale(predictions, (&[], 0.0), order);
        };
        let scales = caches.iter().zip(CACHE_SCALES);
        let fitted = scales.map(|(cache, scale)| {
            let weights = Self::fit_scale(predictions, (cache, scale), order);
            (weights.total_nats(predictions), weights)
        });
        let best = fitted.min_by(|one, other| one.0.total_cmp(&other.0));
        best.expect("there are scales").1
    }

    fn fit_scale(
        predictions: &Predictions,
        (cache, cache_scale): (&[f64], f32),
        order: usize,
    ) -> Self {
        let Predictions {
            network_nats,
            ngrams,
            ..
        } = *predictions;
        assert_eq!(network_nats.len(), ngrams.len(), "tokens of one text");
        let network: Vec<f64> = network_nats.iter().map(|nats| (-nats).exp()).collect();
        let stride = network.len().div_ceil(FITTED_TOKENS).max(1);
        let first_cache = if cache.is_empty() { 0.0 } else { FIRST_CACHE };
        let mut weights = InterpolationWeights {
            ngrams: vec![FIRST_NGRAMS; order],
            cache: vec![first_cache; order],
            cache_scale,
        };
        for _ in 0..STEPS {
            // For each length of context: the shares of n-grams and cache in the probability, summed over its tokens, and the
            // number of these.
            let mut sums = vec![[0.0; 3]; order];
            for position in (0..network.len()).step_by(stride) {
                let (network, ngrams) = (network[position], ngrams[position]);
                let known = ngrams.known;
                let (of_ngrams, of_cache) = (weights.ngrams[known], weights.cache[known]);
                let from_ngrams = of_ngrams * ngrams.probability;
                let from_cache = of_cache * cache.get(position).unwrap_or(&0.0);
                let all = (1.0 - of_ngrams - of_cache) * network + from_ngrams + from_cache;
                let [ngrams, cache, tokens] = &mut sums[known];
                *ngrams += from_ngrams / all;
                *cache += from_cache / all;
                *tokens += 1.0;
            }
            if weights.set(&sums) < CONVERGED {
                break;
            }
        }
        weights
    }

    /// Sets the weights that follow from sums of shares for each length of context; returns their largest change.
    fn set(&mut self, sums: &[[f64; 3]]) -> f64 {
        let mut change = 0.0f64;
        let mut all = [0.0, 0.0, f64::MIN_POSITIVE];
        for sum in sums {
            all.iter_mut().zip(sum).for_each(|(all, one)| *all += one);
        }
        let shared = |part: usize| SHARED_TOKENS * all[part] / all[2];
        for (length, sum) in sums.iter().enumerate() {
            let tokens = sum[2] + SHARED_TOKENS;
            let weights = [&mut self.ngrams[length], &mut self.cache[length]];
            for (part, weight) in weights.into_iter().enumerate() {
                let before = *weight;
                *weight = (sum[part] + shared(part)) / tokens;
                change = change.max((*weight - before).abs());
            }
        }
        change
    }

    /// The weights of a checkpoint.
    ///
    /// # Errors
    /// If they are not there, or no weights.
    fn load(interpolation: &Interpolation, weights: &WeightsFile) -> Result<Self> {
        let floats = |name: &str| -> Result<Vec<f64>> {
            let floats = weights.floats(name)?;
            Ok(floats.iter().map(|&value| value.into()).collect())
        };
        let ngrams = floats(INTERPOLATION_WEIGHTS)?;
        let (cache, cache_scale) = match interpolation.cache {
            0 => (vec![0.0; ngrams.len()], 0.0),
            _ => (floats(CACHE_WEIGHTS)?, weights.floats(CACHE_SCALE)?[0]),
        };
        let possible = |(&ngrams, &cache): (&f64, &f64)| {
            ngrams >= 0.0 && cache >= 0.0 && ngrams + cache <= 1.0 + 1e-3
        };
        match ngrams.iter().zip(&cache).all(possible) {
            true => Ok(InterpolationWeights {
                ngrams,
                cache,
                cache_scale,
            }),
            false => Err(Error::new(
                "the interpolation weights of the model are not between 0 and 1; its files are damaged",
            )),
        }
    }

    /// The scale of the cache's products.
    pub fn cache_scale(&self) -> f32 {
        self.cache_scale
    }

    /// The weights of the n-grams and of the cache as a checkpoint has them, and the cache's scale.
    pub fn to_floats(&self) -> [Vec<f32>; 3] {
        let floats = |list: &[f64]| list.iter().map(|&weight| weight as f32).collect();
        [
            floats(&self.ngrams),
            floats(&self.cache),
            vec![self.cache_scale],
        ]
    }

    /// Negative log likelihood, in nats, of a token on which the network spends `network_nats`; `cache` is its probability
    /// under the cache, if there is one.
    pub fn nats(&self, network_nats: f64, ngrams: &NgramPrediction, cache: Option<f64>) -> f64 {
        let of_ngrams = self.ngrams[ngrams.known];
        let of_cache = cache.map_or(0.0, |_| self.cache[ngrams.known]);
        let network = (1.0 - of_ngrams - of_cache) * (-network_nats).exp();
        -(network + of_ngrams * ngrams.probability + of_cache * cache.unwrap_or(0.0)).ln()
    }

    /// Negative log likelihood of a text, in nats.
    pub fn total_nats(&self, predictions: &Predictions) -> f64 {
        let scale = CACHE_SCALES
            .iter()
            .position(|&scale| scale == self.cache_scale);
        let cache = predictions.cache.zip(scale).map(|(all, scale)| &all[scale]);
        let tokens = predictions.network_nats.iter().zip(predictions.ngrams);
        let nats = tokens.enumerate().map(|(position, (&nats, ngrams))| {
            self.nats(nats, ngrams, cache.map(|cache| cache[position]))
        });
        nats.sum()
    }
}

/// A network with n-grams, and a cache where it has one, and their weights.
pub struct Interpolated {
    /// The network.
    pub network: NextTokenNetwork,
    /// The n-grams.
    pub ngrams: KneserNey,
    /// How much the other parts weigh.
    pub weights: InterpolationWeights,
    /// Most tokens of the cache; 0 without one.
    pub cache: usize,
}

/// What all parts know of the texts that they read side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct InterpolatedState {
    network: NetworkState,
    ngrams: Vec<NgramContexts>,
    caches: Vec<Cache>,
}

impl InterpolatedState {
    /// Number of texts that are read side by side.
    pub fn streams(&self) -> usize {
        self.ngrams.len()
    }

    /// The states of the given streams, side by side, each as often as it is named.
    pub fn select(&self, streams: &[usize]) -> Self {
        let caches = streams.iter().map(|&stream| self.caches[stream].clone());
        InterpolatedState {
            network: self.network.select(streams),
            ngrams: streams.iter().map(|&stream| self.ngrams[stream]).collect(),
            caches: caches.collect(),
        }
    }

    /// Puts the streams of another state after these.
    ///
    /// # Panics
    /// If they are of different networks, or other units are held in them.
    pub fn append(&mut self, other: Self) {
        self.network.append(other.network);
        self.ngrams.extend(other.ngrams);
        self.caches.extend(other.caches);
    }

    /// Whether the caches keep nothing more from now on.
    pub fn hold_caches(&mut self, held: bool) {
        self.caches.iter_mut().for_each(|cache| cache.hold(held));
    }

    /// Holds units of the network at fixed values from the next step on.
    pub fn clamp(&mut self, clamps: &[Clamp]) {
        self.network.clamp(clamps);
    }
}

impl Interpolated {
    /// Puts the other parts of a checkpoint beside its network. `line_end` is the tokenizer's.
    ///
    /// # Errors
    /// Weights that are damaged.
    pub fn load(
        network: NextTokenNetwork,
        interpolation: &Interpolation,
        weights: &WeightsFile,
        line_end: u32,
    ) -> Result<Self> {
        Ok(Interpolated {
            // Its steps run on the network's threads.
            ngrams: KneserNey::load(&interpolation.ngrams, weights, line_end, 1)?,
            weights: InterpolationWeights::load(interpolation, weights)?,
            cache: interpolation.cache,
            network,
        })
    }

    /// The state that streams which are read side by side begin with.
    pub fn initial_state(&self, streams: usize) -> InterpolatedState {
        InterpolatedState {
            network: self.network.initial_state(streams),
            ngrams: vec![NgramContexts::default(); streams],
            caches: vec![Cache::new(self.cache); streams],
        }
    }

    /// Sets one stream of a state to that which texts begin with.
    pub fn reset(&self, state: &mut InterpolatedState, stream: usize) {
        self.network.reset(&mut state.network, stream);
        state.ngrams[stream] = NgramContexts::default();
        state.caches[stream] = Cache::new(self.cache);
    }

    /// Reads `tokens`, time-major `[steps, texts]`.
    pub fn read(&self, tokens: &[u32], state: &mut InterpolatedState) {
        self.ngrams.read(tokens, &mut state.ngrams);
        if self.cache == 0 {
            self.network.read(tokens, &mut state.network);
            return;
        }
        let outputs = self.network.outputs(tokens, &mut state.network);
        let streams = state.caches.len();
        for (row, &token) in tokens.iter().enumerate() {
            state.caches[row % streams]
                .read(token, |last| self.network.output(&outputs, row, last));
        }
    }

    /// Reads `tokens`, time-major `[steps, texts]`, and returns log probabilities of all tokens after the wanted steps.
    pub fn forward(
        &self,
        tokens: &[u32],
        state: &mut InterpolatedState,
        wanted: Wanted,
    ) -> Vec<f32> {
        let streams = state.streams();
        let outputs = self.network.outputs(tokens, &mut state.network);
        let first = match wanted {
            Wanted::All => 0,
            Wanted::Last => tokens.len() - streams,
        };
        let mut logits = self.network.logits(&outputs, first..tokens.len());
        let mut rows = logits.chunks_exact_mut(self.network.vocab_size());
        for (row, &token) in tokens.iter().enumerate() {
            let stream = row % streams;
            self.ngrams.next(&mut state.ngrams[stream], token);
            let cache = &mut state.caches[stream];
            if self.cache > 0 {
                cache.read(token, |last| self.network.output(&outputs, row, last));
            }
            if row >= first {
                let row = rows.next().expect("a row for each wanted step");
                self.mix(&state.ngrams[stream], cache, row);
            }
        }
        logits
    }

    /// Turns the network's logits into log probabilities of all parts.
    fn mix(&self, text: &NgramContexts, cache: &Cache, logits: &mut [f32]) {
        let known = text.known();
        let of_ngrams = self.weights.ngrams[known] as f32;
        let of_cache = self.weights.cache[known] as f32;
        let mut sums = self.ngrams.log_probabilities(text);
        sums.iter_mut()
            .for_each(|ngrams| *ngrams = of_ngrams * ngrams.exp());
        let of_cache = cache.add_to(&mut sums, self.weights.cache_scale, of_cache);
        let of_network = 1.0 - of_ngrams - of_cache;
        let total = log_sum_exp(logits) as f32;
        for (logit, others) in logits.iter_mut().zip(sums) {
            *logit = (others + of_network * (*logit - total).exp()).ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Predictions of a text by n-grams that know `known(position)` tokens.
    fn predictions(count: usize, known: impl Fn(usize) -> usize) -> Vec<NgramPrediction> {
        let prediction = |position: usize| NgramPrediction {
            // Between 0.05 and 0.95, without a pattern.
            probability: 0.5 + 0.45 * ((position * position) as f64 * 0.37).sin(),
            known: known(position),
        };
        (0..count).map(prediction).collect()
    }

    #[test]
    fn fitted_weights_are_the_best() {
        // After a long context the n-grams are better than the network, after a short one worse.
        let ngrams = predictions(20_000, |position| 1 + position % 2);
        let network = |(position, ngrams): (usize, &NgramPrediction)| {
            let likely = 0.5 + 0.45 * (position as f64).cos();
            match ngrams.known {
                1 => -(0.7 * likely + 0.3).ln(),
                _ => -(0.3 * likely).ln(),
            }
        };
        let network: Vec<f64> = ngrams.iter().enumerate().map(network).collect();
        // A cache is good at some tokens that the others find hard, most with the second scale.
        let cached = |scale: usize| {
            let own = move |position: usize| match position % (7 + scale) {
                0 => 0.9 - 0.1 * scale.abs_diff(1) as f64,
                _ => 0.05,
            };
            (0..network.len()).map(own).collect()
        };
        let caches: Vec<Vec<f64>> = (0..CACHE_SCALES.len()).map(cached).collect();
        for cache in [None, Some(&caches[..])] {
            let predictions = Predictions {
                network_nats: &network,
                ngrams: &ngrams,
                cache,
            };
            let fitted = InterpolationWeights::fit(&predictions, 3);
            assert!(fitted.ngrams[1] < fitted.ngrams[2], "{fitted:?}");
            assert_eq!(cache.is_some(), fitted.cache[1] > 0.0, "{fitted:?}");
            let best = fitted.total_nats(&predictions);
            let ngrams_alone: f64 = ngrams.iter().map(|ngrams| -ngrams.probability.ln()).sum();
            assert!(best < network.iter().sum::<f64>() && best < ngrams_alone);
            for length in [1, 2] {
                for change in [-0.02, 0.02] {
                    let mut others = [fitted.clone(), fitted.clone()];
                    others[0].ngrams[length] += change;
                    others[1].cache[length] += change;
                    let possible = |weights: &&InterpolationWeights| {
                        let [ngrams, cache] = [weights.ngrams[length], weights.cache[length]];
                        ngrams >= 0.0 && cache >= 0.0 && ngrams + cache <= 1.0
                    };
                    for other in others.iter().filter(possible) {
                        let other = other.total_nats(&predictions);
                        // What all lengths share moves the weights, by less than 0.001 nats a token.
                        assert!(other > best - 10.0, "{length} {change}: {other} {best}");
                    }
                }
            }
        }
    }

    #[test]
    fn ngrams_that_know_nothing_get_no_weight() {
        let mut ngrams = predictions(2_000, |_| 0);
        ngrams
            .iter_mut()
            .for_each(|ngrams| ngrams.probability = 1e-4);
        let network_nats = vec![0.1; 2_000];
        let predictions = Predictions {
            network_nats: &network_nats,
            ngrams: &ngrams,
            cache: None,
        };
        let fitted = InterpolationWeights::fit(&predictions, 2);
        assert!(fitted.ngrams[0] < 1e-3, "{fitted:?}");
        assert!((fitted.total_nats(&predictions) - 200.0).abs() < 2.0);
        let nothing = Predictions {
            network_nats: &[],
            ngrams: &[],
            cache: None,
        };
        assert_eq!(InterpolationWeights::fit(&nothing, 4).ngrams.len(), 4);
    }
}
