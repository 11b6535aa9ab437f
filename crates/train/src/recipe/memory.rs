/*!
How much memory training needs.
*/

use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::parts::Head;
use carousel::checkpoint::record::TrainingConfig;

/// Bytes that training holds: weights, their gradients, two moments and the copies that a rescue and a save need; what
/// each step keeps for its gradients; logits. `streams` are those of an evaluation.
pub fn memory(config: &ModelConfig, training: &TrainingConfig, streams: usize) -> u64 {
    let tokens = training.batch_size * training.bptt;
    let numbers = match config.transformer() {
        // Both norms, queries, keys and values, turned and not, what is seen, sums and masks; the feed-forward layer before
        // and after its activation; gradients of what one layer keeps.
        Some(shape) => 14 * shape.hidden_size + 3 * shape.feed_forward_size,
        // Four gates, the sums they began with, their gradients encoded by rows and by columns; cell, output, its dropout
        // and its gradient.
        None => 20 * config.hidden_size(),
    };
    // In each layer, besides the embedding and its gradient.
    let layers = config.num_layers() * numbers + 2 * config.input_size();
    let layers = config.directions().len() * layers;
    // The logits' gradients, by rows and by columns; an evaluation keeps logits.
    let logits = match config.head {
        Head::NextToken(_) => (2 * tokens).max(2 * 64 * streams) * config.tokens().vocab_size,
        Head::Labels(_) => 0,
        Head::Values(ref values) => 4 * tokens * values.outputs(),
    };
    (4 * (4 + 6) * config.parameters() + 4 * (tokens * layers + logits)) as u64
}
