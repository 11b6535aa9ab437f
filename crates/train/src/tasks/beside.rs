/*!
What stands beside a network that is learning a language, interpolated with it: the n-grams of its training data, which are a
baseline too, and a cache.
*/

use crate::evaluation::TokenLosses;
use crate::run::{FittedTensor, FittedValues};
use carousel::baselines::{
    KneserNey, NgramPrediction, NgramShape, ScoredIds, check_order, default_order,
};
use carousel::checkpoint::architecture::Interpolation;
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::record::{Baseline, Budget};
use carousel::error::{Error, Result};
use carousel::inference::interpolation::{InterpolationWeights, Predictions};
use carousel::text::Level;
use carousel::text::corpus::{Corpus, Ids};
use carousel::text::tokenizer::Tokenizer;

/// About how many tokens of a text n-grams read in a second, counting and evaluating.
const TOKENS_PER_SECOND: f64 = 2e6;
/// Most seconds for them, and the largest part of a time budget.
const MOST_SECONDS: f64 = 5.0;
const MOST_SHARE: f64 = 0.02;
/// Most n-grams that are put beside a network unless they are asked for: 12 bytes of the checkpoint each.
const MOST_BESIDE: u64 = 4_000_000;
/// Tokens that the cache of words and subwords keeps, and the most that it may keep.
const CACHE_TOKENS: usize = 500;
const MOST_CACHED: usize = 20_000;

/// Checks the options for n-grams, for a vocabulary's level.
///
/// # Errors
/// An order that is not possible, or that nothing has a use for; a network that predicts several tokens at once.
pub fn check(arguments: &TrainArguments, level: Level) -> Result<()> {
    if let Some(horizon @ 2..) = arguments.horizon
        && wanted(arguments) == Some(true)
    {
        return Err(Error::usage(format!(
            "n-grams predict one token at a time, and --horizon {horizon} several at once; leave --horizon away, or \
             --interpolate, --order and --cache"
        )));
    }
    if arguments.interpolate == Some(false)
        && (arguments.order.is_some() || arguments.cache.is_some())
    {
        return Err(Error::usage(
            "--interpolate=false leaves n-grams and the cache out, but --order or --cache asks for them; leave one of both \
             away",
        ));
    }
    if let Some(cache) = arguments.cache.filter(|&cache| cache > MOST_CACHED) {
        return Err(Error::usage(format!(
            "--cache {cache} is too much: every token is compared with so many; give {MOST_CACHED} or less, 0 for none"
        )));
    }
    arguments
        .order
        .map_or(Ok(()), |order| check_order(order, level))
}

/// What stands beside a network, and how its n-grams predict the validation data.
pub struct Beside {
    ngrams: KneserNey,
    predictions: Vec<NgramPrediction>,
    /// Most tokens of the cache.
    cache: usize,
    /// The weights' tensors, as they were fitted last.
    weights: [Vec<f32>; 3],
}

impl Beside {
    /// Learns what is interpolated with a network; `None` if that is not wanted, or if nobody asked for it and n-grams take
    /// too much time, memory or room. `horizon` is the network's.
    ///
    /// # Errors
    /// If n-grams were asked for for which there is no memory.
    pub fn learn(
        corpus: &Corpus,
        arguments: &TrainArguments,
        budget: &Budget,
        horizon: usize,
    ) -> Result<Option<Self>> {
        if !wanted(arguments).unwrap_or(horizon == 1 && is_affordable(corpus, budget)) {
            return Ok(None);
        }
        let level = corpus.tokenizer.level();
        let cache = arguments.cache.unwrap_or(match level {
            Level::Word | Level::Subword => CACHE_TOKENS,
            Level::Character | Level::Byte => 0,
        });
        if wanted(arguments).is_none() {
            let shape = small_shape(&corpus.tokenizer, &corpus.train);
            return Ok(shape.map(|shape| Self::new(shape, cache, corpus)));
        }
        let order = arguments.order.unwrap_or(default_order(level));
        let shape = NgramShape::of(&corpus.tokenizer, order)?;
        shape.check_memory(&corpus.train)?;
        Ok(Some(Self::new(shape, cache, corpus)))
    }

    /// Learns what a saved run has once more.
    ///
    /// # Errors
    /// If the n-grams are not those of its configuration.
    pub fn restore(corpus: &Corpus, interpolation: &Interpolation) -> Result<Self> {
        let shape = NgramShape::of(&corpus.tokenizer, interpolation.ngrams.order)?;
        let restored = Self::new(shape, interpolation.cache, corpus);
        match restored.description() == *interpolation {
            true => Ok(restored),
            false => Err(Error::new(
                "the n-grams of the training data are not those that the run began with; its files are damaged",
            )),
        }
    }

