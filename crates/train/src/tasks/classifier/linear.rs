/*!
Learning weights of words, pairs and triples of words: a linear support vector machine over features that are scaled by how
much more often they are met under a label than elsewhere (Wang and Manning 2012).
*/

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use carousel::inference::linear::{LinearClassifier, scale};
use carousel::text::features::{MAX_NGRAM, ngram_hashes};

/// From so many documents on, a run of words counts only if it is met in two.
const MANY: usize = 10_000;
/// Passes of the descent.
const PASSES: usize = 12;
/// Added to each count, so that nothing is impossible.
const SMOOTHING: f32 = 1.0;

/// What the documents hold, as the machine reads it: for each document, the places of its runs among `numbers`.
pub struct Features {
    numbers: Vec<u32>,
    documents: Vec<Document>,
    labels: usize,
    prior: Option<LinearClassifier>,
}

struct Document {
    places: Vec<u32>,
    /// What each run counts.
    scale: f32,
    label: usize,
    /// What weights learnt earlier say of it; nothing, where there are none.
    prior: Vec<f64>,
}

/// How weights are to be learnt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// The larger the cost of a document told wrong, the closer the weights follow the documents.
    pub cost: f32,
    /// How much weights learnt earlier count, which the new ones are added to.
    pub prior: f32,
}

impl Features {
    /// The runs of documents, which are given by their words, with their labels as numbers below `labels`; and weights for
    /// the same labels that were learnt from other documents.
    pub fn of(
        words: &[impl AsRef<[String]>],
        truth: &[usize],
        labels: usize,
        prior: Option<LinearClassifier>,
    ) -> Self {
        let found: Vec<Vec<u32>> = words
            .iter()
            .map(|words| ngram_hashes(words.as_ref(), MAX_NGRAM))
            .collect();
        let mut all: Vec<u32> = found.iter().flatten().copied().collect();
        all.sort_unstable();
        let least = if words.len() < MANY { 1 } else { 2 };
        let runs = all.chunk_by(|a, b| a == b);
        let numbers: Vec<u32> = runs
            .filter(|run| run.len() >= least)
            .map(|run| run[0])
            .collect();
        let places: FxHashMap<u32, u32> = numbers.iter().copied().zip(0..).collect();
        let said = |words: &[String]| prior.as_ref().map(|prior| prior.logits(words));
        let documents = words.iter().zip(&found).zip(truth);
        let documents = documents.map(|((words, found), &label)| Document {
            places: found
                .iter()
                .filter_map(|n| places.get(n).copied())
                .collect(),
            scale: scale(found.len()) as f32,
            label,
            prior: said(words.as_ref()).unwrap_or_default(),
        });
        Features {
            documents: documents.collect(),
            numbers,
            labels,
            prior,
        }
    }

    /// Learns weights, of which the `most` largest are kept.
    pub fn learn(&self, trial: Trial, most: usize, seed: u64) -> LinearClassifier {
        let mut weights = vec![0.0f32; self.numbers.len() * self.labels];
        let mut bias = vec![0.0f32; self.labels];
        // Of two labels one machine tells both.
        let machines = if self.labels == 2 { 1 } else { self.labels };
        for label in 0..machines {
            let ratios = self.ratios(label);
            let (own, own_bias) = self.machine(label, &ratios, trial, seed);
            for (place, (weight, ratio)) in own.iter().zip(&ratios).enumerate() {
                weights[place * self.labels + label] = weight * ratio;
            }
            bias[label] = own_bias;
        }
        if machines == 1 {
            let halves = weights.chunks_exact_mut(2).chain([&mut bias[..]]);
            for pair in halves {
                pair[0] *= 0.5;
                pair[1] = -pair[0];
            }
        }
        let learnt = LinearClassifier {
            hashes: self.numbers.clone(),
            weights,
            bias,
        };
        match &self.prior {
            Some(prior) if trial.prior > 0.0 => largest(sum(prior, trial.prior, &learnt), most),
            _ => largest(learnt, most),
        }
    }

    /// For each run, how much likelier it is under a label than elsewhere, as a logarithm.
    fn ratios(&self, label: usize) -> Vec<f32> {
        let mut counts = vec![[SMOOTHING; 2]; self.numbers.len()];
        for document in &self.documents {
            let side = usize::from(document.label != label);
            for &place in &document.places {
                counts[place as usize][side] += 1.0;
            }
        }
        let total = |side: usize| counts.iter().map(|pair| f64::from(pair[side])).sum::<f64>();
        let ratio = (total(1) / total(0)) as f32;
        let logarithm = |[here, elsewhere]: &[f32; 2]| (here / elsewhere * ratio).ln();
        counts.iter().map(logarithm).collect()
    }

    /// The weights, on the scaled features, that tell a label from the rest: dual coordinate descent for the squared hinge
    /// loss (Hsieh et al. 2008).
    fn machine(&self, label: usize, ratios: &[f32], trial: Trial, seed: u64) -> (Vec<f32>, f32) {
        let mut weights = vec![0.0f32; ratios.len()];
        let mut bias = 0.0f32;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let slack = 0.5 / trial.cost;
        let squares: Vec<f32> = self
            .documents
            .iter()
            .map(|document| {
                let squares = document.places.iter().map(|&p| ratios[p as usize].powi(2));
                squares.sum::<f32>() * document.scale.powi(2) + 1.0 + slack
            })
            .collect();
        let mut alphas = vec![0.0f32; self.documents.len()];
        let mut order: Vec<usize> = (0..self.documents.len()).collect();
        for _ in 0..PASSES {
            order.shuffle(&mut random);
            for &index in &order {
                let document = &self.documents[index];
                let side = if document.label == label { 1.0 } else { -1.0 };
                let sum: f32 = document
                    .places
                    .iter()
                    .map(|&place| weights[place as usize] * ratios[place as usize])
                    .sum();
                let prior = trial.prior * self.said(document, label);
                let margin = side * (sum * document.scale + bias + prior);
                let gradient = margin - 1.0 + slack * alphas[index];
                let alpha = (alphas[index] - gradient / squares[index]).max(0.0);
                let change = (alpha - alphas[index]) * side;
                alphas[index] = alpha;
                if change != 0.0 {
                    for &place in &document.places {
                        weights[place as usize] += change * document.scale * ratios[place as usize];
                    }
                    bias += change;
                }
            }
        }
        (weights, bias)
    }

