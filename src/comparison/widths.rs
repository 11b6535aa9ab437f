/*!
Widths at which networks have equally many parameters, but for the embedding.
*/

use crate::checkpoint::ModelConfig;
use crate::checkpoint::architecture::EMBEDDING;
use crate::checkpoint::parts::Body;
use crate::checkpoint::transformer::Transformer;
use crate::error::{Error, Result};

/// Largest difference in the number of parameters, as a fraction.
pub const TOLERANCE: f64 = 0.02;
/// Multiples that suit the vectors of a CPU, the best first.
const MULTIPLES: [usize; 3] = [16, 8, 1];
/// Largest width that is considered.
const WIDEST: usize = 1 << 16;

/// Number of parameters that are learnt by gradients, without the embedding.
pub fn parameters_without_embedding(config: &ModelConfig) -> usize {
    let tensors = config.tensors();
    let others = tensors.iter().filter(|(name, _)| name != EMBEDDING);
    others
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum()
}

/// The network with layers of another width. Where the embedding is the output's weights, it has that width too, and that of a
/// transformer always.
pub fn with_width(config: &ModelConfig, hidden_size: usize) -> ModelConfig {
    let mut config = config.clone();
    match &mut config.body {
        Body::Transformer(own) => {
            *own = Transformer {
                positions: own.positions,
                dropout: own.dropout,
                ..Transformer::new(hidden_size, own.num_layers, own.context)
            };
        }
        _ => config.recurrent_mut().hidden_size = hidden_size,
    }
    if config.tie_weights() || config.transformer().is_some() {
        config.tokens_mut().embedding_size = hidden_size;
    }
    config
}

/// The network at the width where it has about as many parameters without the embedding as `parameters`.
///
/// # Errors
/// If there is no such width within the tolerance.
pub fn matched(config: &ModelConfig, parameters: usize) -> Result<ModelConfig> {
    let count = |width: usize| parameters_without_embedding(&with_width(config, width));
    let difference =
        |width: usize| (count(width) as f64 - parameters as f64).abs() / parameters.max(1) as f64;
    // The number of parameters grows with the width: the first width that has enough is found by halving.
    let (mut below, mut enough) = (0, WIDEST);
    while enough - below > 1 {
        let middle = (below + enough) / 2;
        match count(middle) < parameters {
            true => below = middle,
            false => enough = middle,
        }
    }
    let nearest = |multiple: usize| {
        let candidates = [
            enough / multiple * multiple,
            enough.div_ceil(multiple) * multiple,
            below,
        ];
        let fitting = candidates
            .into_iter()
            .filter(|&width| width > 0 && width % multiple == 0)
            .filter(|&width| with_width(config, width).check().is_ok());
        fitting.min_by(|&one, &other| difference(one).total_cmp(&difference(other)))
    };
    let width = MULTIPLES
        .into_iter()
        .filter_map(nearest)
        .find(|&width| difference(width) <= TOLERANCE);
    width.map(|width| with_width(config, width)).ok_or_else(|| {
        Error::new(format!(
            "no width of {} has {parameters} parameters without the embedding within {} %; give a larger --hidden-size, \
             or --match time",
            config.body_name(),
            100.0 * TOLERANCE
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::architecture::{Leak, NextToken, Recurrent, Tokens};
    use crate::checkpoint::parts::{Body, Head, Input};
    use crate::text::{Level, Split};
    use carousel_kernels::recurrent::Cell;

    fn config(cell: Cell, num_layers: usize, tie_weights: bool) -> ModelConfig {
        ModelConfig {
            input: Input::Tokens(Tokens {
                level: Level::Character,
                split: Split::Natural,
                vocab_size: 65,
                embedding_size: 128,
            }),
            body: Body::Recurrent(Recurrent {
                leak: (cell == Cell::Leaky).then_some(Leak::Learnt),
                skip: match cell {
                    Cell::Skip => vec![4],
                    _ => Vec::new(),
                },
                ..Recurrent::new(cell, 128, num_layers)
            }),
            head: Head::NextToken(NextToken {
                tie_weights,
                ..NextToken::default()
            }),
        }
    }

    #[test]
    fn widths_have_equally_many_parameters_within_two_per_cent() {
        let reference = with_width(&config(Cell::Lstm, 1, false), 384);
        let parameters = parameters_without_embedding(&reference);
        assert_eq!(parameters, reference.parameters() - 65 * 128);
        let shapes = [(1, false), (2, false), (3, false), (2, true)];
        let all = shapes.map(|(num_layers, tie_weights)| {
            let transformer = ModelConfig {
                body: Body::Transformer(Transformer::new(128, num_layers, 64)),
                ..config(Cell::Lstm, num_layers, tie_weights)
            };
            let cells = Cell::ALL.map(|cell| config(cell, num_layers, tie_weights));
            [&cells[..], &[transformer]].concat()
        });
        for config in all.concat() {
            let found = matched(&config, parameters).unwrap();
            let own = parameters_without_embedding(&found) as f64;
            let difference = (own / parameters as f64 - 1.0).abs();
            assert!(difference <= TOLERANCE, "{config:?}: {difference}");
            assert!(found.check().is_ok());
        }
        assert_eq!(matched(&reference, parameters).unwrap(), reference);
    }

    #[test]
    fn a_number_that_no_width_has_is_refused() {
        let error = matched(&config(Cell::Lstm, 1, false), 700).unwrap_err();
        assert!(error.to_string().contains("no width of lstm"), "{error}");
    }
}
