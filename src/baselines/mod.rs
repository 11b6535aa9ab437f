/*!
Baselines: simple models that a network has to beat.
*/

mod naive_bayes;
mod unigram;

pub use naive_bayes::naive_baselines;
pub use unigram::language_baselines;
