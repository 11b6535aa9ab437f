/*!
Baselines of a language model: uniform and unigram probabilities.
*/

use crate::checkpoint::record::Baselines;
use crate::metrics::{LanguageScore, TextSize};
use crate::text::corpus::Ids;

/// Scores of the baselines of a language model on `ids`: every token equally likely, and every token as likely as it is
/// frequent in the training data, with add-one smoothing.
pub fn language_baselines(
    ids: &Ids,
    size: &TextSize,
    spelling_nats: f64,
    token_counts: &[u64],
) -> Baselines {
    let vocab_size = token_counts.len() as f64;
    let total = token_counts.iter().sum::<u64>() as f64 + vocab_size;
    let costs: Vec<f64> = token_counts
        .iter()
        .map(|&count| (total / (count as f64 + 1.0)).ln())
        .collect();
    let unigram: f64 = ids.read(0..ids.len()).map(|id| costs[id as usize]).sum();
    Baselines {
        uniform: LanguageScore::new(ids.len() as f64 * vocab_size.ln(), spelling_nats, size),
        unigram: LanguageScore::new(unigram, spelling_nats, size),
    }
}
