/*!
Baselines: simple models that a network has to beat.

Of a language model: [`ScoredIds`] for probabilities by frequency and n-grams, [`KneserNey`] for n-grams as a model of their
own, [`xz`] for compression. Of a classifier: [`naive_baselines`]. Of a translator: [`NearestSentence`].
*/

mod kneser_ney;
mod language;
mod naive_bayes;
mod ngram_trie;
mod translation;
pub mod xz;

pub use kneser_ney::{KneserNey, NgramContexts, NgramPrediction};
pub use language::{ScoredIds, check_order, default_order};
pub use naive_bayes::naive_baselines;
pub use ngram_trie::NgramShape;
pub use translation::NearestSentence;
