/*!
Training of the linear classifier: a linear support vector machine on word n-grams, and other features, that are scaled by
their naive Bayes log-count ratios (NBSVM, Wang and Manning 2012).
*/

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use carousel::inference::linear::{LinearClassifier, scale};
use carousel::text::features::groups;
use carousel::text::preprocessing::Preprocessing;

/// Number of documents from which on an n-gram has to occur in two of them to have a weight.
const MANY_DOCUMENTS: usize = 10_000;
/// Passes of coordinate descent over the documents.
const PASSES: usize = 12;
/// Added to each count of an n-gram.
const SMOOTHING: f32 = 1.0;

/// Documents as sparse vectors of their features, with their labels.
pub struct LinearProblem {
    /// How they are read.
    preprocessing: Preprocessing,
    /// Hashes of the features that get weights, sorted.
    hashes: Vec<u32>,
    examples: Vec<LinearExample>,
    label_count: usize,
    /// Factor of the cost for a document of each label.
    weights: Vec<f64>,
    prior: Option<LinearClassifier>,
}

/// A document of a [`LinearProblem`].
struct LinearExample {
    groups: Vec<Group>,
    label: usize,
    /// Logits by the prior classifier; empty if there is none.
    prior_logits: Vec<f64>,
}

/// Features of a document that have one value.
struct Group {
    /// The features, as indices into the problem's hashes.
    features: Vec<u32>,
    /// Value of each.
    scale: f32,
}

/// Hyperparameters of the linear classifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyperparameters {
    /// Cost of the squared hinge loss against the L2 penalty: the larger, the weaker the regularisation.
    pub cost: f32,
    /// Factor of the prior classifier's weights, which the new weights are added to.
    pub prior: f32,
}

impl LinearProblem {
    /// Documents, given by their `words`, with `labels`; the weight of a document of each label; how documents are read; and
    /// a `prior` classifier of the same labels.
    pub fn new(
        words: &[impl AsRef<[String]>],
        labels: &[usize],
        weights: Vec<f64>,
        preprocessing: Preprocessing,
        prior: Option<LinearClassifier>,
    ) -> Self {
        let found = words
            .iter()
            .map(|words| groups(words.as_ref(), preprocessing));
        let found: Vec<Vec<Vec<u32>>> = found.collect();
        let hashes = frequent_hashes(&found);
        let indices: FxHashMap<u32, u32> = hashes.iter().copied().zip(0..).collect();
        let prior_logits = |words: &[String]| prior.as_ref().map(|prior| prior.logits(words));
        let group = |found: &Vec<u32>| Group {
            scale: scale(found.len()) as f32,
            features: found
                .iter()
                .filter_map(|hash| indices.get(hash).copied())
                .collect(),
        };
        let examples = words.iter().zip(&found).zip(labels);
        let examples = examples.map(|((words, found), &label)| LinearExample {
            groups: found.iter().map(group).collect(),
            label,
            prior_logits: prior_logits(words.as_ref()).unwrap_or_default(),
        });
        LinearProblem {
            preprocessing,
            examples: examples.collect(),
            hashes,
            label_count: weights.len(),
            weights,
            prior,
        }
    }

    /// Fits a classifier and keeps the `max_features` features with the largest weights. `seed` shuffles the documents.
    pub fn fit(
        &self,
        hyperparameters: Hyperparameters,
        max_features: usize,
        seed: u64,
    ) -> LinearClassifier {
        let mut weights = vec![0.0f32; self.hashes.len() * self.label_count];
        let mut bias = vec![0.0f32; self.label_count];
        // One binary classifier separates two labels; of more, each is separated from the rest.
        let classifiers = match self.label_count {
            2 => 1,
            labels => labels,
        };
        for label in 0..classifiers {
            let ratios = self.log_count_ratios(label);
            let (own, own_bias) = self.fit_binary(label, &ratios, hyperparameters, seed);
            for (index, (weight, ratio)) in own.iter().zip(&ratios).enumerate() {
                weights[index * self.label_count + label] = weight * ratio;
            }
            bias[label] = own_bias;
        }
        if classifiers == 1 {
            let rows = weights.chunks_exact_mut(2).chain([&mut bias[..]]);
            for pair in rows {
                pair[0] *= 0.5;
                pair[1] = -pair[0];
            }
        }
        let fitted = LinearClassifier {
            hashes: self.hashes.clone(),
            weights,
            bias,
            preprocessing: self.preprocessing,
        };
        let sum = match &self.prior {
            Some(prior) if hyperparameters.prior > 0.0 => {
                weighted_sum(prior, hyperparameters.prior, &fitted)
            }
            _ => fitted,
        };
        keep_largest(sum, max_features)
    }

