/*!
Baselines, which a network has to beat.
*/

pub mod naive_bayes;
pub mod unigram;

pub use naive_bayes::naive_baselines;
pub use unigram::language_baselines;