    fn new(shape: NgramShape, cache: usize, corpus: &Corpus) -> Self {
        let ngrams = KneserNey::learn(shape, &corpus.train, 1);
        Beside {
            predictions: ngrams.predictions(&corpus.valid).collect(),
            cache,
            weights: [vec![0.0; shape.order], vec![0.0; shape.order], vec![0.0]],
            ngrams,
        }
    }

    /// What config.json says of it.
    pub fn description(&self) -> Interpolation {
        Interpolation {
            ngrams: self.ngrams.description(),
            cache: self.cache,
        }
    }

    /// The n-grams' score on the validation data, which `valid` is.
    fn baseline(&self, valid: &ScoredIds) -> Baseline {
        let nats = self.predictions.iter().map(|ngram| -ngram.probability.ln());
        let name = format!("ngram-{}", self.ngrams.description().order);
        Baseline::new(name, valid.score(nats.sum()))
    }

    /// Fits the weights to how the network predicts the first validation tokens, and returns what all parts together spend
    /// on these, in nats.
    pub fn fit(&mut self, losses: &TokenLosses) -> f64 {
        let predictions = Predictions {
            network_nats: &losses.nats,
            ngrams: &self.predictions[..losses.nats.len()],
            cache: losses.cached.as_deref(),
        };
        let weights = InterpolationWeights::fit(&predictions, self.weights[0].len());
        self.weights = weights.to_floats();
        weights.total_nats(&predictions)
    }

    /// The tensors of a checkpoint; `description` is theirs.
    pub fn tensors<'a>(&'a self, description: &'a [(String, Vec<usize>)]) -> Vec<FittedTensor<'a>> {
        let ngrams = self.ngrams.description().tensors().len();
        let lists = self.ngrams.tensors().map(FittedValues::Integers);
        let weights = self.weights.iter().map(|list| FittedValues::Floats(list));
        let values = lists.take(ngrams).chain(weights);
        let named = description.iter().zip(values);
        let tensor = |((name, shape), values): (&'a (String, Vec<usize>), _)| FittedTensor {
            name,
            shape: shape.clone(),
            values,
        };
        named.map(tensor).collect()
    }
}

/// Whether what stands beside a network was asked for or ruled out, if either.
fn wanted(arguments: &TrainArguments) -> Option<bool> {
    let asked = arguments.order.is_some() || arguments.cache.is_some();
    arguments.interpolate.or(asked.then_some(true))
}

/// Baselines on the validation data: n-grams too, where they take little of the budget and of memory. `beside` are those
/// beside the network.
pub fn baselines(corpus: &Corpus, budget: &Budget, beside: Option<&Beside>) -> Vec<Baseline> {
    let statistics = &corpus.statistics;
    let valid = ScoredIds {
        ids: &corpus.valid,
        size: &statistics.valid,
        spelling_nats: statistics.valid_spelling_nats,
    };
    let mut baselines = valid.frequency_baselines(&statistics.token_counts);
    match beside {
        Some(ngrams) => baselines.push(ngrams.baseline(&valid)),
        // Where there is too little memory for them, the network may still have enough.
        None if is_affordable(corpus, budget) => {
            baselines.extend(valid.ngram_baseline(&corpus.tokenizer, &corpus.train));
        }
        None => {}
    }
    baselines
}

fn is_affordable(corpus: &Corpus, budget: &Budget) -> bool {
    let seconds = match *budget {
        Budget::Seconds(seconds) => MOST_SECONDS.min(MOST_SHARE * seconds),
        Budget::Epochs(_) | Budget::Steps(_) => MOST_SECONDS,
    };
    let tokens = (corpus.train.len() + corpus.valid.len()) as f64;
    tokens / TOKENS_PER_SECOND <= seconds
}

/// N-grams of the default order for the level, or the highest below it of which there are not too many; `None` if there are
/// too many pairs already, or too little memory.
fn small_shape(tokenizer: &Tokenizer, train: &Ids) -> Option<NgramShape> {
    let shape = NgramShape::of(tokenizer, default_order(tokenizer.level())).ok()?;
    let mut ngrams = 0;
    let sums = shape.estimate(train).into_iter().map(|more| {
        ngrams += more;
        ngrams
    });
    let order = sums.take_while(|&sum| sum <= MOST_BESIDE).count();
    let shape = NgramShape { order, ..shape };
    (order >= 2 && shape.check_memory(train).is_ok()).then_some(shape)
}