    /// How far the prior puts a label before the rest.
    fn said(&self, document: &Document, label: usize) -> f32 {
        let difference = match document.prior[..] {
            [] => 0.0,
            [one, other] if label == 0 => one - other,
            [one, other] => other - one,
            ref all => all[label],
        };
        difference as f32
    }
}

/// Weights multiplied, and others added to them.
fn sum(prior: &LinearClassifier, times: f32, other: &LinearClassifier) -> LinearClassifier {
    let labels = other.bias.len();
    let bias = prior.bias.iter().zip(&other.bias);
    let mut all = LinearClassifier {
        bias: bias.map(|(prior, other)| times * prior + other).collect(),
        ..LinearClassifier::default()
    };
    fn row(ngrams: &LinearClassifier, place: usize) -> &[f32] {
        let labels = ngrams.bias.len();
        &ngrams.weights[place * labels..(place + 1) * labels]
    }
    let (mut left, mut right) = (0, 0);
    loop {
        let (one, two) = (prior.hashes.get(left), other.hashes.get(right));
        let Some(&number) = one.into_iter().chain(two).min() else {
            return all;
        };
        let mut sums = vec![0.0; labels];
        if one == Some(&number) {
            let weights = row(prior, left);
            sums.iter_mut()
                .zip(weights)
                .for_each(|(s, w)| *s = times * w);
            left += 1;
        }
        if two == Some(&number) {
            let weights = row(other, right);
            sums.iter_mut().zip(weights).for_each(|(s, w)| *s += w);
            right += 1;
        }
        all.hashes.push(number);
        all.weights.extend(sums);
    }
}

/// The `most` runs that say the most.
fn largest(ngrams: LinearClassifier, most: usize) -> LinearClassifier {
    let labels = ngrams.bias.len();
    let size = |row: &[f32]| {
        row.iter()
            .fold(0.0f32, |size, weight| size.max(weight.abs()))
    };
    let mut places: Vec<usize> = (0..ngrams.hashes.len()).collect();
    let row = |place: usize| &ngrams.weights[place * labels..(place + 1) * labels];
    places.retain(|&place| size(row(place)) > 0.0);
    places.sort_by(|&a, &b| size(row(b)).total_cmp(&size(row(a))).then(a.cmp(&b)));
    places.truncate(most);
    places.sort_unstable();
    LinearClassifier {
        hashes: places.iter().map(|&place| ngrams.hashes[place]).collect(),
        weights: places.iter().flat_map(|&p| row(p)).copied().collect(),
        bias: ngrams.bias,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carousel::text::features::words;

    const CLOSELY: Trial = Trial {
        cost: 10.0,
        prior: 0.0,
    };

    fn told(ngrams: &LinearClassifier, text: &str) -> usize {
        carousel::metrics::argmax(&ngrams.logits(&words(text)))
    }

    #[test]
    fn pairs_of_words_are_told_where_words_alone_mean_nothing() {
        let texts = ["good", "so good", "not bad", "bad", "so bad", "not good"];
        let truth = [0, 0, 0, 1, 1, 1];
        let features = Features::of(&texts.map(words), &truth, 2, None);
        let ngrams = features.learn(CLOSELY, 1000, 1);
        assert_eq!(texts.map(|text| told(&ngrams, text)), truth);
        assert_eq!(ngrams.weights.len(), 2 * ngrams.hashes.len());
        assert!(ngrams.hashes.is_sorted());
        // As many as asked for, and not the ones that say least.
        let few = features.learn(CLOSELY, 2, 1);
        assert_eq!(few.hashes.len(), 2);
    }

    #[test]
    fn each_of_many_labels_has_its_machine() {
        let texts = [
            "red rose",
            "blue sky",
            "green leaf",
            "red wine",
            "blue sea",
            "green grass",
        ];
        let truth = [0, 1, 2, 0, 1, 2];
        let ngrams = Features::of(&texts.map(words), &truth, 3, None).learn(CLOSELY, 1000, 1);
        assert_eq!(texts.map(|text| told(&ngrams, text)), truth);
        assert_eq!(told(&ngrams, "a green car"), 2);
    }

    #[test]
    fn what_was_learnt_earlier_is_kept_and_corrected() {
        for labels in [2, 3] {
            let earlier = ["fine", "grand", "poor", "sick"].map(words);
            let earlier = Features::of(&earlier, &[0, 0, 1, 1], labels, None);
            let prior = earlier.learn(CLOSELY, 1000, 1);
            // Here sick is praise.
            let texts = ["so sick", "very sick", "so poor"].map(words);
            let features = Features::of(&texts, &[0, 0, 1], labels, Some(prior));
            let trial = Trial {
                prior: 1.0,
                ..CLOSELY
            };
            let both = features.learn(trial, 1000, 1);
            assert!(both.hashes.is_sorted());
            let told = |text| told(&both, text);
            assert_eq!(["sick", "grand", "poor"].map(told), [0, 0, 1]);
            let anew = features.learn(CLOSELY, 1000, 1);
            assert_eq!(anew.unknown(&words("grand")), 1.0);
        }
    }
}
