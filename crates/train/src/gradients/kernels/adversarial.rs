/*!
Adversarial perturbations of the vectors that are read (Miyato et al. 2017).
*/

use crate::gradients::batch::TextBatch;
use crate::network::Network;
use crate::slices::floats;
use carousel::checkpoint::architecture::EMBEDDING;
use carousel_kernels::sum_of_squares;

/// Root mean square of the components of the texts' vectors.
pub fn typical_component(network: &Network, batch: &TextBatch) -> f64 {
    let size = network.config.tokens().embedding_size;
    let embedding = floats(network.parameters.get(EMBEDDING));
    let tokens = batch.texts.iter().flat_map(|text| *text);
    let squares = tokens.map(|&token| sum_of_squares(&embedding[token as usize * size..][..size]));
    (squares.sum::<f64>() / (batch.tokens() * size) as f64).sqrt()
}

/// From gradients with respect to the vectors of each text, `[panels, steps · texts, width]`, to perturbations along them:
/// those of a text have this length together.
pub fn perturbation(mut gradients: Vec<f32>, texts: usize, length: f64, width: usize) -> Vec<f32> {
    let mut squares = vec![0.0; texts];
    for (row, gradient) in gradients.chunks_exact(width).enumerate() {
        squares[row % texts] += sum_of_squares(gradient);
    }
    let factor = |square: &f64| match square.sqrt() {
        0.0 => 0.0,
        norm => (length / norm) as f32,
    };
    let factors: Vec<f32> = squares.iter().map(factor).collect();
    for (row, gradient) in gradients.chunks_exact_mut(width).enumerate() {
        let factor = factors[row % texts];
        gradient.iter_mut().for_each(|value| *value *= factor);
    }
    gradients
}