    /// Logarithm of how much more probable each feature is under a label than under the others.
    fn log_count_ratios(&self, label: usize) -> Vec<f32> {
        let mut counts = vec![[SMOOTHING; 2]; self.hashes.len()];
        for example in &self.examples {
            let side = usize::from(example.label != label);
            for feature in example.features() {
                counts[feature][side] += 1.0;
            }
        }
        let total = |side: usize| counts.iter().map(|pair| f64::from(pair[side])).sum::<f64>();
        let ratio = (total(1) / total(0)) as f32;
        let logarithm = |[own, others]: &[f32; 2]| (own / others * ratio).ln();
        counts.iter().map(logarithm).collect()
    }

    /// Weights of the scaled features and bias that separate a label from the others: dual coordinate descent for the squared
    /// hinge loss (Hsieh et al. 2008).
    fn fit_binary(
        &self,
        label: usize,
        ratios: &[f32],
        hyperparameters: Hyperparameters,
        seed: u64,
    ) -> (Vec<f32>, f32) {
        let mut weights = vec![0.0f32; ratios.len()];
        let mut bias = 0.0f32;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // What the squared hinge loss adds to the diagonal of the dual's matrix.
        let diagonals: Vec<f32> = self
            .weights
            .iter()
            .map(|&weight| 0.5 / (hyperparameters.cost * weight as f32))
            .collect();
        let curvature =
            |example: &LinearExample| example.squared_norm(ratios) + 1.0 + diagonals[example.label];
        let curvatures: Vec<f32> = self.examples.iter().map(curvature).collect();
        let mut alphas = vec![0.0f32; self.examples.len()];
        let mut order: Vec<usize> = (0..self.examples.len()).collect();
        for _ in 0..PASSES {
            order.shuffle(&mut random);
            for &index in &order {
                let example = &self.examples[index];
                let sign = if example.label == label { 1.0 } else { -1.0 };
                let prior = hyperparameters.prior * example.prior_margin(label);
                let margin = sign * (example.product(&weights, ratios) + bias + prior);
                let gradient = margin - 1.0 + diagonals[example.label] * alphas[index];
                let alpha = (alphas[index] - gradient / curvatures[index]).max(0.0);
                let change = (alpha - alphas[index]) * sign;
                alphas[index] = alpha;
                if change != 0.0 {
                    example.add_to(&mut weights, change, ratios);
                    bias += change;
                }
            }
        }
        (weights, bias)
    }
}

impl LinearExample {
    /// Its features.
    fn features(&self) -> impl Iterator<Item = usize> {
        let all = self.groups.iter().flat_map(|group| &group.features);
        all.map(|&feature| feature as usize)
    }

    /// Squared norm of the vector of scaled features.
    fn squared_norm(&self, ratios: &[f32]) -> f32 {
        let square = |&feature: &u32| ratios[feature as usize].powi(2);
        let squares = |group: &Group| group.features.iter().map(square).sum::<f32>();
        let groups = self.groups.iter();
        groups
            .map(|group| squares(group) * group.scale.powi(2))
            .sum()
    }

