/*!
Shares of labels: what a classifier's probabilities become where labels are not as frequent as in its training.
*/

use crate::checkpoint::arguments::ClassWeights;
use crate::checkpoint::record::{DocumentsRecord, Record};

/// Most rounds of the estimation.
const ROUNDS: usize = 1000;
/// The estimation ends when no share changes by more.
const TOLERANCE: f64 = 1e-7;

/// The shares of labels that a classifier's probabilities go with: those of its training documents, or equal ones where the
/// documents were weighed so that labels count alike.
pub fn trained_shares(record: &Record<DocumentsRecord>) -> Vec<f64> {
    let counts = record.subject.label_counts.iter();
    let weights = record.request.arguments.class_weights.unwrap_or_default();
    let counts = counts.map(|&count| match weights {
        ClassWeights::None => count as f64,
        ClassWeights::Balanced => f64::from(u8::from(count > 0)),
    });
    normalised(counts.collect())
}

/// Values that are not negative, as shares of their sum; equal ones if that is 0.
pub fn normalised(values: Vec<f64>) -> Vec<f64> {
    let sum: f64 = values.iter().sum();
    match sum > 0.0 {
        true => values.iter().map(|value| value / sum).collect(),
        false => vec![1.0 / values.len() as f64; values.len()],
    }
}

/// Probabilities of labels, that go with the shares `from`, where labels have the shares `to`: by the rule of Bayes each is
/// multiplied by the ratio of the shares. A label without a share in `from` is taken as it is.
pub fn with_shares(probabilities: &[f64], from: &[f64], to: &[f64]) -> Vec<f64> {
    let shares = from.iter().zip(to);
    let ratios = shares.map(|(from, to)| if *from > 0.0 { to / from } else { *to });
    let products = probabilities.iter().zip(ratios);
    normalised(products.map(|(p, ratio)| p * ratio).collect())
}

/// Probabilities among some labels alone, of which `among` is true; the others have none.
pub fn restricted(probabilities: &[f64], among: &[bool]) -> Vec<f64> {
    let share = |&among: &bool| f64::from(u8::from(among));
    let shares: Vec<f64> = among.iter().map(share).collect();
    with_shares(probabilities, &vec![1.0; among.len()], &shares)
}

/// The shares of labels among texts, estimated from their probabilities, which go with the shares `from`: the likeliest ones,
/// by expectation maximisation (Saerens, Latinne and Decaestecker 2002).
pub fn estimated_shares(predicted: &[Vec<f64>], from: &[f64]) -> Vec<f64> {
    let mut shares = from.to_vec();
    for _ in 0..ROUNDS {
        let mut sums = vec![0.0; shares.len()];
        for probabilities in predicted {
            let here = with_shares(probabilities, from, &shares);
            sums.iter_mut().zip(here).for_each(|(sum, p)| *sum += p);
        }
        let next = match predicted.is_empty() {
            true => shares.clone(),
            false => normalised(sums),
        };
        let moved = shares.iter().zip(&next);
        let moved = moved.map(|(own, next)| (own - next).abs());
        let done = moved.fold(0.0, f64::max) < TOLERANCE;
        shares = next;
        if done {
            break;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(own: &[f64], expected: &[f64]) -> bool {
        let pairs = own.iter().zip(expected);
        pairs.fold(0.0, |most: f64, (a, b)| most.max((a - b).abs())) < 1e-3
    }

    #[test]
    fn probabilities_follow_the_shares() {
        // Odds of 3 to 1 where labels are as frequent are even where one is three times as frequent as the other.
        let even = with_shares(&[0.75, 0.25], &[0.5, 0.5], &[0.25, 0.75]);
        assert!(close(&even, &[0.5, 0.5]), "{even:?}");
        let same = with_shares(&[0.2, 0.3, 0.5], &[0.1, 0.2, 0.7], &[0.1, 0.2, 0.7]);
        assert!(close(&same, &[0.2, 0.3, 0.5]));
        assert!(close(
            &restricted(&[0.2, 0.5, 0.3], &[true, false, true]),
            &[0.4, 0.0, 0.6]
        ));
        // Nothing is left of the labels that are allowed.
        assert!(close(&restricted(&[1.0, 0.0], &[false, true]), &[0.5, 0.5]));
    }

    #[test]
    fn shares_are_estimated_from_calibrated_probabilities() {
        // Two kinds of texts under equal shares: 0.8 of the first kind have label 0, and 0.2 of the second.
        let kinds = [vec![0.8, 0.2], vec![0.2, 0.8]];
        for share in [0.1, 0.5, 0.9] {
            // How often a text is of the first kind where label 0 has this share.
            let first = 0.8 * share + 0.2 * (1.0 - share);
            let count = (first * 1000.0_f64).round() as usize;
            let predicted: Vec<Vec<f64>> = (0..1000)
                .map(|text| kinds[usize::from(text >= count)].clone())
                .collect();
            let found = estimated_shares(&predicted, &[0.5, 0.5]);
            assert!(close(&found, &[share, 1.0 - share]), "{share}: {found:?}");
        }
        assert_eq!(estimated_shares(&[], &[0.3, 0.7]), [0.3, 0.7]);
    }
}