    /// Product of `weights` with the vector of scaled features.
    fn product(&self, weights: &[f32], ratios: &[f32]) -> f32 {
        let product = |&feature: &u32| weights[feature as usize] * ratios[feature as usize];
        let products = |group: &Group| group.features.iter().map(product).sum::<f32>();
        let groups = self.groups.iter();
        groups.map(|group| products(group) * group.scale).sum()
    }

    /// Adds `factor` times the vector of scaled features to `weights`.
    fn add_to(&self, weights: &mut [f32], factor: f32, ratios: &[f32]) {
        for group in &self.groups {
            let factor = factor * group.scale;
            for &feature in &group.features {
                weights[feature as usize] += factor * ratios[feature as usize];
            }
        }
    }

    /// Margin of a label against the others, by the prior classifier.
    fn prior_margin(&self, label: usize) -> f32 {
        let margin = match self.prior_logits[..] {
            [] => 0.0,
            [first, second] if label == 0 => first - second,
            [first, second] => second - first,
            ref all => all[label],
        };
        margin as f32
    }
}

/// Hashes of the features that occur in enough documents to have a weight, sorted.
fn frequent_hashes(documents: &[Vec<Vec<u32>>]) -> Vec<u32> {
    let mut all: Vec<u32> = documents.iter().flatten().flatten().copied().collect();
    all.sort_unstable();
    let min_documents = if documents.len() < MANY_DOCUMENTS {
        1
    } else {
        2
    };
    all.chunk_by(|a, b| a == b)
        .filter(|equal| equal.len() >= min_documents)
        .map(|equal| equal[0])
        .collect()
}

/// The sum of `fitted` and `factor` times `prior`.
fn weighted_sum(
    prior: &LinearClassifier,
    factor: f32,
    fitted: &LinearClassifier,
) -> LinearClassifier {
    let labels = fitted.bias.len();
    let bias = prior.bias.iter().zip(&fitted.bias);
    let mut sum = LinearClassifier {
        bias: bias
            .map(|(prior, fitted)| factor * prior + fitted)
            .collect(),
        preprocessing: fitted.preprocessing,
        ..LinearClassifier::default()
    };
    let (mut prior_index, mut fitted_index) = (0, 0);
    loop {
        let prior_hash = prior.hashes.get(prior_index);
        let fitted_hash = fitted.hashes.get(fitted_index);
        let Some(&hash) = prior_hash.into_iter().chain(fitted_hash).min() else {
            return sum;
        };
        let mut weights = vec![0.0; labels];
        if prior_hash == Some(&hash) {
            let row = weights_of(prior, prior_index);
            weights
                .iter_mut()
                .zip(row)
                .for_each(|(sum, weight)| *sum = factor * weight);
            prior_index += 1;
        }
        if fitted_hash == Some(&hash) {
            let row = weights_of(fitted, fitted_index);
            weights
                .iter_mut()
                .zip(row)
                .for_each(|(sum, weight)| *sum += weight);
            fitted_index += 1;
        }
        sum.hashes.push(hash);
        sum.weights.extend(weights);
    }
}

/// The weights of a feature, `[labels]`.
fn weights_of(linear: &LinearClassifier, feature: usize) -> &[f32] {
    let labels = linear.bias.len();
    &linear.weights[feature * labels..(feature + 1) * labels]
}

/// Keeps the `max_features` features whose largest weight is largest in magnitude, without those of zero.
fn keep_largest(linear: LinearClassifier, max_features: usize) -> LinearClassifier {
    let magnitude = |feature: usize| {
        weights_of(&linear, feature)
            .iter()
            .fold(0.0f32, |largest, weight| largest.max(weight.abs()))
    };
    let mut kept: Vec<usize> = (0..linear.hashes.len()).collect();
    kept.retain(|&feature| magnitude(feature) > 0.0);
    kept.sort_by(|&a, &b| magnitude(b).total_cmp(&magnitude(a)).then(a.cmp(&b)));
    kept.truncate(max_features);
    kept.sort_unstable();
    LinearClassifier {
        hashes: kept.iter().map(|&feature| linear.hashes[feature]).collect(),
        weights: kept
            .iter()
            .flat_map(|&feature| weights_of(&linear, feature))
            .copied()
            .collect(),
        bias: linear.bias,
        preprocessing: linear.preprocessing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carousel::text::features::words;

    const WEAK_REGULARISATION: Hyperparameters = Hyperparameters {
        cost: 10.0,
        prior: 0.0,
    };

    fn predict(linear: &LinearClassifier, text: &str) -> usize {
        carousel::metrics::argmax(&linear.logits(&words(text)))
    }

    #[test]
    fn pairs_of_words_separate_what_single_words_cannot() {
        let texts = ["good", "so good", "not bad", "bad", "so bad", "not good"];
        let labels = [0, 0, 0, 1, 1, 1];
        let problem = LinearProblem::new(
            &texts.map(words),
            &labels,
            vec![1.0; 2],
            Preprocessing::None,
            None,
        );
        let linear = problem.fit(WEAK_REGULARISATION, 1000, 1);
        assert_eq!(texts.map(|text| predict(&linear, text)), labels);
        assert_eq!(linear.weights.len(), 2 * linear.hashes.len());
        assert!(linear.hashes.is_sorted());
        let smaller = problem.fit(WEAK_REGULARISATION, 2, 1);
        assert_eq!(smaller.hashes.len(), 2);
    }

    #[test]
    fn a_heavier_label_wins_where_labels_contradict() {
        let texts = ["fine"; 9].map(words);
        let labels = [0, 0, 0, 0, 0, 0, 0, 1, 1];
        let predicted = |weights: Vec<f64>| {
            let problem = LinearProblem::new(&texts, &labels, weights, Preprocessing::None, None);
            let hyperparameters = Hyperparameters {
                cost: 0.3,
                prior: 0.0,
            };
            predict(&problem.fit(hyperparameters, 1000, 1), "fine")
        };
        assert_eq!(predicted(vec![1.0; 2]), 0);
        assert_eq!(predicted(vec![0.5, 5.0]), 1);
    }

    #[test]
    fn each_of_three_labels_is_separated_from_the_rest() {
        let texts = [
            "red rose",
            "blue sky",
            "green leaf",
            "red wine",
            "blue sea",
            "green grass",
        ];
        let labels = [0, 1, 2, 0, 1, 2];
        let problem = LinearProblem::new(
            &texts.map(words),
            &labels,
            vec![1.0; 3],
            Preprocessing::None,
            None,
        );
        let linear = problem.fit(WEAK_REGULARISATION, 1000, 1);
        assert_eq!(texts.map(|text| predict(&linear, text)), labels);
        assert_eq!(predict(&linear, "a green car"), 2);
    }

    #[test]
    fn prior_weights_are_kept_and_corrected() {
        for label_count in [2, 3] {
            let texts = ["fine", "grand", "poor", "sick"].map(words);
            let weights = vec![1.0; label_count];
            let problem = LinearProblem::new(
                &texts,
                &[0, 0, 1, 1],
                weights.clone(),
                Preprocessing::None,
                None,
            );
            let prior = problem.fit(WEAK_REGULARISATION, 1000, 1);
            // In these texts "sick" has the other label.
            let texts = ["so sick", "very sick", "so poor"].map(words);
            let problem = LinearProblem::new(
                &texts,
                &[0, 0, 1],
                weights,
                Preprocessing::None,
                Some(prior),
            );
            let with_prior = Hyperparameters {
                prior: 1.0,
                ..WEAK_REGULARISATION
            };
            let linear = problem.fit(with_prior, 1000, 1);
            assert!(linear.hashes.is_sorted());
            let predicted = ["sick", "grand", "poor"].map(|text| predict(&linear, text));
            assert_eq!(predicted, [0, 0, 1]);
            let without_prior = problem.fit(WEAK_REGULARISATION, 1000, 1);
            assert_eq!(without_prior.unknown(&words("grand")), 1.0);
        }
    }
}
